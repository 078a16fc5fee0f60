"""The words of each refusal of the directory's rules: status, code, FHIRPath, French, English."""

from __future__ import annotations

from creneau_directory.domain.refusals import (
    AccountFault,
    AccountLacks,
    AccountUnfit,
    DiscriminatingText,
    EntryFault,
    EntryUnfit,
    OwnNumbersChanged,
    PartOfItself,
    PartsIdNotTheirs,
    PatientsDevice,
    ProfessionalKnown,
    ProfessionalNotTheirs,
    RegulatorKnown,
    ReliedOnByOthers,
    RorHeadersMissing,
    StillNamed,
    UnknownZone,
    WholeNotTheirs,
    WrongNumber,
)
from creneau_directory.ror_words import ror_issue
from creneau_shared.errors import Conflict, CreneauError, Forbidden, Issue, Unprocessable
from creneau_shared.fhir.zones import zone_issue
from creneau_shared.refusal import Refusal
from creneau_shared.words import Theme

WORDS = Theme()


def told(refusal: Refusal) -> CreneauError:
    """The error for a refusal."""
    return CATALOGUE[type(refusal)](refusal)


@WORDS.says(EntryUnfit)
def _(r: EntryUnfit) -> CreneauError:
    return Unprocessable(issues=[entry_issue(r.resource_type, fault) for fault in r.faults])


@WORDS.says(StillNamed)
def _(r: StillNamed) -> CreneauError:
    name = f"{r.resource_type}/{r.id}"
    return Conflict(
        f"{name} est encore nommé par d'autres entrées ({', '.join(r.others)}) : supprimez-les ou changez-les d'abord,"
        " ou rendez celle-ci inactive.",
        f"{name} is still named by other entries ({', '.join(r.others)}): delete or change these first, or make this"
        " one inactive.",
        code="conflict",
        expression=r.resource_type,
        details_code="still-named",
    )


@WORDS.says(AccountUnfit)
def _(r: AccountUnfit) -> CreneauError:
    return Unprocessable(issues=[_account_issue(lack) for lack in r.lacks])


@WORDS.says(RegulatorKnown)
def _(r: RegulatorKnown) -> CreneauError:
    return Conflict(
        f"Un autre compte de régulateur porte déjà cet identifiant : Practitioner/{r.other}.",
        f"Another regulator's account bears this identifier already: Practitioner/{r.other}.",
        code="duplicate",
        expression="Practitioner.identifier",
        details_code="regulator-known",
    )


@WORDS.says(PartOfItself)
def _(r: PartOfItself) -> CreneauError:
    kind = r.whole.partition("/")[0]
    return Unprocessable(
        f"{r.whole} fait déjà partie de cette ressource, ou est elle-même : rien n'est une partie de soi.",
        f"{r.whole} is a part of this resource already, or is itself: nothing is a part of itself.",
        expression=f"{kind}.partOf",
        details_code="part-of-itself",
    )


@WORDS.says(ProfessionalKnown)
def _(r: ProfessionalKnown) -> CreneauError:
    return Conflict(
        f"Practitioner/{r.other} porte déjà ce numéro : un professionnel n'est inscrit qu'une fois. Nommez-le dans un"
        " PractitionerRole de votre cabinet ; s'il n'y exerce pas encore, c'est à lui, ou à l'administration du déploiement,"
        " d'ajouter ce lieu d'exercice.",
        f"Practitioner/{r.other} bears this number already: a professional is entered once. Name them in a PractitionerRole of"
        " your practice; if they do not work there yet, adding this place of work is up to them, or to the deployment's"
        " administration.",
        code="duplicate",
        expression="Practitioner.identifier",
        details_code="professional-known",
    )


@WORDS.says(ProfessionalNotTheirs)
def _(r: ProfessionalNotTheirs) -> CreneauError:
    return Forbidden(
        f"Practitioner/{r.person} n'a pas été inscrit par votre cabinet et n'y exerce pas : c'est à ce"
        " professionnel, ou à l'administration du déploiement, d'ajouter ce lieu d'exercice.",
        f"Practitioner/{r.person} was not entered by your practice and does not work there: adding this place of"
        " work is up to that professional, or to the deployment's administration.",
        expression="PractitionerRole.practitioner",
        details_code="not-yours",
    )


@WORDS.says(WholeNotTheirs)
def _(r: WholeNotTheirs) -> CreneauError:
    return Forbidden(
        f"Vous n'agissez pas pour Organization/{r.whole} : c'est à cette organisation, ou à l'administration du déploiement,"
        " de dire qui en fait partie.",
        f"You do not act for Organization/{r.whole}: who is a part of it is up to that organisation, or to the deployment's"
        " administration, to say.",
        expression="Organization.partOf",
        details_code="not-yours",
    )


@WORDS.says(PartsIdNotTheirs)
def _(r: PartsIdNotTheirs) -> CreneauError:
    return Forbidden(
        f"L'identifiant {r.id} pourrait être celui d'une autre organisation. Envoyez cette unité par POST Organization, qui"
        " lui en donne un, ou choisissez-en un qui commence par celui de votre cabinet et un point.",
        f"The id {r.id} may be another organisation's. Send this unit by POST Organization, which gives it one, or choose"
        " one that begins with your practice's own id and a dot.",
        expression="Organization.id",
        details_code="not-yours",
    )


@WORDS.says(ReliedOnByOthers)
def _(r: ReliedOnByOthers) -> CreneauError:
    return Forbidden(
        f"Practitioner/{r.person} exerce aussi dans un autre cabinet, pour lequel vous n'agissez pas : ses numéros nationaux"
        " (RPPS, ADELI, IDNPS) et son activité (active) disent qui agit pour ce cabinet. Les changer revient à"
        " l'administration du déploiement.",
        f"Practitioner/{r.person} works for another practice too, for which you do not act: their national numbers (RPPS,"
        " ADELI, IDNPS) and whether they are active tell who acts for that practice. Changing them is up to the"
        " deployment's administration.",
        expression=tuple(f"Practitioner.{element}" for element in r.elements),
        details_code="not-yours",
    )


@WORDS.says(OwnNumbersChanged)
def _(r: OwnNumbersChanged) -> CreneauError:
    return Forbidden(
        "Vos numéros nationaux (RPPS, ADELI, IDNPS) disent qui vous êtes : ce n'est pas à vous de les changer, mais à un"
        " cabinet qui vous a inscrit, ou à l'administration du déploiement.",
        "Your national numbers (RPPS, ADELI, IDNPS) tell who you are: changing them is not up to you, but to a practice"
        " that has entered you, or to the deployment's administration.",
        expression="Practitioner.identifier",
        details_code="not-yours",
    )


@WORDS.says(RorHeadersMissing)
def _(r: RorHeadersMissing) -> CreneauError:
    names = ", ".join(r.names)
    return Forbidden(
        f"Il manque des en-têtes du ROR : {names}.",
        f"Headers of the ROR are missing: {names}.",
        expression=f"http.{r.names[0]}",
        details_code="ror-headers",
    )


CATALOGUE = dict(WORDS)


def entry_issue(resource_type: str, fault: EntryFault) -> Issue:
    """The issue for one fault of an entry."""
    if isinstance(fault, UnknownZone):
        return zone_issue(resource_type, fault.index, fault.name)
    if isinstance(fault, PatientsDevice):
        return Issue(
            "business-rule",
            "L'annuaire décrit les équipements des structures ; celui d'un patient n'y a pas sa place.",
            "The directory describes what structures work with; a patient's own device has no place in it.",
            ("Device.patient",),
            details_code="patients-device",
        )
    if isinstance(fault, DiscriminatingText):
        return Issue(
            "business-rule",
            "Ce texte écarte des patients selon la prise en charge de leurs soins (CSS, CMU, AME) : c'est un refus de"
            " soins, que la loi interdit. Retirez cette mention.",
            "This text turns patients away for how their care is paid (CSS, CMU, AME): that is a refusal of care, which"
            " the law forbids. Take these words out.",
            (f"{resource_type}.{fault.element}",),
            details_code="discriminating-text",
        )
    if not isinstance(fault, WrongNumber):
        return ror_issue(resource_type, fault)
    return Issue(
        "value",
        f"« {fault.value} » n'est pas un numéro {fault.register} valable : vérifiez ses chiffres et sa clé.",
        f"“{fault.value}” is not a valid {fault.register} number: check its digits and its key.",
        (f"{resource_type}.identifier[{fault.index}].value",),
        details_code="identifier-key",
    )


_LACKING: dict[AccountFault, tuple[str, str]] = {
    "activity": ("s'il est actif (active)", "whether it is active"),
    "name": ("un nom (name)", "a name"),
    "family": ("un nom de famille", "a family name"),
    "given": ("un prénom, et un seul", "one given name and no more"),
    "telecom": ("une adresse électronique (telecom)", "an e-mail address (telecom)"),
    "email": ("une adresse électronique", "an e-mail address"),
    "identifier": ("un identifiant, national ou du SAS", "an identifier, national or of SAS"),
    "system": ("le système de chaque identifiant", "the system of each identifier"),
    "value": ("la valeur de chaque identifiant", "the value of each identifier"),
}
_WRONG: dict[AccountFault, tuple[str, str]] = {
    "means": ("ne connaît que le moyen « email »", "knows no other system than email"),
    "type": (
        "type chaque identifiant selon son système : IDNPS (national) ou INTRN (du SAS)",
        "types each identifier by its system: IDNPS (national) or INTRN (of SAS)",
    ),
    "uuid": ("prend un UUID pour identifiant du SAS", "takes a UUID for an identifier of SAS"),
}


def _account_issue(lack: AccountLacks) -> Issue:
    if lack.fault in _LACKING:
        fr, en = _LACKING[lack.fault]
        code, fr, en = "required", f"doit indiquer {fr}", f"must give {en}"
    else:
        code, (fr, en) = "value", _WRONG[lack.fault]
    return Issue(
        code,
        f"Un compte de régulateur du SAS {fr}.",
        f"A SAS regulator's account {en}.",
        (f"Practitioner.{lack.element}",),
        details_code="regulator-account",
    )

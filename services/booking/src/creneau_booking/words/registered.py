"""Words of refusals: resources that are unknown, unavailable or erased, for the caller at least."""

from __future__ import annotations

from creneau_booking.domain.refusals.registered import (
    AppointmentNotSeen,
    AppointmentUnknown,
    BirthDateSettled,
    OtherPerson,
    PatientErased,
    PatientsNamedIn,
    PatientsUnavailable,
    PatientsUnclear,
    SuccessorUnclear,
    UnknownPatients,
    UnknownTarget,
)
from creneau_shared.errors import Conflict, CreneauError, Forbidden, Gone, Issue, Unprocessable
from creneau_shared.words import Theme

WORDS = Theme()
_NAMED_IN: dict[PatientsNamedIn, str] = {
    "appointment": "Appointment.participant",
    "answer": "AppointmentResponse.actor",
    "proxy": "RelatedPerson.patient",
    "provenance": "Provenance",
    "link": "Patient.link",
}


@WORDS.says(UnknownPatients)
def _(r: UnknownPatients) -> CreneauError:
    fr, en = ("n'existe pas", "does not exist")
    if r.to_practice:
        fr, en = ("n'est pas connu de votre cabinet", "is not known to your practice")
    return Unprocessable(
        f"Ce patient {fr} : inscrivez d'abord cette personne (POST Patient).",
        f"This patient {en}: register that person first (POST Patient).",
        code="not-found",
        expression=_NAMED_IN[r.named_in],
        details_code="unknown-patient",
        diagnostics=_patients(r.ids),
    )


@WORDS.says(PatientsUnclear)
def _(r: PatientsUnclear) -> CreneauError:
    return Unprocessable(issues=[_unclear(index, said) for index, said in r.said])


def _unclear(index: int, said: str) -> Issue:
    return Issue(
        "not-found",
        f"Ce patient n'est pas connu ici : « {said} ». Inscrivez-le (POST Patient), puis nommez-le Patient/[id].",
        f"This patient is not known here: “{said}”. Register them (POST Patient), then name them Patient/[id].",
        (f"Appointment.participant[{index}].actor",),
        details_code="unknown-patient",
    )


@WORDS.says(SuccessorUnclear)
def _(_: SuccessorUnclear) -> CreneauError:
    return Unprocessable(
        "Ce dossier a des rendez-vous à venir, et le dossier qui le remplace n'est pas connu ici : nommez-le Patient/[id],"
        " ou par un identifiant qu'il est seul à porter.",
        "This record has visits to come, and the one that replaces it is not known here: name it Patient/[id], or by an"
        " identifier that it alone bears.",
        code="not-found",
        expression="Patient.link",
        details_code="unknown-patient",
    )


@WORDS.says(PatientsUnavailable)
def _(r: PatientsUnavailable) -> CreneauError:
    return Unprocessable(
        "Aucun rendez-vous ne peut être pris pour ce patient : dossier supprimé, inactif, remplacé par un autre ou"
        " d'une personne décédée.",
        "No appointment can be booked for this patient: deleted, inactive, replaced by another or deceased.",
        expression="Appointment.participant",
        details_code="patient-unavailable",
        diagnostics=_patients(r.ids),
    )


@WORDS.says(PatientErased)
def _(r: PatientErased) -> CreneauError:
    return Gone(
        "Ce patient a été effacé à la demande de la personne : ce numéro ne sert plus. Créez un nouveau Patient.",
        "This patient was erased at the person's request: this id is used no more. Create a new Patient.",
        details_code="patient-erased",
        diagnostics=f"Patient/{r.id}",
        headers={"ETag": f'W/"{r.version}"'},
    )


@WORDS.says(OtherPerson)
def _(r: OtherPerson) -> CreneauError:
    return Conflict(
        "Ce numéro était celui d'une autre personne : aucun n'est jamais réattribué. Créez un nouveau Patient.",
        "This id was somebody else's: none is ever given to another person. Create a new Patient.",
        expression="Patient.id",
        details_code="id-of-another-person",
        diagnostics=f"Patient/{r.id}",
    )


@WORDS.says(BirthDateSettled)
def _(_: BirthDateSettled) -> CreneauError:
    return Forbidden(
        "Un parent agit pour cette personne jusqu'à sa majorité : seul un cabinet corrige sa date de naissance.",
        "A parent acts for this person until their majority: only a practice corrects their birth date.",
        expression="Patient.birthDate",
        details_code="proxy-birth-date",
    )


@WORDS.says(AppointmentUnknown)
def _(_: AppointmentUnknown) -> CreneauError:
    return Unprocessable(
        "Ce rendez-vous n'existe pas.",
        "This appointment does not exist.",
        code="not-found",
        expression="AppointmentResponse.appointment",
        details_code="unknown-appointment",
    )


@WORDS.says(AppointmentNotSeen)
def _(r: AppointmentNotSeen) -> CreneauError:
    return Unprocessable(
        "Le rendez-vous auquel cela répond n'existe pas.",
        "The appointment that this answers does not exist.",
        code="not-found",
        expression="AppointmentResponse.appointment",
        details_code="unknown-appointment",
        diagnostics=r.reference,
    )


@WORDS.says(UnknownTarget)
def _(r: UnknownTarget) -> CreneauError:
    return Unprocessable(
        "Ce dont ceci dit la provenance n'existe pas.",
        "That of which this says the provenance does not exist.",
        code="not-found",
        expression=f"Provenance.target[{r.index}]",
        details_code="unknown-target",
        diagnostics=f"{r.resource_type}/{r.id}",
    )


def _patients(ids: tuple[str, ...]) -> str:
    return ", ".join(f"Patient/{id_}" for id_ in ids)

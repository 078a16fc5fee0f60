"""The words for faults of resources that claim a ROR profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from creneau_directory.domain.refusals import WrongCommune
from creneau_directory.domain.ror.capacities import StaleCapacity
from creneau_directory.domain.ror.facets import FacetFault
from creneau_shared.errors import Issue

FACETS: Final[Mapping[str, tuple[str, str]]] = {
    "metaCreationDate": (
        "la date de création (ror-meta-creation-date)",
        "the creation date (ror-meta-creation-date)",
    ),
    "codeRegion": ("la région (meta.tag, TRE_R30)", "the region (meta.tag, TRE_R30)"),
    "identifiantOffre": ("l'identifiant de l'offre", "the identifier of the offer"),
    "champActivite": ("le champ d'activité (TRE_R227)", "the field of activity (TRE_R227)"),
    "typeOffre": ("le type d'offre (TRE_R244)", "the type of offer (TRE_R244)"),
    "activiteOperationnelle": ("l'activité opérationnelle (TRE_R211)", "the operational activity (TRE_R211)"),
    "modePriseEnCharge": ("le mode de prise en charge (TRE_R213)", "the care mode (TRE_R213)"),
    "ouvertureAnnuelle": ("l'ouverture annuelle (TRE_R238)", "the annual opening (TRE_R238)"),
    "uniteSensible": ("l'unité sensible (booléen)", "whether it is a sensitive unit (boolean)"),
    "patientele": (
        "la patientèle (ror-healthcareservice-patient-type)",
        "the patients (ror-healthcareservice-patient-type)",
    ),
    "trancheAge": ("la tranche d'âge (ageRange, deux bornes)", "the age range (ageRange, both ends)"),
    "dateFermetureReouverture": (
        "la date de fermeture ou de réouverture",
        "the date of closing or reopening",
    ),
    "communeCog": ("la commune (ror-commune-cog)", "the commune (ror-commune-cog)"),
    "identifiantOI": ("l'identifiant d'organisation interne", "the identifier of the internal organisation"),
    "adresse": ("l'adresse", "the address"),
    "natureContact": ("la nature du contact (TRE_R287)", "the purpose of the contact (TRE_R287)"),
    "idNatPs": (
        "l'identifiant national du professionnel (IDNPS)",
        "the national identifier of the professional (IDNPS)",
    ),
    "numeroSansPrefixe": (
        "le numéro RPPS ou ADELI sans préfixe (à la place : IDNPS)",
        "the RPPS or ADELI number without its prefix (instead: IDNPS)",
    ),
    "professionnel": ("le professionnel", "the professional"),
    "offreOperationnelle": ("l'offre opérationnelle", "the operational offer"),
    "identifiantSituation": (
        "l'identifiant de la situation opérationnelle",
        "the identifier of the situation",
    ),
    "telecommunication": ("le moyen de contact", "the contact point"),
    "horaire": ("l'horaire", "the opening time"),
    "profession": ("la profession (TRE_G15)", "the profession (TRE_G15)"),
    "modeExercice": ("le mode d'exercice (TRE_R23)", "the exercise mode (TRE_R23)"),
    "typeSavoirFaire": ("le type de savoir-faire (TRE_R04)", "the type of expertise (TRE_R04)"),
    "adresseTelecom": ("l'adresse du moyen de contact", "the address of the contact point"),
    "canal": ("le canal de communication (TRE_R200)", "the channel (TRE_R200)"),
    "niveauConfidentialite": (
        "le niveau de confidentialité (TRE_R283)",
        "the level of confidentiality (TRE_R283)",
    ),
}
"""facet → its name in French and in English"""
_PROBLEMS: Final = {
    "missing": ("required", "doit être indiqué(e)", "must be given"),
    "repeated": ("structure", "ne peut être indiqué(e) qu'une fois", "can be given once only"),
    "unfit": ("value", "n'est pas lisible", "cannot be read"),
    "unlisted": ("code-invalid", "doit être un code de sa liste", "must be a code of its list"),
    "excluded": ("structure", "n'a pas sa place ici", "has no place here"),
}


def ror_issue(resource_type: str, fault: FacetFault | WrongCommune | StaleCapacity) -> Issue:
    """The issue for a fault of a resource of this type."""
    if isinstance(fault, WrongCommune):
        return Issue(
            "value",
            f"« {fault.code} » n'a pas la forme d'un code INSEE de commune (44109, 2A004, 97411).",
            f"“{fault.code}” has not the form of a commune's INSEE code (44109, 2A004, 97411).",
            (f"{resource_type}.{fault.element}",),
            details_code="insee-code",
        )
    if isinstance(fault, StaleCapacity):
        return _stale(resource_type, fault)
    code, fr, en = _PROBLEMS[fault.problem]
    facet_fr, facet_en = FACETS.get(fault.facet, (fault.facet, fault.facet))
    return Issue(
        code,
        f"Profil ROR : {facet_fr} {fr}.",
        f"ROR profile: {facet_en} {en}.",
        (f"{resource_type}.{fault.element}",),
        details_code="ror-facet",
    )


def _stale(resource_type: str, fault: StaleCapacity) -> Issue:
    if fault.known is None:
        fr, en = "est dans le futur", "is in the future"
    else:
        fr, en = (
            f"n'est pas postérieure à celle déjà connue ({fault.known})",
            f"is not later than the one known ({fault.known})",
        )
    return Issue(
        "business-rule",
        f"Une capacité modifiée doit être datée : sa capacityUpdateDate ({fault.counted}) {fr}.",
        f"A capacity that is changed must be dated: its capacityUpdateDate ({fault.counted}) {en}.",
        (f"{resource_type}.extension[{fault.index}]",),
        details_code="capacity-date",
    )

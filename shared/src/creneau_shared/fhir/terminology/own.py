"""Créneau's own code systems and value sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from creneau_shared.fhir.datatypes import PRIMITIVES
from creneau_shared.fhir.invariants import all_invariants
from creneau_shared.fhir.outcome import ISSUE_SYSTEM
from creneau_shared.fhir.terminology.extension_codes import EXTENSION_CODES
from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES
from creneau_shared.fhir.terminology.model import CodeSystem, Concept, ValueSet

BASE = "https://creneau.sante.fr/fhir/"
PUBLISHER = "Créneau"
VERSION = "1.0.0"
ACCESS_LEVELS = BASE + "CodeSystem/access-level"
DELEGATIONS = BASE + "CodeSystem/delegation"
CONFIDENTIALITY = BASE + "CodeSystem/confidentiality"
SPECIALTIES = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
VISIT_TYPES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SLOT_TYPES = "https://mos.esante.gouv.fr/NOS/TRE_R314-TypeCreneau/FHIR/TRE-R314-TypeCreneau"
BOOKABLE_VISITS = ("AMB", "HH", "VR")
USED_WITH: Mapping[str, tuple[str, ...]] = {
    SPECIALTIES: ("Appointment", "HealthcareService", "Schedule", "Slot"),
    VISIT_TYPES: ("Appointment", "Schedule", "Slot"),
    "https://mos.esante.gouv.fr/NOS/TRE_R211-ActiviteOperationnelle/FHIR/TRE-R211-ActiviteOperationnelle": (
        "HealthcareService",
    ),
    "http://terminology.hl7.org/CodeSystem/service-category": ("HealthcareService", "Schedule", "Slot"),
    "http://terminology.hl7.org/CodeSystem/service-type": ("HealthcareService", "Schedule", "Slot"),
    "http://terminology.hl7.org/CodeSystem/v2-0276": ("Appointment", "Slot"),
    "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason": ("Appointment",),
}
"""Code system of what can be booked → the resource types that use it."""

_VALIDATOR_RULES = {
    "ele-1": ("Élément sans valeur ni contenu", "Element with neither value nor content"),
    "ref-1": ("Référence interne sans ressource", "Local reference without a resource"),
    "txt-1": ("Texte lisible non sûr", "Narrative that is not safe"),
    "txt-2": ("Texte lisible vide", "Empty narrative"),
}
"""The rules of R4 that need more than the element itself, which the validator checks."""


def _concepts(concepts: Iterable[tuple[str, str, str]]) -> dict[str, Concept]:
    return {code: Concept(code, fr, english=en) for code, fr, en in concepts}


def _issue_concepts() -> Iterable[tuple[str, str, str]]:
    for code, (fr, en) in ISSUE_CODES.items():
        yield code, fr, en
    for name in PRIMITIVES:
        yield f"type-{name}", f"Valeur qui n'est pas du type {name}", f"Value that is not of type {name}"
    for key, (fr, en) in _VALIDATOR_RULES.items():
        yield key, fr, en
    for invariant in all_invariants():
        yield (
            invariant.key,
            f"Règle {invariant.key} : {invariant.fr}",
            f"Rule {invariant.key}: {invariant.en}",
        )


def own_code_systems() -> tuple[CodeSystem, ...]:
    """Our code systems: of OperationOutcomes, of the audit trail, of labels, of delegations and of our extensions."""
    return (
        CodeSystem(
            ISSUE_SYSTEM,
            "CreneauIssue",
            PUBLISHER,
            _concepts(_issue_concepts()),
            VERSION,
            "Créneau : motifs de refus",
            language="fr",
        ),
        CodeSystem(
            ACCESS_LEVELS,
            "CreneauAccessLevel",
            PUBLISHER,
            _concepts(
                (
                    (
                        "patient",
                        "Accès d'un patient à ce qui le concerne",
                        "A patient's access to their own data",
                    ),
                    (
                        "user",
                        "Accès d'un professionnel ou d'un logiciel",
                        "A professional's or a system's access",
                    ),
                    ("practitioner", "Professionnel de santé", "Health professional"),
                    ("secretary", "Secrétariat", "Secretary"),
                    ("software", "Logiciel d'un cabinet", "A practice's software"),
                    ("regulator", "Régulateur du SAS", "Regulator of unscheduled care"),
                    ("counsellor", "Conseiller France services", "France services counsellor"),
                    ("operator", "Exploitant", "Operator"),
                    ("system", "Administration du déploiement", "Administration of the deployment"),
                    ("public", "Sans identification", "Nobody known"),
                    (
                        "practice",
                        "Structure pour laquelle on agit",
                        "Organisation on whose behalf somebody acts",
                    ),
                    ("represented", "Personne pour laquelle on agit", "Person on whose behalf somebody acts"),
                )
            ),
            VERSION,
            "Créneau : niveaux d'accès",
            language="fr",
        ),
        CodeSystem(
            CONFIDENTIALITY,
            "CreneauConfidentiality",
            PUBLISHER,
            _concepts(
                (
                    (
                        "HIDDEN-FROM-PROXIES",
                        "Rendez-vous que les représentants de la personne ne voient pas",
                        "Appointment that the person's representatives are not shown",
                    ),
                )
            ),
            VERSION,
            "Créneau : étiquettes de confidentialité",
            language="fr",
            contexts=("Appointment",),
        ),
        CodeSystem(
            DELEGATIONS,
            "CreneauDelegation",
            PUBLISHER,
            _concepts(
                (
                    ("see", "Voir ce que voit la structure", "See what the organisation sees"),
                    (
                        "book",
                        "Prendre, déplacer et annuler les rendez-vous de la structure",
                        "Book, move and cancel the organisation's appointments",
                    ),
                    ("manage", "Faire tout ce que peut la structure", "Do all that the organisation may"),
                )
            ),
            VERSION,
            "Créneau : délégations entre structures",
            language="fr",
            contexts=("OrganizationAffiliation",),
        ),
        *_extension_systems(),
    )


def _extension_systems() -> Iterable[CodeSystem]:
    for id_, said in EXTENSION_CODES.items():
        yield CodeSystem(
            f"{BASE}CodeSystem/{id_}",
            f"Creneau{said.name}",
            PUBLISHER,
            _concepts((code, fr, en) for code, (fr, en) in said.codes.items()),
            VERSION,
            f"Créneau : {said.title}",
            language="fr",
            contexts=(said.context,),
        )


def _extension_value_sets() -> Iterable[ValueSet]:
    for id_, said in EXTENSION_CODES.items():
        yield ValueSet(
            f"{BASE}ValueSet/{id_}",
            f"Creneau{said.name}Codes",
            PUBLISHER,
            {"include": [{"system": f"{BASE}CodeSystem/{id_}"}]},
            VERSION,
            f"Créneau : {said.title}",
            contexts=(said.context,),
        )
    yield ValueSet(
        f"{BASE}ValueSet/opening-visibility",
        "CreneauOpeningVisibilityCodes",
        PUBLISHER,
        {"include": [{"system": SLOT_TYPES}]},
        VERSION,
        "Créneau : à qui les créneaux sont montrés",
        contexts=("Schedule",),
    )


def own_value_sets() -> tuple[ValueSet, ...]:
    """Our value sets: specialties and ways of meeting that can be booked, and the codes of our extensions."""
    return (
        ValueSet(
            BASE + "ValueSet/bookable-specialty",
            "CreneauBookableSpecialty",
            PUBLISHER,
            {"include": [{"system": SPECIALTIES}]},
            VERSION,
            "Créneau : spécialités réservables",
            contexts=USED_WITH[SPECIALTIES],
        ),
        ValueSet(
            BASE + "ValueSet/bookable-visit-type",
            "CreneauBookableVisitType",
            PUBLISHER,
            {"include": [{"system": VISIT_TYPES, "concept": [{"code": code} for code in BOOKABLE_VISITS]}]},
            VERSION,
            "Créneau : cabinet, domicile ou téléconsultation",
            contexts=USED_WITH[VISIT_TYPES],
        ),
        *_extension_value_sets(),
    )

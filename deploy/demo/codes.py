"""The code systems that the demonstration uses, and how a code is written in FHIR."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]
"""A FHIR resource, or a part of one, as JSON objects."""


def _nos(name: str) -> str:
    """The address of a code system of the NOS (nomenclatures des objets de santé)."""
    return f"https://mos.esante.gouv.fr/NOS/{name}/FHIR/{name.replace('_', '-')}"


SPECIALTY = _nos("TRE_R38-SpecialiteOrdinale")
PROFESSION = {"G15": _nos("TRE_G15-ProfessionSante"), "R95": _nos("TRE_R95-UsagerTitre")}
CATEGORY_OF_PROFESSION = _nos("TRE_R09-CategorieProfessionnelle")
KIND_OF_EXPERTISE = _nos("TRE_R04-TypeSavoirFaire")
ORGANISATION_CATEGORY = _nos("TRE_R66-CategorieEtablissement")
ACTIVITY = _nos("TRE_R211-ActiviteOperationnelle")
FIELD_OF_ACTIVITY = _nos("TRE_R227-ChampActivite")
SLOT_VISIBILITY = _nos("TRE_R314-TypeCreneau")
COMMUNE = _nos("TRE_R13-CommuneOM")

SECTOR = _nos("TRE_R282-CNAMAmeliSecteurConventionnement")
EXTENSION_CONTRACTED = (
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-contracted"
)

VISIT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
APPOINTMENT_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0276"
IDENTIFIER_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
TEST_DATA = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
LANGUAGE = "urn:ietf:bcp:47"

EXTENSION_INSEE_CODE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
EXTENSION_DURATION = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-service-type-duration"
OWN_EXTENSION = "https://creneau.sante.fr/fhir/StructureDefinition/"
"""The beginning of Créneau's own extensions."""
EXTENSION_TIME_ZONE = OWN_EXTENSION + "time-zone"
EXTENSION_CAPACITY = OWN_EXTENSION + "schedule-capacity"

UCUM = "http://unitsofmeasure.org"

_DISPLAYS = {
    (VISIT, "AMB"): "ambulatory",
    (VISIT, "VR"): "virtual",
    (VISIT, "HH"): "home health",
    (APPOINTMENT_TYPE, "ROUTINE"): "Routine appointment - default if not valued",
    (APPOINTMENT_TYPE, "WALKIN"): "A previously unscheduled walk-in visit",
    (FIELD_OF_ACTIVITY, "05"): "Ville",
}


def coding(system: str, code: str, display: str | None = None) -> Resource:
    """A Coding; the display is given where it is known."""
    display = display or _DISPLAYS.get((system, code))
    return {"system": system, "code": code} | ({"display": display} if display else {})


def concept(system: str, code: str, display: str | None = None) -> Resource:
    """A CodeableConcept of one Coding."""
    return {"coding": [coding(system, code, display)]}

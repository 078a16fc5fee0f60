"""What the directory contributes to /metadata."""

from __future__ import annotations

from creneau_directory.handlers import resource_changed
from creneau_directory.storage.tables import TYPES
from creneau_shared.fhir.profiles import FR_CORE, SAS
from creneau_shared.fhir.rest.declaration import ServedType
from creneau_shared.fhir.storage.generic import GenericStore

PROFILES = {
    "Practitioner": (f"{FR_CORE}fr-core-practitioner", f"{SAS}FrPractitionerAgregateur"),
    "PractitionerRole": (f"{FR_CORE}fr-core-practitioner-role", f"{SAS}FrPractitionerRoleExerciceAgregateur"),
    "HealthcareService": (f"{FR_CORE}fr-core-healthcare-service",),
}


def served_types(base_url: str) -> list[ServedType]:
    """The types that the directory serves."""
    return [
        ServedType(GenericStore(name, base_url, resource_changed), profiles=PROFILES.get(name, ()))
        for name in TYPES
    ]

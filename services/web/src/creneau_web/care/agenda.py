"""The agenda of a slot: whose it is, and whether its practice agrees to each visit."""

from __future__ import annotations

from datetime import timedelta

from creneau_web.care.alone import agendas_of_person, references_of
from creneau_web.care.model import Professional
from creneau_web.fhir.client import Fhir, Resource
from creneau_web.fhir.values import entries, extension

AGREES = "https://creneau.sante.fr/fhir/StructureDefinition/schedule-confirmation-required"
DEADLINES = (
    "https://creneau.sante.fr/fhir/StructureDefinition/change-deadline",
    "https://creneau.sante.fr/fhir/StructureDefinition/schedule-change-deadline",
)
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


async def slot_and_agenda(fhir: Fhir, slot: str) -> tuple[Resource, Resource] | None:
    """A Slot (id) with its Schedule; None for one that is not there, or not to be seen."""
    bundle = await fhir.search("Slot", [("_id", slot), ("_include", "Slot:schedule"), ("_total", "none")])
    found = next(entries(bundle, "Slot"), None)
    agenda = next(entries(bundle, "Schedule"), None)
    return None if found is None or agenda is None else (found, agenda)


def change_deadline(agenda: Resource) -> timedelta:
    """How long before its start a visit can last be changed online; zero if the agenda does not say."""
    said = next((found for url in DEADLINES if (found := extension(agenda, url)) is not None), {})
    quantity = said.get("valueDuration", {})
    unit = _UNITS.get(quantity.get("code", ""))
    return timedelta() if unit is None else float(quantity.get("value", 0)) * unit


def practice_agrees(agenda: Resource) -> bool:
    """Whether the practice has to agree to each visit: a booking is a request."""
    return (extension(agenda, AGREES) or {}).get("valueBoolean") is True


async def is_of(fhir: Fhir, agenda: Resource, professional: Professional) -> bool:
    """Whether an agenda is a professional's in this role: it names the role, or the person alone if the role is clear."""
    if f"PractitionerRole/{professional.id}" in references_of(agenda):
        return True
    return agenda["id"] in await agendas_of_person(fhir, professional)

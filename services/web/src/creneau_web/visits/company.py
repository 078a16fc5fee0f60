"""Finds with whom a visit is when its Appointment names only the patient: the actors of its slot's agenda."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from creneau_web.fhir.client import Fhir
from creneau_web.fhir.refusal import RefusedError
from creneau_web.fhir.values import by_reference
from creneau_web.visits.reading import PRACTICES_SIDE, ids

Appointment = Mapping[str, Any]
SLOTS_MAX = "200"


async def with_company(fhir: Fhir, appointments: Sequence[Appointment]) -> list[Appointment]:
    """The appointments; those that name nobody of a practice get the actors of their slots' agendas. Unchanged if these may
    not be seen."""
    alone = [a for a in appointments if not _names_practice(a)]
    slots = sorted({id_ for a in alone for id_ in _slots(a)})
    if not slots:
        return list(appointments)
    query = [
        ("_id", ",".join(slots)),
        ("_include", "Slot:schedule"),
        ("_count", SLOTS_MAX),
        ("_total", "none"),
    ]
    try:
        known = by_reference(await fhir.as_(None).search("Slot", query))
    except RefusedError:
        return list(appointments)
    return [a if _names_practice(a) else _accompanied(a, known) for a in appointments]


def _names_practice(appointment: Appointment) -> bool:
    references = (str(p.get("actor", {}).get("reference", "")) for p in appointment.get("participant", ()))
    return any(reference.startswith(PRACTICES_SIDE) for reference in references)


def _slots(appointment: Appointment) -> list[str]:
    return ids([str(slot.get("reference", "")) for slot in appointment.get("slot", ())], "Slot")


def _accompanied(appointment: Appointment, known: Mapping[str, Appointment]) -> Appointment:
    agendas = [
        known.get(f"Slot/{id_}", {}).get("schedule", {}).get("reference", "") for id_ in _slots(appointment)
    ]
    actors = {
        a["reference"]: a
        for name in agendas
        for a in known.get(name, {}).get("actor", ())
        if "reference" in a
    }
    company = [{"actor": actor, "status": "accepted"} for actor in actors.values()]
    return {**appointment, "participant": [*appointment.get("participant", ()), *company]}

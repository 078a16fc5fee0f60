"""A request that has waited for its turn writes after one that began later: a slot's versions keep their order nevertheless."""

from __future__ import annotations

from datetime import timedelta

from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters
from services.booking.tests.practice import Practice

WAITED = timedelta(seconds=2)


async def in_order(callers: Callers, slot: str) -> list[str]:
    """The statuses of a slot's versions, the newest first."""
    history = (await callers.software().get(f"Slot/{slot}/_history")).json()
    versions = [entry["resource"] for entry in history["entry"]]
    updated = [one["meta"]["lastUpdated"] for one in versions]
    assert updated == sorted(updated, reverse=True)
    assert [int(one["meta"]["versionId"]) for one in versions] == [*range(len(versions), 0, -1)]
    return [one["status"] for one in versions]


async def test_booked_held_and_given_back(callers: Callers, practice: Practice) -> None:
    agenda = await practice.open_agenda(2)
    patient, software = await practice.new_patient(), callers.software()
    practice.clock.advance(-WAITED)
    booked = await software.post(
        "Appointment", appointment("booked", slots=agenda.slots[:1], patient=patient, start=agenda.start)
    )
    assert booked.status_code == 201, booked.text
    practice.clock.advance(-WAITED)
    cancelled = await software.post(f"Appointment/{booked.json()['id']}/$cancel", parameters())
    assert cancelled.status_code == 200, cancelled.text
    assert await in_order(callers, agenda.slots[0]) == ["free", "busy", "free"]


async def test_made_unavailable_by_another_agenda(callers: Callers, practice: Practice) -> None:
    """Of the same person, at the same time."""
    agenda = await practice.open_agenda(2)
    beside = await practice.open_agenda(2, practitioner=agenda.practitioner)
    practice.clock.advance(-WAITED)
    patient = await practice.new_patient()
    wanted = appointment("booked", slots=beside.slots[:1], patient=patient, start=agenda.start)
    assert (await callers.software().post("Appointment", wanted)).status_code == 201
    assert await in_order(callers, agenda.slots[0]) == ["busy-unavailable", "free"]

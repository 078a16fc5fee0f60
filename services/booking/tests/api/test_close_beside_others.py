"""A time is closed while others are at it: what has left it stays as it is, and nothing is free in it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.api.test_close import close
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, ref
from services.booking.tests.practice import Practice

from creneau_booking.handlers.manner import Manner
from creneau_shared.database.pool import Connection

TUESDAY = datetime(2026, 11, 17, 8, 0, tzinfo=UTC)


async def moved_to(practice: Practice, connection: Connection, visit: str, person: str, slot: str) -> None:
    """Their own move, in a transaction that goes on."""
    current = await practice.repository.store.lock(connection, visit)
    assert current is not None
    wanted = {**practice.repository.resource(current), "slot": [ref(f"Slot/{slot}")]}
    wanted = {name: value for name, value in wanted.items() if name not in ("start", "end")}
    context = practice.context(patients=[person])
    await practice.handlers.change(connection, context, current, wanted, Manner(move=True))


@pytest.mark.parametrize("action", ["cancel", "move"])
async def test_a_visit_that_its_person_moves_out_of_the_closed_time_meanwhile_is_left(
    callers: Callers, practice: Practice, action: str
) -> None:
    """Between the list of what is hit and its own turn: it is neither cancelled nor moved once more."""
    agenda = await practice.open_agenda(1, start=TUESDAY)
    _, [later, _] = await practice.fill(agenda.id, 2, TUESDAY + timedelta(days=1))
    person = await practice.new_patient()
    visit = await practice.create(appointment("booked", slots=agenda.slots, patient=person))
    async with practice.database.transaction() as connection:
        await practice.repository.store.lock(connection, visit.id)
        closing = asyncio.create_task(close(callers.software(), agenda.id, action=action, confirm=True))
        await waiting_for_a_lock(practice, closing)
        await moved_to(practice, connection, visit.id, person, later)
    said, [left] = await closing
    assert (said["total"], left["outcome"]) == (1, "left")
    now = (await callers.patient(person).get(f"Appointment/{visit.id}")).json()
    assert (now["status"], now["slot"], now["meta"]["versionId"]) == ("booked", [ref(f"Slot/{later}")], "2")

"""An agenda's rules change while people book: nothing is lost, nobody is in two places, no slot is two."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta

from services.booking.tests.factories import appointment, unique
from services.booking.tests.openings import FIRST_VISIT, FOLLOW_UP, WEEK, opening, ruled, service
from services.booking.tests.practice import Practice

from creneau_booking.app import create_stores
from creneau_shared.errors import Conflict, Unprocessable
from creneau_shared.fhir.storage.store import Resource

BOOKINGS = 64
CHANGES = 12
_OVERLAPPING = """
SELECT count(*) FROM slot AS one JOIN slot AS other USING (schedule_key)
WHERE one.id < other.id AND one.start < other."end" AND other.start < one."end"
  AND one.taken_by IS NOT NULL AND other.taken_by IS NOT NULL
"""
_LOST = """
SELECT count(*) FROM appointment WHERE terms @> ARRAY['status=booked'] AND NOT EXISTS (
  SELECT FROM slot WHERE slot.taken_by = appointment.id AND slot.status = 'busy')
"""
_FREE_BUT_TAKEN = """
SELECT count(*) FROM slot JOIN agenda_actor USING (schedule_key) JOIN occupancy USING (actor)
WHERE slot.status = 'free' AND occupancy.period && tstzrange(slot.start, slot."end")
"""


def rules(agenda: str, practitioner: str, variant: int) -> Resource:
    """One of four ways to state the same mornings: the grid shifts, the length changes."""
    start = ("09:00:00", "09:10:00", "09:00:00", "09:05:00")[variant]
    lengths = ((FOLLOW_UP, 20),), ((FOLLOW_UP, 20),), ((FOLLOW_UP, 30),), ((FOLLOW_UP, 20), (FIRST_VISIT, 40))
    morning = opening(
        f"2026-11-16T{start}+01:00", "2026-11-16T13:00:00+01:00", freq="WEEKLY", byDay=list(WEEK)
    )
    return ruled(agenda, [practitioner], morning, *(service(*one) for one in lengths[variant]))


async def test_rules_that_change_while_64_people_book_lose_nothing(fresh: Practice) -> None:
    chance = random.Random(26)
    schedules = create_stores(fresh.settings).schedules
    agenda, practitioner = unique("agenda"), f"Practitioner/{unique('prat')}"
    people = [await fresh.new_patient() for _ in range(BOOKINGS)]
    places = asyncio.Semaphore(12)

    async def state(variant: int) -> str:
        async with places, fresh.database.transaction() as connection:
            await schedules.put(connection, fresh.context(), agenda, rules(agenda, practitioner, variant))
        return "stated"

    async def book(person: str) -> str:
        """Any slot that is free when one looks; whoever comes too late looks again."""
        for _ in range(20):
            async with places:
                rows = await fresh.database.pool.fetch(
                    "SELECT id::text, start, \"end\" FROM slot WHERE status = 'free' AND start < $1",
                    fresh.clock.now() + timedelta(days=10),
                )
                if not rows:
                    return "all gone"
                row = chance.choice(rows)
                with suppress(Conflict, Unprocessable):
                    wanted = appointment(
                        "booked",
                        slots=[row["id"]],
                        patient=person,
                        start=row["start"],
                        length=row["end"] - row["start"],
                    )
                    await fresh.create(wanted)
                    return "booked"
            await asyncio.sleep(0)
        return "gave up"

    await state(0)
    turns = [*(book(person) for person in people), *(state(n % 4) for n in range(CHANGES))]
    chance.shuffle(turns)
    jobs = fresh.jobs()
    done, _ = await asyncio.gather(asyncio.gather(*turns), jobs.openings.sweep())
    assert Counter(done)["stated"] == CHANGES
    booked = await fresh.database.pool.fetchval(
        "SELECT count(*) FROM appointment WHERE terms @> ARRAY['status=booked']"
    )
    assert booked == Counter(done)["booked"] >= BOOKINGS // 2
    for sql in (_OVERLAPPING, _LOST, _FREE_BUT_TAKEN):
        assert await fresh.database.pool.fetchval(sql) == 0, sql
    await state(0)
    before = await fresh.database.pool.fetch("SELECT id, version FROM slot ORDER BY id")
    await state(0)
    assert await fresh.database.pool.fetch("SELECT id, version FROM slot ORDER BY id") == before

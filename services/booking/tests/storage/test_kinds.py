"""Kinds of which no slot is any more are cleared away, and nobody is left with a slot or a version without its kind."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.factories import SLOT_LENGTH, schedule, slot, unique
from services.booking.tests.practice import Practice

from creneau_booking.storage.availability.actors import try_alone
from creneau_booking.storage.kinds import RETIRE, Cleared, clear_kinds

KINDS = "SELECT slot_kind.key, retired_at FROM slot_kind JOIN schedule ON schedule.key = schedule_key WHERE id = $1 ORDER BY 1"


async def cleared(practice: Practice, kept: timedelta = timedelta(days=800)) -> Cleared:
    now = practice.clock.now()
    return await clear_kinds(practice.database, 0, 100, now, retired_before=now - kept)


async def kinds_of(practice: Practice, agenda: str) -> list[tuple[int, bool]]:
    rows = await practice.database.pool.fetch(KINDS, agenda)
    return [(row["key"], row["retired_at"] is not None) for row in rows]


async def delete(practice: Practice, id_: str) -> None:
    async with practice.database.transaction() as connection:
        current = await practice.slots.lock(connection, id_)
        assert current is not None
        await practice.slots.delete(connection, practice.context(), current)


async def agenda_of_three_kinds(practice: Practice) -> tuple[str, list[str]]:
    agenda, ids = unique("agenda"), list[str]()
    await practice.put(schedule(agenda, [f"Practitioner/{unique('prat')}"]))
    for number in range(3):
        start = practice.clock.now() + timedelta(days=7 + number)
        ids += (await practice.fill(agenda, 1, start, comment=f"le {number}"))[1]
    return agenda, ids


async def test_a_kind_goes_once_nothing_is_of_it(fresh: Practice) -> None:
    """First from searches, then, when no version of its slots is kept any more, altogether; the newest of an agenda stays."""
    agenda, ids = await agenda_of_three_kinds(fresh)
    assert await cleared(fresh) == Cleared()
    await delete(fresh, ids[0])
    await delete(fresh, ids[2])
    assert (await cleared(fresh)).retired == 1
    (first, is_retired), (second, _), (last, _) = await kinds_of(fresh, agenda)
    assert is_retired
    for table in ("found_by", "first_free"):
        found = await fresh.database.pool.fetch(f"SELECT kind_key FROM {table} ORDER BY 1")
        assert [row["kind_key"] for row in found] == [second, last]
    async with fresh.database.connection() as connection:
        past = await fresh.slots.read_version(connection, ids[0], 1)
    assert past is not None
    assert b"le 0" in (past.content or b"")
    (_, (again,)) = await fresh.fill(agenda, 1, fresh.clock.now() + timedelta(days=7), comment="le 0")
    assert [key for key, _ in await kinds_of(fresh, agenda)][:3] == [first, second, last]
    assert len(await kinds_of(fresh, agenda)) == 4
    fresh.clock.advance(timedelta(days=800))
    await fresh.jobs().clear_kinds()
    assert first in dict(await kinds_of(fresh, agenda))
    fresh.clock.advance(timedelta(days=10))
    await fresh.jobs().clear_kinds()
    assert first not in dict(await kinds_of(fresh, agenda))
    async with fresh.database.connection() as connection:
        assert await fresh.slots.read(connection, again) is not None


async def test_a_kind_that_is_taken_meanwhile_stays(fresh: Practice) -> None:
    """An agenda of which a slot is being written is not waited for."""
    agenda, ids = await agenda_of_three_kinds(fresh)
    await delete(fresh, ids[0])
    again = slot(
        unique("creneau"), agenda, fresh.clock.now() + timedelta(days=9) + SLOT_LENGTH, comment="le 0"
    )
    async with fresh.database.transaction() as connection:
        await fresh.slots.create(connection, fresh.context(), again, again["id"])
        assert await asyncio.create_task(cleared(fresh)) == Cleared()
    assert await cleared(fresh) == Cleared()


async def test_who_waited_for_a_kind_to_be_retired_makes_another(fresh: Practice) -> None:
    agenda, ids = await agenda_of_three_kinds(fresh)
    await delete(fresh, ids[0])
    key = await fresh.database.pool.fetchval("SELECT key FROM schedule WHERE id = $1", agenda)
    async with fresh.database.transaction() as connection:
        assert await try_alone(connection, key)
        start = fresh.clock.now() + timedelta(days=9) + SLOT_LENGTH
        writing = asyncio.create_task(fresh.fill(agenda, 1, start, comment="le 0"))
        await waiting_for_a_lock(fresh, writing)
        first = (await kinds_of(fresh, agenda))[0][0]
        await connection.execute(RETIRE, key, [first], fresh.clock.now())
    await writing
    assert [is_retired for _, is_retired in await kinds_of(fresh, agenda)] == [True, False, False, False]
    assert await fresh.database.pool.fetchval("SELECT count(*) FROM slot WHERE kind_key = $1", first) == 0

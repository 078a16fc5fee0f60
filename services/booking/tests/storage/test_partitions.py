"""Months are made ready ahead, and dropped whole once past keeping."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.booking.tests.factories import NOW, slot, unique
from services.booking.tests.practice import Practice

from creneau_booking.storage.slots.partitions import drop_old_partitions, ensure_partitions

NAMES = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'slot'::regclass ORDER BY 1"


async def names(practice: Practice) -> list[str]:
    return [row[0] for row in await practice.database.pool.fetch(NAMES)]


async def held(practice: Practice, partition: str) -> int:
    return int(await practice.database.pool.fetchval(f"SELECT count(*) FROM {partition}"))


async def test_months_are_made_once_by_any_number_of_workers(fresh: Practice) -> None:
    async def make() -> int:
        async with fresh.database.connection() as connection:
            return await ensure_partitions(connection, NOW, 5)

    made = await asyncio.gather(*(make() for _ in range(4)))
    assert sum(made) == 2  # the template has last month to three ahead
    assert "slot_2027_04" in await names(fresh)
    assert await make() == 0


async def test_a_month_takes_the_slots_with_it_that_were_published_before_it_was_made(
    fresh: Practice,
) -> None:
    """Published further ahead than months are ready, nothing is refused, and nobody loses the month for it; what is
    known of the agenda's first free start stays."""
    agenda = await fresh.open_agenda(0)
    far = [slot(unique("loin"), agenda.id, NOW + timedelta(days=days)) for days in (396, 400, 600)]
    for each in far:
        await fresh.put(each)
    first_free = await fresh.database.pool.fetch("SELECT * FROM first_free")
    async with fresh.database.connection() as connection:
        await ensure_partitions(connection, NOW + timedelta(days=380), 3)
    assert await held(fresh, "slot_2027_12") == 2
    assert await held(fresh, "slot_default") == 1
    assert [(await fresh.slot(each["id"]))["status"] for each in far] == ["free"] * 3
    assert await fresh.database.pool.fetch("SELECT * FROM first_free") == first_free
    enabled = (
        "SELECT bool_and(tgenabled = 'O') FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal"
    )
    for partition in ("slot_default", "slot_2027_12"):
        assert await fresh.database.pool.fetchval(enabled, partition)


async def test_a_month_that_cannot_be_dropped_at_once_is_left_to_the_next_time(fresh: Practice) -> None:
    """Somebody reads slots for longer than is waited for them: housekeeping does the rest and comes again with its own pause,
    not at once, again and again, before everybody who books."""
    settings = fresh.settings.model_copy(update={"slot_months_kept": 1})
    fresh.clock.advance(timedelta(days=62))
    await fresh.database.pool.execute(
        "INSERT INTO booking_action (key, booked, held, cancelled, latest) VALUES ('a', '{}', '{}', '{}', $1)",
        NOW,
    )
    jobs, before = fresh.jobs(settings), await names(fresh)
    async with fresh.database.transaction() as reading:
        await reading.execute("LOCK TABLE slot IN ACCESS SHARE MODE")
        await asyncio.create_task(jobs.keep_house())
        assert set(before) <= set(await names(fresh))
        assert await reading.fetchval("SELECT count(*) FROM booking_action") == 0
    await jobs.keep_house()
    assert before[0] not in await names(fresh)


async def test_old_months_are_dropped_and_no_others(fresh: Practice) -> None:
    """A year on, this year's months go with their slots; the kept ones and the default stay."""
    agenda = await fresh.open_agenda(2)
    settings = fresh.settings.model_copy(update={"slot_months_kept": 1})
    fresh.clock.advance(timedelta(days=31))
    await fresh.jobs(settings).keep_house()
    assert (await names(fresh))[:2] == ["slot_2026_11", "slot_2026_12"]
    assert await fresh.slot_statuses(agenda.slots) == ["free", "free"]
    async with fresh.database.connection() as connection:
        assert await drop_old_partitions(connection, NOW + timedelta(days=100), 1) == 2
    assert await fresh.database.pool.fetchval("SELECT count(*) FROM slot") == 0
    assert "slot_default" in await names(fresh)

"""A time is closed, or opened again, while its slots are written: whoever comes second knows of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.factories import BASE, SLOT_LENGTH, appointment, schedule, slot, unique
from services.booking.tests.openings import opening, ruled
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.app import create_stores
from creneau_booking.storage.availability.actors import write_beside
from creneau_booking.storage.mapping.slot import take_apart
from creneau_booking.storage.openings.closures import close, reopen
from creneau_booking.storage.openings.made_slots import OpeningStore
from creneau_booking.storage.slots.sync import SlotSent, Window, lock_agenda, own_agenda, synchronise
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Write

Feed = Callable[[Practice, Connection, Agenda, str], Awaitable[None]]
"""publishes a free slot of this id at the beginning of the agenda, in a transaction that goes on"""


async def one(practice: Practice, connection: Connection, agenda: Agenda, id_: str) -> None:
    await practice.slots.create(connection, practice.context(), slot(id_, agenda.id, agenda.start), id_)


async def again(practice: Practice, connection: Connection, agenda: Agenda, id_: str) -> None:
    """A slot of another time is moved there."""
    later = slot(id_, agenda.id, agenda.start + timedelta(days=30))
    current = await practice.slots.create(connection, practice.context(), later, id_)
    await practice.slots.replace(connection, practice.context(), current, slot(id_, agenda.id, agenda.start))


async def bundle(practice: Practice, connection: Connection, agenda: Agenda, id_: str) -> None:
    written = Write(practice.context(), slot(id_, agenda.id, agenda.start), id_, is_new=False)
    [stored] = await practice.slots.write_many(connection, [written])
    assert stored is not None


async def sync(practice: Practice, connection: Connection, agenda: Agenda, id_: str) -> None:
    context, window = practice.context(), Window(agenda.start, agenda.start + SLOT_LENGTH, whole=False)
    key = await own_agenda(connection, context, agenda.id)
    assert key is not None
    await lock_agenda(connection, context, key)
    sent = SlotSent(*take_apart(slot(id_, agenda.id, agenda.start), id_, BASE), id_)
    await synchronise(connection, context, agenda.id, key, [sent], window)


FEEDS = pytest.mark.parametrize("feed", [one, again, bundle, sync])
WHOSE = pytest.mark.parametrize("whose", ["Practitioner", "HealthcareService"])


async def an_agenda(practice: Practice, whose: str) -> Agenda:
    """Of somebody whose time it takes, or of an offer that has nobody whose turn it could be."""
    id_, actor = unique("agenda"), f"{whose}/{unique('qui')}"
    await practice.put(schedule(id_, [actor]))
    start, slots = await practice.fill(id_, 0)
    return Agenda(id_, actor, "", start, slots)


async def closed(practice: Practice, connection: Connection, agenda: Agenda) -> None:
    day = agenda.start, agenda.start + timedelta(days=1)
    await close(connection, agenda.id, day, None, practice.clock.now(), "cabinet")


async def reopened(practice: Practice, connection: Connection, agenda: Agenda) -> None:
    day = agenda.start, agenda.start + timedelta(days=1)
    await reopen(connection, agenda.id, day, practice.clock.now())


@FEEDS
@WHOSE
async def test_what_is_published_while_a_time_is_closed_is_closed_with_it(
    practice: Practice, feed: Feed, whose: str
) -> None:
    """The software has written it, and has not ended; the practice closes the day at this moment."""
    agenda, id_ = await an_agenda(practice, whose), unique("creneau")

    async def close_it() -> None:
        async with practice.database.transaction() as connection:
            await closed(practice, connection, agenda)

    async with practice.database.transaction() as connection:
        await feed(practice, connection, agenda, id_)
        closing = asyncio.create_task(close_it())
        await waiting_for_a_lock(practice, closing)
    await closing
    assert await practice.slot_statuses([id_]) == ["busy-unavailable"]


@FEEDS
@WHOSE
async def test_what_is_published_after_a_time_was_closed_knows_of_it(
    practice: Practice, feed: Feed, whose: str
) -> None:
    """The practice has closed the day, and has not ended; and once it is taken back, the slot is free."""
    agenda, id_ = await an_agenda(practice, whose), unique("creneau")

    async def publish() -> None:
        async with practice.database.transaction() as connection:
            await feed(practice, connection, agenda, id_)

    async with practice.database.transaction() as connection:
        await closed(practice, connection, agenda)
        publishing = asyncio.create_task(publish())
        await waiting_for_a_lock(practice, publishing)
    await publishing
    assert await practice.slot_statuses([id_]) == ["busy-unavailable"]
    async with practice.database.transaction() as connection:
        await reopened(practice, connection, agenda)
    assert await practice.slot_statuses([id_]) == ["free"]


@FEEDS
@WHOSE
@pytest.mark.parametrize("first", ["feed", "reopen"])
async def test_what_is_published_while_a_closure_is_taken_back_is_free(
    practice: Practice, feed: Feed, whose: str, first: str
) -> None:
    """Whoever is first: it was under the closure still, or is no more."""
    agenda, id_ = await an_agenda(practice, whose), unique("creneau")

    async def do(which: str, connection: Connection) -> None:
        if which == "feed":
            await feed(practice, connection, agenda, id_)
        else:
            await reopened(practice, connection, agenda)

    async def then(which: str) -> None:
        async with practice.database.transaction() as connection:
            await do(which, connection)

    async with practice.database.transaction() as connection:
        await closed(practice, connection, agenda)
    async with practice.database.transaction() as connection:
        await do(first, connection)
        second = asyncio.create_task(then("reopen" if first == "feed" else "feed"))
        await waiting_for_a_lock(practice, second)
    await second
    assert await practice.slot_statuses([id_]) == ["free"]


@WHOSE
async def test_what_is_left_of_a_slot_that_is_booked_in_part_is_closed_too(
    practice: Practice, whose: str
) -> None:
    """Its rest becomes a slot of its own while the practice closes the day."""
    agenda, long = await an_agenda(practice, whose), unique("long")
    await practice.put(slot(long, agenda.id, agenda.start, 3 * SLOT_LENGTH))
    wanted = appointment(
        "booked", slots=[long], patient=await practice.new_patient(), start=agenda.start + SLOT_LENGTH
    )

    async def close_it() -> None:
        async with practice.database.transaction() as connection:
            await closed(practice, connection, agenda)

    async with practice.database.transaction() as connection:
        await practice.handlers.create(connection, practice.context(), wanted)
        closing = asyncio.create_task(close_it())
        await waiting_for_a_lock(practice, closing)
    await closing
    said = await practice.database.pool.fetch(
        "SELECT said::text FROM slot JOIN schedule ON schedule_key = schedule.key WHERE schedule.id = $1",
        agenda.id,
    )
    assert [row["said"] for row in said] == ["busy-unavailable"] * 3


async def test_who_makes_slots_from_rules_and_who_reopens_do_not_wait_in_a_circle(fresh: Practice) -> None:
    """The one has the agenda's row already, and waits for its people last; so does the other."""
    stores = create_stores(fresh.settings)
    id_ = unique("agenda")
    morning = opening("2026-11-23T09:00:00+01:00", "2026-11-23T10:00:00+01:00")
    stated = ruled(id_, [f"Practitioner/{unique('prat')}"], morning)
    async with fresh.database.transaction() as connection:
        await stores.schedules.put(connection, fresh.context(), id_, stated)
    agenda = Agenda(id_, "", "", fresh.clock.now() + timedelta(days=7), ())
    openings, now = OpeningStore(BASE), fresh.clock.now() + timedelta(days=1)

    async def reopen_it() -> None:
        async with fresh.database.transaction() as connection:
            await reopened(fresh, connection, agenda)
            await openings.stated(connection, id_, stated, fresh.clock.now())

    async with fresh.database.transaction() as connection:
        await closed(fresh, connection, agenda)
        await connection.execute("UPDATE agenda_opening SET due_at = $1", now)
    async with fresh.database.transaction() as connection:
        due = await openings.next_due(connection, now)
        assert due is not None
        reopening = asyncio.create_task(reopen_it())
        await waiting_for_a_lock(fresh, reopening)
        await write_beside(connection, [due[0]])
        await openings.carry_on(connection, due[0], due[2], now)
    await reopening
    statuses = await fresh.database.pool.fetch("SELECT status::text FROM slot")
    assert [row["status"] for row in statuses] == ["free"] * 3

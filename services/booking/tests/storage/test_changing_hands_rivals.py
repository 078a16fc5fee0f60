"""An agenda gets other people while somebody books in it, or books them elsewhere: one waits for the other, and sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.factories import BASE, appointment, schedule, unique
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.storage.test_rivals import outcomes
from services.booking.tests.surgery import learn, open_surgery, role_resource
from services.booking.tests.telling import in_words

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Stored

VISITS, ROUNDS = 6, 8


@pytest.fixture(autouse=True)
async def one_truth(fresh: Practice) -> AsyncIterator[None]:
    yield
    await require_one_truth(fresh.database.pool, fresh.clock.now())


async def write(practice: Practice, connection: Connection, agenda: str, *actors: str) -> None:
    store = ScheduleStore(BASE)
    current = await store.lock(connection, agenda)
    assert current is not None
    await store.replace(connection, practice.context(), current, schedule(agenda, list(actors)))


async def give(practice: Practice, agenda: str, actor: str) -> None:
    with in_words():
        async with practice.database.transaction() as connection:
            await write(practice, connection, agenda, actor)


async def book(practice: Practice, slot: str) -> Stored:
    return await practice.create(appointment("booked", slots=[slot]))


async def agenda_of_nobody(practice: Practice, beside: Agenda) -> Agenda:
    """Of an offer: whoever books in it waits for nobody's turn."""
    id_ = unique("agenda")
    await practice.put(schedule(id_, [f"HealthcareService/{unique('offre')}"]))
    return Agenda(id_, "", "", *await practice.fill(id_, 3, beside.start))


@pytest.mark.parametrize("whose", ["somebody's", "nobody's"])
async def test_who_waits_to_book_in_it_sees_who_has_it_now(fresh: Practice, whose: str) -> None:
    later = await fresh.open_agenda(3)
    agenda = await (fresh.open_agenda(3) if whose == "somebody's" else agenda_of_nobody(fresh, later))
    async with fresh.database.transaction() as connection:
        await write(fresh, connection, agenda.id, later.practitioner)
        rival = asyncio.create_task(book(fresh, agenda.slots[0]))
        await waiting_for_a_lock(fresh, rival)
    with pytest.raises(Conflict) as refused:
        await rival
    assert refused.value.issues[0].details_code == "agenda-busy"
    booked = await book(fresh, agenda.slots[0])
    assert [by for _, _, by in await fresh.occupied(later.practitioner)] == [booked.id]
    assert await fresh.slot_statuses(later.slots) == ["busy-unavailable", "free", "free"]


@pytest.mark.parametrize("whose", ["somebody's", "nobody's"])
async def test_what_is_being_booked_in_it_goes_along(fresh: Practice, whose: str) -> None:
    later = await fresh.open_agenda(3)
    agenda = await (fresh.open_agenda(3) if whose == "somebody's" else agenda_of_nobody(fresh, later))
    async with fresh.database.transaction() as connection:
        wanted = appointment("booked", slots=agenda.slots[:1])
        booked = await fresh.handlers.create(connection, fresh.context(), wanted)
        rival = asyncio.create_task(give(fresh, agenda.id, later.practitioner))
        await waiting_for_a_lock(fresh, rival)
    await rival
    assert [by for _, _, by in await fresh.occupied(later.practitioner)] == [booked.id]


async def test_who_is_being_booked_elsewhere_does_not_join(fresh: Practice) -> None:
    agenda, later = await fresh.open_agenda(1), await fresh.open_agenda(1)
    await book(fresh, agenda.slots[0])
    async with fresh.database.transaction() as connection:
        wanted = appointment("booked", slots=later.slots)
        await fresh.handlers.create(connection, fresh.context(), wanted)
        rival = asyncio.create_task(give(fresh, agenda.id, later.practitioner))
        await waiting_for_a_lock(fresh, rival)
    with pytest.raises(Conflict):
        await rival
    assert len(await fresh.occupied(agenda.practitioner)) == 1


async def test_who_has_joined_is_not_booked_elsewhere(fresh: Practice) -> None:
    """By the word of the directory this time."""
    one, other = await open_surgery(fresh, 1), await open_surgery(fresh, 1)
    await give(fresh, one.agenda, one.role)
    await book(fresh, one.slots[0])
    changed = role_resource(one.role.partition("/")[2], other.practitioner, one.organization)
    changed["meta"] = {**changed["meta"], "versionId": "2"}
    async with fresh.database.transaction() as connection:
        await learn(fresh, connection, changed)
        rival = asyncio.create_task(book(fresh, other.slots[0]))
        await waiting_for_a_lock(fresh, rival)
    with pytest.raises(Conflict) as refused:
        await rival
    assert refused.value.issues[0].details_code in ("actor-occupied", "slot-taken")
    assert len(await fresh.occupied(other.practitioner)) == 1


async def test_who_has_joined_meanwhile_has_to_be_had_too(fresh: Practice) -> None:
    """Somebody joins an agenda beside those of another one, while that one is to go to a person whom they share: the slots
    that they share are judged with whoever has joined, or not at all."""
    shared, joining = await fresh.open_agenda(1), await fresh.open_agenda(1)
    agenda = await fresh.open_agenda(1)
    async with fresh.database.pool.acquire() as rival, rival.transaction():
        async with fresh.database.pool.acquire() as first, first.transaction():
            await write(fresh, first, shared.id, shared.practitioner, joining.practitioner)
            booking = asyncio.create_task(wait_for_turn(rival, people=[joining.practitioner]))
            giving = asyncio.create_task(give(fresh, agenda.id, shared.practitioner))
            await waiting_for_a_lock(fresh, giving, 2)
        await booking
        with pytest.raises(Conflict) as refused:
            await giving
    assert refused.value.issues[0].details_code == "agenda-busy"
    await give(fresh, agenda.id, shared.practitioner)


async def test_who_writes_a_slot_does_not_wait_for_who_has_joined_meanwhile(fresh: Practice) -> None:
    """They have the agenda's people of before by then."""
    agenda, joining = await fresh.open_agenda(1), await fresh.open_agenda(1)

    async def push() -> None:
        with in_words():
            async with fresh.database.transaction() as connection:
                current = await fresh.slots.lock(connection, agenda.slots[0])
                assert current is not None
                assert current.content is not None
                said = {**loads(current.content), "status": "busy"}
                await fresh.slots.replace(connection, fresh.context(), current, said)

    async with fresh.database.pool.acquire() as rival, rival.transaction():
        async with fresh.database.pool.acquire() as first, first.transaction():
            await write(fresh, first, agenda.id, agenda.practitioner, joining.practitioner)
            booking = asyncio.create_task(wait_for_turn(rival, people=[joining.practitioner]))
            await waiting_for_a_lock(fresh, booking)
            pushing = asyncio.create_task(push())
            await waiting_for_a_lock(fresh, pushing, 2)
        await booking
        await wait_for_turn(rival, people=[agenda.practitioner])
        with pytest.raises(Conflict) as refused:
            await pushing
    assert refused.value.issues[0].details_code == "agenda-busy"
    await push()


async def test_agendas_that_change_hands_while_all_is_booked_and_cancelled(fresh: Practice) -> None:
    """Three professionals pass three agendas on, others book and cancel in them all: nobody waits in a circle, and nobody is
    in two places."""
    agendas = [await fresh.open_agenda(VISITS) for _ in range(3)]
    people = [agenda.practitioner for agenda in agendas]

    async def live(number: int) -> None:
        agenda = agendas[number % 3]
        if number % 4 == 0:
            await give(fresh, agenda.id, people[(number // 3) % 3])
            return
        booked = await book(fresh, agenda.slots[number % VISITS])
        if number % 4 > 1:
            await fresh.change(booked.id, status="cancelled")

    ended = await outcomes([live(number) for number in range(12 * ROUNDS)])
    assert set(ended) <= {"won", "slot-taken", "actor-occupied", "agenda-busy"}
    assert ended["won"] > ROUNDS

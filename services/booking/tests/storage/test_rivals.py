"""Rivals (checklist 57, 58): one wins, the others are told why, nobody waits in a circle, nothing is left of a failure."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.factories import BASE, SLOT_LENGTH, appointment, schedule, slot, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource
from services.booking.tests.telling import in_words

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.app import create_stores
from creneau_booking.domain.refusals.offering import SlotMadeMeanwhile
from creneau_booking.handlers.manner import Manner
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.freshness import SYNCHRONISED_AT
from creneau_booking.storage.mapping.appointment import OVERBOOKING_REASON
from creneau_booking.storage.visits import holds
from creneau_booking.storage.visits.holds import HeldAppointment, keep_hold, lock_expired_hold
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Unprocessable
from creneau_shared.fhir.storage.store import Resource

RIVALS = 16
SLOTS = 200
TABLES = ("appointment", "occupancy", "hold", "outbox", "resource_history", "slot_history")


async def outcomes(attempts: list[Awaitable[Any]], at_once: int = RIVALS) -> Counter[str]:
    """How the attempts end, `at_once` of them at a time: `won`, or the refusal's own code."""
    places = asyncio.Semaphore(at_once)

    async def one(attempt: Awaitable[Any]) -> str:
        async with places:
            try:
                with in_words():
                    await attempt
            except Conflict as refused:
                return refused.issues[0].details_code or "?"
            return "won"

    return Counter(await asyncio.gather(*(one(attempt) for attempt in attempts)))


async def test_a_slot_has_one_winner(fresh: Practice) -> None:
    """16 connections × 200 slots: 200 bookings; every other rival is refused, none fails, none deadlocks."""
    agenda = await fresh.open_agenda(SLOTS)
    wanted = [id_ for id_ in agenda.slots for _ in range(RIVALS)]
    random.Random(1).shuffle(wanted)  # within a small window, so that rivals do meet
    wanted.sort(key=lambda id_: agenda.slots.index(id_) // 4)
    ended = await outcomes([fresh.create(appointment("booked", slots=[id_])) for id_ in wanted])
    assert ended["won"] == SLOTS
    assert ended["slot-taken"] == SLOTS * (RIVALS - 1)
    assert set(await fresh.slot_statuses(agenda.slots)) == {"busy"}
    assert len(await fresh.occupied(agenda.practitioner)) == SLOTS


async def test_a_practitioner_of_two_agendas_is_in_one_place(fresh: Practice) -> None:
    """Overlapping slots of two agendas, wanted by all at once: never two appointments at the same time."""
    one = await fresh.open_agenda(30)
    two = await fresh.open_agenda(30, practitioner=one.practitioner, start=one.start + timedelta(minutes=10))
    slots = [id_ for pair in zip(one.slots, two.slots, strict=True) for id_ in pair]
    ended = await outcomes(
        [fresh.create(appointment("booked", slots=[id_])) for id_ in slots for _ in range(3)]
    )
    taken = await fresh.occupied(one.practitioner)
    assert len(taken) == ended["won"]
    assert all(before[1] <= after[0] for before, after in pairwise(taken))
    assert ended["actor-occupied"] > 0
    assert set(ended) <= {"won", "actor-occupied", "slot-taken"}


async def test_several_slots_in_any_order_do_not_deadlock(fresh: Practice) -> None:
    """Appointments over two and three slots, booked, cancelled and moved against each other."""
    agenda = await fresh.open_agenda(6)
    random_ = random.Random(2)

    async def life() -> None:
        first = random_.randrange(4)
        count = random_.randint(1, 2)
        stored = await fresh.create(appointment("booked", slots=agenda.slots[first : first + count][::-1]))
        target = agenda.slots[random_.randrange(6)]
        try:
            await fresh.change(
                stored.id, move=True, slot=[{"reference": f"Slot/{target}"}], start=None, end=None
            )
        finally:
            await fresh.change(stored.id, status="cancelled")

    ended = await outcomes([life() for _ in range(150)])
    assert set(ended) <= {"won", "slot-taken"}
    assert ended["won"] > 0
    assert set(await fresh.slot_statuses(agenda.slots)) == {"free"}
    assert await fresh.occupied(agenda.practitioner) == []


async def test_appointments_that_change_places_do_not_deadlock(fresh: Practice) -> None:
    """Each wants the other's slot: one refusal each, no waiting in a circle."""
    agenda = await fresh.open_agenda(2)
    both = [await fresh.create(appointment("booked", slots=[id_])) for id_ in agenda.slots]

    def to(slot: str) -> Resource:
        return {"slot": [{"reference": f"Slot/{slot}"}], "start": None, "end": None}

    for _ in range(10):
        moves = zip(both, reversed(agenda.slots), strict=True)
        ended = await outcomes([fresh.change(stored.id, move=True, **to(slot)) for stored, slot in moves])
        assert ended == {"slot-taken": 2}


@pytest.mark.parametrize("whose", ["Practitioner", "HealthcareService"])
async def test_an_expired_hold_that_several_want_parts_of_makes_nobody_wait_in_a_circle(
    fresh: Practice, whose: str
) -> None:
    """Who wants its second slot, and has that locked, frees the first as well; who wants both locks the first and then
    waits for the second. Nobody may wait for a slot out of its turn; an offer's agenda has nobody whose turn it is."""
    agenda = unique("agenda")
    await fresh.put(schedule(agenda, [f"{whose}/{unique('qui')}"]))
    _, slots = await fresh.fill(agenda, 60)
    pairs = [slots[first : first + 2] for first in range(0, 60, 2)]
    for pair in pairs:
        await fresh.hold(appointment("proposed", slots=pair))
    fresh.clock.advance(timedelta(seconds=fresh.settings.hold_duration_s))
    wanted = [part for pair in pairs for part in (pair[1:], pair, pair[:1], pair[1:], pair)]
    ended = await outcomes([fresh.create(appointment("booked", slots=part)) for part in wanted], at_once=16)
    assert set(ended) <= {"won", "slot-taken", "slot-held"}
    assert ended["won"] > 0


async def test_an_expired_hold_gives_way_without_the_sweeper(fresh: Practice) -> None:
    """Held until ten past; at ten past it is the next one's, who gets it while the holder's is cancelled."""
    agenda = await fresh.open_agenda(1)
    held = await fresh.hold(appointment("proposed", slots=agenda.slots))
    fresh.clock.advance(timedelta(seconds=fresh.settings.hold_duration_s - 1))
    with pytest.raises(Conflict) as refused, in_words():
        await fresh.create(appointment("booked", slots=agenda.slots))
    assert refused.value.issues[0].details_code == "slot-held"
    fresh.clock.advance(timedelta(seconds=1))
    ended = await outcomes([fresh.create(appointment("booked", slots=agenda.slots)) for _ in range(RIVALS)])
    assert ended["won"] == 1
    assert await fresh.kinds(held.id) == ["held", "hold-expired"]
    assert await fresh.database.pool.fetchval("SELECT count(*) FROM hold") == 0


async def test_an_expired_hold_in_another_agenda_gives_way_too(fresh: Practice) -> None:
    """The practitioner is taken by a hold that has run out, through a slot that nobody wants now."""
    one = await fresh.open_agenda(1)
    two = await fresh.open_agenda(1, practitioner=one.practitioner)
    held = await fresh.hold(appointment("proposed", slots=one.slots))
    with pytest.raises(Conflict) as refused, in_words():
        await fresh.create(appointment("booked", slots=two.slots))
    assert one.practitioner in str(refused.value.issues[0].diagnostics)
    fresh.clock.advance(timedelta(hours=1))
    booked = await fresh.create(appointment("booked", slots=two.slots))
    assert [row[2] for row in await fresh.occupied(one.practitioner)] == [booked.id]
    assert await fresh.slot_statuses(one.slots) == ["busy-unavailable"]
    assert await fresh.kinds(held.id) == ["held", "hold-expired"]


async def test_an_expired_hold_on_somebody_who_comes_too_gives_way(fresh: Practice) -> None:
    """Whoever is taken beside the slot's own people is unavailable in all their agendas, although a hold that had run out
    had them until then."""
    one = await fresh.open_agenda(1)
    two = await fresh.open_agenda(1, start=one.start)
    three = await fresh.open_agenda(1, practitioner=two.practitioner, start=one.start)
    await fresh.hold(appointment("proposed", slots=two.slots))
    fresh.clock.advance(timedelta(hours=1))
    booked = await fresh.create(appointment("booked", slots=one.slots, actors=[two.practitioner]))
    assert await fresh.slot_statuses([*two.slots, *three.slots]) == ["busy-unavailable", "busy-unavailable"]
    await fresh.change(booked.id, status="cancelled")
    assert await fresh.slot_statuses([*one.slots, *two.slots, *three.slots]) == ["free"] * 3


async def test_sweepers_and_confirmations_race(fresh: Practice) -> None:
    """Each hold is confirmed or expires, never both, with one event of its end, however many sweepers run."""
    agenda = await fresh.open_agenda(30)
    held = [await fresh.hold(appointment("proposed", slots=[id_])) for id_ in agenda.slots]
    fresh.clock.advance(timedelta(seconds=fresh.settings.hold_duration_s))
    jobs = [fresh.jobs() for _ in range(3)]

    async def confirm(id_: str) -> None:
        with suppress(Unprocessable):  # it has been cancelled meanwhile
            await fresh.change(id_, status="booked")

    confirmations = [confirm(stored.id) for stored in held]
    sweeps = asyncio.gather(*(job.expire_holds() for job in jobs))
    await asyncio.gather(*confirmations[::2])
    swept = await sweeps
    for confirmation in confirmations[1::2]:
        await confirmation
    for stored, slot_id in zip(held, agenda.slots, strict=True):
        kinds = await fresh.kinds(stored.id)
        status = (await fresh.slot(slot_id))["status"]
        assert (kinds, status) in ((["held", "booked"], "busy"), (["held", "hold-expired"], "free"))
    expired = [stored for stored in held if (await fresh.kinds(stored.id))[1] == "hold-expired"]
    assert sum(swept) == len(expired) >= 15
    assert await fresh.database.pool.fetchval("SELECT count(*) FROM hold") == 0


async def test_a_hold_that_somebody_is_in_the_way_of_keeps_no_other_from_ending(fresh: Practice) -> None:
    """A long transaction has the time of one professional; the holds of everybody else end meanwhile."""
    busy, other = await fresh.open_agenda(1), await fresh.open_agenda(1)
    held = [await fresh.hold(appointment("proposed", slots=agenda.slots)) for agenda in (busy, other)]
    fresh.clock.advance(timedelta(seconds=fresh.settings.hold_duration_s))
    async with fresh.database.transaction() as connection:
        await wait_for_turn(connection, people=[busy.practitioner])
        sweep = asyncio.create_task(fresh.jobs().expire_holds())
        await waiting_for_a_lock(fresh, sweep)
        assert await fresh.kinds(held[1].id) == ["held", "hold-expired"]
        assert await fresh.kinds(held[0].id) == ["held"]
    assert await sweep == 2


async def test_a_hold_whose_end_the_database_refuses_is_left_to_the_next_look(
    fresh: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that waited too long, or the victim of a circle, ends no sweep."""
    busy, other = await fresh.open_agenda(1), await fresh.open_agenda(1)
    held = [await fresh.hold(appointment("proposed", slots=agenda.slots)) for agenda in (busy, other)]
    fresh.clock.advance(timedelta(seconds=fresh.settings.hold_duration_s))

    async def too_long(*_: Any) -> int:
        raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")

    async with fresh.database.transaction() as connection:
        await wait_for_turn(connection, people=[busy.practitioner])
        with monkeypatch.context() as patched:
            patched.setattr(fresh.handlers.expiry, "expire", too_long)
            assert await asyncio.create_task(fresh.jobs().expire_holds()) == 1
    assert await fresh.jobs().expire_holds() == 1
    assert [await fresh.kinds(one.id) for one in held] == [["held", "hold-expired"]] * 2


async def test_a_hold_that_is_extended_at_its_very_end_goes_on(
    fresh: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extension commits between the moment at which the sweeper's statement sees the rows and the one at which it locks
    them: PostgreSQL shows the statement the present row of what it locks, and of nothing else."""
    agenda = await fresh.open_agenda(1)
    held = await fresh.hold(appointment("proposed", slots=agenda.slots))
    fresh.clock.advance(timedelta(seconds=fresh.settings.hold_duration_s))
    now, until = fresh.clock.now(), fresh.clock.now() + timedelta(minutes=5)
    pause = "AND pg_advisory_xact_lock_shared(1) IS NOT NULL"
    monkeypatch.setattr(holds, "_AT_ONCE", f"{pause} {holds._AT_ONCE}")

    async def sweep() -> HeldAppointment | None:
        async with fresh.database.transaction() as connection:
            return await lock_expired_hold(connection, held.id, now)

    async def extend() -> None:
        async with fresh.database.transaction() as connection:
            await connection.execute("UPDATE appointment SET version = version + 1 WHERE id = $1", held.id)
            await keep_hold(connection, held.id, until, "test", "cabinet")

    async with fresh.database.transaction() as paused:
        await paused.execute("SELECT pg_advisory_xact_lock(1)")
        sweeping = asyncio.create_task(sweep())
        await waiting_for_a_lock(fresh, sweeping)
        await asyncio.create_task(extend())
    assert await sweeping is None


class Crash(Exception):  # noqa: N818 - the power goes
    pass


@asynccontextmanager
async def crashing_at(practice: Practice, statement: int) -> AsyncIterator[Connection]:
    """A transaction whose connection fails before its n-th statement."""
    done = 0

    def crashing(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            if done == statement:
                raise Crash
            done += 1
            return await call(*arguments, **named)

        return run

    class Failing:
        def __init__(self, connection: asyncpg.Connection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._connection, name)
            return crashing(found) if name in ("execute", "fetch", "fetchrow", "fetchval") else found

    async with practice.database.transaction() as connection:
        yield Failing(connection)  # type: ignore[misc,arg-type]


async def rows(practice: Practice) -> list[int]:
    return [await practice.database.pool.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]


@pytest.mark.parametrize("command", ["book", "hold", "move"])
async def test_a_crash_between_any_two_statements_leaves_nothing(fresh: Practice, command: str) -> None:
    """Whatever the last statement was, the next start finds either all of it or nothing."""
    agenda = await fresh.open_agenda(3)
    patient = await fresh.new_patient()
    stored = await fresh.create(appointment("booked", slots=agenda.slots[2:]))
    resource = appointment(
        "proposed" if command == "hold" else "booked", slots=agenda.slots[:2], patient=patient
    )

    async def run(connection: Connection) -> None:
        if command == "hold":
            await fresh.handlers.holding.begin(connection, fresh.context("p", [patient[8:]]), resource)
        elif command == "book":
            await fresh.handlers.create(connection, fresh.context(), resource)
        else:
            current = await fresh.repository.store.lock(connection, stored.id)
            assert current is not None
            moved = {
                **fresh.repository.resource(current),
                "slot": [{"reference": f"Slot/{agenda.slots[0]}"}],
                "start": utc(agenda.at(0)),
                "end": utc(agenda.at(1)),
            }
            await fresh.handlers.change(connection, fresh.context(), current, moved, Manner(move=True))

    before, statements = await rows(fresh), 0
    while True:
        try:
            async with crashing_at(fresh, statements) as connection:
                await run(connection)
            break
        except Crash:
            assert await rows(fresh) == before, f"after {statements} statements"
            assert await fresh.slot_statuses(agenda.slots) == ["free", "free", "busy"]
            statements += 1
    assert statements >= 4, "lock, take, store, tell"
    assert await rows(fresh) != before


async def test_agendas_are_written_while_the_directory_is_heard_and_nobody_waits_in_a_circle(
    fresh: Practice,
) -> None:
    """Who writes a Schedule locks its row and waits for the directory's word, which waits for the rows of all agendas
    of an actor: in one order, or they wait for each other."""
    surgery = await open_surgery(fresh)
    role = role_resource(surgery.role.partition("/")[2], surgery.practitioner, surgery.organization)
    store = ScheduleStore(BASE)

    async def write() -> None:
        async with fresh.database.transaction() as connection:
            said = schedule(surgery.agenda, [surgery.practitioner, surgery.role])
            await store.put(connection, fresh.context(), surgery.agenda, said)

    async def learn(version: int) -> None:
        said = {**role, "meta": {**role["meta"], "versionId": str(version)}}
        await hear(fresh, said)

    attempts: list[Awaitable[Any]] = [write() if number % 2 else learn(number) for number in range(2, 82)]
    assert await outcomes(attempts) == {"won": 80}


async def test_feeds_that_are_an_agendas_first_are_all_heard(fresh: Practice) -> None:
    """Each would say on its Schedule since when it is synchronised: the one that waited finds it said."""
    agenda, store = await fresh.open_agenda(1), ScheduleStore(BASE)

    async def synchronise() -> None:
        async with fresh.database.transaction() as connection:
            await store.synchronised(connection, fresh.context(), agenda.id)

    async with fresh.database.transaction() as connection:
        await store.synchronised(connection, fresh.context(), agenda.id)
        rival = asyncio.create_task(synchronise())
        await waiting_for_a_lock(fresh, rival)
    await rival
    content = await fresh.database.pool.fetchval("SELECT content FROM schedule WHERE id = $1", agenda.id)
    assert content.count(SYNCHRONISED_AT.encode()) == 1


async def test_a_slot_that_the_server_names_waits_for_who_takes_its_people(fresh: Practice) -> None:
    """Else it would be free at a time that is being taken."""
    agenda = await fresh.open_agenda(1)
    resource = slot("", agenda.id, agenda.start + timedelta(days=1))
    del resource["id"]

    async def push() -> None:
        async with fresh.database.transaction() as connection:
            await fresh.slots.create(connection, fresh.context(), resource)

    async with fresh.database.transaction() as connection:
        await wait_for_turn(connection, people=[agenda.practitioner])
        pushing = asyncio.create_task(push())
        await waiting_for_a_lock(fresh, pushing)
        assert not pushing.done()
    await pushing


async def test_a_visit_without_a_slot_waits_for_who_frees_its_people(practice: Practice) -> None:
    """A slot that is given back beside it is not free: the person comes to be taken while it is."""
    agenda = await practice.open_agenda(1)
    beside = await practice.open_agenda(
        1, practitioner=agenda.practitioner, start=agenda.at(0) + SLOT_LENGTH / 2
    )
    booked = await practice.create(appointment("booked", slots=agenda.slots, start=agenda.at(0)))
    without = appointment("booked", actors=[agenda.practitioner], start=agenda.at(0) + SLOT_LENGTH)
    async with practice.database.transaction() as connection:
        current = await practice.repository.store.lock(connection, booked.id)
        assert current is not None
        cancelled = {**practice.repository.resource(current), "status": "cancelled"}
        await practice.handlers.change(connection, practice.context(), current, cancelled, Manner())
        rival = asyncio.create_task(practice.create(without))
        await waiting_for_a_lock(practice, rival)
    await rival
    assert await practice.slot_statuses([*agenda.slots, *beside.slots]) == ["free", "busy-unavailable"]


async def test_a_hold_that_has_run_out_does_not_stand_in_its_own_way(practice: Practice) -> None:
    """Software moves it to another agenda of the same person, at the hour in which it holds that person itself."""
    here = await practice.open_agenda(1)
    there = await practice.open_agenda(1, practitioner=here.practitioner, start=here.start)
    who = await practice.new_patient()
    held = await practice.hold(appointment("pending", slots=here.slots, patient=who, start=here.start))
    practice.clock.advance(timedelta(seconds=practice.settings.hold_duration_s))
    slot = [{"reference": f"Slot/{there.slots[0]}"}]
    moved = await practice.change(held.id, move=True, slot=slot, start=None, end=None)
    assert moved.version == held.version + 1
    assert await practice.slot_statuses([*here.slots, *there.slots]) == ["busy-unavailable", "busy-tentative"]


async def overbooked(practice: Practice) -> tuple[Agenda, str]:
    """An agenda whose first slot has two visits, and the second of them (id)."""
    agenda = await practice.open_agenda()
    await practice.create(appointment("booked", slots=agenda.slots[:1], start=agenda.start))
    urgent = [{"url": OVERBOOKING_REASON, "valueString": "fièvre"}]
    patient = await practice.new_patient()
    second = appointment(
        "booked", slots=agenda.slots[:1], start=agenda.start, patient=patient, extension=urgent
    )
    return agenda, (await practice.create(second)).id


async def test_a_second_visit_that_moves_ends_a_hold_that_has_run_out(practice: Practice) -> None:
    """Like any other visit: nobody waits for the sweeper."""
    agenda, second = await overbooked(practice)
    there = agenda.slots[1:2]
    await practice.hold(appointment("proposed", slots=there))
    practice.clock.advance(timedelta(seconds=practice.settings.hold_duration_s))
    slot = [{"reference": f"Slot/{there[0]}"}]
    await practice.change(second, move=True, slot=slot, start=None, end=None)
    assert await practice.slot_statuses(agenda.slots) == ["busy", "busy", "free"]


async def test_who_publishes_while_a_second_visit_moves_learns_who_is_taken(practice: Practice) -> None:
    """It waits for the same turn as every visit: no slot is free in whose time the professional is taken."""
    agenda, second = await overbooked(practice)
    beside = await practice.open_agenda(0, practitioner=agenda.practitioner)
    id_ = unique("creneau")

    async def publish() -> None:
        async with practice.database.transaction() as connection:
            free = slot(id_, beside.id, agenda.at(1))
            await practice.slots.create(connection, practice.context(), free, id_)

    async with practice.database.transaction() as connection:
        current = await practice.repository.store.lock(connection, second)
        assert current is not None
        to = {"slot": [{"reference": f"Slot/{agenda.slots[1]}"}], "start": None, "end": None}
        moved = {**practice.repository.resource(current), **to}
        moved = {name: value for name, value in moved.items() if value is not None}
        await practice.handlers.change(connection, practice.context(), current, moved, Manner(move=True))
        publishing = asyncio.create_task(publish())
        await waiting_for_a_lock(practice, publishing)
    await publishing
    assert await practice.slot_statuses([id_]) == ["busy-unavailable"]


@pytest.mark.parametrize("kind", ["Schedule", "Schedule of nobody", "Patient"])
async def test_what_is_deleted_while_it_is_booked(fresh: Practice, kind: str) -> None:
    """Either goes first: the deletion is refused, or the booking is. Never a visit in what is gone."""
    stores = create_stores(fresh.settings)
    people = "HealthcareService/offre" if kind == "Schedule of nobody" else None
    agendas = [await fresh.open_agenda(1, practitioner=people) for _ in range(30)]
    patients = [await fresh.new_patient() for _ in agendas]
    store, ids = (
        (stores.patients, [reference.partition("/")[2] for reference in patients])
        if kind == "Patient"
        else (stores.schedules, [agenda.id for agenda in agendas])
    )

    async def delete(id_: str) -> None:
        await asyncio.sleep(0)
        with in_words():
            async with fresh.database.transaction() as connection:
                current = await store.lock(connection, id_)
                assert current is not None
                await store.delete(connection, fresh.context(), current)

    async def book(agenda: Agenda, who: str) -> None:
        await fresh.create(appointment("booked", slots=agenda.slots, patient=who, start=agenda.start))

    for agenda, who, id_ in zip(agendas, patients, ids, strict=True):
        both: list[Any] = [book(agenda, who), delete(id_)]
        ended = await asyncio.gather(*both, return_exceptions=True)
        refused = [one for one in ended if isinstance(one, BaseException)]
        assert len(refused) == 1, (kind, ended)
        assert isinstance(refused[0], Conflict | Unprocessable), refused
        booked = (await fresh.slot_statuses(agenda.slots)) == ["busy"]
        assert booked is (refused[0] is ended[1])


async def test_rivals_make_one_slot_of_one_id(practice: Practice) -> None:
    """At different times, where no key keeps them apart: one makes it, the others change it or are told."""
    agenda = await practice.open_agenda()
    id_ = unique("rival")

    async def put(day: int) -> None:
        resource = slot(id_, agenda.id, agenda.start + timedelta(days=day))
        async with practice.database.transaction() as connection:
            current = await practice.slots.lock(connection, id_)
            if current is None:
                await practice.slots.create(connection, practice.context(), resource, id_)
            else:
                await practice.slots.replace(connection, practice.context(), current, resource)

    results = await asyncio.gather(*map(put, range(8)), return_exceptions=True)
    assert [
        result for result in results if result is not None and not isinstance(result, SlotMadeMeanwhile)
    ] == []
    assert await practice.database.pool.fetchval("SELECT count(*) FROM slot WHERE name = $1", id_) == 1

"""Whoever changes appointments, people and agendas locks them in one order (ADR "faults under faults"): here a rival has the
first thing and then wants the second, while somebody else is waiting for the first. Nobody may have the second then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import BASE, appointment, schedule, slot, unique
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.domain.ended_patients import NO_LONGER_IN_USE, Ended
from creneau_booking.handlers.people.ended_patients import EndedPatients
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_booking.storage.mapping.places import SCHEDULE_CAPACITY
from creneau_booking.storage.slots.sync import lock_agenda, own_agenda
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict

Other = Callable[[Practice, Agenda], Awaitable[None]]
LONG = timedelta(hours=10)


@asynccontextmanager
async def beside(
    practice: Practice, first: Callable[[Connection], Awaitable[Any]], other: Awaitable[Any]
) -> AsyncIterator[Connection]:
    """A transaction that has the `first` thing, for which the `other` one waits already. Both have to succeed."""
    async with practice.database.transaction() as connection:
        await first(connection)
        waiting = asyncio.ensure_future(other)
        await waiting_for_a_lock(practice, waiting)
        assert not waiting.done()
        yield connection
    await waiting


def row_of(id_: str) -> Callable[[Connection], Awaitable[Any]]:
    return lambda connection: connection.execute("SELECT FROM appointment WHERE id = $1 FOR UPDATE", id_)


def turn_of(person: str) -> Callable[[Connection], Awaitable[Any]]:
    return lambda connection: wait_for_turn(connection, people=[person])


@pytest.mark.parametrize("how", ["alone", "as a series"])
async def test_a_visit_in_the_place_of_one_in_another_agenda(
    callers: Callers, practice: Practice, camille: str, how: str
) -> None:
    """`cancelled-appt-id`: two calls that swap visits between two agendas do not wait for each other."""
    one, two = sorted(
        [await practice.open_agenda(2), await practice.open_agenda(2)], key=lambda agenda: agenda.practitioner
    )
    old = await practice.create(appointment("booked", slots=two.slots[:1], patient=camille))
    many = 2 if how == "as a series" else 1
    wanted = [
        {
            "name": "appointment",
            "resource": appointment("booked", slots=one.slots[n : n + 1], patient=camille, start=one.at(n)),
        }
        for n in range(many)
    ]
    replaced = {"name": "cancelled-appt-id", "valueUri": f"Appointment/{old.id}"}
    call = callers.software().post(
        "Appointment/$book", {"resourceType": "Parameters", "parameter": [*wanted, replaced]}
    )

    async def booked() -> None:
        answer = await call
        assert answer.status_code == 201, answer.text

    async with beside(practice, turn_of(one.practitioner), booked()) as connection:
        await turn_of(two.practitioner)(connection)


async def test_a_wish_is_booked_and_the_visit_that_it_replaces_given_up(fresh: Practice) -> None:
    """The visit is in another agenda: the people of both are waited for together."""
    agendas = [await fresh.open_agenda(1), await fresh.open_agenda(1)]
    one, two = sorted(agendas, key=lambda agenda: agenda.practitioner)
    patient = await fresh.new_patient()
    visit = await fresh.create(appointment("booked", slots=two.slots, patient=patient))
    replaces = {"url": REPLACES, "valueReference": {"reference": f"Appointment/{visit.id}"}}
    wish = await fresh.create(appointment("waitlist", patient=patient, extension=[replaces]))
    booked = fresh.change(wish.id, status="booked", slot=[{"reference": f"Slot/{one.slots[0]}"}])
    async with beside(fresh, turn_of(one.practitioner), booked) as connection:
        await turn_of(two.practitioner)(connection)
    assert await fresh.slot_statuses([*one.slots, *two.slots]) == ["busy", "free"]


async def put_for_another(practice: Practice, agenda: Agenda) -> None:
    store = ScheduleStore(BASE)
    other = await open_surgery(practice, 1)
    async with practice.database.transaction() as connection:
        current = await store.lock(connection, agenda.id)
        assert current is not None
        await store.replace(connection, practice.context(), current, schedule(agenda.id, [other.role]))


async def hear_of_another_practice(practice: Practice, agenda: Agenda) -> None:
    role = agenda.location.removeprefix("PractitionerRole/")
    changed = role_resource(role, agenda.practitioner, unique("cabinet"))
    changed["meta"] = {**changed["meta"], "versionId": "2"}
    await hear(practice, changed)


@pytest.mark.parametrize("other", [put_for_another, hear_of_another_practice])
async def test_an_agenda_goes_to_other_owners_while_its_visit_is_changed(
    fresh: Practice, other: Other
) -> None:
    surgery = await open_surgery(fresh, 1)
    visit = await fresh.create(appointment("booked", slots=surgery.slots[:1]))
    agenda = Agenda(surgery.agenda, surgery.practitioner, surgery.role, surgery.start, surgery.slots)
    async with beside(fresh, row_of(visit.id), other(fresh, agenda)) as connection:
        await wait_for_turn(connection, visit.id)


async def test_a_record_ends_while_one_of_its_visits_is_changed(fresh: Practice) -> None:
    patient = await fresh.new_patient()
    agendas = [await fresh.open_agenda(1), await fresh.open_agenda(1, start=None)]
    agendas[1] = await fresh.open_agenda(1, start=agendas[0].start + timedelta(days=1))
    visits = [
        await fresh.create(appointment("booked", slots=agenda.slots, patient=patient)) for agenda in agendas
    ]
    last = max(visits, key=lambda visit: visit.id)

    async def end() -> None:
        async with fresh.database.transaction() as connection:
            await EndedPatients(fresh.handlers).look_again(
                connection, fresh.context(), patient.removeprefix("Patient/"), Ended(NO_LONGER_IN_USE)
            )

    async with beside(fresh, row_of(last.id), end()) as connection:
        await wait_for_turn(connection, last.id)
    for visit in visits:
        assert (await fresh.kinds(visit.id))[-1] == "cancelled"


async def write_a_longer_slot(practice: Practice, agenda: Agenda) -> None:
    id_ = unique("creneau")
    resource = slot(id_, agenda.id, agenda.start + timedelta(days=1), LONG)
    async with practice.database.transaction() as connection:
        await practice.slots.create(connection, practice.context(), resource, id_)


async def synchronise(practice: Practice, agenda: Agenda) -> None:
    async with practice.database.transaction() as connection:
        key = await own_agenda(connection, practice.context(), agenda.id)
        assert key is not None
        await lock_agenda(connection, practice.context(), key)


async def give_more_places(practice: Practice, agenda: Agenda) -> None:
    store = ScheduleStore(BASE)
    places = {"url": SCHEDULE_CAPACITY, "valuePositiveInt": 4}
    resource = schedule(agenda.id, [agenda.practitioner, agenda.location], extension=[places])
    async with practice.database.transaction() as connection:
        current = await store.lock(connection, agenda.id)
        assert current is not None
        await store.replace(connection, practice.context(), current, resource)


@pytest.mark.parametrize("other", [write_a_longer_slot, synchronise, give_more_places])
async def test_the_turn_of_an_agendas_people_comes_before_its_row(fresh: Practice, other: Other) -> None:
    """As for whoever hears the directory, and whoever writes the Schedule."""
    agenda = await fresh.open_agenda(1)
    async with beside(fresh, turn_of(agenda.practitioner), other(fresh, agenda)) as connection:
        await connection.execute(
            "UPDATE agenda SET age_below_months = NULL WHERE schedule_key = (SELECT key FROM schedule WHERE id = $1)",
            agenda.id,
        )


async def test_an_agenda_gets_other_places_and_another_person_at_once(fresh: Practice) -> None:
    """Its people and whoever joins them are waited for together."""
    agenda = await fresh.open_agenda(1)
    joining = f"Practitioner/{unique('a-prat')}"
    assert joining < agenda.practitioner
    put = give_more_places(fresh, replace(agenda, practitioner=joining))
    async with beside(fresh, turn_of(joining), put) as connection:
        await turn_of(agenda.practitioner)(connection)


async def test_ones_own_hold_of_a_place_gives_way_where_the_group_has_taken_somebody_else_too(
    fresh: Practice,
) -> None:
    """Whoever books there has the agenda's people already, and waits for nobody beside them."""
    places = {"url": SCHEDULE_CAPACITY, "valuePositiveInt": 3}
    agenda = await fresh.open_agenda(1, extension=[places])
    patient, scanner = await fresh.new_patient(), f"Device/{unique('scanner')}"
    account = fresh.context("camille", [patient], role="patient")
    held = await fresh.hold(appointment("proposed", slots=agenda.slots, patient=patient), account)
    await fresh.create(appointment("booked", slots=agenda.slots, actors=[scanner]))

    async def book() -> None:
        await fresh.create(appointment("booked", slots=agenda.slots, patient=patient), account)

    async with fresh.database.transaction() as connection:
        await turn_of(scanner)(connection)
        booking = asyncio.ensure_future(book())
        await waiting_for_a_lock(fresh, booking)
        await turn_of(agenda.practitioner)(connection)
    assert await refused(booking) == "agenda-busy"
    await book()
    assert (await fresh.kinds(held.id))[-1] == "cancelled"


async def test_a_slot_that_is_there_only_at_the_second_look(fresh: Practice) -> None:
    """Whoever books it with another one has that one's people by then, and does not wait for those of the slot."""
    one, two = await fresh.open_agenda(1), await fresh.open_agenda(1)
    late = unique("creneau")
    wanted = appointment("booked", slots=[*one.slots, late])
    async with fresh.database.pool.acquire() as rival, rival.transaction():
        async with fresh.database.pool.acquire() as first, first.transaction():
            await turn_of(one.practitioner)(first)
            booking = asyncio.ensure_future(fresh.create(wanted))
            await waiting_for_a_lock(fresh, booking)
            await fresh.put(slot(late, two.id, one.start + timedelta(days=1)))
            await turn_of(two.practitioner)(rival)
        await waiting_for_a_lock(fresh, booking)
        await turn_of(one.practitioner)(rival)
    assert await refused(booking) == "agenda-busy"


async def refused(command: Awaitable[Any]) -> str | None:
    with pytest.raises(Conflict) as refusal:
        await command
    return refusal.value.issues[0].details_code

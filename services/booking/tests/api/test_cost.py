"""What one call costs in the database does not grow unseen: round trips to the number, WAL within a tenth.

Fewer fails as well: then the table is brought down, so that what was won is held. `make cost` measures the same
through every process of a system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import asyncpg
import httpx
import pytest
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers, callers_of
from services.booking.tests.factories import appointment, parameters, ref, slot, unique, utc
from services.booking.tests.meter import Cost, Meter
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.database import pool
from creneau_shared.fhir.storage.store import Resource

COSTS = {
    "software books": Cost(round_trips=5, wal_bytes=6_256),
    "a patient books": Cost(round_trips=8, wal_bytes=6_672),
    "$hold": Cost(round_trips=8, wal_bytes=7_344),
    "$book of a hold": Cost(round_trips=8, wal_bytes=6_800),
    "$reschedule": Cost(round_trips=13, wal_bytes=9_496),
    "cancel": Cost(round_trips=9, wal_bytes=7_344),
    "feed of one slot": Cost(round_trips=6, wal_bytes=520),
    "transaction of 20 slots": Cost(round_trips=11, wal_bytes=8_664),
    "read by id": Cost(round_trips=2, wal_bytes=880),
    "a patient reads by id": Cost(round_trips=4, wal_bytes=904),
    # Of which eleven judge slots that are free (of visits that were cancelled) for the patient, who holds another.
    "a patient's page": Cost(round_trips=17, wal_bytes=1_632),
    "a slot by id": Cost(round_trips=3, wal_bytes=0),
    "a free week of the public": Cost(round_trips=1, wal_bytes=0),
    "an agenda with its slots": Cost(round_trips=3, wal_bytes=0),
    "free week": Cost(round_trips=1, wal_bytes=0),
    "$find": Cost(round_trips=4, wal_bytes=0),
    "$find of two together": Cost(round_trips=7, wal_bytes=0),
}
"""The least of some calls of each, after the first: what else goes on in the server only adds to the WAL."""

WAL_GROWTH_MAX = 1.1
WAL_NOISE_BYTES = 100
"""a read leaves next to none, so a tenth of it is nothing"""
ROUNDS = 6
ROUNDS_MAX = 24
"""on a busy machine the limiter and the vacuum write to the same log meanwhile, not in every round"""
ABOUT_TYPES = ("typeinfo", "'jit'")
"""within what a connection asks before it first sees a type, and no other"""
CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]

Measuring = Callable[[str], AbstractAsyncContextManager[None]]


@pytest.fixture
async def meter(fresh: Practice, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Meter]:
    connection = await asyncpg.connect(str(fresh.settings.database_url))
    meter = Meter(connection)
    monkeypatch.setattr(pool, "_Session", meter.session_class())
    yield meter
    await connection.close()


@pytest.fixture
async def metered(fresh: Practice, meter: Meter) -> AsyncIterator[Callers]:
    """The API with sessions that say what they send."""
    async with callers_of(fresh) as callers:
        yield callers


def expect(answer: httpx.Response, status: int) -> httpx.Response:
    assert answer.status_code == status, answer.text
    return answer


async def life(
    practice: Practice, agenda: Agenda, software: Caller, someone: Caller, patient: str, measuring: Measuring
) -> None:
    """Every operation once; in the end everything is free again but for what is fed."""
    people = [agenda.practitioner, agenda.location]

    def booking(index: int) -> Resource:
        at, slots = agenda.at(index), agenda.slots[index : index + 1]
        return appointment("booked", slots=slots, patient=patient, actors=people, start=at)

    async with measuring("software books"):
        by_software = await software.post("Appointment", booking(0))
    id_ = expect(by_software, 201).json()["id"]
    async with measuring("read by id"):
        read = await software.get(f"Appointment/{id_}")
    expect(read, 200)
    async with measuring("a patient books"):
        by_patient = await someone.post("Appointment", booking(1))
    expect(by_patient, 201)
    async with measuring("$hold"):
        held = await someone.post(
            "Appointment/$hold",
            parameters(appointment=appointment("proposed", slots=agenda.slots[2:3], patient=patient)),
        )
    path = f"Appointment/{expect(held, 201).json()['id']}"
    async with measuring("a patient reads by id"):
        read = await someone.get(path)
    expect(read, 200)
    async with measuring("a patient's page"):
        mine = await someone.get(
            "Appointment", date="ge2026-11-16", _sort="date", _include="Appointment:slot"
        )
    expect(mine, 200)
    async with measuring("$book of a hold"):
        booked = await someone.post(f"{path}/$book", parameters())
    expect(booked, 200)
    async with measuring("$reschedule"):
        moved = await someone.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[3]}")))
    expect(moved, 200)
    async with measuring("cancel"):
        cancelled = await someone.patch(path, CANCELLED)
    expect(cancelled, 200)
    for other in (by_software, by_patient):
        expect(await software.patch(f"Appointment/{other.json()['id']}", CANCELLED), 200)
    await feed_and_look(practice, agenda, software, measuring)


async def feed_and_look(practice: Practice, agenda: Agenda, software: Caller, measuring: Measuring) -> None:
    """A software's feed of its agenda, and what the public looks at."""
    fed = [slot(unique("fed"), agenda.id, agenda.at(10 + index)) for index in range(21)]
    async with measuring("feed of one slot"):
        put = await software.put(f"Slot/{fed[0]['id']}", fed[0])
    expect(put, 201)
    entries = [{"resource": one, "request": {"method": "PUT", "url": f"Slot/{one['id']}"}} for one in fed[1:]]
    async with measuring("transaction of 20 slots"):
        all_put = await software.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    expect(all_put, 200)
    start, end = agenda.at(0), agenda.at(200)
    week = {"schedule": f"Schedule/{agenda.id}", "status": "free", "_count": "50", "_total": "none"}
    async with measuring("free week"):
        seen = await software.get("Slot", **week, start=f"ge{start:%Y-%m-%d}")
    expect(seen, 200)
    public = Caller(software.client, None)
    async with measuring("a free week of the public"):
        seen = await public.get("Slot", **week, start=f"ge{start:%Y-%m-%d}")
    expect(seen, 200)
    async with measuring("a slot by id"):
        seen = await public.get(f"Slot/{fed[0]['id']}")
    expect(seen, 200)
    async with measuring("an agenda with its slots"):
        seen = await public.get("Schedule", _id=agenda.id, _revinclude="Slot:schedule")
    expect(seen, 200)
    span = {"start": utc(start), "end": utc(end)}
    window = parameters(**span, practitioner=ref(agenda.practitioner))
    async with measuring("$find"):
        found = await software.post("Appointment/$find", window)
    expect(found, 200)
    beside = await practice.open_agenda(1, start=agenda.at(10))
    both = parameters(
        **span, practitioner=[ref(a.practitioner) for a in (agenda, beside)], all_required="true"
    )
    async with measuring("$find of two together"):
        found = await software.post("Appointment/$find", both)
    assert expect(found, 200).json()["total"] == 1


async def test_find_is_asked_in_the_same_words_at_another_time(
    fresh: Practice, meter: Meter, metered: Callers
) -> None:
    """The clock, the window, the agenda and the visits of a patient are values: what is planned once is used again."""
    patient = await fresh.new_patient()
    someone, texts = metered.patient(patient), []
    for n in range(3):
        agenda = await fresh.open_agenda(4)
        visit = appointment("booked", slots=agenda.slots[n : n + 1], patient=patient, start=agenda.at(n))
        expect(await metered.software().post("Appointment", visit), 201)
        fresh.clock.advance(timedelta(minutes=5))
        asked = parameters(
            start=utc(agenda.at(0)), end=utc(agenda.at(90)), practitioner=ref(agenda.practitioner)
        )
        meter.statements.clear()
        found = expect(await someone.post("Appointment/$find", asked), 200)
        assert found.json()["total"] == 3 - n
        texts.append([text for text in meter.statements if not any(own in text for own in ABOUT_TYPES)])
    assert texts[0] == texts[1] == texts[2]


async def test_no_call_costs_more_than_it_did(fresh: Practice, meter: Meter, metered: Callers) -> None:
    """One caller after the other, on connections that know their statements already."""
    costs: Mapping[str, list[Cost]] = defaultdict(list)
    patient = await fresh.new_patient()
    software, someone = metered.software(), metered.patient(patient)
    for number in range(ROUNDS_MAX):
        agenda = await fresh.open_agenda(4)
        await life(fresh, agenda, software, someone, patient, lambda name: meter.measuring(costs[name]))
        if number + 1 >= ROUNDS and not _grown(_least(costs)):
            break
    least = _least(costs)
    said = "\n".join(f"    {name!r}: {cost}," for name, cost in least.items())
    assert {n: c.round_trips for n, c in least.items()} == {n: c.round_trips for n, c in COSTS.items()}, said
    assert not _grown(least), said


def _least(costs: Mapping[str, list[Cost]]) -> dict[str, Cost]:
    """Of each operation, without the first time: what else writes to the log meanwhile only adds."""
    return {
        name: Cost(min(c.round_trips for c in several[1:]), min(c.wal_bytes for c in several[1:]))
        for name, several in costs.items()
    }


def _grown(least: Mapping[str, Cost]) -> dict[str, tuple[int, int]]:
    """Operations that write more than they may: bytes now and before."""
    return {
        name: (cost.wal_bytes, COSTS[name].wal_bytes)
        for name, cost in least.items()
        if cost.wal_bytes > COSTS[name].wal_bytes * WAL_GROWTH_MAX + WAL_NOISE_BYTES
    }

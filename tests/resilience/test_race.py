"""Many want the same: one gets it, the others are told so, nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.request import urlopen

import pytest
from services.booking.tests.one_place import require_one_truth

from tests.fixtures.local_run import LocalRun
from tests.resilience.client import Client
from tests.resilience.office import Office, Slot

CLIENTS = 64
SLOTS = 50
PAIRS = 12
SEED = 20261122
ROOM_WITHIN_S = 300.0
"""A booking finds room within so long, however busy the machine is."""
APPOINTMENT = "/fhir/Appointment"
COUNTER = r'creneau_http_requests_total\{method="POST",resource="Appointment",status="\d+"\} (\S+)'
ROUNDS = pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])


@dataclass
class Outcome:
    """What the clients were told: how often each status, and the appointments of each slot."""

    statuses: Counter[int] = field(default_factory=Counter)
    booked: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seconds: float = 0.0
    put_off: int = 0
    """how often somebody was told that there are too many requests at the moment, and asked again"""

    @property
    def rate(self) -> str:
        answers = sum(self.statuses.values())
        return (
            f"{answers} answers in {self.seconds:.1f} s ({answers / self.seconds:.0f}/s, "
            f"of which {self.statuses[201] / self.seconds:.0f} bookings/s; {self.put_off} put off)"
        )


@asynccontextmanager
async def clients(run: LocalRun, count: int) -> AsyncIterator[list[Client]]:
    """That many clients, each with an open connection of its own."""
    token = run.token("system")
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Client(run.port, token)) for _ in range(count)]
        await asyncio.gather(*(client.connect() for client in opened))
        yield opened


async def race(
    racers: Sequence[Client], office: Office, slots: Sequence[Slot], chance: random.Random
) -> Outcome:
    """Every client asks for every slot, each in an order of its own."""
    outcome = Outcome()

    async def run(client: Client, wanted: Iterable[Slot]) -> None:
        for slot in wanted:
            answer = await client.post_when_there_is_room(APPOINTMENT, office.booking(slot), ROOM_WITHIN_S)
            outcome.statuses[answer.status] += 1
            outcome.put_off += answer.attempts - 1
            if answer.status == 201:
                outcome.booked[slot.id].append(answer.body["id"])

    began = time.perf_counter()
    await asyncio.gather(*(run(client, chance.sample(slots, len(slots))) for client in racers))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def deadlocks(run: LocalRun) -> int:
    """How many PostgreSQL has seen among booking's transactions."""
    sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'creneau_booking'"
    return int(await run.value("booking", sql))


async def require_stored(run: LocalRun, slots: Sequence[Slot], outcome: Outcome) -> None:
    """The database holds the appointments that were promised and no other, and their slots are busy."""
    rows = await run.fetch(
        "booking",
        "SELECT id, convert_from(content, 'UTF8') AS content FROM appointment WHERE NOT deleted AND terms && $1::text[]",
        [f"slot=Slot/{slot.id}" for slot in slots],
    )
    stored = defaultdict(list)
    for row in rows:
        appointment = json.loads(row["content"])
        assert appointment["status"] == "booked"
        for slot in appointment["slot"]:
            stored[slot["reference"].removeprefix("Slot/")].append(row["id"])
    assert stored == outcome.booked
    busy = "SELECT name FROM slot WHERE name = ANY($1) AND status = 'busy'"
    taken = {row["name"] for row in await run.fetch("booking", busy, [slot.id for slot in slots])}
    assert taken == set(outcome.booked)


async def require_truth(run: LocalRun) -> None:
    """Nobody in two places, nothing free that is taken, nothing taken by nobody, and all that is kept beside says so too."""
    async with run.connection("booking") as connection:
        await require_one_truth(connection)


def answered(run: LocalRun, name: str) -> float:
    """How many requests for Appointment a process says that it has answered."""
    port = run.processes()[name]["port"]
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    return sum(map(float, re.findall(COUNTER, text)))


@ROUNDS
async def test_one_booking_for_each_slot(local_run: LocalRun, rounds: int) -> None:
    """64 clients, 50 slots: exactly one 201 for each slot, the rest 409, through both API processes."""
    office, chance = Office(local_run), random.Random(SEED)
    await office.open()
    before = await deadlocks(local_run)
    apis = [name for name in local_run.processes() if name.startswith("booking-api")]
    served = {name: answered(local_run, name) for name in apis}
    async with clients(local_run, CLIENTS) as racers:
        for number in range(rounds):
            slots = await office.free_slots(SLOTS)
            outcome = await race(racers, office, slots, chance)
            print(f"\nround {number + 1}: {outcome.rate}")
            assert outcome.statuses == {201: SLOTS, 409: (CLIENTS - 1) * SLOTS}
            assert all(len(booked) == 1 for booked in outcome.booked.values())
            await require_stored(local_run, slots, outcome)
    await require_truth(local_run)
    assert len(apis) >= 2
    assert all(answered(local_run, name) > served[name] for name in apis)
    assert await deadlocks(local_run) == before
    assert "deadlock detected" not in local_run.log("postgres")


@ROUNDS
async def test_one_place_at_a_time_for_a_practitioner_with_two_agendas(
    local_run: LocalRun, rounds: int
) -> None:
    """Overlapping slots of two agendas of one practitioner: one of each pair is booked, the other refused."""
    office, chance = Office(local_run, agendas=2), random.Random(SEED)
    await office.open()
    before = await deadlocks(local_run)
    async with clients(local_run, CLIENTS) as racers:
        for number in range(rounds):
            pairs = await office.rival_slots(PAIRS)
            slots = [slot for pair in pairs for slot in pair]
            outcome = await race(racers, office, slots, chance)
            print(f"\nround {number + 1}: {outcome.rate}")
            assert outcome.statuses == {201: PAIRS, 409: 2 * PAIRS * CLIENTS - PAIRS}
            for pair in pairs:
                assert sum(len(outcome.booked.get(slot.id, ())) for slot in pair) == 1
            await require_stored(local_run, slots, outcome)
            await require_one_place(local_run, office)
    await require_truth(local_run)
    assert await deadlocks(local_run) == before


async def require_one_place(run: LocalRun, office: Office) -> None:
    """No two occupancies of the practitioner overlap: one for each appointment that is booked."""
    overlapping = await run.value(
        "booking",
        "SELECT count(*) FROM occupancy one JOIN occupancy other ON one.actor = other.actor"
        " AND one.appointment_id < other.appointment_id AND one.period && other.period WHERE one.actor = $1",
        office.practitioner,
    )
    assert overlapping == 0


async def test_a_thousand_want_one_slot(local_run: LocalRun) -> None:
    """1,000 clients at once: one 201, 999 × 409, no other answer and no deadlock."""
    office = Office(local_run)
    await office.open()
    (slot,) = await office.free_slots(1)
    before = await deadlocks(local_run)
    async with clients(local_run, 1000) as racers:
        outcome = await race(racers, office, [slot], random.Random(SEED))
    print(f"\n{outcome.rate}")
    assert outcome.statuses == {201: 1, 409: 999}
    await require_stored(local_run, [slot], outcome)
    await require_truth(local_run)
    assert await deadlocks(local_run) == before

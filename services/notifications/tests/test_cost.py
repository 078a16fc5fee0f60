"""What a message costs in the database does not grow unseen: round trips to the number, WAL within a tenth.

Fewer fails as well: then the table is brought down, so that what was won is held. `make cost` and `python -m
tests.load.backlog` measure the same through every process of a system.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import asyncpg
import pytest
from services.booking.tests.meter import Cost, Meter

from creneau_notifications.channels.email.channel import EmailCarrier
from creneau_notifications.delivery.sender import Sender
from creneau_shared.database import pool

from .conftest import SENDER, Service
from .factories import event

TOGETHER = 10
COSTS = {
    "one event heard": Cost(round_trips=11, wal_bytes=11_816),
    "one message sent": Cost(round_trips=14, wal_bytes=4_240),
    "ten events heard together": Cost(round_trips=11, wal_bytes=117_864),
    "ten messages sent at once": Cost(round_trips=14, wal_bytes=39_944),
}
"""Each event plans a confirmation, and reminders with their Communications. The least of some of each, after the first:
what else goes on in the server only adds to the WAL."""

WAL_GROWTH_MAX = 1.1
ROUNDS = 6


class Together:
    """A transport whose mails leave when as many have come together: so are their results."""

    def __init__(self) -> None:
        self.expected = asyncio.Barrier(1)

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        await asyncio.wait_for(self.expected.wait(), 30)

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
async def meter(new_database, template, monkeypatch) -> AsyncIterator[Meter]:
    """Before the service's database is opened."""
    connection = await asyncpg.connect(new_database(template=template))
    meter = Meter(connection)
    monkeypatch.setattr(pool, "_Session", meter.session_class())
    yield meter
    await connection.close()


async def hear(service: Service, numbers: list[int]) -> None:
    async with service.database.transaction() as connection:
        heard = [event(number=number, id=f"appointment-{number:06}") for number in numbers]
        await service.notifications.appointments_changed(connection, heard)


async def test_no_message_costs_more_than_it_did(meter: Meter, service: Service) -> None:
    """Of one message alone, and of ten together, on connections that know their statements already."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    transport, number = Together(), 0
    lanes = [{"email": EmailCarrier(transport, SENDER, "Créneau")} for _ in range(TOGETHER - 1)]
    sender: Sender = service.sender(transport, lanes=lanes)
    await service.learn()
    for _ in range(ROUNDS):
        for count, heard, sent in (
            (1, "one event heard", "one message sent"),
            (TOGETHER, "ten events heard together", "ten messages sent at once"),
        ):
            numbers = list(range(number + 1, number + count + 1))
            number += count
            async with meter.measuring(costs[heard]):
                await hear(service, numbers)
            transport.expected = asyncio.Barrier(count)
            async with meter.measuring(costs[sent]):
                await sender.send_due()
    statuses = await service.database.pool.fetch("SELECT status FROM message WHERE kind = 'confirmation'")
    assert [row["status"] for row in statuses] == ["sent"] * number
    least = {
        name: Cost(min(c.round_trips for c in several[1:]), min(c.wal_bytes for c in several[1:]))
        for name, several in costs.items()
    }
    said = "\n".join(f"    {name!r}: {cost}," for name, cost in least.items())
    assert {n: c.round_trips for n, c in least.items()} == {n: c.round_trips for n, c in COSTS.items()}, said
    grown = [name for name, cost in least.items() if cost.wal_bytes > COSTS[name].wal_bytes * WAL_GROWTH_MAX]
    assert not grown, said

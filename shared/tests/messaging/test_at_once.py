"""When a few events of several partitions are handled in one transaction, and when each partition is handled by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiokafka import ConsumerRecord, TopicPartition

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.messaging import cloudevents
from creneau_shared.messaging.batches import Polled
from creneau_shared.messaging.effects import TOGETHER_MAX, Together
from creneau_shared.messaging.events import ReceivedEvent

from .conftest import TYPE, Bench, leave_effect, number_of

OTHER = "fr.creneau.test.other.v1"
"""handled event by event"""


async def handle(connection: Connection, events: Sequence[ReceivedEvent]) -> None:
    for event in events:
        if number_of(event) == 13:
            raise Unprocessable("Non.", "No.")
        await leave_effect(connection, event)


@dataclass
class Brought:
    """What one poll has brought: each partition's events one after the other."""

    bench: Bench
    numbers: Sequence[Sequence[int]] = ((1, 2), (3,))
    """of the events, by partition"""
    event_type: str = TYPE
    """of the last one"""
    generation: int = 1
    seen: Sequence[int] = (0, 1)
    """partitions of which the consumer has handled something before"""

    def place(self, partition: int) -> TopicPartition:
        return TopicPartition(self.bench.topic.name, partition)

    def polled(self) -> Polled:
        last = self.numbers[-1][-1]
        return {
            self.place(partition): [
                self._record(partition, offset, number, self.event_type if number == last else TYPE)
                for offset, number in enumerate(numbers, 10)
            ]
            for partition, numbers in enumerate(self.numbers)
        }

    def _record(self, partition: int, offset: int, number: int, event_type: str) -> ConsumerRecord:
        value = orjson.dumps({"number": number})
        headers = cloudevents.headers(
            event_id=UUID(int=number),
            source="/creneau/test",
            event_type=event_type,
            subject=f"k{partition}",
            time=self.bench.clock.now(),
            key=f"k{partition}",
            correlation_id=None,
            traceparent=None,
            generation=self.generation,
        )
        return ConsumerRecord(
            topic=self.bench.topic.name,
            partition=partition,
            offset=offset,
            timestamp=0,
            timestamp_type=0,
            key=f"k{partition}".encode(),
            value=value,
            checksum=None,
            serialized_key_size=2,
            serialized_value_size=len(value),
            headers=headers,
        )

    async def handled(self) -> Mapping[TopicPartition, int] | None:
        """The offsets to go on from; None when each partition is left to be handled by itself."""
        consumer = self.bench.consumer(
            handlers={TYPE: Together(handle), OTHER: leave_effect}, alone=lambda event: number_of(event) == 7
        )
        for partition in self.seen:
            consumer.partitions.generations[self.place(partition)] = 1
        offsets: dict[TopicPartition, int] = {}
        done = await consumer.batches.handle_at_once(self.polled(), offsets)
        assert done == bool(offsets)
        return offsets if done else None


async def test_events_of_two_partitions_are_one_transaction(bench: Bench) -> None:
    brought = Brought(bench)
    assert await brought.handled() == {brought.place(0): 12, brought.place(1): 11}
    assert sorted(number for _, number in await bench.effects()) == [1, 2, 3]
    transactions = await bench.database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM effect")
    assert transactions == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"numbers": ((1, 2),)},
        {"numbers": (tuple(range(20, 20 + TOGETHER_MAX)), (1,))},
        {"seen": (0,)},
        {"generation": 2},
        {"event_type": OTHER},
        {"numbers": ((1, 2), (7,))},
        {"numbers": ((1, 2), (13,))},
    ],
    ids=[
        "one partition",
        "too many for one look at the time",
        "a partition that is seen for the first time",
        "a log that is to be read anew",
        "an event whose handler takes one",
        "an event that others wait for",
        "an event that cannot be handled",
    ],
)
async def test_what_keeps_them_apart_is_noticed_before_anything_is_done(
    bench: Bench, changes: dict[str, Any]
) -> None:
    assert await Brought(bench, **changes).handled() is None
    assert await bench.effects() == []

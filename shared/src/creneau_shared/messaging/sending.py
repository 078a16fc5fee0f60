"""Sends rows of the outbox so that the order of each key survives every failure.

One batch for each partition, and no other until it is acknowledged: aiokafka left to itself would cut a partition's
events into several batches, of which a later one can succeed after an earlier one has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from creneau_shared.messaging import cloudevents
from creneau_shared.messaging.retention import Partition


@dataclass(frozen=True, slots=True)
class Ack:
    """Where the broker has put the row at `position` of the outbox."""

    position: int
    topic: str
    partition: int
    offset: int


async def send(
    producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record], generations: Mapping[str, int]
) -> list[Ack]:
    """Send rows of the outbox, in their order, and wait until the broker has acknowledged them.

    Of a partition whose batch is full the rest is left for the next call. `generations`: that of each topic's log,
    1 where it is not named. Raises KafkaError, and then any of the rows may have been sent.
    """
    batches: dict[Partition, BatchBuilder] = {}
    positions: dict[Partition, list[int]] = {}
    full: set[Partition] = set()
    for row in rows:
        place = (row["topic"], await _partition(producer, row["topic"], row["key"].encode()))
        if place in full:
            continue
        batch = batches.get(place)
        if batch is None:
            batch = batches[place] = producer.create_batch()
            positions[place] = []
        if _add(batch, row, generations.get(row["topic"], 1)):
            positions[place].append(row["position"])
        else:
            full.add(place)
    sending = [
        await producer.send_batch(batch, topic, partition=number)
        for (topic, number), batch in batches.items()
    ]
    bases: list[RecordMetadata] = await asyncio.gather(*sending)
    return [
        Ack(position, base.topic, base.partition, base.offset + index if base.offset >= 0 else -1)
        for base in bases
        for index, position in enumerate(positions[base.topic, base.partition])
    ]


async def _partition(producer: AIOKafkaProducer, topic: str, key: bytes) -> int:
    """The partition of a key, as Kafka's own clients choose it (murmur2)."""
    partitions = sorted(await producer.partitions_for(topic))
    chosen: int = DefaultPartitioner()(key, partitions, partitions)
    return chosen


def _add(batch: BatchBuilder, row: asyncpg.Record, generation: int) -> bool:
    """Add one row to a batch; False when the batch is full."""
    added = batch.append(
        timestamp=None,
        key=row["key"].encode(),
        value=row["data"],
        headers=cloudevents.headers(
            event_id=row["event_id"],
            source=row["source"],
            event_type=row["type"],
            subject=row["subject"],
            time=row["time"],
            key=row["key"],
            correlation_id=row["correlation_id"],
            traceparent=row["traceparent"],
            generation=generation,
        ),
    )
    return added is not None

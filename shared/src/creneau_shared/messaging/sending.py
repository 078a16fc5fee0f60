"""Sends rows of the outbox so that the order of each key survives every failure.

One batch for each partition, and no other until it is acknowledged: aiokafka left to itself would cut a partition's
events into several batches, of which a later one can succeed after an earlier one has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from creneau_shared.messaging import cloudevents

METADATA_PAUSE_S = 0.05
"""pause between two metadata requests, while the brokers synchronise"""


@dataclass(frozen=True, slots=True)
class Ack:
    """Partition and offset at which the broker stored the outbox row at `position`."""

    position: int
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch for one partition, and its outbox rows, in order."""

    builder: BatchBuilder
    positions: list[int]


async def learn_sizes(producer: AIOKafkaProducer, sizes: Mapping[str, int]) -> None:
    """Waits until the producer knows the present number of partitions of each of these topics.

    Right after a topic was widened, the producer's old metadata would send a key to another partition than later, and the
    order of the key's events would be lost.
    """
    while any([len(await producer.partitions_for(topic)) != size for topic, size in sizes.items()]):
        await producer.client.force_metadata_update()
        await asyncio.sleep(METADATA_PAUSE_S)


async def prepare(
    producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record], generations: Mapping[str, int]
) -> dict[TopicPartition, Batch]:
    """Partition → the batch of those of `rows` (of the outbox, in their order) that go there.

    If a partition's batch is full, its remaining rows are left for the next time. `generations`: topic → generation of
    its log; 1 if missing.
    """
    batches: dict[TopicPartition, Batch] = {}
    full: set[TopicPartition] = set()
    for row in rows:
        place = TopicPartition(row["topic"], await _partition(producer, row["topic"], row["key"].encode()))
        if place in full:
            continue
        batch = batches.setdefault(place, Batch(producer.create_batch(), []))
        if _add(batch.builder, row, generations.get(row["topic"], 1)):
            batch.positions.append(row["position"])
        else:
            full.add(place)
    return batches


async def send(producer: AIOKafkaProducer, batches: Mapping[TopicPartition, Batch]) -> list[Ack]:
    """Sends the batches and waits until the broker has acknowledged all of them.

    Raises KafkaError; then any of them may have been sent.
    """
    sending = [
        await producer.send_batch(batch.builder, place.topic, partition=place.partition)
        for place, batch in batches.items()
    ]
    bases: list[RecordMetadata] = await asyncio.gather(*sending)
    return [
        Ack(position, base.topic, base.partition, base.offset + index if base.offset >= 0 else -1)
        for base, batch in zip(bases, batches.values(), strict=True)
        for index, position in enumerate(batch.positions)
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

"""Dead letters handled again, by command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.dead_letter import PREFIX, REFERENCE, DeadLetters
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import dead_letter_topic

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many dead letters had their effect now (or before), and how many died again."""

    handled: int
    failed: int


async def replay(consumer: Consumer, topic: str) -> Replayed:
    """Handle the dead letters of `topic` again, with the consumer's own handlers and inbox.

    Nothing is sent to the topic itself: no other consumer is concerned. What fails again is buried again.
    Their order is lost by then: a handler compares versions, and the replica of a compacted topic is better
    rebuilt (`rebuild.rebuild`). A letter that refers to a record which is there no more (it has been superseded) has
    nothing left to be handled. Raises what passes (`consumer.TRANSIENT`); what was handled until then stays
    handled.
    """
    handled = failed = 0
    dead = dead_letter_topic(topic, consumer.group)
    broker = broker_of(consumer.settings)
    async with (
        TopicKeeper(consumer.settings, [dead]) as keeper,
        DeadLetters(consumer.settings, consumer.group, consumer.clock) as letters,
        broker.consumer(f"{consumer.group}.replay") as reader,
    ):
        partitions = (await keeper.sizes()).get(dead.name, 0)
        places = [TopicPartition(dead.name, number) for number in range(partitions)]
        async for record in _until_now(broker, reader, places):
            by_reference = _header(record, "value") == REFERENCE
            found = await _referred_to(broker, record, topic) if by_reference else record
            error = await consumer.attempt(found, topic=topic) if found is not None else None
            if found is None or error is None:
                handled += 1
            else:
                failed += 1
                await letters.bury(found, error, topic=topic, attempts=1, by_reference=by_reference)
            await reader.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
    log.info("dead letters replayed", topic=topic, group=consumer.group, handled=handled, failed=failed)
    return Replayed(handled, failed)


def _header(record: ConsumerRecord, name: str) -> str | None:
    return next((value.decode() for key, value in record.headers if key == PREFIX + name), None)


async def _referred_to(broker: Broker, letter: ConsumerRecord, topic: str) -> ConsumerRecord | None:
    """The record that a letter refers to; None when the log does not hold it any more."""
    partition, offset = _header(letter, "partition"), _header(letter, "offset")
    if partition is None or offset is None:
        return None
    place = TopicPartition(topic, int(partition))
    async with broker.consumer() as reader:
        reader.assign([place])
        end = (await broker.ends(reader, {place: int(offset) + 1}))[place]
        begin = (await reader.beginning_offsets([place]))[place]
        if not begin <= int(offset) < end:
            return None
        reader.seek(place, int(offset))
        while await reader.position(place) < end:
            for record in (await reader.getmany(place, timeout_ms=200, max_records=1)).get(place, []):
                same = record.offset == int(offset) and _event_id(record) == _event_id(letter)
                return record if same else None
    return None


def _event_id(record: ConsumerRecord) -> bytes | None:
    return next((value for name, value in record.headers if name == "ce_id"), None)


async def _until_now(
    broker: Broker, reader: AIOKafkaConsumer, places: list[TopicPartition]
) -> AsyncIterator[ConsumerRecord]:
    """The records from the committed offsets to the ends as they are now."""
    if not places:
        return
    reader.assign(places)
    ends = await broker.ends(reader, dict.fromkeys(places))
    for place in places:
        while await reader.position(place) < ends[place]:
            for record in (await reader.getmany(place, timeout_ms=200, max_records=1)).get(place, []):
                yield record

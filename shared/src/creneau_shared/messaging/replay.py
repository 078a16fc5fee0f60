"""Handles dead letters again, by command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from creneau_shared.messaging import buried
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.buried import Letter, State
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.dead_letter import PREFIX, REFERENCE, DeadLetters
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import dead_letter_topic

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The number of dead letters that were handled now (or before), and of those that failed again."""

    handled: int
    failed: int


async def replay(consumer: Consumer, topic: str) -> Replayed:
    """Handles the dead letters of `topic` again, with the consumer's own handlers and inbox.

    Nothing is sent to `topic`, so no other consumer is concerned. A letter that fails again is buried again. The order of
    events is lost by then: handlers compare versions, and the replica of a compacted topic is better rebuilt
    (`rebuild.rebuild`). If the record to which a letter refers has been superseded, nothing is left to be handled.
    Letters that an operator has discarded are skipped. Raises transient failures (`failures.TRANSIENT`); letters handled
    until then stay handled.
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
            id_ = _letter_id(consumer, record, topic)
            if not await _is_discarded(consumer, id_):
                error = await _again(broker, consumer, letters, record, topic)
                handled, failed = handled + (error is None), failed + (error is not None)
                if error is None:
                    await _close(consumer, id_, "replayed")
            await reader.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
    log.info("dead letters replayed", topic=topic, group=consumer.group, handled=handled, failed=failed)
    return Replayed(handled, failed)


async def replay_one(consumer: Consumer, letter: Letter) -> tuple[State, str | None]:
    """Handles one letter again; returns its new state, and the class of the failure if it failed again. The caller stores
    the state; a letter that fails stays on its topic."""
    broker = broker_of(consumer.settings)
    place = TopicPartition(dead_letter_topic(letter.topic, consumer.group).name, 0)
    record = await _record_at(broker, place, letter.dead_offset)
    if record is None or _letter_id(consumer, record, letter.topic) != letter.id:
        return "lost", None
    found = await _meant(broker, record, letter.topic)
    error = await consumer.attempt(found, topic=letter.topic) if found is not None else None
    log.info("dead letter replayed", letter=str(letter.id), error=type(error).__name__ if error else None)
    return ("waiting", type(error).__name__) if error is not None else ("replayed", None)


async def _again(
    broker: Broker, consumer: Consumer, letters: DeadLetters, record: ConsumerRecord, topic: str
) -> Exception | None:
    """Handles a letter; if that fails, buries it again and returns the failure."""
    found = await _meant(broker, record, topic)
    error = await consumer.attempt(found, topic=topic) if found is not None else None
    if found is None or error is None:
        return None
    by_reference = _header(record, "value") == REFERENCE
    origin = (_header(record, "partition") or "-1", _header(record, "offset") or "-1")
    id_ = _letter_id(consumer, record, topic)
    offset = await letters.bury(
        id_, found, error, topic=topic, attempts=1, by_reference=by_reference, origin=origin
    )
    letter = buried.letter_of(
        id_, consumer.name, found, error, topic=topic, dead_offset=offset, attempts=1, at=consumer.clock.now()
    )
    async with consumer.database.transaction() as connection:
        await buried.keep(connection, letter)
    return error


async def _meant(broker: Broker, record: ConsumerRecord, topic: str) -> ConsumerRecord | None:
    """The record to handle: the letter itself, or the record to which it refers."""
    return await _referred_to(broker, record, topic) if _header(record, "value") == REFERENCE else record


def _letter_id(consumer: Consumer, record: ConsumerRecord, topic: str) -> UUID:
    """The id of the letter in this record; letters that do not say it have one made from the place of the record that
    failed first."""
    said = _header(record, "letter")
    if said is not None:
        return UUID(said)
    partition, offset = _header(record, "partition"), _header(record, "offset")
    return buried.letter_id(consumer.name, topic, int(partition or -1), int(offset or -1))


async def _is_discarded(consumer: Consumer, id_: UUID) -> bool:
    async with consumer.database.connection() as connection:
        return id_ in await buried.discarded(connection, [id_])


async def _close(consumer: Consumer, id_: UUID, state: State) -> None:
    async with consumer.database.transaction() as connection:
        await buried.close(connection, [id_], state, consumer.clock.now())


def _header(record: ConsumerRecord, name: str) -> str | None:
    return next((value.decode() for key, value in record.headers if key == PREFIX + name), None)


async def _referred_to(broker: Broker, letter: ConsumerRecord, topic: str) -> ConsumerRecord | None:
    """The record that a letter refers to; None when the log does not hold it any more."""
    partition, offset = _header(letter, "partition"), _header(letter, "offset")
    if partition is None or offset is None:
        return None
    record = await _record_at(broker, TopicPartition(topic, int(partition)), int(offset))
    return record if record is not None and _event_id(record) == _event_id(letter) else None


async def _record_at(broker: Broker, place: TopicPartition, offset: int) -> ConsumerRecord | None:
    """The record at an offset; None when the log does not hold it any more."""
    async with broker.consumer() as reader:
        reader.assign([place])
        end = (await broker.ends(reader, {place: offset + 1}))[place]
        begin = (await reader.beginning_offsets([place]))[place]
        if not begin <= offset < end:
            return None
        reader.seek(place, offset)
        while await reader.position(place) < end:
            for record in (await reader.getmany(place, timeout_ms=200, max_records=1)).get(place, []):
                return record if record.offset == offset else None
    return None


def _event_id(record: ConsumerRecord) -> bytes | None:
    return next((value for name, value in record.headers if name == "ce_id"), None)


async def _until_now(
    broker: Broker, reader: AIOKafkaConsumer, places: list[TopicPartition]
) -> AsyncIterator[ConsumerRecord]:
    """The records from the committed offsets to the present ends."""
    if not places:
        return
    reader.assign(places)
    ends = await broker.ends(reader, dict.fromkeys(places))
    for place in places:
        while await reader.position(place) < ends[place]:
            for record in (await reader.getmany(place, timeout_ms=200, max_records=1)).get(place, []):
                yield record

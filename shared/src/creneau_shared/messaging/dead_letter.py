"""What a consumer could not handle: kept on a topic beside, with the reason, and handled again by command."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from creneau_shared.clock import Clock
from creneau_shared.logging import describe
from creneau_shared.messaging.kafka import log_ends, open_consumer, open_producer
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import dead_letter_topic
from creneau_shared.settings import ServiceSettings

if TYPE_CHECKING:
    from creneau_shared.messaging.consumer import Consumer

PREFIX = "dead_"
REFERENCE = "reference"
"""Header `dead_value` of a dead letter whose value stands where it was first, if it still does."""
SEND_TIMEOUT_S = 10.0
MESSAGE_CHARACTERS_MAX = 500

log = structlog.get_logger(__name__)


class DeadLetters:
    """The dead-letter topics of one consumer group. Opens its producer with the first dead letter."""

    def __init__(self, settings: ServiceSettings, group: str, clock: Clock) -> None:
        self._settings = settings
        self._group = group
        self._clock = clock
        self._clients = AsyncExitStack()
        self._producer: AIOKafkaProducer | None = None
        self._created: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()
        self._producer = None

    async def bury(
        self,
        record: ConsumerRecord,
        error: BaseException,
        *,
        topic: str,
        attempts: int,
        by_reference: bool = False,
    ) -> None:
        """Put `record` on the dead-letter topic of `topic`; it is there when this returns.

        `by_reference`: without its value, which names somebody and must be forgotten where it is; where it was found
        is kept, and the kind of the failure without its words. Raises KafkaError, OSError or TimeoutError when it is not.
        """
        dead = dead_letter_topic(topic, self._group)
        async with asyncio.timeout(SEND_TIMEOUT_S):
            producer = self._producer or await self._open()
            if dead.name not in self._created:
                async with TopicKeeper(self._settings, [dead]) as keeper:
                    await keeper.create()
                self._created.add(dead.name)
            await producer.send_and_wait(
                dead.name,
                value=None if by_reference else record.value,
                key=record.key,
                headers=dead_headers(
                    record,
                    error,
                    topic=topic,
                    attempts=attempts,
                    clock=self._clock,
                    by_reference=by_reference,
                ),
            )

    async def _open(self) -> AIOKafkaProducer:
        self._producer = await self._clients.enter_async_context(open_producer(self._settings))
        return self._producer


def dead_headers(
    record: ConsumerRecord,
    error: BaseException,
    *,
    topic: str,
    attempts: int,
    clock: Clock,
    by_reference: bool = False,
) -> list[tuple[str, bytes]]:
    """The record's own headers, less those of an earlier death, and why it died, where from and when."""
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    reason = {
        "reason": type(error).__name__,
        "message": _where(error)[:MESSAGE_CHARACTERS_MAX],
        "topic": topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "attempts": str(attempts),
        "time": clock.now().isoformat(),
    }
    if by_reference:
        del reason["message"]
        reason["value"] = REFERENCE
    return kept + [(PREFIX + name, value.encode()) for name, value in reason.items()]


def _where(error: BaseException) -> str:
    """What died and at which line; never the text of the exception, which may hold the event's data."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{describe(error)}{at}"


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
    async with (
        TopicKeeper(consumer.settings, [dead]) as keeper,
        DeadLetters(consumer.settings, consumer.group, consumer.clock) as letters,
        open_consumer(consumer.settings, group=f"{consumer.group}.replay") as reader,
    ):
        partitions = (await keeper.sizes()).get(dead.name, 0)
        places = [TopicPartition(dead.name, number) for number in range(partitions)]
        async for record in _until_now(reader, places):
            by_reference = _header(record, "value") == REFERENCE
            found = await _referred_to(consumer, record, topic) if by_reference else record
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


async def _referred_to(consumer: Consumer, letter: ConsumerRecord, topic: str) -> ConsumerRecord | None:
    """The record that a letter refers to; None when the log does not hold it any more."""
    partition, offset = _header(letter, "partition"), _header(letter, "offset")
    if partition is None or offset is None:
        return None
    place = TopicPartition(topic, int(partition))
    async with open_consumer(consumer.settings) as reader:
        reader.assign([place])
        end = (await log_ends(consumer.settings, reader, {place: int(offset) + 1}))[place]
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


async def _until_now(reader: AIOKafkaConsumer, places: list[TopicPartition]) -> AsyncIterator[ConsumerRecord]:
    """The records from the committed offsets to the ends as they are now."""
    if not places:
        return
    reader.assign(places)
    ends = await reader.end_offsets(places)
    for place in places:
        while await reader.position(place) < ends[place]:
            for record in (await reader.getmany(place, timeout_ms=200, max_records=1)).get(place, []):
                yield record

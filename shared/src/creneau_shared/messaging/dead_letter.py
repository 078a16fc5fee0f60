"""Dead-letter topics: they keep the events that a consumer could not handle, with the reason. `replay.py` retries them."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from aiokafka import AIOKafkaProducer, ConsumerRecord

from creneau_shared.clock import Clock
from creneau_shared.logging import describe
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import dead_letter_topic
from creneau_shared.settings import ServiceSettings

PREFIX = "dead_"
REFERENCE = "reference"
"""Header `dead_value` of a dead letter without value: the value is on the original topic, if it still exists."""
SEND_TIMEOUT_S = 10.0
MESSAGE_CHARACTERS_MAX = 500


class DeadLetters:
    """The dead-letter topics of one consumer group. Opens its producer with the first dead letter; may be opened again."""

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
        self._created.clear()

    async def bury(
        self,
        id_: UUID,
        record: ConsumerRecord,
        error: BaseException,
        *,
        topic: str,
        attempts: int,
        by_reference: bool = False,
        origin: tuple[str, str] | None = None,
    ) -> int:
        """Puts `record` on the dead-letter topic of `topic`, as the letter of this id, and returns its offset there, once it
        is stored.

        `by_reference`: without the value, which names a person and must not be kept elsewhere; the letter then has the
        record's place, and the class of the failure without its text. `origin`: partition and offset of the record that
        failed first, if `record` is already its letter. Raises KafkaError, OSError or TimeoutError if it was not stored.
        """
        dead = dead_letter_topic(topic, self._group)
        async with asyncio.timeout(SEND_TIMEOUT_S):
            producer = self._producer or await self._open()
            if dead.name not in self._created:
                async with TopicKeeper(self._settings, [dead]) as keeper:
                    await keeper.create()
                self._created.add(dead.name)
            sent = await producer.send_and_wait(
                dead.name,
                value=None if by_reference else record.value,
                key=record.key,
                headers=dead_headers(
                    id_,
                    record,
                    error,
                    topic=topic,
                    attempts=attempts,
                    clock=self._clock,
                    by_reference=by_reference,
                    origin=origin,
                ),
            )
        return int(sent.offset)

    async def _open(self) -> AIOKafkaProducer:
        self._producer = await self._clients.enter_async_context(broker_of(self._settings).producer())
        return self._producer


def dead_headers(
    id_: UUID,
    record: ConsumerRecord,
    error: BaseException,
    *,
    topic: str,
    attempts: int,
    clock: Clock,
    by_reference: bool = False,
    origin: tuple[str, str] | None = None,
) -> list[tuple[str, bytes]]:
    """The record's own headers, without those of an earlier burial, plus the letter's id, and reason, origin and time of this
    one."""
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    partition, offset = origin or (str(record.partition), str(record.offset))
    reason = {
        "letter": str(id_),
        "reason": type(error).__name__,
        "message": _where(error)[:MESSAGE_CHARACTERS_MAX],
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "attempts": str(attempts),
        "time": clock.now().isoformat(),
    }
    if by_reference:
        del reason["message"]
        reason["value"] = REFERENCE
    return kept + [(PREFIX + name, value.encode()) for name, value in reason.items()]


def _where(error: BaseException) -> str:
    """The failure (`describe`) and its place in the code; never the exception's text, which may hold the event's data."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{describe(error)}{at}"

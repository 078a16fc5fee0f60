"""Puts events aside that a consumer could not handle, so that it can go on with the next."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from aiokafka import ConsumerRecord

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.messaging import buried, metrics, rebuild
from creneau_shared.messaging.dead_letter import DeadLetters
from creneau_shared.messaging.rebuild import Replica

log = structlog.get_logger(__name__)


class Burial:
    """Buries the records of one consumer: on the dead-letter topic, and in the table that operators see (`buried`).

    `personal`: the topics whose events name people; their records are buried without their value. `replica`: the data
    that the consumer keeps of compacted topics.
    """

    def __init__(
        self,
        consumer: str,
        letters: DeadLetters,
        database: Database,
        clock: Clock,
        *,
        personal: Collection[str],
        replica: Replica | None,
    ) -> None:
        self._consumer = consumer
        self._letters = letters
        self._database = database
        self._clock = clock
        self._personal = frozenset(personal)
        self._replica = replica

    async def bury(self, record: ConsumerRecord, error: Exception, attempts: int) -> None:
        """Buries a record; it is buried when this returns. Raises KafkaError, OSError, TimeoutError or a database failure
        if it is not, or only partly: then bury it again."""
        topic = record.topic
        id_ = buried.letter_of_record(self._consumer, record, topic)
        dead_offset = await self._letters.bury(
            id_, record, error, topic=topic, attempts=attempts, by_reference=topic in self._personal
        )
        async with self._database.transaction() as connection:
            letter = buried.letter_of(
                id_,
                self._consumer,
                record,
                error,
                topic=topic,
                dead_offset=dead_offset,
                attempts=attempts,
                at=self._clock.now(),
            )
            await buried.keep(connection, letter)
        if self._replica is not None and record.key is not None:
            # The key is in the topic, although the event could not be handled: a rebuild must not forget its replica row.
            async with self._database.transaction() as connection:
                await rebuild.mark(connection, self._consumer, [record.key.decode("utf-8", "replace")])
        metrics.DEAD.labels(self._consumer, topic).inc()
        log.error(
            "event buried",
            consumer=self._consumer,
            topic=topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
        )

"""Handles the records of a poll: together where possible, one by one where one fails.

A record that fails for a transient reason (`failures.TRANSIENT`) is read again after a pause, without limit. One that
fails otherwise is tried a few times and then buried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from creneau_shared.messaging import cloudevents, metrics, positions
from creneau_shared.messaging.burial import Burial
from creneau_shared.messaging.effects import TOGETHER_MAX, Effects, Rewound
from creneau_shared.messaging.failures import COLLISIONS, TRANSIENT
from creneau_shared.messaging.partitions import Partitions

Polled = Mapping[TopicPartition, Sequence[ConsumerRecord]]
"""Partition → its records, in order."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Round:
    """One poll: the client, the end of the time for its records, and the next offset of each partition."""

    kafka: AIOKafkaConsumer
    until: float
    offsets: dict[TopicPartition, int] = field(default_factory=dict)


class Batches:
    """Handles the events of one consumer.

    `consumer` is its name. An event is tried `attempts_max` times, with the pause `backoff_s(failures)`; the records of
    one poll are handled for `round_s` at most. `moved` is called after each step.
    """

    def __init__(
        self,
        consumer: str,
        effects: Effects,
        partitions: Partitions,
        burial: Burial,
        *,
        attempts_max: int,
        round_s: float,
        backoff_s: Callable[[int], float],
        seconds: Callable[[], float],
        moved: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._effects = effects
        self._partitions = partitions
        self._burial = burial
        self._attempts_max = attempts_max
        self._round_s = round_s
        self._backoff_s = backoff_s
        self._seconds = seconds
        self._moved = moved
        self._failures = 0
        """transient failures in a row"""

    async def handle(self, kafka: AIOKafkaConsumer, polled: Polled) -> float:
        """Handles the records of a poll and commits the offsets reached; returns the pause until the next poll in seconds.

        Records that were not reached in time, or failed for a transient reason, are read again.
        """
        now = _Round(kafka, self._seconds() + self._round_s)
        failures = self._failures
        apart = {} if await self.handle_at_once(polled, now.offsets) else polled
        for place, records in apart.items():
            if now.offsets and self._seconds() >= now.until:
                self._later(now, place, records[0])
            else:
                await self._handle(now, place, records)
        await positions.commit(kafka, now.offsets, self._consumer)
        if self._failures > failures:
            return self._backoff_s(self._failures)
        if polled:
            self._failures = 0
        return 0.0

    async def handle_at_once(self, polled: Polled, offsets: dict[TopicPartition, int]) -> bool:
        """Handles a few events of several partitions in one transaction, if all have types that are handled together, and
        puts the next offsets into `offsets`. Otherwise returns False and does nothing: each partition is then handled by
        itself."""
        records = [record for several in polled.values() for record in several]
        if len(polled) < 2 or len(records) > TOGETHER_MAX:
            return False
        known = self._partitions.generations
        if any(
            cloudevents.generation(record.headers) > known.get(place, 0)
            for place, several in polled.items()
            for record in several
        ):
            return False  # a partition seen for the first time, or to be read from its beginning
        try:
            events = [cloudevents.read(record) for record in records]
            if not self._effects.go_together(events):
                return False
            await self._effects.apply(events, recorded=True)
        except Exception as error:
            log.info("partitions handled apart", consumer=self._consumer, error=type(error).__name__)
            return False
        offsets.update({place: several[-1].offset + 1 for place, several in polled.items()})
        return True

    async def _handle(self, now: _Round, place: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Handles one partition's batch, as far as time and failures allow."""
        newest = max(cloudevents.generation(record.headers) for record in records)
        if self._partitions.is_newer(place, newest):
            await self._rewind(now, place, newest, records[0])
            return
        done = 0
        try:
            events = [cloudevents.read(record) for record in records]
            while done < len(events):
                if done and self._seconds() >= now.until:
                    self._later(now, place, records[done])
                    return
                together = events[done : done + self._effects.share_a_transaction(events[done:])]
                done += await self._effects.apply(together, recorded=True, until=now.until)
                now.offsets[place] = records[done - 1].offset + 1
        except Rewound:
            await self._rewind(now, place, None, records[0])
        except TRANSIENT as error:
            if isinstance(error, COLLISIONS) and len(records) > 1:
                await self._one_by_one(now, place, records[done:])
            else:
                self._again(now, place, records[done], error)
        except Exception:
            await self._one_by_one(now, place, records[done:])

    async def _one_by_one(
        self, now: _Round, place: TopicPartition, records: Sequence[ConsumerRecord]
    ) -> None:
        """Handles the events of a failed batch one by one, and buries those that cannot be handled."""
        for number, record in enumerate(records):
            if number and self._seconds() >= now.until:
                self._later(now, place, record)
                return
            try:
                error = await self._attempts(record)
                if error is not None:
                    await self._burial.bury(record, error, self._attempts_max)
                now.offsets[place] = record.offset + 1
                self._moved()
                # A dead letter cannot be taken back: the next reader of the partition must begin after this record.
                if error is not None and not await positions.commit(now.kafka, now.offsets, self._consumer):
                    positions.read_again(now.kafka, place, record.offset + 1, self._consumer)
                    return
            except Rewound:
                await self._rewind(now, place, None, records[0])
                return
            except TRANSIENT as error:
                self._again(now, place, record, error)
                return

    async def _attempts(self, record: ConsumerRecord) -> Exception | None:
        """Tries one record up to `attempts_max` times; returns the last failure or None. Raises transient failures."""
        for attempt in range(1, self._attempts_max + 1):
            try:
                await self._effects.apply([cloudevents.read(record)], recorded=True)
            except Rewound:
                raise
            except TRANSIENT:
                raise
            except cloudevents.UnreadableEvent as error:
                return error
            except Exception as error:
                if attempt == self._attempts_max:
                    return error
                await asyncio.sleep(self._backoff_s(attempt))
            else:
                return None
        return None

    async def _rewind(
        self, now: _Round, place: TopicPartition, generation: int | None, first: ConsumerRecord
    ) -> None:
        """Reads the partition from its beginning: its log is a new one (of this generation), or a rebuild was ordered.
        Commits nothing of the batch that begins with `first`. If the broker does not allow the rewind yet, the batch is
        read again, since no other record may ever show the new generation."""
        now.offsets.pop(place, None)
        if not await self._partitions.rewind(now.kafka, place, generation):
            self._failures += 1
            self._later(now, place, first)

    def _later(self, now: _Round, place: TopicPartition, record: ConsumerRecord) -> None:
        """Reads the partition again from this record on, after the other partitions."""
        positions.read_again(now.kafka, place, record.offset, self._consumer)

    def _again(self, now: _Round, place: TopicPartition, record: ConsumerRecord, error: Exception) -> None:
        """Reads the partition again from this record on, after a transient failure."""
        self._failures += 1
        metrics.RETRIES.labels(self._consumer).inc()
        log.warning("batch postponed", consumer=self._consumer, topic=place.topic, error=type(error).__name__)
        self._later(now, place, record)

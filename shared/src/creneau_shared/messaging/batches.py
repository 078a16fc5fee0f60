"""What a poll has brought is handled: together where it can be, one by one where something fails.

What fails for a reason that passes (`failures.TRANSIENT`) is read again after a pause, without limit; what fails otherwise
is tried a few times and then buried.
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
"""Each partition's records, one after the other."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Round:
    """One poll: by which client, until when its records are worked on, and from where each partition is read on."""

    kafka: AIOKafkaConsumer
    until: float
    offsets: dict[TopicPartition, int] = field(default_factory=dict)


class Batches:
    """Handles the events of one consumer.

    `consumer` is its name. An event is tried `attempts_max` times, with the pause `backoff_s` after so many failures;
    one poll's records are worked on for `round_s`. `moved` hears of each step that is done.
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
        """that pass, one after the other"""

    async def handle(self, kafka: AIOKafkaConsumer, polled: Polled) -> float:
        """Handle what a poll has brought and commit how far it got; the pause until the next poll, seconds.

        What was not reached in time, or failed for a reason that passes, is read again.
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
        """Handle a few events of several partitions in one transaction, if all of them are of those that are handled
        together, and put into `offsets` what comes next. False, and nothing has been done, where that cannot be: each
        partition is then handled by itself."""
        records = [record for several in polled.values() for record in several]
        if len(polled) < 2 or len(records) > TOGETHER_MAX:
            return False
        known = self._partitions.generations
        if any(
            cloudevents.generation(record.headers) > known.get(place, 0)
            for place, several in polled.items()
            for record in several
        ):
            return False  # a partition that is seen for the first time, or has to be read anew
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
        """Handle one partition's batch, as far as it gets."""
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
        """Handle a batch of which something cannot be handled, and bury that."""
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
                # A letter cannot be taken back: whoever reads on after us must begin behind it.
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
        """Try one record as often as it may be; the last failure. Raises what passes."""
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
        """Read the partition from its beginning: the log is another one (of this generation), or a command came in between.
        Nothing of the batch that `first` begins is committed; where the broker does not let us yet, it is read again, since
        nothing else may ever come that shows the same."""
        now.offsets.pop(place, None)
        if not await self._partitions.rewind(now.kafka, place, generation):
            self._failures += 1
            self._later(now, place, first)

    def _later(self, now: _Round, place: TopicPartition, record: ConsumerRecord) -> None:
        """Have the partition read again from this record on, after the others have had their turn."""
        positions.read_again(now.kafka, place, record.offset, self._consumer)

    def _again(self, now: _Round, place: TopicPartition, record: ConsumerRecord, error: Exception) -> None:
        """Have the partition read again from this record on: the failure passes."""
        self._failures += 1
        metrics.RETRIES.labels(self._consumer).inc()
        log.warning("batch postponed", consumer=self._consumer, topic=place.topic, error=type(error).__name__)
        self._later(now, place, record)

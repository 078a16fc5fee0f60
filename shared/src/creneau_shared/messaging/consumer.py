"""A consumer: events in, effects in the database, each exactly once.

At least once from Kafka, made exactly once by the inbox: a batch is handled in one transaction with its inbox
rows, and only then do the offsets move. When the batch fails, its events are handled one by one. What fails
for a reason that passes (the database is away, two transactions collided) is read again after a pause,
without limit; what fails otherwise is tried a few times and then put on the dead-letter topic, so that the
next event proceeds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from creneau_shared.clock import Clock
from creneau_shared.correlation import set_correlation_id
from creneau_shared.database.failures import UNREACHABLE
from creneau_shared.database.pool import Connection, Database
from creneau_shared.errors import Unavailable
from creneau_shared.messaging import cloudevents, inbox, metrics
from creneau_shared.messaging.dead_letter import DeadLetters
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.kafka import open_consumer
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.waiting import backoff_s, is_cancelled, wait
from creneau_shared.settings import ServiceSettings

Handler = Callable[[Connection, ReceivedEvent], Awaitable[None]]
"""Gives one event its effect, in the connection's transaction. It sends nothing and calls no one."""

TRANSIENT: tuple[type[Exception], ...] = (
    *UNREACHABLE,
    KafkaError,
    Unavailable,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""What passes by itself: connections, capacity, shutdown, statement timeouts, collisions and locks."""

KAFKA_CALL_TIMEOUT_S = 5.0
"""Longest wait for an answer of the broker within the loop; the loop goes on without it."""

log = structlog.get_logger(__name__)


class Rewound(Exception):  # noqa: N818 - not an error: a command came in between
    """The partition is to be read from its beginning: nothing of this batch may be recorded."""


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the loop that it holds other partitions than before."""

    def __init__(self, changed: asyncio.Event) -> None:
        self._changed = changed

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        self._changed.set()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._changed.set()


class Consumer:
    """Handles the events of `topics` for one purpose.

    `name` is the purpose, as the inbox knows it: one consumer for one purpose, so that it can be rebuilt
    without touching another's effects. `group` is its Kafka consumer group; any number of processes share the
    partitions. `handlers` gives the handler of each event type; events of other types are skipped. `personal` are
    those of the topics whose events name people: what cannot be handled of them is put aside without its value.
    """

    def __init__(
        self,
        name: str,
        group: str,
        topics: Sequence[str],
        handlers: Mapping[str, Handler],
        database: Database,
        settings: ServiceSettings,
        clock: Clock,
        messaging: MessagingSettings | None = None,
        *,
        personal: Collection[str] = (),
    ) -> None:
        self.name = name
        self.group = group
        self.topics = tuple(topics)
        self.settings = settings
        self.clock = clock
        self._handlers = dict(handlers)
        self._personal = frozenset(personal)
        self._database = database
        self._limits = messaging or MessagingSettings()
        self._generations: dict[TopicPartition, int] = {}
        self._failures = 0
        self._polled_at = time.monotonic()
        metrics.CONSUMER_POLL_AGE_SECONDS.labels(name).set_function(self.poll_age_s)

    def poll_age_s(self) -> float:
        """Seconds since the last poll."""
        return time.monotonic() - self._polled_at

    def stuck(self) -> bool:
        """True when the loop has not polled for longer than the setting: liveness should fail."""
        return self.poll_age_s() > self._limits.consumer_stuck_after_s

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; what is in hand is finished and its offsets are committed."""
        failures = 0
        while not stop.is_set():
            self._polled_at = time.monotonic()
            try:
                async with (
                    open_consumer(
                        self.settings,
                        group=self.group,
                        session_timeout_s=self._limits.consumer_session_timeout_s,
                    ) as kafka,
                    DeadLetters(self.settings, self.group, self.clock) as letters,
                ):
                    failures = 0
                    await self._consume(kafka, letters, stop)
            except TRANSIENT as error:
                failures += 1
                await self._interrupted(error, failures, stop)
            except asyncio.CancelledError as error:
                if is_cancelled():
                    raise
                failures += 1
                await self._interrupted(error, failures, stop)

    async def _interrupted(self, error: BaseException, failures: int, stop: asyncio.Event) -> None:
        log.warning("consumer interrupted", consumer=self.name, error=type(error).__name__)
        await wait(stop, self._backoff_s(failures))

    async def attempt(self, record: ConsumerRecord, *, topic: str) -> Exception | None:
        """Handle one record in a transaction of its own; return why it could not be handled.

        Raises what passes (`TRANSIENT`).
        """
        try:
            event = _read(record, topic)
            await self._apply([event])
        except TRANSIENT:
            raise
        except Exception as error:
            return error
        return None

    async def _consume(self, kafka: AIOKafkaConsumer, letters: DeadLetters, stop: asyncio.Event) -> None:
        changed = asyncio.Event()
        kafka.subscribe(self.topics, listener=_Assignments(changed))
        check_at = prune_at = 0.0
        while not stop.is_set():
            if time.monotonic() >= prune_at:
                await self._prune()
                prune_at = time.monotonic() + self._limits.inbox_prune_interval_s
            if time.monotonic() >= check_at:
                await self._check_logs(kafka)
                check_at = time.monotonic() + self._limits.consumer_check_interval_s
            batches = await kafka.getmany(
                timeout_ms=int(self._limits.consumer_poll_s * 1000),
                max_records=self._limits.consumer_batch_events_max,
            )
            self._polled_at = time.monotonic()
            if changed.is_set():
                changed.clear()
                await self._load_generations(kafka)
            offsets: dict[TopicPartition, int] = {}
            failures = self._failures
            for place, records in batches.items():
                await self._handle(kafka, letters, place, records, offsets)
            await self._commit(kafka, offsets)
            if self._failures > failures:
                await wait(stop, self._backoff_s(self._failures))
            elif batches:
                self._failures = 0

    async def _handle(
        self,
        kafka: AIOKafkaConsumer,
        letters: DeadLetters,
        place: TopicPartition,
        records: Sequence[ConsumerRecord],
        offsets: dict[TopicPartition, int],
    ) -> None:
        """Handle one partition's batch; put into `offsets` what comes next, as far as it got."""
        newest = max(cloudevents.generation(record.headers) for record in records)
        if newest > self._generations.setdefault(place, newest):
            await self._rewind(kafka, place, newest)
            return
        try:
            await self._apply([_read(record, record.topic) for record in records], place)
            offsets[place] = records[-1].offset + 1
        except Rewound:
            await self._rewind(kafka, place, None)
        except TRANSIENT as error:
            self._again(kafka, place, records[0].offset, error)
        except Exception:
            await self._one_by_one(kafka, letters, place, records, offsets)

    async def _one_by_one(
        self,
        kafka: AIOKafkaConsumer,
        letters: DeadLetters,
        place: TopicPartition,
        records: Sequence[ConsumerRecord],
        offsets: dict[TopicPartition, int],
    ) -> None:
        """Handle a batch of which something cannot be handled, and bury that."""
        for record in records:
            try:
                error = await self._attempts(record, place)
                if error is not None:
                    attempts = self._limits.consumer_attempts_max
                    await letters.bury(
                        record,
                        error,
                        topic=record.topic,
                        attempts=attempts,
                        by_reference=record.topic in self._personal,
                    )
                    metrics.DEAD.labels(self.name, record.topic).inc()
                    log.error(
                        "event buried",
                        consumer=self.name,
                        topic=record.topic,
                        partition=record.partition,
                        offset=record.offset,
                        error=type(error).__name__,
                    )
                offsets[place] = record.offset + 1
            except Rewound:
                offsets.pop(place, None)
                await self._rewind(kafka, place, None)
                return
            except TRANSIENT as error:
                self._again(kafka, place, record.offset, error)
                return

    async def _attempts(self, record: ConsumerRecord, place: TopicPartition) -> Exception | None:
        """Try one record as often as the setting says; return the last failure. Raises what passes."""
        for attempt in range(1, self._limits.consumer_attempts_max + 1):
            try:
                await self._apply([_read(record, record.topic)], place)
            except Rewound:
                raise
            except TRANSIENT:
                raise
            except cloudevents.UnreadableEvent as error:
                return error
            except Exception as error:
                if attempt == self._limits.consumer_attempts_max:
                    return error
                await asyncio.sleep(self._backoff_s(attempt))
            else:
                return None
        return None

    async def _apply(self, events: Sequence[ReceivedEvent], place: TopicPartition | None = None) -> None:
        """One transaction: inbox rows, effects and how far the partition is handled."""
        mine = [event for event in events if event.type in self._handlers]
        async with self._database.transaction() as connection:
            fresh = await inbox.first_times(connection, self.name, [event.id for event in mine])
            handled = _once(mine, fresh)
            for event in handled:
                set_correlation_id(event.correlation_id)
                await self._handlers[event.type](connection, event)
            if place is not None:
                last = events[-1]
                generation = max(event.generation for event in events)
                if not await inbox.advance(
                    connection, self.name, place.topic, place.partition, last.offset, generation
                ):
                    raise Rewound
        for event in handled:
            metrics.HANDLED.labels(self.name, event.type).inc()
        metrics.DUPLICATES.labels(self.name).inc(len(mine) - len(handled))
        metrics.SKIPPED.labels(self.name).inc(len(events) - len(mine))

    def _again(self, kafka: AIOKafkaConsumer, place: TopicPartition, offset: int, error: Exception) -> None:
        """Have the partition read again from `offset`: the failure passes."""
        self._failures += 1
        metrics.RETRIES.labels(self.name).inc()
        log.warning("batch postponed", consumer=self.name, topic=place.topic, error=type(error).__name__)
        try:
            kafka.seek(place, offset)
        except IllegalStateError:
            log.info("partition has gone to another member", consumer=self.name, partition=place.partition)

    def _backoff_s(self, failures: int) -> float:
        return backoff_s(
            failures, least_s=self._limits.consumer_backoff_min_s, most_s=self._limits.consumer_backoff_max_s
        )

    async def _commit(self, kafka: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit; False when the group or the broker did not let us, which the inbox makes harmless."""
        if not offsets:
            return True
        try:
            async with asyncio.timeout(KAFKA_CALL_TIMEOUT_S):
                await kafka.commit(dict(offsets))
        except (CommitFailedError, IllegalStateError, KafkaError, TimeoutError) as error:
            log.info("offsets not committed", consumer=self.name, error=type(error).__name__)
            return False
        return True

    async def _load_generations(self, kafka: AIOKafkaConsumer) -> None:
        stored = await inbox.generations(self._database, self.name)
        mine = kafka.assignment()
        self._generations = {
            place: stored[place.topic, place.partition]
            for place in mine
            if stored.get((place.topic, place.partition), inbox.REBUILD) != inbox.REBUILD
        }

    async def _check_logs(self, kafka: AIOKafkaConsumer) -> None:
        """Measure the lag; rewind partitions whose log has been emptied, or that are to be rebuilt by
        command.

        A broker should answer a fetch behind the end of a log with OffsetOutOfRange; the embedded one is
        silent.
        """
        assigned = kafka.assignment()
        if not assigned:
            return
        try:
            async with asyncio.timeout(KAFKA_CALL_TIMEOUT_S):
                stored = await inbox.generations(self._database, self.name)
                positions = {place: await kafka.position(place) for place in assigned}
        except TRANSIENT as error:
            log.info("log not checked", consumer=self.name, error=type(error).__name__)
            return
        lag = dict.fromkeys(self.topics, 0)
        for place, position in positions.items():
            end = kafka.highwater(place)
            lag[place.topic] += max(0, (end or 0) - position)
            emptied = end is not None and position > end
            if emptied or stored.get((place.topic, place.partition)) == inbox.REBUILD:
                await self._rewind(kafka, place, None)
        for topic, events in lag.items():
            metrics.CONSUMER_LAG_EVENTS.labels(self.name, topic).set(events)

    async def _prune(self) -> None:
        before = self.clock.now() - timedelta(days=self._limits.inbox_retention_days)
        try:
            await inbox.prune(self._database, self.name, before)
        except TRANSIENT as error:
            log.info("inbox not pruned", consumer=self.name, error=type(error).__name__)

    async def _rewind(self, kafka: AIOKafkaConsumer, place: TopicPartition, generation: int | None) -> None:
        """Read the partition from its beginning, as a log of this generation (None: whatever comes first).

        First the offset, then the row: after a crash in between it is rewound once more.
        """
        try:
            async with asyncio.timeout(KAFKA_CALL_TIMEOUT_S):
                start = (await kafka.beginning_offsets([place]))[place]
            kafka.seek(place, start)
        except (IllegalStateError, KafkaError, TimeoutError) as error:
            log.info("partition not rewound yet", consumer=self.name, error=type(error).__name__)
            return
        if await self._commit(kafka, {place: start}):
            await inbox.restart(self._database, self.name, place.topic, place.partition, generation)
            self._generations.pop(place, None)
            if generation is not None:
                self._generations[place] = generation
            metrics.REWINDS.labels(self.name).inc()
            log.warning("partition rewound", consumer=self.name, topic=place.topic, partition=place.partition)


def _once(events: Sequence[ReceivedEvent], fresh: set[UUID]) -> list[ReceivedEvent]:
    """Those whose id is in `fresh`, each the first time only: a batch may hold an event twice."""
    first = {event.id: event for event in reversed(events)}
    return [event for event in events if event.id in fresh and first[event.id] is event]


def _read(record: ConsumerRecord, topic: str) -> ReceivedEvent:
    return cloudevents.read(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value,
        headers=record.headers,
    )

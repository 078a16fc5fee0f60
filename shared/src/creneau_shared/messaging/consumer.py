"""A consumer: events in, effects in the database, each exactly once.

At least once from Kafka, made exactly once by the inbox: a batch is handled in one transaction with its inbox
rows, and only then do the offsets move. When the batch fails, its events are handled one by one. What fails
for a reason that passes (the database is away, two transactions collided) is read again after a pause,
without limit; what fails otherwise is tried a few times and then put on the dead-letter topic, so that the
next event proceeds.

However long that takes, it goes forward: what is buried is committed at once, and after `CONSUMER_ROUND_S` the
consumer polls again and reads the rest of its batch anew. So neither liveness nor the group ends it in the middle of
a batch that the next process would begin from the front.

Nor does it wait for ever for a client that has given up unsaid, or for a group that does not come to an end: one that
has not heard of the brokers for `CONSUMER_SILENT_AFTER_S` opens its connections anew.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from creneau_shared.clock import Clock
from creneau_shared.database.failures import UNREACHABLE
from creneau_shared.database.pool import Database
from creneau_shared.errors import Unavailable
from creneau_shared.messaging import buried, cloudevents, inbox, metrics, rebuild
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.clients import works
from creneau_shared.messaging.buried import Letter
from creneau_shared.messaging.dead_letter import DeadLetters
from creneau_shared.messaging.effects import TOGETHER_MAX, Effects, Handler, Rewound, Together
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.hearing import Hearing
from creneau_shared.messaging.rebuild import Replica
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.waiting import backoff_s, is_cancelled, wait
from creneau_shared.settings import ServiceSettings

TRANSIENT: tuple[type[Exception], ...] = (
    *UNREACHABLE,
    KafkaError,
    Unavailable,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""What passes by itself: connections, capacity, shutdown, statement timeouts, collisions and locks."""

COLLISIONS: tuple[type[Exception], ...] = (
    asyncpg.QueryCanceledError,  # the statement timeout
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
)
"""Those of them that a batch may meet because it is long, and its events by themselves may not."""

TYPE_CHARACTERS_MAX = 200
KAFKA_CALL_TIMEOUT_S = 5.0
"""Longest wait for an answer of the broker within the loop; the loop goes on without it."""

log = structlog.get_logger(__name__)


class Consumer:
    """Handles the events of `topics` for one purpose.

    `name` is the purpose, as the inbox knows it: one consumer for one purpose, so that it can be rebuilt
    without touching another's effects. `group` is its Kafka consumer group; any number of processes share the
    partitions. `handlers` gives the handler of each event type; events of other types are skipped. `personal` are
    those of the topics whose events name people: what cannot be handled of them is put aside without its value.
    `alone` names the events that take locks for which others wait: each gets a transaction of its own, a short one.
    `replica` is what it keeps of compacted topics, so that a rebuild can find what is gone from them.
    `seconds` is the clock by which it measures its own pace.
    """

    def __init__(
        self,
        name: str,
        group: str,
        topics: Sequence[str],
        handlers: Mapping[str, Handler | Together],
        database: Database,
        settings: ServiceSettings,
        clock: Clock,
        messaging: MessagingSettings | None = None,
        *,
        personal: Collection[str] = (),
        alone: Callable[[ReceivedEvent], bool] = lambda _: False,
        replica: Replica | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.group = group
        self.topics = tuple(topics)
        self.settings = settings
        self.clock = clock
        self._broker = broker_of(settings)
        self._personal = frozenset(personal)
        self._replica = replica
        self._database = database
        self._limits = messaging or MessagingSettings()
        self._generations: dict[TopicPartition, int] = {}
        self._failures = 0
        self._ordered = database.bells.of(rebuild.CHANNEL)
        self._heard = self._ordered.rung
        self._look_at = -math.inf
        """when to look whether a rebuild was ordered"""
        self._seconds = seconds
        self._moved_at = seconds()
        self.effects = Effects(
            name,
            handlers,
            database,
            alone=alone,
            replica=replica,
            seconds=seconds,
            moved=self._moved,
        )
        metrics.CONSUMER_POLL_AGE_SECONDS.labels(name).set_function(self.poll_age_s)

    @property
    def database(self) -> Database:
        """Where the effects are."""
        return self._database

    def poll_age_s(self) -> float:
        """Seconds since it last polled, or had done with an event."""
        return self._seconds() - self._moved_at

    def stuck(self) -> bool:
        """True when it has not moved for longer than the setting: liveness should fail."""
        return self.poll_age_s() > self._limits.consumer_stuck_after_s

    def _moved(self) -> None:
        self._moved_at = self._seconds()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; what is in hand is finished and its offsets are committed."""
        failures = 0
        while not stop.is_set():
            self._moved()
            try:
                async with (
                    self._broker.consumer(
                        self.group, session_timeout_s=self._limits.consumer_session_timeout_s
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
            await self.effects.apply([event])
        except TRANSIENT:
            raise
        except Exception as error:
            return error
        return None

    async def _consume(self, kafka: AIOKafkaConsumer, letters: DeadLetters, stop: asyncio.Event) -> None:
        hearing = Hearing()
        kafka.subscribe(self.topics, listener=hearing)
        check_at = prune_at = 0.0
        silent_at = self._seconds() + self._limits.consumer_silent_after_s
        while not stop.is_set():
            if self._seconds() >= prune_at:
                await self._prune()
                prune_at = self._seconds() + self._limits.inbox_prune_interval_s
            if self._seconds() >= check_at or self._ordered.rung != self._heard:
                await self._check_logs(kafka)
                check_at = self._seconds() + self._limits.consumer_check_interval_s
            batches = await self._poll(kafka, stop, within_s=check_at - self._seconds())
            self._moved()
            if batches or hearing.hears(kafka):
                silent_at = self._seconds() + self._limits.consumer_silent_after_s
            elif self._seconds() >= silent_at or not works(kafka):
                raise KafkaError("the brokers have not been heard of")
            if hearing.changed.is_set():
                hearing.changed.clear()
                self._look_at = -math.inf
                await self._load_generations(kafka)
            offsets: dict[TopicPartition, int] = {}
            failures, until = self._failures, self._seconds() + self._limits.consumer_round_s
            apart = {} if await self._handle_at_once(batches, offsets) else batches
            for place, records in apart.items():
                if offsets and self._seconds() >= until:
                    self._later(kafka, place, records[0].offset)
                else:
                    await self._handle(kafka, letters, place, records, offsets, until)
            await self._commit(kafka, offsets)
            if self._failures > failures:
                await wait(stop, self._backoff_s(self._failures))
            elif batches:
                self._failures = 0

    async def _poll(
        self, kafka: AIOKafkaConsumer, stop: asyncio.Event, *, within_s: float
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        """What has come, as soon as something has; nothing when it takes too long, at `stop`, or when told to look."""
        longest_s = max(0.0, min(within_s, self._limits.consumer_poll_s))
        fetching = asyncio.ensure_future(
            kafka.getmany(
                timeout_ms=int(longest_s * 1000),
                max_records=self._limits.consumer_batch_events_max,
            )
        )
        told = asyncio.ensure_future(self._ordered.wait(stop, None, since=self._heard))
        try:
            # Not by its own timeout alone: that begins once the group has shared its partitions out.
            await asyncio.wait({fetching, told}, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else {}
        finally:
            fetching.cancel()
            told.cancel()

    async def _handle_at_once(
        self,
        batches: Mapping[TopicPartition, Sequence[ConsumerRecord]],
        offsets: dict[TopicPartition, int],
    ) -> bool:
        """Handle a few events of several partitions in one transaction, if all of them are of those that are handled
        together. False, and nothing has been done, where that cannot be: each partition is then handled by itself."""
        records = [record for several in batches.values() for record in several]
        if len(batches) < 2 or len(records) > TOGETHER_MAX:
            return False
        if any(
            cloudevents.generation(record.headers) > self._generations.get(place, 0)
            for place, several in batches.items()
            for record in several
        ):
            return False  # a partition that is seen for the first time, or has to be read anew
        try:
            events = [_read(record, record.topic) for record in records]
            if not self.effects.go_together(events):
                return False
            await self.effects.apply(events, recorded=True)
        except Exception as error:
            log.info("partitions handled apart", consumer=self.name, error=type(error).__name__)
            return False
        offsets.update({place: several[-1].offset + 1 for place, several in batches.items()})
        return True

    async def _handle(
        self,
        kafka: AIOKafkaConsumer,
        letters: DeadLetters,
        place: TopicPartition,
        records: Sequence[ConsumerRecord],
        offsets: dict[TopicPartition, int],
        until: float,
    ) -> None:
        """Handle one partition's batch until this moment; put into `offsets` what comes next, as far as it got."""
        newest = max(cloudevents.generation(record.headers) for record in records)
        if newest > self._generations.setdefault(place, newest):
            await self._rewind(kafka, place, newest)
            return
        done = 0
        try:
            events = [_read(record, record.topic) for record in records]
            while done < len(events):
                if done and self._seconds() >= until:
                    self._later(kafka, place, records[done].offset)
                    return
                together = events[done : done + self.effects.share_a_transaction(events[done:])]
                done += await self.effects.apply(together, recorded=True, until=until)
                offsets[place] = records[done - 1].offset + 1
        except Rewound:
            offsets.pop(place, None)
            await self._rewind(kafka, place, None)
        except TRANSIENT as error:
            if isinstance(error, COLLISIONS) and len(records) > 1:
                await self._one_by_one(kafka, letters, place, records[done:], offsets, until)
            else:
                self._again(kafka, place, records[done].offset, error)
        except Exception:
            await self._one_by_one(kafka, letters, place, records[done:], offsets, until)

    async def _one_by_one(
        self,
        kafka: AIOKafkaConsumer,
        letters: DeadLetters,
        place: TopicPartition,
        records: Sequence[ConsumerRecord],
        offsets: dict[TopicPartition, int],
        until: float,
    ) -> None:
        """Handle a batch of which something cannot be handled, as far as `until`, and bury that."""
        for number, record in enumerate(records):
            if number and self._seconds() >= until:
                self._later(kafka, place, record.offset)
                return
            try:
                error = await self._attempts(record, place)
                if error is not None:
                    await self._bury(letters, record, error)
                offsets[place] = record.offset + 1
                self._moved()
                # A letter cannot be taken back: whoever reads on after us must begin behind it.
                if error is not None and not await self._commit(kafka, offsets):
                    self._later(kafka, place, record.offset + 1)
                    return
            except Rewound:
                offsets.pop(place, None)
                await self._rewind(kafka, place, None)
                return
            except TRANSIENT as error:
                self._again(kafka, place, record.offset, error)
                return

    async def _bury(self, letters: DeadLetters, record: ConsumerRecord, error: Exception) -> None:
        attempts = self._limits.consumer_attempts_max
        dead_offset = await letters.bury(
            record,
            error,
            topic=record.topic,
            attempts=attempts,
            by_reference=record.topic in self._personal,
        )
        async with self._database.transaction() as connection:
            await buried.keep(connection, self.letter(record, record.topic, dead_offset, error, attempts))
        if self._replica is not None and record.key is not None:
            # It could not be handled, but it is there: a rebuild leaves alone what was known of it.
            async with self._database.transaction() as connection:
                await rebuild.mark(connection, self.name, [record.key.decode("utf-8", "replace")])
        metrics.DEAD.labels(self.name, record.topic).inc()
        log.error(
            "event buried",
            consumer=self.name,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
        )

    def letter(
        self, record: ConsumerRecord, topic: str, dead_offset: int, error: BaseException, attempts: int
    ) -> Letter:
        """What an operator is told of a record of `topic` that could not be handled."""
        type_ = next((value for name, value in record.headers if name == "ce_type" and value), b"")
        return Letter(
            buried.letter_id(self.name, topic, record.partition, record.offset),
            self.name,
            topic,
            record.partition,
            record.offset,
            dead_offset,
            type_.decode("utf-8", "replace")[:TYPE_CHARACTERS_MAX],
            type(error).__name__,
            attempts,
            self.clock.now(),
        )

    async def _attempts(self, record: ConsumerRecord, place: TopicPartition) -> Exception | None:
        """Try one record as often as the setting says; return the last failure. Raises what passes."""
        for attempt in range(1, self._limits.consumer_attempts_max + 1):
            try:
                await self.effects.apply([_read(record, record.topic)], recorded=True)
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

    def _later(self, kafka: AIOKafkaConsumer, place: TopicPartition, offset: int) -> None:
        """Have the partition read again from `offset`, after the others have had their turn."""
        try:
            kafka.seek(place, offset)
        except IllegalStateError:
            log.info("partition has gone to another member", consumer=self.name, partition=place.partition)

    def _again(self, kafka: AIOKafkaConsumer, place: TopicPartition, offset: int, error: Exception) -> None:
        """Have the partition read again from `offset`: the failure passes."""
        self._failures += 1
        metrics.RETRIES.labels(self.name).inc()
        log.warning("batch postponed", consumer=self.name, topic=place.topic, error=type(error).__name__)
        self._later(kafka, place, offset)

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
        """Measure the lag; rewind partitions whose log has been emptied unsaid, or that are to be rebuilt by
        command."""
        looks = self._looks()
        assigned = kafka.assignment()
        if not assigned:
            return
        try:
            async with asyncio.timeout(KAFKA_CALL_TIMEOUT_S):
                stored = await inbox.generations(self._database, self.name) if looks else {}
                positions = {place: await kafka.position(place) for place in assigned}
        except TRANSIENT as error:
            self._look_at = -math.inf
            log.info("log not checked", consumer=self.name, error=type(error).__name__)
            return
        if inbox.REBUILD in stored.values():
            self._look_at = -math.inf
        lag = dict.fromkeys(self.topics, 0)
        read: dict[rebuild.Place, int] = {}
        # Others have gone to other members meanwhile.
        ends = {place: kafka.highwater(place) for place in positions.keys() & kafka.assignment()}
        for place, end in ends.items():
            position = positions[place]
            lag[place.topic] += max(0, (end or 0) - position)
            emptied = self._broker.is_stranded(position, end)
            if emptied or stored.get((place.topic, place.partition)) == inbox.REBUILD:
                await self._rewind(kafka, place, None)
            else:
                read[place.topic, place.partition] = position
        for topic, events in lag.items():
            metrics.CONSUMER_LAG_EVENTS.labels(self.name, topic).set(events)
        if looks:
            await self._sweep(read)

    def _looks(self) -> bool:
        """Whether to ask the database for an order to rebuild: if one was heard of, is being carried out, or now and
        then."""
        looks = self._ordered.rung != self._heard or self._seconds() >= self._look_at
        if looks:
            self._heard = self._ordered.rung
            self._look_at = self._seconds() + self._limits.consumer_command_interval_s
        return looks

    async def _sweep(self, read: Mapping[rebuild.Place, int]) -> None:
        """Forget what a rebuild has not found in the topics, once it has read them."""
        if self._replica is None:
            return
        try:
            if await rebuild.sweep_when_read(self._database, self.name, read, self._replica):
                self._look_at = -math.inf
        except TRANSIENT as error:
            self._look_at = -math.inf
            log.info("replica not swept yet", consumer=self.name, error=type(error).__name__)

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
                if self._replica is not None:
                    await self._begin_rebuild(kafka, place, generation)
            kafka.seek(place, start)
        except (IllegalStateError, *TRANSIENT) as error:
            log.info("partition not rewound yet", consumer=self.name, error=type(error).__name__)
            return
        if await self._commit(kafka, {place: start}):
            await inbox.restart(self._database, self.name, place.topic, place.partition, generation)
            self._generations.pop(place, None)
            if generation is not None:
                self._generations[place] = generation
            metrics.REWINDS.labels(self.name).inc()
            log.warning("partition rewound", consumer=self.name, topic=place.topic, partition=place.partition)

    async def _begin_rebuild(
        self, kafka: AIOKafkaConsumer, place: TopicPartition, generation: int | None
    ) -> None:
        """If the partition is read again for a rebuild: up to where it is to be read, before anything is forgotten."""
        if generation is not None:
            await rebuild.abandon(self._database, self.name)
            return
        handled = await inbox.handled(self._database, self.name, place.topic, place.partition)
        end = (await self._broker.ends(kafka, {place: handled + 1}))[place]
        await rebuild.begun(self._database, self.name, (place.topic, place.partition), end, handled)


def _read(record: ConsumerRecord, topic: str) -> ReceivedEvent:
    return cloudevents.read(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value,
        headers=record.headers,
    )

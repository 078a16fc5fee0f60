"""A consumer: reads events and has their effects in the database, each exactly once.

Kafka delivers at least once; the inbox makes it exactly once. A batch is handled in one transaction with its inbox
rows, and only then do the offsets move. When the batch fails, its events are handled one by one. An event that fails
for a transient reason (the database is away, two transactions collided) is read again after a pause, without limit.
One that fails otherwise is tried a few times and then put on the dead-letter topic, so that the next event proceeds.

A slow batch still makes progress: buried events are committed at once, and after `CONSUMER_ROUND_S` the consumer polls
again and reads the rest of its batch anew. So neither liveness nor the group ends the process in the middle of a batch
that the next process would begin from the front.

A consumer that has not heard from the brokers for `CONSUMER_SILENT_AFTER_S` opens its connections anew: its client may
have stopped silently, or its group may never finish rebalancing.

This is the loop; `batches` handles the polled records, `partitions` decides where each partition is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database, NestedConnectionError
from creneau_shared.messaging import cloudevents, inbox, metrics
from creneau_shared.messaging.batches import Batches, Polled
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.clients import works
from creneau_shared.messaging.broker.contract import Broker
from creneau_shared.messaging.burial import Burial
from creneau_shared.messaging.dead_letter import DeadLetters
from creneau_shared.messaging.effects import Effects, Handler, Together
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.failures import TRANSIENT
from creneau_shared.messaging.hearing import Hearing
from creneau_shared.messaging.partitions import Partitions
from creneau_shared.messaging.rebuild import Replica
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.waiting import backoff_s, is_cancelled, wait
from creneau_shared.settings import ServiceSettings

log = structlog.get_logger(__name__)


class Consumer:
    """Handles the events of `topics` for one purpose.

    `name` is the purpose, used in the inbox: one consumer for one purpose, so that it can be rebuilt without touching
    another's effects. `group` is its Kafka consumer group; any number of processes share the partitions. `handlers`:
    event type → handler; events of other types are skipped. `personal`: the topics whose events name people; their
    dead letters have no value. `alone` tells which events take locks for which others wait: each gets a short
    transaction of its own. `replica`: the data kept of compacted topics, so that a rebuild can remove what is gone from
    them. `broker`: by default that of the settings. `seconds`: the clock by which it measures its own pace.
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
        broker: Broker | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.group = group
        self.topics = tuple(topics)
        self.settings = settings
        self.clock = clock
        self._broker = broker or broker_of(settings)
        self._database = database
        self._limits = limits = messaging or MessagingSettings()
        self._seconds = seconds
        self._moved_at = self._tried_at = seconds()
        self.effects = Effects(
            name,
            handlers,
            database,
            alone=alone,
            replica=replica,
            seconds=seconds,
            moved=self._moved,
        )
        self.partitions = Partitions(
            name,
            topics,
            database,
            self._broker,
            replica,
            look_every_s=limits.consumer_command_interval_s,
            seconds=seconds,
        )
        self._letters = DeadLetters(settings, group, clock)
        self.batches = Batches(
            name,
            self.effects,
            self.partitions,
            Burial(name, self._letters, database, clock, personal=personal, replica=replica),
            attempts_max=limits.consumer_attempts_max,
            round_s=limits.consumer_round_s,
            backoff_s=self._backoff_s,
            seconds=seconds,
            moved=self._moved,
        )

    @property
    def database(self) -> Database:
        """The database that has the effects."""
        return self._database

    def poll_age_s(self) -> float:
        """Seconds since the consumer last polled or finished an event."""
        return self._seconds() - self._moved_at

    def stuck(self) -> bool:
        """Whether the consumer made no progress for longer than the setting allows, nor tried to reach its brokers: liveness
        should fail."""
        moved_at = max(self._moved_at, self._tried_at)
        return self._seconds() - moved_at > self._limits.consumer_stuck_after_s

    def _moved(self) -> None:
        self._moved_at = self._seconds()

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set; then finishes the current work and commits its offsets."""
        self._moved()
        # Not of one that is made to handle a letter again: it never polls.
        metrics.CONSUMER_POLL_AGE_SECONDS.labels(self.name).set_function(self.poll_age_s)
        failures = 0
        while not stop.is_set():
            self._tried_at = self._seconds()
            try:
                async with (
                    self._broker.consumer(
                        self.group, session_timeout_s=self._limits.consumer_session_timeout_s
                    ) as kafka,
                    self._letters,
                ):
                    failures = 0
                    await self._consume(kafka, stop)
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
        """Handles one record of `topic` (or its letter) in its own transaction; returns the failure, or None.

        Raises transient failures (`failures.TRANSIENT`), and NestedConnectionError within a block that has a connection,
        since that is no failure of the event.
        """
        try:
            event = cloudevents.read(record, topic)
            await self.effects.apply([event])
        except NestedConnectionError:
            raise
        except TRANSIENT:
            raise
        except Exception as error:
            return error
        return None

    async def _consume(self, kafka: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        hearing = Hearing()
        kafka.subscribe(self.topics, listener=hearing)
        check_at = prune_at = 0.0
        silent_at = self._seconds() + self._limits.consumer_silent_after_s
        while not stop.is_set():
            if self._seconds() >= prune_at:
                await self._prune()
                prune_at = self._seconds() + self._limits.inbox_prune_interval_s
            if self._seconds() >= check_at or self.partitions.is_ordered:
                await self.partitions.check(kafka)
                check_at = self._seconds() + self._limits.consumer_check_interval_s
            polled = await self._poll(kafka, stop, within_s=check_at - self._seconds())
            self._moved()
            if polled or hearing.hears(kafka):
                silent_at = self._seconds() + self._limits.consumer_silent_after_s
            elif self._seconds() >= silent_at or not works(kafka):
                raise KafkaError("the brokers have not been heard of")
            if hearing.changed.is_set():
                hearing.changed.clear()
                await self.partitions.given(kafka)
            pause_s = await self.batches.handle(kafka, polled)
            if pause_s:
                await wait(stop, pause_s)

    async def _poll(self, kafka: AIOKafkaConsumer, stop: asyncio.Event, *, within_s: float) -> Polled:
        """The next records, as soon as there are any; empty after `within_s`, at `stop`, or when a check is requested."""
        longest_s = max(0.0, min(within_s, self._limits.consumer_poll_s))
        fetching = asyncio.ensure_future(
            kafka.getmany(
                timeout_ms=int(longest_s * 1000),
                max_records=self._limits.consumer_batch_events_max,
            )
        )
        told = asyncio.ensure_future(self.partitions.order(stop))
        try:
            # Not by getmany's own timeout alone: it begins only once the group has assigned its partitions.
            await asyncio.wait({fetching, told}, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else {}
        finally:
            fetching.cancel()
            told.cancel()

    def _backoff_s(self, failures: int) -> float:
        return backoff_s(
            failures, least_s=self._limits.consumer_backoff_min_s, most_s=self._limits.consumer_backoff_max_s
        )

    async def _prune(self) -> None:
        before = self.clock.now() - timedelta(days=self._limits.inbox_retention_days)
        try:
            await inbox.prune(self._database, self.name, before)
        except TRANSIENT as error:
            log.info("inbox not pruned", consumer=self.name, error=type(error).__name__)

"""The relay: outbox → Kafka, at least once, in order for each key.

Any number of processes run it; the one that holds an advisory lock publishes. When that process dies, its connection and
lock end, and another takes over. Events that were sent and not recorded are then sent again: a duplicate on the bus,
which the inbox of each consumer makes harmless.

A broker can lose acknowledged records: an in-memory broker when it dies, a cluster when it is wiped or restored. There
are two signs: a log ends before an acknowledged offset (checked now and then, and before every batch), or a new
acknowledgement is at or below such an offset. Then every retained event that the log has lost is published again, in
order. If a log is emptied between the check and the batch, a millisecond later, that batch comes ahead of older events.
A consumer for which this matters compares the version in the data.

The advisory lock needs a session of its own: no pooler in transaction mode in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from creneau_shared.clock import Clock
from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Connection, Database
from creneau_shared.logging import describe
from creneau_shared.messaging import metrics, retention
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.outbox import OUTBOX_CHANNEL
from creneau_shared.messaging.sending import Ack, learn_sizes, prepare, send
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import Topic
from creneau_shared.messaging.waiting import backoff_s, every, is_cancelled, wait
from creneau_shared.settings import ServiceSettings

LEADER_LOCK = 0x6372656E_72656C61
"""Key of the advisory lock, in the service's own database."""

FAILURES = (KafkaError, *DATABASE_FAILURES)
"""Failures that end a term of leadership; the next term begins by checking the logs."""

SELECT_UNPUBLISHED = """
SELECT position, event_id, topic, key, type, subject, source, data, time, correlation_id, traceparent
FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT $1"""

RECORD_PUBLISHED = """
WITH recorded AS (
    UPDATE outbox SET published_at = $4, partition = ack.partition, log_offset = ack.log_offset
    FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS ack (position, partition, log_offset)
    WHERE outbox.position = ack.position
    RETURNING outbox.topic, outbox.partition, outbox.log_offset
)
INSERT INTO outbox_log (topic, partition, log_offset, generation)
SELECT recorded.topic, recorded.partition, max(recorded.log_offset),
       coalesce((SELECT max(generation) FROM outbox_log WHERE outbox_log.topic = recorded.topic), 1)
FROM recorded GROUP BY recorded.topic, recorded.partition
ON CONFLICT (topic, partition) DO UPDATE SET log_offset = excluded.log_offset"""

SELECT_LAG = """
SELECT count(*) AS events, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS seconds
FROM (SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT 100000) AS waiting"""

log = structlog.get_logger(__name__)


class Relay:
    """Publishes the outbox of one service. `topics` are all topics that the service produces."""

    def __init__(
        self,
        database: Database,
        settings: ServiceSettings,
        topics: Sequence[Topic],
        clock: Clock,
        messaging: MessagingSettings | None = None,
    ) -> None:
        self._database = database
        self._committed = database.bells.of(OUTBOX_CHANNEL)
        self._settings = settings
        self._broker = broker_of(settings)
        self._topics = tuple(topics)
        self._compacted = [topic.name for topic in topics if topic.compacted]
        self._clock = clock
        self._limits = messaging or MessagingSettings()
        self._acknowledged: dict[retention.Partition, int] = {}
        self._generations: dict[str, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self.leads = False

    async def run(self, stop: asyncio.Event) -> None:
        """Leads whenever no other process does, until `stop` is set; measures all the while how long events wait."""
        measuring = asyncio.ensure_future(every(self._limits.relay_log_check_interval_s, self._measure, stop))
        try:
            await self._lead_in_turn(stop)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

    async def _lead_in_turn(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                async with self._leadership() as connection:
                    if connection is not None:
                        failures = 0
                        await self._lead(connection, stop)
            except FAILURES as error:
                failures += 1
                log.warning("relay interrupted", error=describe(error))
            await wait(stop, self._limits.relay_leader_retry_s + backoff_s(failures, least_s=0.1, most_s=5.0))

    @asynccontextmanager
    async def _leadership(self) -> AsyncIterator[Connection | None]:
        """A connection that holds the lock, or None while another process does."""
        async with self._database.connection() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK):
                yield None
                return
            try:
                yield connection
            finally:
                self.leads = False
                metrics.RELAY_LEADS.set(0)
                await _unlock(connection)

    async def _lead(self, connection: Connection, stop: asyncio.Event) -> None:
        """Publishes and prunes until `stop`, or until the connection (and with it the lock) is lost."""
        work = asyncio.ensure_future(self._publish_until(connection, stop))
        pruning = asyncio.ensure_future(self._prune_until(stop))

        def give_up(_: object) -> None:
            work.cancel()

        connection.add_termination_listener(give_up)
        try:
            await work
        except (asyncio.CancelledError, *FAILURES) as error:
            if is_cancelled():
                raise
            if _is_lost(connection):
                raise ConnectionError("the connection that holds the relay's lock is lost") from None
            if isinstance(error, asyncio.CancelledError):
                raise ConnectionError("the Kafka client has given up what was waited for") from None
            raise
        finally:
            with suppress(asyncpg.InterfaceError):  # a lost connection has gone back to its pool by itself
                connection.remove_termination_listener(give_up)
            pruning.cancel()
            work.cancel()
            await asyncio.gather(pruning, work, return_exceptions=True)

    async def _publish_until(self, connection: Connection, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        async with (
            TopicKeeper(self._settings, self._topics, self._limits) as keeper,
            self._broker.consumer() as reader,
            self._broker.producer() as producer,
        ):
            least_s, most_s = self._limits.relay_poll_min_s, self._limits.relay_poll_max_s
            check_at, pause_s = 0.0, least_s
            await keeper.configure()
            # Not before: with the lock alone, and a broker that says nothing, nobody publishes.
            self.leads = True
            metrics.RELAY_LEADS.set(1)
            log.info("relay leads")
            while not stop.is_set():
                rung = self._committed.rung
                if loop.time() >= check_at:
                    await self._check_logs(connection, keeper, reader, producer)
                    check_at = loop.time() + self._limits.relay_log_check_interval_s
                sent = await self._publish_batch(connection, reader, producer)
                if sent is None:
                    check_at = 0.0
                    continue
                if sent == self._limits.relay_batch_events_max:
                    continue
                if sent:
                    pause_s = least_s
                    await wait(stop, pause_s)
                else:
                    # The pause grows each time it finds nothing; a wake-up ends it early.
                    pause_s = min(pause_s * 1.5, most_s)
                    await self._committed.wait(stop, min(pause_s, check_at - loop.time()), since=rung)

    async def _check_logs(
        self,
        connection: Connection,
        keeper: TopicKeeper,
        reader: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
    ) -> None:
        """Creates missing topics; requeues the events lost by a log that ends too early."""
        rows = await connection.fetch("SELECT topic, partition, log_offset, generation FROM outbox_log")
        self._acknowledged = {(row["topic"], row["partition"]): row["log_offset"] for row in rows}
        self._generations = {}
        for row in rows:
            self._generations[row["topic"]] = max(row["generation"], self._generations.get(row["topic"], 1))
        async with asyncio.timeout(self._limits.relay_check_timeout_s):
            ends = await keeper.ensure(reader, self._acknowledged)
            await learn_sizes(producer, await keeper.sizes())
        lost = {
            place: ends.get(place, 0)
            for place, acknowledged in self._acknowledged.items()
            if ends.get(place, 0) <= acknowledged
        }
        if lost:
            await self._requeue(connection, lost)

    async def _publish_batch(
        self, connection: Connection, reader: AIOKafkaConsumer, producer: AIOKafkaProducer
    ) -> int | None:
        """Sends the oldest unpublished events and records their offsets; returns how many.

        Returns None, and sends nothing, if a log has shrunk: its lost events must go first.
        """
        rows = await connection.fetch(SELECT_UNPUBLISHED, self._limits.relay_batch_events_max)
        if not rows:
            return 0
        acks = await self._send(reader, producer, rows)
        if acks is None:
            return None
        lost = self._lost(acks)
        if lost:
            # The batch is not recorded: its events are sent again, after the older lost ones.
            await self._requeue(connection, lost)
            return 0
        await connection.execute(
            RECORD_PUBLISHED,
            [ack.position for ack in acks],
            [ack.partition for ack in acks],
            [ack.offset for ack in acks],
            self._clock.now(),
        )
        self._note_ends(acks)
        for ack in acks:
            self._acknowledged[ack.topic, ack.partition] = ack.offset
            metrics.PUBLISHED.labels(ack.topic).inc()
        return len(acks)

    def _note_ends(self, acks: Sequence[Ack]) -> None:
        """Notes the least end of each log that the next check must see. A partition's acknowledgements are of one batch, in
        order."""
        first: dict[TopicPartition, int] = {}
        for ack in acks:
            place = TopicPartition(ack.topic, ack.partition)
            self._ends[place] = self._broker.end_after(first.setdefault(place, ack.offset), ack.offset)

    async def _send(
        self, reader: AIOKafkaConsumer, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]
    ) -> list[Ack] | None:
        """Sends the rows; returns None if a log has shrunk.

        If a dying broker does not answer, the same producer sends the batch again, after the first attempt: by then the
        partition has another leader, and an event that comes twice has its effect once. Raises TimeoutError after that.
        """
        for attempts_left in reversed(range(self._limits.relay_send_attempts_max)):
            try:
                async with asyncio.timeout(self._limits.relay_send_timeout_s):
                    batches = await prepare(producer, rows, self._generations)
                    if await self._shrunk(reader, list(batches)):
                        return None
                    return await send(producer, batches)
            except TimeoutError:
                if not attempts_left:
                    raise
                log.warning("batch sent once more", events=len(rows))
        raise AssertionError("there is one attempt at the least")

    async def _shrunk(self, reader: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> bool:
        """Whether a log ends earlier than before. Noticed here, just before a batch, this does not disturb the order."""
        ends = await reader.end_offsets(places)
        shrunk = any(end < self._ends.get(place, 0) for place, end in ends.items())
        self._ends.update(ends)
        return shrunk

    def _lost(self, acks: Sequence[Ack]) -> dict[retention.Partition, int]:
        """The partitions that acknowledged an offset a second time → the least such offset."""
        lost: dict[retention.Partition, int] = {}
        for ack in acks:
            if ack.offset < 0:
                raise KafkaError("the broker did not say where it put an event")
            place = (ack.topic, ack.partition)
            if ack.offset <= self._acknowledged.get(place, -1):
                lost[place] = min(ack.offset, lost.get(place, ack.offset))
        return lost

    async def _requeue(self, connection: Connection, lost: Mapping[retention.Partition, int]) -> None:
        await retention.requeue(connection, lost, self._compacted)
        for place, end in lost.items():
            self._acknowledged[place] = end - 1
        for topic in {topic for topic, _ in lost}:
            self._generations[topic] = self._generations.get(topic, 1) + 1

    async def _measure(self) -> None:
        """Measures the lag, whoever leads: with the broker away nobody may, and who has led once must not go on telling
        what was so then."""
        try:
            async with self._database.connection() as connection:
                for events, seconds in await connection.fetch(SELECT_LAG):
                    metrics.OUTBOX_LAG_EVENTS.set(events)
                    metrics.OUTBOX_LAG_SECONDS.set(seconds)
        except FAILURES as error:
            log.info("outbox not measured", error=type(error).__name__)

    async def _prune_until(self, stop: asyncio.Event) -> None:
        while not await wait(stop, self._limits.outbox_prune_interval_s):
            before = self._clock.now() - timedelta(days=self._limits.outbox_retention_days)
            try:
                pruned = await retention.prune(self._database, self._compacted, before)
            except FAILURES as error:
                log.warning("outbox not pruned", error=type(error).__name__)
            else:
                log.info("outbox pruned", events=pruned)


async def _unlock(connection: Connection) -> None:
    """Releases the lock, so that another process can lead. If that fails, closes the connection, which ends the lock."""
    try:
        await connection.execute("SELECT pg_advisory_unlock($1)", LEADER_LOCK)
    except DATABASE_FAILURES:
        with suppress(asyncpg.InterfaceError):  # the lost connection has already gone back to its pool
            connection.terminate()


def _is_lost(connection: Connection) -> bool:
    """Whether the session has ended; a lost connection that has gone back to its pool raises InterfaceError."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True

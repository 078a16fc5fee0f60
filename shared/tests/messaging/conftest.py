"""One producing service and one consumer on a database and a broker of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from deploy.kafka.kafka import Kafka
from deploy.local.broker import Broker
from deploy.local.postgres import Postgres
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from tests.fixtures.postgres import NewDatabase

from creneau_shared.clock import SystemClock
from creneau_shared.database.metadata import new_metadata
from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging import outbox
from creneau_shared.messaging.broker.contract import Broker as KindOfBroker
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.effects import Handler, Together
from creneau_shared.messaging.events import Event, ReceivedEvent
from creneau_shared.messaging.inbox import inbox_table
from creneau_shared.messaging.outbox import outbox_table
from creneau_shared.messaging.rebuild import Replica
from creneau_shared.messaging.relay import Relay
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topics import Topic
from creneau_shared.settings import ServiceSettings


class OpenBench(Protocol):
    """Makes a bench on a broker."""

    async def __call__(self, broker: Broker | Kafka, *, compacted: bool = False) -> Bench: ...


NewBroker = Callable[[], Broker]

TYPE = "fr.creneau.test.happened.v1"
PARTITIONS = 4
DEADLINE_S = 60.0

QUICK = MessagingSettings(
    relay_leader_retry_s=0.1,
    relay_log_check_interval_s=0.3,
    relay_send_timeout_s=4.0,
    relay_check_timeout_s=4.0,
    consumer_check_interval_s=0.3,
    consumer_backoff_min_s=0.02,
    consumer_backoff_max_s=0.5,
    consumer_session_timeout_s=6.0,
)


def schema() -> list[str]:
    """The statements that make the tables of messaging, and `effect`: what handlers leave, in order."""
    metadata = new_metadata()
    outbox_table(metadata)
    inbox_table(metadata)
    dialect = postgresql.dialect()
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return [
        *statements,
        "CREATE TABLE effect (position bigserial, consumer text, key text, data jsonb, event_id uuid)",
    ]


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, within_s: float = DEADLINE_S
) -> None:
    """Wait until the condition holds; fail with `what` when it does not in time."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not in {within_s} s: {what}"
        await asyncio.sleep(0.05)


async def leave_effect(connection: Connection, event: ReceivedEvent, consumer: str = "test") -> None:
    """A handler whose effect can be counted: a second effect of one event would be a second row."""
    await connection.execute(
        "INSERT INTO effect (consumer, key, data, event_id) VALUES ($1, $2, $3::jsonb, $4)",
        consumer,
        event.key,
        None if event.raw is None else event.raw.decode(),
        event.id,
    )


@dataclass
class Bench:
    """A topic of its own, and what produces into it and consumes from it."""

    database: Database
    settings: ServiceSettings
    topic: Topic
    stack: AsyncExitStack
    clock: SystemClock = field(default_factory=SystemClock)
    made: int = 0

    def event(self, key: str, number: int, *, tombstone: bool = False) -> Event:
        """An event that carries its number."""
        return Event(
            topic=self.topic.name,
            key=key,
            type=TYPE,
            subject=f"Thing/{key}",
            source="/creneau/test",
            data=None if tombstone else {"number": number},
            correlation_id="correlation-1",
        )

    async def happen(self, count: int, *, keys: int = 7) -> list[Event]:
        """Append `count` events over some keys; their numbers go on from the last call's."""
        numbers = range(self.made, self.made + count)
        self.made += count
        events = [self.event(f"k{number % keys}", number) for number in numbers]
        async with self.database.transaction() as connection:
            await outbox.append(connection, events)
        return events

    def relay(self, messaging: MessagingSettings = QUICK) -> Relay:
        return Relay(self.database, self.settings, [self.topic], self.clock, messaging)

    def consumer(
        self,
        name: str = "test",
        handlers: Mapping[str, Handler | Together] | None = None,
        messaging: MessagingSettings = QUICK,
        *,
        personal: bool = False,
        alone: Callable[[ReceivedEvent], bool] = lambda _: False,
        replica: Replica | None = None,
        broker: KindOfBroker | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> Consumer:
        """A consumer in a group of its own name."""
        return Consumer(
            name,
            f"{self.topic.name}-{name}",
            [self.topic.name],
            handlers or {TYPE: leave_effect},
            self.database,
            self.settings,
            self.clock,
            messaging,
            personal=[self.topic.name] if personal else (),
            alone=alone,
            replica=replica,
            broker=broker,
            seconds=seconds,
        )

    @asynccontextmanager
    async def running(self, *parts: Relay | Consumer) -> AsyncIterator[None]:
        """Run relays and consumers; stop them in order, and fail when one does not stop or has crashed."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(part.run(stop)) for part in parts]
        try:
            yield
        finally:
            stop.set()
            done, late = await asyncio.wait(tasks, timeout=DEADLINE_S)
            for task in late:
                task.cancel()
            assert not late, "a part did not stop in time"
            for task in done:
                task.result()

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """An administrator of the broker, as an operator has one."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await client.start()
        try:
            yield client
        finally:
            await client.close()

    async def flow_until(self, condition: Callable[[], bool]) -> None:
        """Let events happen, a few at a time, until the condition holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await self.happen(20)
                await self.published()

    async def unpublished(self) -> int:
        return int(
            await self.database.pool.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        )

    async def effects(self, consumer: str = "test") -> list[tuple[str, int]]:
        """Key and number of every effect, in the order in which they happened."""
        rows = await self.database.pool.fetch(
            "SELECT key, (data->>'number')::int AS number FROM effect WHERE consumer = $1 ORDER BY position",
            consumer,
        )
        return [(row["key"], row["number"]) for row in rows]

    async def published(self) -> None:
        """Wait until the outbox is empty of what waits."""

        async def condition() -> bool:
            return await self.unpublished() == 0

        await eventually(condition, "every event is published")

    async def settled(self, consumer: str = "test") -> None:
        """Wait until everything is published and the consumer has read every log to its end, repeats included."""

        async def condition() -> bool:
            if await self.unpublished():  # first: what is published meanwhile is still to be read
                return False
            behind = await self.database.pool.fetchval(
                "SELECT count(*) FROM outbox_log LEFT JOIN inbox_log "
                "ON consumer = $1 AND (inbox_log.topic, inbox_log.partition) = (outbox_log.topic, outbox_log.partition) "
                "WHERE outbox_log.log_offset >= 0 AND inbox_log.log_offset IS DISTINCT FROM outbox_log.log_offset",
                consumer,
            )
            return bool(behind == 0)

        await eventually(condition, f"{consumer} has read every log to its end")

    async def arrived(self, count: int, consumer: str = "test", within_s: float = DEADLINE_S) -> None:
        """Wait until `count` effects are there."""

        async def condition() -> bool:
            return len(await self.effects(consumer)) >= count

        await eventually(condition, f"{count} effects of {consumer}", within_s)


async def rebalances(bench: Bench) -> None:
    """A second consumer comes and goes while events flow: each event has its effect once."""
    handled: set[str] = set()

    def by(name: str) -> Handler:
        async def handle(connection: Connection, event: ReceivedEvent) -> None:
            handled.add(name)
            await leave_effect(connection, event)

        return handle

    stay, leave = bench.consumer(handlers={TYPE: by("stay")}), bench.consumer(handlers={TYPE: by("leave")})
    async with bench.running(bench.relay(), stay):
        await bench.happen(50)
        await bench.arrived(50)
        async with bench.running(leave):
            await bench.flow_until(lambda: handled == {"stay", "leave"})
            await bench.arrived(bench.made)
        await bench.happen(50)
        await bench.arrived(bench.made)
        await bench.settled()
    assert sorted(number for _, number in await bench.effects()) == list(range(bench.made))


def number_of(event: ReceivedEvent) -> int:
    """The number that `Bench.event` gave it."""
    assert event.data is not None
    number = event.data["number"]
    assert isinstance(number, int)
    return number


def in_order_for_each_key(effects: list[tuple[str, int]]) -> bool:
    """True when the numbers of every key only grow."""
    last: dict[str, int] = {}
    for key, number in effects:
        if number <= last.get(key, -1):
            return False
        last[key] = number
    return True


@pytest.fixture(scope="session")
def messaging_template(postgres_server: Postgres) -> str:
    """A database with the tables of messaging, to copy from."""
    name = f"messaging_{uuid4().hex[:8]}"
    postgres_server.create_database(name)
    for statement in schema():
        postgres_server.execute(statement, name)
    return name


@pytest.fixture
def database_url(new_database: NewDatabase, messaging_template: str) -> str:
    """A fresh database with the tables of messaging."""
    return new_database(template=messaging_template)


@pytest.fixture
async def open_bench(database_url: str) -> AsyncIterator[OpenBench]:
    """Call it with a broker for a bench on it."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(database_url, size=10, statement_timeout_s=60))

        async def make(broker: Broker | Kafka, *, compacted: bool = False) -> Bench:
            settings = ServiceSettings(
                database_url=database_url,
                kafka_bootstrap_servers=broker.bootstrap_servers,
                kafka_broker="apache" if isinstance(broker, Kafka) else "in-memory",
                kafka_partitions=PARTITIONS,
            )
            topic = Topic(name=f"test.{uuid4().hex[:12]}", compacted=compacted)
            return Bench(database, settings, topic, stack)

        yield make


@pytest.fixture
async def bench(open_bench: OpenBench, broker: Broker) -> Bench:
    """A bench on the session's embedded broker."""
    return await open_bench(broker)

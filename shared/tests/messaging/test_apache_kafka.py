"""The same promises on Apache Kafka itself: idempotent producer, crash of the broker, compaction's configuration."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from deploy.kafka.kafka import Kafka

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import outbox
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.events import Event, ReceivedEvent
from creneau_shared.messaging.relay import Relay
from creneau_shared.messaging.replay import Replayed, replay
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topic_keeper import TopicKeeper

from .conftest import (
    PARTITIONS,
    QUICK,
    TYPE,
    Bench,
    OpenBench,
    eventually,
    in_order_for_each_key,
    leave_effect,
    number_of,
    rebalances,
)

pytestmark = pytest.mark.kafka


async def configuration(bench: Bench) -> dict[str, str]:
    """What the broker says of the topic's configuration."""
    async with bench.admin() as admin:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, bench.topic.name)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


@pytest.fixture
async def kafka_bench(open_bench: OpenBench, kafka: Kafka) -> Bench:
    """A bench on Apache Kafka with the idempotent producer."""
    return await open_bench(kafka)


async def test_nothing_is_lost_or_repeated_when_the_broker_is_killed(
    kafka_bench: Bench, kafka: Kafka
) -> None:
    """SIGKILL of a broker that keeps its log: the same records are there afterwards, and no loss is suspected."""
    bench = kafka_bench
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(100)
        await bench.arrived(100)
        await bench.happen(50)
        kafka.kill()
        await bench.happen(50)
        await asyncio.to_thread(kafka.start)
        await bench.happen(50)
        await bench.arrived(250)
        await bench.settled()
    effects = await bench.effects()
    assert sorted(number for _, number in effects) == list(range(250))
    assert in_order_for_each_key(effects)
    assert await bench.database.pool.fetchval("SELECT max(generation) FROM outbox_log") == 1


async def test_a_topic_that_was_deleted_is_created_and_filled_again(kafka_bench: Bench) -> None:
    """The group's committed offsets survive, and mean nothing in the new log."""
    bench = kafka_bench
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(60)
        await bench.arrived(60)
        async with bench.admin() as admin:
            await admin.delete_topics([bench.topic.name])

        async def refilled() -> bool:
            generation = await bench.database.pool.fetchval("SELECT max(generation) FROM outbox_log")
            return generation >= 2 and await bench.unpublished() == 0

        await eventually(refilled, "the log is filled again")
        await bench.happen(100)
        await bench.arrived(160)
        await bench.settled()
    numbers = [number for _, number in await bench.effects()]
    assert sorted(numbers) == list(range(160))


async def test_a_topic_is_created_as_it_was_declared(open_bench: OpenBench, kafka: Kafka) -> None:
    bench = await open_bench(kafka, compacted=True)
    async with bench.running(bench.relay()):
        await bench.happen(1)
        await bench.published()
        async with TopicKeeper(bench.settings, [bench.topic]) as keeper:
            assert await keeper.sizes() == {bench.topic.name: PARTITIONS}
    values = await configuration(bench)
    assert values["cleanup.policy"] == "compact"


async def test_poison_is_buried_and_replayed(kafka_bench: Bench) -> None:
    bench = kafka_bench
    mended = asyncio.Event()

    async def refuse_13(connection: Connection, event: ReceivedEvent) -> None:
        if number_of(event) == 13 and not mended.is_set():
            raise ValueError("unlucky")
        await leave_effect(connection, event)

    consumer = bench.consumer(handlers={TYPE: refuse_13})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(20)
        await bench.arrived(19)
    mended.set()
    assert await replay(consumer, bench.topic.name) == Replayed(handled=1, failed=0)
    assert sorted(number for _, number in await bench.effects()) == list(range(20))


async def test_a_rebalance_loses_and_repeats_nothing(kafka_bench: Bench) -> None:
    await rebalances(kafka_bench)


async def test_a_topic_that_exists_is_brought_to_its_configuration(kafka_bench: Bench) -> None:
    """A topic of an earlier release learns how long things are kept; what an operator has set beside it stays."""
    bench = kafka_bench
    operator = {"retention.ms": "1000", "max.message.bytes": "777777"}
    async with bench.admin() as admin:
        await admin.create_topics([NewTopic(bench.topic.name, PARTITIONS, 1, topic_configs=operator)])
    limits = MessagingSettings(event_retention_days=3)
    async with TopicKeeper(bench.settings, [bench.topic], limits) as keeper:
        assert await keeper.configure() == [bench.topic.name]

        async def known() -> bool:
            return await keeper.configure() == []

        # The broker answers before every part of it knows of the change.
        await eventually(known, "its configuration is what it was told")
    present = await configuration(bench)
    assert present["retention.ms"] == str(3 * 24 * 3600 * 1000)
    assert present["max.message.bytes"] == "777777"


async def test_what_a_tombstone_deletes_is_gone_from_the_log_within_the_stated_time(
    open_bench: OpenBench, kafka: Kafka
) -> None:
    """Compaction really happens: a log of a few records would by default keep a deleted name for years."""
    bench = await open_bench(kafka, compacted=True)
    quick = QUICK.model_copy(update={"compaction_within_h": 1 / 3600})
    relay = Relay(bench.database, bench.settings, [bench.topic], bench.clock, quick)

    async def seen() -> list[bytes | None]:
        found: list[bytes | None] = []
        async with broker_of(bench.settings).consumer() as reader:
            places = [TopicPartition(bench.topic.name, number) for number in range(PARTITIONS)]
            reader.assign(places)
            ends = await reader.end_offsets(places)
            for place in places:
                while await reader.position(place) < ends[place]:
                    records = (await reader.getmany(place, timeout_ms=200)).get(place, [])
                    found += [record.value for record in records]
        return found

    async def tell(event: Event) -> None:
        async with bench.database.transaction() as connection:
            await outbox.append(connection, [event])
        await bench.published()

    async def named() -> bool:
        return any(b"Canari" in (value or b"") for value in await seen())

    async def forgotten() -> bool:
        # A segment is closed by what is written to it once it is old enough, and compacted then.
        await tell(bench.event("p", 3, tombstone=True))
        return not await named()

    async with bench.running(relay):
        await tell(replace(bench.event("p", 1), data={"name": "Canari"}))
        await tell(bench.event("p", 2, tombstone=True))
        assert await named()
        await eventually(forgotten, "the name is compacted away", within_s=120)

"""The same promises on Apache Kafka itself: idempotent producer, crash of the broker, compaction's configuration."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from deploy.kafka.kafka import Kafka

from creneau_shared.database.pool import Connection
from creneau_shared.messaging.dead_letter import Replayed, replay
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.topic_keeper import TopicKeeper

from .conftest import (
    PARTITIONS,
    TYPE,
    Bench,
    OpenBench,
    eventually,
    in_order_for_each_key,
    leave_effect,
    number_of,
)

pytestmark = pytest.mark.kafka


@pytest.fixture
async def kafka_bench(open_bench: OpenBench, kafka: Kafka) -> Bench:
    """A bench on Apache Kafka with the idempotent producer."""
    return await open_bench(kafka, idempotent=True)


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
        async with TopicKeeper(bench.settings, [bench.topic]) as keeper:
            assert keeper._admin is not None
            await keeper._admin.delete_topics([bench.topic.name])

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
    bench = await open_bench(kafka, compacted=True, idempotent=True)
    async with bench.running(bench.relay()):
        await bench.happen(1)
        await bench.published()
        async with TopicKeeper(bench.settings, [bench.topic]) as keeper:
            assert await keeper.sizes() == {bench.topic.name: PARTITIONS}
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        await admin.start()
        try:
            (answer,) = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, bench.topic.name)]
            )
        finally:
            await admin.close()
    values = {entry[0]: entry[1] for entry in answer.resources[0][4]}
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
    bench = kafka_bench
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(50)
        await bench.arrived(50)
        async with bench.running(bench.consumer()):
            for _ in range(10):
                await bench.happen(20)
                await asyncio.sleep(0.05)
            await bench.arrived(250)
        await bench.happen(50)
        await bench.arrived(300)
        await bench.settled()
    assert sorted(number for _, number in await bench.effects()) == list(range(300))

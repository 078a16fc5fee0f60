"""What differs from one broker to another is known in one package; each kind says what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from deploy.kafka.kafka import Kafka
from deploy.local.broker import Broker as EmbeddedBroker
from pydantic import ValidationError

import creneau_shared
from creneau_shared.messaging.broker.apache import Apache
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.in_memory import InMemory
from creneau_shared.messaging.sending import learn_sizes
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topic_keeper import TopicKeeper
from creneau_shared.messaging.topics import Topic
from creneau_shared.settings import ServiceSettings

from .conftest import PARTITIONS, OpenBench, eventually

SOURCES = Path(creneau_shared.__file__).parent
ADAPTER = SOURCES / "messaging" / "broker"
NAMES = re.compile(r"tansu|embedded|in_memory|InMemory", re.IGNORECASE)


def settings(**own: str) -> ServiceSettings:
    return ServiceSettings(database_url="postgresql://x/y", **own)  # type: ignore[arg-type]


def test_one_setting_chooses_the_broker_and_nothing_else_is_taken_for_one() -> None:
    assert type(broker_of(settings())) is Apache
    assert type(broker_of(settings(kafka_broker="in-memory"))) is InMemory
    with pytest.raises(ValidationError):
        settings(kafka_broker="tansu")


def test_nobody_but_the_adapter_knows_the_broker_by_name() -> None:
    sources = [path for path in SOURCES.rglob("*.py") if ADAPTER not in path.parents]
    assert len(sources) > 100
    assert [path.name for path in sources if NAMES.search(path.read_text())] == []


def test_what_a_topic_wants_is_told_to_the_broker_that_heeds_it() -> None:
    topic, limits = Topic(name="x", compacted=True), MessagingSettings()
    told = Apache(settings()).topic_configuration(topic, limits, 3)
    assert (told["cleanup.policy"], told["min.insync.replicas"]) == ("compact", "2")
    assert InMemory(settings()).topic_configuration(topic, limits, 3) == {}


def test_a_reader_behind_the_end_is_stranded_where_fetches_do_not_say_so() -> None:
    assert InMemory(settings()).is_stranded(position=5, end=4)
    assert not InMemory(settings()).is_stranded(position=4, end=4)
    assert not InMemory(settings()).is_stranded(position=5, end=None)
    assert not Apache(settings()).is_stranded(position=5, end=4)


async def ends_of_one_batch(open_bench: OpenBench, running: EmbeddedBroker | Kafka) -> None:
    """One batch of three records: the end is behind the last whatever is expected, and a quick look sees what the
    broker has promised of it, and no less."""
    bench = await open_bench(running)
    broker, place = broker_of(bench.settings), TopicPartition(bench.topic.name, 0)
    async with TopicKeeper(bench.settings, [bench.topic]) as keeper:
        await keeper.create()
    async with broker.producer() as producer, broker.consumer() as reader:
        batch = producer.create_batch()
        for number in range(3):
            batch.append(key=b"k", value=b"%d" % number, timestamp=None)
        first = (await (await producer.send_batch(batch, place.topic, partition=0))).offset
        for expected in (None, 3):
            assert await broker.ends(reader, {place: expected}) == {place: 3}
        assert (await reader.end_offsets([place]))[place] >= broker.end_after(first, first + 2)
        assert await broker.ends(reader, {}) == {}


async def test_the_embedded_brokers_log_ends_behind_its_last_record(
    open_bench: OpenBench, broker: EmbeddedBroker
) -> None:
    await ends_of_one_batch(open_bench, broker)


@pytest.mark.kafka
async def test_kafkas_log_ends_behind_its_last_record(open_bench: OpenBench, kafka: Kafka) -> None:
    await ends_of_one_batch(open_bench, kafka)


async def widens_an_empty_topic(open_bench: OpenBench, running: EmbeddedBroker | Kafka) -> None:
    """A topic that somebody's question has created smaller gets its partitions while it is empty, and nobody sends by
    what they remember of it."""
    bench = await open_bench(running)
    async with bench.admin() as admin:
        await admin.create_topics([NewTopic(bench.topic.name, 1, 1)])
    broker = broker_of(bench.settings)
    async with (
        TopicKeeper(bench.settings, [bench.topic]) as keeper,
        broker.consumer() as reader,
        broker.producer() as producer,
    ):
        assert await producer.partitions_for(bench.topic.name) == {0}
        await keeper.ensure(reader, {})
        assert await keeper.sizes() == {bench.topic.name: PARTITIONS}, "it is that wide before anybody sends"
        await learn_sizes(producer, await keeper.sizes())
        assert await producer.partitions_for(bench.topic.name) == set(range(PARTITIONS))


async def test_the_embedded_broker_widens_an_empty_topic(
    open_bench: OpenBench, broker: EmbeddedBroker
) -> None:
    await widens_an_empty_topic(open_bench, broker)


@pytest.mark.kafka
async def test_kafka_widens_an_empty_topic(open_bench: OpenBench, kafka: Kafka) -> None:
    await widens_an_empty_topic(open_bench, kafka)


async def reads_what_its_topic_gains(open_bench: OpenBench, running: EmbeddedBroker | Kafka) -> None:
    """A group has shared its topic out before the topic gets its partitions, as when a consumer comes back to an emptied
    broker long before the relay does: it shares out the new ones too, and again when there are more."""
    bench = await open_bench(running)
    name, broker = bench.topic.name, broker_of(bench.settings)
    wider = broker_of(bench.settings.model_copy(update={"kafka_partitions": 2 * PARTITIONS}))
    async with bench.admin() as admin, broker.consumer(f"{name}-group") as member:
        await admin.create_topics([NewTopic(name, 1, 1)])
        member.subscribe([name])

        async def shared_out() -> bool:
            return {place.partition for place in member.assignment()} == set(range(size))

        size = 1
        await eventually(shared_out, "the group has shared out what there is")
        for one, size in ((broker, PARTITIONS), (wider, 2 * PARTITIONS)):
            async with TopicKeeper(one.settings, [bench.topic]) as keeper, one.consumer() as reader:
                await keeper.ensure(reader, {})
            await eventually(shared_out, f"the group has shared out {size} partitions")


async def test_a_group_on_the_embedded_broker_reads_what_its_topic_gains(
    open_bench: OpenBench, broker: EmbeddedBroker
) -> None:
    await reads_what_its_topic_gains(open_bench, broker)


@pytest.mark.kafka
async def test_a_group_on_kafka_reads_what_its_topic_gains(open_bench: OpenBench, kafka: Kafka) -> None:
    await reads_what_its_topic_gains(open_bench, kafka)

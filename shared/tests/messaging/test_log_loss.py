"""A broker that loses what it acknowledged: every event still arrives, and has its effect once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import retention
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.sending import Ack, Batch, send
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.topics import Topic, dead_letter_topic

from .conftest import (
    PARTITIONS,
    QUICK,
    TYPE,
    Bench,
    NewBroker,
    OpenBench,
    eventually,
    in_order_for_each_key,
    leave_effect,
)


async def log_of(bench: Bench, count: int) -> list[tuple[str, bytes | None]]:
    """The first `count` records that the topic holds now, by partition: key and value."""
    records: list[tuple[str, bytes | None]] = []
    async with broker_of(bench.settings).consumer() as reader:
        reader.subscribe([bench.topic.name])

        async def read() -> bool:
            for batch in (await reader.getmany(timeout_ms=200)).values():
                records.extend((record.key.decode(), record.value) for record in batch)
            return len(records) >= count

        await eventually(read, f"{count} records in the log")
    return records


async def handled_offsets(bench: Bench) -> dict[TopicPartition, int]:
    """What the consumer's group commits once it has handled so much, unless the broker is too slow to take it."""
    rows = await bench.database.pool.fetch(
        "SELECT partition, log_offset + 1 AS next FROM inbox_log WHERE consumer = 'test' AND topic = $1",
        bench.topic.name,
    )
    handled = {row["partition"]: row["next"] for row in rows}
    return {TopicPartition(bench.topic.name, number): handled.get(number, 0) for number in range(PARTITIONS)}


async def commit_offsets(bench: Bench, group: str, offsets: dict[TopicPartition, int]) -> None:
    """Put a group's committed offsets where they were, as a member of it."""
    async with broker_of(bench.settings).consumer(group) as reader:
        reader.subscribe([bench.topic.name])

        async def put_back() -> bool:
            await reader.getmany(timeout_ms=50, max_records=1)
            if set(reader.assignment()) != set(offsets):
                return False
            try:
                await reader.commit(offsets)
            except KafkaError:  # the group shares its partitions out anew
                return False
            return True

        await eventually(put_back, "the offsets are committed")


async def wipe_and_refill(bench: Bench) -> None:
    """A consumer has handled 40 events, and is away while its log is wiped and refilled with 160, of which 140 are new. Its
    committed offsets mean nothing in the new log.

    The topic is deleted, and the group's committed offsets are put back, as a restored cluster would have them.
    """
    await bench.happen(40)
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.arrived(40)
    committed = await handled_offsets(bench)
    assert sum(committed.values()) == 40
    # What is refilled is not what was: half of it is beyond its retention, so new events stand at old offsets.
    await bench.database.pool.execute(
        "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox ORDER BY position LIMIT 20)"
    )
    await bench.happen(40)
    async with bench.running(bench.relay()):
        await bench.published()
        async with bench.admin() as admin:
            await admin.delete_topics([bench.topic.name])

        async def refilled() -> bool:
            generation = await bench.database.pool.fetchval("SELECT max(generation) FROM outbox_log")
            return generation >= 2 and await bench.unpublished() == 0

        await eventually(refilled, "the log is filled again")
        await bench.happen(100)
        await bench.published()
    await commit_offsets(bench, f"{bench.topic.name}-test", committed)


async def test_the_broker_dies_and_comes_back_empty_and_every_event_arrives(
    open_bench: OpenBench, new_broker: NewBroker
) -> None:
    """SIGKILL of the in-memory broker under load: topics, records, groups and offsets are gone."""
    broker = new_broker()
    bench = await open_bench(broker)
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(100)
        await bench.arrived(100)
        await bench.happen(50)
        broker.kill()
        await bench.happen(50)
        broker.start()
        await bench.happen(50)
        await bench.arrived(250)
        await bench.published()
        await bench.happen(10)
        await bench.arrived(260)
        await bench.settled()
    effects = await bench.effects()
    assert sorted(number for _, number in effects) == list(range(260))
    assert in_order_for_each_key(effects)


async def test_an_emptied_broker_is_filled_again_although_nothing_new_happens(
    open_bench: OpenBench, new_broker: NewBroker
) -> None:
    """A consumer that comes later still reads everything that is retained."""
    broker = new_broker()
    bench = await open_bench(broker)
    async with bench.running(bench.relay()):
        await bench.happen(60)
        await bench.published()
        broker.kill()
        broker.start()
        records = await log_of(bench, 60)
    assert len(records) >= 60
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.arrived(60)
    assert in_order_for_each_key(await bench.effects())


async def test_an_emptied_broker_gets_the_last_state_of_each_key_of_a_compacted_topic(
    open_bench: OpenBench, new_broker: NewBroker
) -> None:
    """An older state may not follow a newer one into the log, even though both are retained."""
    broker = new_broker()
    bench = await open_bench(broker, compacted=True)
    async with bench.running(bench.relay()):
        await bench.happen(70, keys=7)
        await bench.published()
        broker.kill()
        broker.start()
        records = await log_of(bench, 7)
        await bench.published()
    assert sorted(records) == sorted((f"k{n % 7}", b'{"number":%d}' % n) for n in range(63, 70))


async def test_a_log_that_was_filled_again_beyond_the_consumers_offset_is_read_from_its_beginning(
    bench: Bench,
) -> None:
    """What stands before that offset is new."""
    await wipe_and_refill(bench)
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.arrived(180)
        await bench.settled()
    numbers = [number for _, number in await bench.effects()]
    assert sorted(numbers) == list(range(180))


async def test_a_log_whose_beginning_the_broker_is_slow_to_tell_is_read_from_it_though_nothing_new_happens(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has shown that the log is another one is read again, until it can be read from its beginning."""
    await wipe_and_refill(bench)
    tell, asked = AIOKafkaConsumer.beginning_offsets, Counter[TopicPartition]()

    async def slow_at_first(
        kafka: AIOKafkaConsumer, places: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        asked.update(places)
        if any(asked[place] < 3 for place in places):
            raise KafkaTimeoutError
        return dict(await tell(kafka, places))

    monkeypatch.setattr(AIOKafkaConsumer, "beginning_offsets", slow_at_first)
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.arrived(180)
        await bench.settled()
    numbers = [number for _, number in await bench.effects()]
    assert sorted(numbers) == list(range(180))


async def test_acknowledgements_that_begin_again_reveal_a_loss_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is looked at now and then; an offset acknowledged a second time is noticed in between."""
    begins_again = False

    async def from_the_beginning(
        producer: AIOKafkaProducer, batches: Mapping[TopicPartition, Batch]
    ) -> list[Ack]:
        nonlocal begins_again
        acks = await send(producer, batches)
        if begins_again:
            begins_again = False
            return [replace(ack, offset=0) for ack in acks]
        return acks

    monkeypatch.setattr("creneau_shared.messaging.relay.send", from_the_beginning)
    await bench.happen(20)
    async with bench.running(bench.relay(QUICK.model_copy(update={"relay_log_check_interval_s": 3600.0}))):
        await bench.published()
        begins_again = True
        await bench.happen(20)
        await bench.published()
        records = await log_of(bench, 40)
    generation = await bench.database.pool.fetchval("SELECT max(generation) FROM outbox_log")
    assert generation >= 2
    assert len(records) > 40


async def test_a_batch_that_arrived_early_in_an_emptied_log_has_its_effect_once(
    open_bench: OpenBench, new_broker: NewBroker
) -> None:
    """The producer retries what is in flight into the new log before the loss is seen: a repeat, no more."""
    broker = new_broker()
    bench = await open_bench(broker)

    async def slow(connection: Connection, event: ReceivedEvent) -> None:
        await asyncio.sleep(0.002)
        await leave_effect(connection, event)

    async def flow() -> None:
        for number in range(1, 41):
            await bench.happen(5)
            await bench.arrived(5 * number)

    async with bench.running(bench.relay(), bench.consumer(handlers={TYPE: slow})):
        await bench.happen(5)
        await bench.arrived(5)
        flowing = asyncio.create_task(flow())
        for count in (30, 100):
            await bench.arrived(count)
            broker.kill()
            broker.start()
        await flowing
        await bench.arrived(205)
        await bench.settled()
    numbers = [number for _, number in await bench.effects()]
    assert sorted(numbers) == list(range(205))


def test_settings_of_a_topic_name_what_the_broker_should_do(bench: Bench) -> None:
    """Compaction and retention reach a broker that heeds them."""
    limits = MessagingSettings(
        event_retention_days=7,
        dead_letter_retention_days=30,
        compaction_within_h=24,
        tombstone_retention_days=30,
    )
    day_ms = 24 * 3600 * 1000
    assert replace(bench.topic, compacted=True).configuration(limits) == {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(30 * day_ms),
        "max.compaction.lag.ms": str(day_ms),
        "segment.ms": str(day_ms),
    }
    assert bench.topic.configuration(limits) == {"cleanup.policy": "delete", "retention.ms": str(7 * day_ms)}
    dead = dead_letter_topic(bench.topic.name, "group").configuration(limits)
    assert dead == {"cleanup.policy": "delete", "retention.ms": str(30 * day_ms)}


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, None), (2, None), (3, "2"), (5, "2")])
@pytest.mark.parametrize("compacted", [False, True])
def test_what_is_acknowledged_is_in_two_replicas_where_there_are_three(
    compacted: bool, replicas: int, in_sync: str | None
) -> None:
    """`acks=all` waits for those in sync, and by a broker's own default one that is alone is enough."""
    topic = Topic(name="t", compacted=compacted)
    configuration = topic.configuration(MessagingSettings(), replicas)
    assert configuration.get("min.insync.replicas") == in_sync


async def test_a_long_outbox_is_put_back_however_long_that_takes(bench: Bench, database_url: str) -> None:
    """A client that gives the statement up begins it again, and nothing is ever published any more."""
    async with bench.running(bench.relay()):
        await bench.happen(5)
        await bench.published()
    hurried = await asyncpg.connect(database_url, command_timeout=0.5)
    try:
        async with bench.database.transaction() as other:
            await other.execute("SELECT FROM outbox FOR UPDATE")  # so it takes its time
            lost = {(bench.topic.name, partition): 0 for partition in range(PARTITIONS)}
            putting_back = asyncio.create_task(retention.requeue(hurried, lost, [bench.topic.name]))
            await asyncio.wait([putting_back], timeout=1.5)
        assert await putting_back == 5
    finally:
        await hurried.close()

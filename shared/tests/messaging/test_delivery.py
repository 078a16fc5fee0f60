"""From the outbox to the effect: every event, in order for each key, once in effect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from structlog.testing import capture_logs

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import outbox
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.relay import LEADER_LOCK
from creneau_shared.messaging.sending import Ack, Batch, send
from creneau_shared.messaging.settings import MessagingSettings

from .conftest import (
    QUICK,
    TYPE,
    Bench,
    eventually,
    in_order_for_each_key,
    leave_effect,
    number_of,
    rebalances,
)


async def test_every_event_arrives_once_and_in_order_for_each_key(bench: Bench) -> None:
    async with bench.running(bench.relay(), bench.consumer()):
        for _ in range(5):
            await bench.happen(40)
        await bench.arrived(200)
        await bench.settled()
    effects = await bench.effects()
    assert sorted(number for _, number in effects) == list(range(200))
    assert in_order_for_each_key(effects)


async def test_what_travels_is_what_was_appended(bench: Bench) -> None:
    """Every attribute of the event survives the way through the outbox, the headers and the value."""
    received: list[ReceivedEvent] = []

    async def keep(connection: Connection, event: ReceivedEvent) -> None:
        received.append(event)
        await leave_effect(connection, event)

    (sent,) = await bench.happen(1)
    async with bench.running(bench.relay(), bench.consumer(handlers={TYPE: keep})):
        await bench.arrived(1)
    (event,) = received
    for name in (
        "topic",
        "key",
        "type",
        "subject",
        "source",
        "data",
        "time",
        "id",
        "correlation_id",
        "traceparent",
    ):
        assert getattr(event, name) == getattr(sent, name), name


async def test_a_tombstone_arrives_without_data(bench: Bench) -> None:
    async with bench.database.transaction() as connection:
        await outbox.append(connection, [bench.event("a", 1), bench.event("a", 2, tombstone=True)])
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.arrived(2)
    assert await bench.effects() == [("a", 1), ("a", None)]


async def test_an_event_of_a_rolled_back_change_is_never_published(bench: Bench) -> None:
    async def change_that_fails() -> None:
        async with bench.database.transaction() as connection:
            await outbox.append(connection, [bench.event("a", 1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_that_fails()
    await bench.happen(1)
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.settled()
    assert len(await bench.effects()) == 1


async def test_a_relay_that_dies_between_sending_and_recording_repeats_on_the_bus_but_not_in_effect(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once on the bus, exactly once in the database."""
    await bench.happen(30)
    sent: list[int] = []
    died = asyncio.Event()

    async def die_once(producer: AIOKafkaProducer, batches: Mapping[TopicPartition, Batch]) -> list[Ack]:
        acks = await send(producer, batches)
        sent.extend(ack.position for ack in acks)
        if stays_dead:
            died.set()
            raise ConnectionError("the process dies here")
        return acks

    stays_dead = True
    monkeypatch.setattr("creneau_shared.messaging.relay.send", die_once)
    async with bench.running(bench.consumer()):
        async with bench.running(bench.relay()):
            await asyncio.wait_for(died.wait(), 30)
            await bench.arrived(30)
        assert await bench.unpublished() == 30
        stays_dead = False
        async with bench.running(bench.relay()):
            await bench.settled()
    assert len(sent) >= 60
    effects = await bench.effects()
    assert sorted(number for _, number in effects) == list(range(30))
    assert in_order_for_each_key(effects)


async def test_a_relay_whose_client_gives_up_what_it_waits_for_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka cancels futures of its own when a broker goes and comes: that must not end the relay unsaid."""
    given_up = asyncio.Event()

    async def give_up_once(producer: AIOKafkaProducer, batches: Mapping[TopicPartition, Batch]) -> list[Ack]:
        if not given_up.is_set():
            given_up.set()
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return await send(producer, batches)

    monkeypatch.setattr("creneau_shared.messaging.relay.send", give_up_once)
    await bench.happen(10)
    async with bench.running(bench.relay(), bench.consumer()):
        await given_up.wait()
        await bench.settled()
    assert len(await bench.effects()) == 10


async def test_a_batch_that_nobody_answers_is_sent_once_more_by_the_relay_that_leads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that dies answers nothing; by the second attempt another leads. A new term would only cost more time."""
    attempts = 0

    async def silent_once(producer: AIOKafkaProducer, batches: Mapping[TopicPartition, Batch]) -> list[Ack]:
        nonlocal attempts
        attempts += 1
        acks = await send(producer, batches)
        if attempts == 1:
            await asyncio.Event().wait()
        return acks

    monkeypatch.setattr("creneau_shared.messaging.relay.send", silent_once)
    await bench.happen(10)
    relay = bench.relay(QUICK.model_copy(update={"relay_send_timeout_s": 2.0}))
    with capture_logs() as said:
        async with bench.running(relay, bench.consumer()):
            await bench.settled()
    assert attempts >= 2
    assert [line["event"] for line in said if line["event"].startswith("relay ")] == ["relay leads"]
    assert sorted(number for _, number in await bench.effects()) == list(range(10))


def test_two_attempts_at_a_batch_take_less_than_ten_seconds() -> None:
    limits = MessagingSettings()
    assert limits.relay_send_timeout_s < 5
    assert limits.relay_send_attempts_max == 2


async def test_only_one_relay_leads_and_another_takes_over_when_its_connection_dies(bench: Bench) -> None:
    relays = [bench.relay(), bench.relay()]

    async def one_leads() -> bool:
        return sum(relay.leads for relay in relays) == 1

    with capture_logs() as said:
        async with bench.running(*relays, bench.consumer()):
            await eventually(one_leads, "one relay leads")
            first = next(relay for relay in relays if relay.leads)
            second = next(relay for relay in relays if not relay.leads)
            await bench.happen(50)
            await bench.arrived(50)

            async def taken_over() -> bool:
                if first.leads:
                    await bench.database.pool.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1",
                        LEADER_LOCK & 0xFFFFFFFF,
                    )
                return second.leads

            async def given_up() -> bool:
                return not first.leads

            await eventually(taken_over, "the other relay leads")
            await eventually(given_up, "the first has noticed that it leads no more")
            await bench.happen(50)
            await bench.arrived(100)
            await bench.settled()
    reasons = {line["error"] for line in said if line["event"] == "relay interrupted"}
    assert reasons <= {"ConnectionError", "InternalClientError"}, (
        "the reason is told, not what the clean-up stumbled over"
    )
    effects = await bench.effects()
    assert sorted(number for _, number in effects) == list(range(100))
    assert in_order_for_each_key(effects)


async def test_an_event_that_others_wait_for_has_a_transaction_of_its_own(bench: Bench) -> None:
    """The locks that its handler takes are not held for as long as its whole batch takes."""
    await bench.happen(10, keys=1)
    async with bench.running(bench.relay()):
        await bench.published()
    async with bench.running(bench.consumer(alone=lambda event: number_of(event) in (0, 4, 5))):
        await bench.arrived(10)
        await bench.settled()
    rows = await bench.database.pool.fetch(
        "SELECT array_agg((data->>'number')::int ORDER BY position) AS numbers FROM effect GROUP BY xmin::text ORDER BY 1"
    )
    assert [row["numbers"] for row in rows] == [[0], [1, 2, 3], [4], [5], [6, 7, 8, 9]]


async def test_two_consumers_share_the_partitions_and_nothing_is_lost_when_one_leaves(bench: Bench) -> None:
    await rebalances(bench)


async def test_more_than_one_batch_holds_keeps_its_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full batch leaves the rest of its partition for the next round, and nothing overtakes."""
    monkeypatch.setattr("creneau_shared.messaging.broker.clients.BATCH_BYTES_MAX", 2_000)
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(200, keys=3)
        await bench.arrived(200)
        await bench.settled()
    effects = await bench.effects()
    assert sorted(number for _, number in effects) == list(range(200))
    assert in_order_for_each_key(effects)

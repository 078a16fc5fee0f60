"""A client that has given up unsaid, or whose group does not come to an end, is not waited for for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from creneau_shared.messaging.broker import clients
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.broker.contract import Broker

from .conftest import DEADLINE_S, QUICK, Bench, NewBroker, OpenBench, eventually

End = Callable[[AIOKafkaConsumer], None]


def watched(bench: Bench, *instead: Any) -> tuple[Broker, list[AIOKafkaConsumer]]:
    """The broker of a bench, and the clients that are opened of it; the first ones are those given."""
    opened: list[AIOKafkaConsumer] = []
    broker = broker_of(bench.settings)
    waiting, open_one = list(instead), broker.consumer

    @asynccontextmanager
    async def opening(*args: Any, **named: Any) -> AsyncIterator[AIOKafkaConsumer]:
        if waiting:
            opened.append(waiting.pop(0))
            yield opened[-1]
            return
        async with open_one(*args, **named) as client:
            opened.append(client)
            yield client

    broker.consumer = opening  # type: ignore[method-assign]
    return broker, opened


def no_more_metadata(client: AIOKafkaConsumer) -> None:
    client._client._sync_task.cancel()


def no_more_fetches(client: AIOKafkaConsumer) -> None:
    client._fetcher._fetch_task.cancel()


@pytest.mark.parametrize("end", [no_more_metadata, no_more_fetches])
async def test_a_client_whose_own_work_has_ended_is_opened_anew(bench: Bench, end: End) -> None:
    """It polls as before and gets nothing: a look at where it stands tells that it never will."""
    seen, opened = watched(bench)
    consumer = bench.consumer(broker=seen)
    async with bench.running(bench.relay(), consumer):
        await bench.happen(10)
        await bench.arrived(10)
        end(opened[0])
        await bench.happen(10)
        await bench.arrived(20)

        async def anew() -> bool:
            return len(opened) == 2

        await eventually(anew, "another client")
    assert sorted(number for _, number in await bench.effects()) == list(range(20))


async def test_metadata_that_fail_unexpectedly_while_the_broker_dies_stop_nobody(
    open_bench: OpenBench, new_broker: NewBroker
) -> None:
    """What uvloop raises for a connection that was reset a moment ago: aiokafka asks for metadata no more, and whoever looks
    for the group waits for them for ever."""
    broker = new_broker()
    bench = await open_bench(broker)
    seen, opened = watched(bench)
    consumer = bench.consumer(broker=seen)
    async with bench.running(bench.relay(), consumer):
        await bench.happen(10)
        await bench.arrived(10)

        async def reset(*_: object) -> bool:
            raise RuntimeError(
                "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
            )

        opened[0]._client._metadata_update = reset
        broker.kill()
        broker.start()
        await bench.happen(10)
        await bench.arrived(20)
    assert sorted({number for _, number in await bench.effects()}) == list(range(20))


async def test_what_had_ended_a_clients_work_does_not_come_up_as_it_is_stopped(bench: Bench) -> None:
    """It would end the consumer, which is about to open another client."""
    async with broker_of(bench.settings).consumer("test", session_timeout_s=10.0) as client:

        async def ended() -> None:
            raise RuntimeError("the handler is closed")

        no_more_metadata(client)
        client._client._sync_task = asyncio.create_task(ended())
        await asyncio.wait({client._client._sync_task})


class _Unheard:
    """A client that is never told which partitions are its own, as of a group that does not come to an end."""

    _client = _fetcher = _coordinator = type(
        "_Works", (), {"_sync_task": None, "_fetch_task": None, "_coordination_task": None}
    )

    def subscribe(self, topics: Sequence[str], listener: object) -> None:
        pass

    def assignment(self) -> set[TopicPartition]:
        return set()

    async def getmany(self, **_: object) -> None:
        await asyncio.get_running_loop().create_future()


async def test_a_group_that_does_not_come_to_an_end_is_left(bench: Bench) -> None:
    """And until then the consumer goes on looking at what else it has to look at."""
    seen, opened = watched(bench, _Unheard())
    consumer = bench.consumer(
        messaging=QUICK.model_copy(update={"consumer_silent_after_s": 12.0}), broker=seen
    )
    async with bench.running(bench.relay(), consumer):
        await bench.happen(5)
        await bench.arrived(5)
        assert len(opened) == 2


async def test_a_member_that_cannot_leave_its_group_says_no_more_that_it_lives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partitions would be its own for as long as the process lives, and be read by nobody."""
    monkeypatch.setattr(clients, "STOP_TIMEOUT_S", 0.1)
    async with clients.open_consumer(
        bench.settings,
        group=f"{bench.topic.name}-group",
        session_timeout_s=6.0,
        fetch_wait_ms=500,
        assignor=broker_of(bench.settings).assignor(),
    ) as client:
        client.subscribe([bench.topic.name])

        async def shared_out() -> bool:
            return bool(client.assignment())

        await eventually(shared_out, "the group has shared out what there is")
        heartbeat = client._coordinator._heartbeat_task

        async def hang() -> None:
            await asyncio.get_running_loop().create_future()

        monkeypatch.setattr(client._coordinator, "close", hang)
    await asyncio.wait([heartbeat], timeout=5)
    assert heartbeat.done()


class _Unreached:
    """A broker whose packets are dropped: opening a client of it ends when somebody says so."""

    def __init__(self) -> None:
        self.asked, self.gives_up = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def consumer(self, *_: Any, **__: Any) -> AsyncIterator[AIOKafkaConsumer]:
        self.asked.set()
        await self.gives_up.wait()
        raise KafkaConnectionError("no answer")
        yield


async def test_a_broker_that_says_nothing_is_seen_by_what_watches_the_relay(bench: Bench) -> None:
    """The relay that holds the lock and reaches no broker does not lead, and how long events wait is measured all the
    same; once others have published them it is measured as 0, by whoever measured more."""
    silent, relay = _Unreached(), bench.relay()
    relay._broker = cast("Broker", silent)
    await bench.happen(3)
    await bench.database.pool.execute("UPDATE outbox SET created_at = created_at - interval '45 s'")

    async def late() -> bool:
        return sample("creneau_outbox_lag_seconds") >= 45 and sample("creneau_outbox_lag_events") == 3

    async def on_time() -> bool:
        return sample("creneau_outbox_lag_seconds") == sample("creneau_outbox_lag_events") == 0

    async with bench.running(relay):
        try:
            await asyncio.wait_for(silent.asked.wait(), DEADLINE_S)
            await eventually(late, "the lag is measured")
            assert not relay.leads
            assert sample("creneau_relay_leads") == 0
            await bench.database.pool.execute("UPDATE outbox SET published_at = now()")
            await eventually(on_time, "the lag is over")
        finally:
            silent.gives_up.set()


async def test_a_consumer_that_reaches_no_broker_lives_and_is_seen(bench: Bench) -> None:
    """Each try is a move for who would restart it, which would not help; it is none for who measures what it has read."""
    now, silent = 0.0, _Unreached()
    consumer = bench.consumer("unreached", broker=cast("Broker", silent), seconds=lambda: now)
    async with bench.running(consumer):
        await asyncio.wait_for(silent.asked.wait(), DEADLINE_S)
        now += 3600
        silent.asked.clear()
        silent.gives_up.set()
        await asyncio.wait_for(silent.asked.wait(), DEADLINE_S)
        assert not consumer.stuck()
        assert (
            REGISTRY.get_sample_value("creneau_consumer_poll_age_seconds", {"consumer": "unreached"}) == 3600
        )


def sample(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value

"""Whoever waits is woken by the commit, not by its own clock: every pause here is an hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests.fixtures import bells as bells_of_tests
from tests.fixtures.bells import hearing

from creneau_shared.database import listening, wakeups
from creneau_shared.database.listening import Listening
from creneau_shared.database.pool import Database
from creneau_shared.database.wakeups import Bell, Bells
from creneau_shared.messaging import outbox, rebuild
from creneau_shared.messaging.outbox import OUTBOX_CHANNEL
from creneau_shared.messaging.settings import MessagingSettings

from .conftest import DEADLINE_S, QUICK, Bench, NewBroker, eventually

HOUR_S = 3600.0
PATIENT = QUICK.model_copy(
    update={"relay_poll_min_s": HOUR_S, "relay_poll_max_s": HOUR_S, "relay_log_check_interval_s": HOUR_S}
)


@asynccontextmanager
async def another_process(bench: Bench) -> AsyncIterator[Database]:
    """The same database, as another process has it."""
    url = str(bench.settings.database_url)
    async with Database(url, size=2, statement_timeout_s=60) as database:
        yield database


async def hears() -> bool:
    return bells_of_tests.hears()


async def commit(database: Database, bench: Bench) -> None:
    async with database.transaction() as connection:
        await outbox.append(connection, [bench.event("a", 1)])


async def sent(bench: Bench) -> None:
    async def nothing_left() -> bool:
        return await bench.unpublished() == 0

    await eventually(nothing_left, "the event is sent")


async def test_what_another_process_commits_is_sent_at_once(bench: Bench, waiting: asyncio.Event) -> None:
    relay = bench.relay(PATIENT)
    async with another_process(bench) as api, hearing(bench.database), bench.running(relay):
        await asyncio.wait_for(waiting.wait(), DEADLINE_S)
        await commit(api, bench)
        await sent(bench)


async def test_who_asks_for_a_bell_later_is_woken_too(bench: Bench, waiting: asyncio.Event) -> None:
    """The process listens already, to other channels."""
    async with another_process(bench) as api, hearing(bench.database):
        assert OUTBOX_CHANNEL not in bench.database.bells.channels
        async with bench.running(bench.relay(PATIENT)):
            await asyncio.wait_for(waiting.wait(), DEADLINE_S)
            await commit(api, bench)
            await sent(bench)


async def test_what_the_own_process_commits_is_sent_though_nothing_is_heard(
    bench: Bench, waiting: asyncio.Event
) -> None:
    async with bench.running(bench.relay(PATIENT)):
        await asyncio.wait_for(waiting.wait(), DEADLINE_S)
        await commit(bench.database, bench)
        await sent(bench)


async def test_what_is_undone_wakes_nobody(bench: Bench) -> None:
    bell = bench.database.bells.of(OUTBOX_CHANNEL)

    async def change_that_fails() -> None:
        async with bench.database.transaction() as connection:
            await outbox.append(connection, [bench.event("a", 1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_that_fails()
    assert bell.rung == 0
    async with bench.database.transaction() as connection:
        await outbox.append(connection, [bench.event("a", 1)])
        assert bell.rung == 0
    assert bell.rung == 1


async def end_the_listening_session(database: Database) -> None:
    ended = await database.pool.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE '%pg_notify($1%' AND pid <> pg_backend_pid()"
    )
    assert ended == 1


async def test_another_session_listens_when_one_is_lost(bench: Bench, waiting: asyncio.Event) -> None:
    async with another_process(bench) as api, hearing(bench.database):
        await end_the_listening_session(api)
        async with bench.running(bench.relay(PATIENT)):
            await asyncio.wait_for(waiting.wait(), DEADLINE_S)
            await eventually(hears, "another session listens")
            await commit(api, bench)
            await sent(bench)


async def test_what_came_while_nobody_listened_is_looked_for(bench: Bench) -> None:
    bell = bench.database.bells.of(OUTBOX_CHANNEL)

    async def rung_again() -> bool:
        return bell.rung > before

    async with another_process(bench) as other, hearing(bench.database):
        before = bell.rung
        await end_the_listening_session(other)
        await eventually(rung_again, "whoever waits is woken to look")


async def test_a_session_that_hears_nothing_is_noticed_and_the_relay_looks_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler in transaction mode: LISTEN is taken, and of no effect."""

    async def deaf(self: Listening, connection: asyncpg.Connection) -> None:
        self._lost.clear()

    monkeypatch.setattr(Listening, "_listen", deaf)
    monkeypatch.setattr(listening, "HEARD_WITHIN_S", 0.05)
    stop = asyncio.Event()
    task = asyncio.create_task(Listening(bench.database, HOUR_S).run(stop))
    async with another_process(bench) as api, bench.running(bench.relay(QUICK)):
        await commit(api, bench)
        await sent(bench)
        assert not await hears()
    stop.set()
    await asyncio.wait_for(task, DEADLINE_S)


async def test_an_order_to_rebuild_is_heard(bench: Bench) -> None:
    """By a consumer that would look for one in an hour."""
    slow = MessagingSettings(
        **QUICK.model_dump() | {"consumer_command_interval_s": HOUR_S, "consumer_check_interval_s": HOUR_S}
    )
    consumer = bench.consumer(messaging=slow)
    async with (
        another_process(bench) as command,
        hearing(bench.database),
        bench.running(bench.relay(), consumer),
    ):
        await bench.happen(5)
        await bench.arrived(5)
        await rebuild.rebuild(command, consumer.name)
        await bench.arrived(10)


# -- how others are told -------------------------------------------------------------------------------------


def bells(tell: Callable[[list[str]], None]) -> Bells:
    async def told(channels: list[str]) -> None:
        tell(channels)

    return Bells(told, failures=(OSError,), pause_s=HOUR_S)


async def test_a_burst_is_told_once_and_then_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commit: one word at once, one after the pause, the last before the process ends."""
    monkeypatch.setattr(wakeups, "ANSWER_FIRST_S", 0.0)
    told: list[list[str]] = []
    ours = bells(told.append)
    for channel in ("one", "one", "two"):
        ours.announce([channel])

    async def somebody_was_told() -> bool:
        return bool(told)

    await eventually(somebody_was_told, "the first word")
    assert told == [["one", "two"]]
    for _ in range(100):
        ours.announce(["two"])
        await asyncio.sleep(0)
    await ours.close()
    assert told == [["one", "two"], ["two"]]


async def test_a_server_that_cannot_be_told_fails_nobody() -> None:
    def unreachable(_: list[str]) -> None:
        raise OSError

    ours = bells(unreachable)
    ours.announce(["one"])
    await ours.close()


async def test_what_is_rung_before_the_wait_is_not_missed() -> None:
    bell, stop = Bell(), asyncio.Event()
    seen = bell.rung
    bell.ring()
    await bell.wait(stop, None, since=seen)
    stop.set()
    await bell.wait(stop, None, since=bell.rung)


# -- the embedded broker's entrance --------------------------------------------------------------------------


async def test_a_fetch_is_kept_until_something_is_produced(new_broker: NewBroker) -> None:
    """One that may wait for an hour: the broker by itself would answer it then, and the client give up before."""
    servers = new_broker().bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=False)
    consumer = AIOKafkaConsumer(
        "kept", bootstrap_servers=servers, fetch_max_wait_ms=int(HOUR_S * 1000), auto_offset_reset="earliest"
    )
    await producer.start()
    try:
        await producer.send_and_wait("kept", b"1")
        await consumer.start()
        for number in (b"1", b"2", b"3"):
            records = await asyncio.wait_for(consumer.getmany(timeout_ms=20_000), DEADLINE_S)
            assert [record.value for batch in records.values() for record in batch] == [number]
            assert await consumer.getmany(timeout_ms=500) == {}, "by now it fetches all partitions again"
            await producer.send_and_wait("kept", str(int(number) + 1).encode())
    finally:
        await consumer.stop()
        await producer.stop()

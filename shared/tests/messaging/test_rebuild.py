"""By command: a replica built again, a topic published again; by time: what is kept and what is not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import inbox, outbox, retention
from creneau_shared.messaging.consumer import Consumer
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.rebuild import Replica, rebuild, sweep_when_read
from creneau_shared.messaging.topic_keeper import TopicKeeper

from .conftest import TYPE, Bench, NewBroker, OpenBench, eventually, leave_effect, number_of

THINGS = Replica("SELECT key FROM thing", lambda connection, key: forget(connection, key))
KEYS = [f"k{number}" for number in range(7)]


async def keep(connection: Connection, event: ReceivedEvent) -> None:
    """A replica: the last number of each key, and an effect for each event."""
    await leave_effect(connection, event)
    if event.data is None:
        await forget(connection, event.key)
    else:
        await connection.execute(
            "INSERT INTO thing VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET number = excluded.number",
            event.key,
            number_of(event),
        )


async def forget(connection: Connection, key: str) -> None:
    await connection.execute("DELETE FROM thing WHERE key = $1", key)


async def things(bench: Bench) -> list[str]:
    return [row["key"] for row in await bench.database.pool.fetch("SELECT key FROM thing ORDER BY key")]


def replica_consumer(bench: Bench) -> Consumer:
    return bench.consumer(handlers={TYPE: keep}, replica=THINGS)


async def stale(bench: Bench) -> None:
    """Keys whose tombstones came and were compacted away while nobody listened."""
    await bench.database.pool.execute("INSERT INTO thing VALUES ('gone', 1), ('left', 2)")


async def rebuilt(bench: Bench) -> None:
    async def condition() -> bool:
        return not await bench.database.pool.fetchval("SELECT count(*) FROM rebuild")

    await eventually(condition, "the rebuild has ended")


async def test_a_running_consumer_is_rebuilt_by_command_and_nobody_sees_an_empty_replica(
    bench: Bench,
) -> None:
    seen: list[list[str]] = []

    async def watch() -> None:
        while True:
            seen.append(await things(bench))
            await asyncio.sleep(0.01)

    async with bench.running(bench.relay(), replica_consumer(bench)):
        await bench.happen(50)
        await bench.arrived(50)
        await stale(bench)
        watching = asyncio.create_task(watch())
        await rebuild(bench.database, "test")
        await bench.arrived(100)
        await rebuilt(bench)
        watching.cancel()
        assert await things(bench) == KEYS
        await bench.happen(10)
        await bench.arrived(110)
        await bench.settled()
    assert all(set(KEYS) <= set(keys) for keys in seen)
    assert [number for _, number in (await bench.effects())[50:100]].count(0) == 1
    assert await bench.database.pool.fetchval("SELECT count(*) FROM rebuild_key") == 0


async def test_a_consumer_that_is_down_is_rebuilt_when_it_starts(bench: Bench) -> None:
    async with bench.running(bench.relay(), replica_consumer(bench)):
        await bench.happen(50)
        await bench.arrived(50)
    await stale(bench)
    await rebuild(bench.database, "test")
    async with bench.running(replica_consumer(bench)):
        await bench.arrived(100)
        await rebuilt(bench)
    assert await things(bench) == KEYS


async def test_what_cannot_be_handled_again_is_not_taken_for_gone(bench: Bench) -> None:
    """A dead letter is in the topic: a rebuild leaves what was known of its key."""
    failing = asyncio.Event()

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        if failing.is_set() and event.key == "k3":
            raise ValueError("a fault of a later release")
        await keep(connection, event)

    consumer = bench.consumer(handlers={TYPE: refuse}, replica=THINGS)
    async with bench.running(bench.relay(), consumer):
        await bench.happen(7)
        await bench.arrived(7)
        failing.set()
        await stale(bench)
        await rebuild(bench.database, "test")
        await rebuilt(bench)
    assert await things(bench) == KEYS


async def test_a_log_that_has_lost_records_makes_nobody_forget(
    open_bench: OpenBench, new_broker: NewBroker
) -> None:
    """The broker died with its topics, and no relay has filled them again: what is not in them is not gone."""
    broker = new_broker()
    bench = await open_bench(broker)
    async with bench.running(bench.relay(), replica_consumer(bench)):
        await bench.happen(50)
        await bench.arrived(50)
        await bench.settled()
    broker.kill()
    broker.start()
    await rebuild(bench.database, "test")
    async with TopicKeeper(bench.settings, [bench.topic]) as keeper:
        await keeper.create()
    async with bench.running(replica_consumer(bench)):
        await rebuilt(bench)
    assert await things(bench) == KEYS


async def held_at(bench: Bench, count: int) -> None:
    """Until so many sessions wait for a lock that another one has."""

    async def condition() -> bool:
        sql = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(await bench.database.pool.fetchval(sql)) >= count

    await eventually(condition, f"{count} sessions wait")


async def all_read(bench: Bench) -> None:
    """Every partition is read: `k0` to `k6` are in the topic, and in the replica, and two more that are gone."""
    await bench.database.pool.execute("INSERT INTO rebuild VALUES ('test', 'things', 0, 0)")
    for table in ("thing (key)", "rebuild_key (key, consumer)"):
        more = ", 'test'" if "consumer" in table else ""
        await bench.database.pool.execute(
            f"INSERT INTO {table} SELECT key{more} FROM unnest($1::text[]) AS key", KEYS
        )
    await stale(bench)


async def test_two_processes_that_sweep_at_once_forget_what_is_gone_and_nothing_else(bench: Bench) -> None:
    """One of them knows what is there when the other ends the rebuild, with its marks."""
    await all_read(bench)
    slow = Replica(f"{THINGS.keys}, pg_advisory_xact_lock(41)", forget)
    async with bench.database.transaction() as gate:
        await gate.execute("SELECT pg_advisory_xact_lock(41)")
        late = asyncio.create_task(sweep_when_read(bench.database, "test", {}, slow))
        await held_at(bench, 1)
        quick = asyncio.create_task(sweep_when_read(bench.database, "test", {}, THINGS))
        await held_at(bench, 2)
    assert not any(await asyncio.gather(late, quick))
    assert await things(bench) == KEYS
    assert await bench.database.pool.fetchval("SELECT count(*) FROM rebuild") == 0


async def test_a_sweep_does_not_end_the_rebuild_that_is_ordered_meanwhile(bench: Bench) -> None:
    """What the first order found missing is to be read again by the second: nobody forgets it before."""
    await all_read(bench)
    await bench.database.pool.execute("INSERT INTO inbox_log VALUES ('test', 'things', 0, 9, 1)")
    forgetting, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(connection: Connection, key: str) -> None:
        forgetting.set()
        await go_on.wait()
        await forget(connection, key)

    sweeping = asyncio.create_task(sweep_when_read(bench.database, "test", {}, Replica(THINGS.keys, slowly)))
    await forgetting.wait()
    again = asyncio.create_task(rebuild(bench.database, "test"))
    await held_at(bench, 1)
    go_on.set()
    await asyncio.gather(sweeping, again)
    assert await bench.database.pool.fetchval("SELECT count(*) FROM rebuild WHERE until IS NULL") == 1


async def test_a_rebuild_that_is_ordered_again_at_once_forgets_what_is_gone_and_nothing_else(
    bench: Bench,
) -> None:
    """The partitions are rewound by the first order, and nothing of them is handled yet when the second one comes."""
    ordered, held, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(connection: Connection, event: ReceivedEvent) -> None:
        if ordered.is_set():
            held.set()
            await go_on.wait()
        await keep(connection, event)

    consumer = bench.consumer(handlers={TYPE: hold}, replica=THINGS)
    async with bench.running(bench.relay(), consumer):
        await bench.happen(50)
        await bench.arrived(50)
        await bench.settled()
        await stale(bench)
        ordered.set()
        await rebuild(bench.database, "test")
        await held.wait()
        await rebuild(bench.database, "test")
        go_on.set()
        await rebuilt(bench)
    assert await things(bench) == KEYS


@pytest.fixture(autouse=True)
async def thing(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS thing (key text PRIMARY KEY, number int)")
    await connection.close()


async def test_a_rebuild_leaves_other_consumers_alone(bench: Bench) -> None:
    async def noted(connection: Connection, event: ReceivedEvent) -> None:
        await connection.execute("INSERT INTO effect (consumer, key) VALUES ('other', $1)", event.key)

    async with bench.running(bench.relay(), bench.consumer(), bench.consumer("other", {TYPE: noted})):
        await bench.happen(20)
        await bench.arrived(20)
        await bench.arrived(20, "other")
        await rebuild(bench.database, "test")
        await bench.arrived(40)
    assert len(await bench.effects("other")) == 20


async def test_a_topic_is_published_again_by_command_without_a_second_effect(bench: Bench) -> None:
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(30)
        await bench.arrived(30)
        await bench.published()
        assert await retention.republish(bench.database, bench.topic) == 30
        await bench.published()
        await bench.happen(10)
        await bench.arrived(40)
        await bench.settled()
    assert sorted(number for _, number in await bench.effects()) == list(range(40))


async def test_a_big_replica_is_built_in_few_transactions(bench: Bench) -> None:
    """2,000 resources from a filled log: one transaction a batch, not one an event."""
    await bench.happen(2000, keys=2000)
    async with bench.running(bench.relay()):
        await bench.published()
    async with bench.running(bench.consumer()):
        await bench.arrived(2000)
    transactions = await bench.database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM effect")
    assert 1 <= transactions <= 100


async def mark_published(bench: Bench, days_ago: int) -> None:
    await bench.database.pool.execute(
        "UPDATE outbox SET published_at = $1 WHERE published_at IS NULL",
        bench.clock.now() - timedelta(days=days_ago),
    )


async def kept(bench: Bench) -> list[tuple[str, int | None]]:
    rows = await bench.database.pool.fetch(
        "SELECT key, (convert_from(data, 'UTF8')::jsonb->>'number')::int AS number FROM outbox ORDER BY position"
    )
    return [(row["key"], row["number"]) for row in rows]


async def test_published_events_are_forgotten_after_their_retention_and_waiting_ones_never(
    bench: Bench,
) -> None:
    await bench.happen(5)
    await mark_published(bench, days_ago=8)
    await bench.happen(5)
    await mark_published(bench, days_ago=6)
    await bench.happen(5)
    before = bench.clock.now() - timedelta(days=7)
    assert await retention.prune(bench.database, [], before) == 5
    assert [number for _, number in await kept(bench)] == list(range(5, 15))


async def test_the_last_event_of_each_key_of_a_compacted_topic_is_kept_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In windows smaller than the table, so that a later window holds what supersedes an earlier one's rows."""
    monkeypatch.setattr(retention, "WINDOW_ROWS", 4)
    await bench.happen(21, keys=7)
    await mark_published(bench, days_ago=1000)
    assert (
        await retention.prune(bench.database, [bench.topic.name], bench.clock.now() - timedelta(days=7)) == 14
    )
    assert sorted(await kept(bench)) == [(f"k{n % 7}", n) for n in range(14, 21)]


async def test_a_tombstone_is_kept_as_long_as_an_event_and_then_its_key_is_gone(bench: Bench) -> None:
    async with bench.database.transaction() as connection:
        await outbox.append(connection, [bench.event("a", 1), bench.event("a", 2, tombstone=True)])
    await mark_published(bench, days_ago=6)
    before = bench.clock.now() - timedelta(days=7)
    await retention.prune(bench.database, [bench.topic.name], before)
    assert await kept(bench) == [("a", None)]
    await bench.database.pool.execute("UPDATE outbox SET published_at = published_at - interval '2 days'")
    await retention.prune(bench.database, [bench.topic.name], before)
    assert await kept(bench) == []


async def test_the_inbox_forgets_what_it_handled_long_ago(bench: Bench) -> None:
    old, new = bench.event("a", 1).id, bench.event("a", 2).id
    async with bench.database.transaction() as connection:
        assert await inbox.first_time(connection, "test", old)
        assert await inbox.first_time(connection, "test", new)
        assert not await inbox.first_time(connection, "test", new)
    await bench.database.pool.execute(
        "UPDATE inbox SET handled_at = handled_at - interval '31 days' WHERE event_id = $1", old
    )
    assert await inbox.prune(bench.database, "test", bench.clock.now() - timedelta(days=30)) == 1
    async with bench.database.transaction() as connection:
        assert await inbox.first_time(connection, "test", old)
        assert not await inbox.first_time(connection, "test", new)


async def test_a_consumer_reports_that_it_polls_and_when_it_hangs(bench: Bench) -> None:
    """Liveness rests on the age of its last move, by the clock that it is given."""
    now, hangs = 0.0, asyncio.Event()

    async def hang(connection: Connection, event: ReceivedEvent) -> None:
        hangs.set()
        await asyncio.Event().wait()

    consumer = bench.consumer(handlers={TYPE: hang}, seconds=lambda: now)
    running = asyncio.create_task(consumer.run(asyncio.Event()))
    try:
        now += 3600

        async def polls() -> bool:
            return consumer.poll_age_s() < 1

        await eventually(polls, "the consumer polls")
        assert not consumer.stuck()
        async with bench.running(bench.relay()):
            await bench.happen(1)
            await asyncio.wait_for(hangs.wait(), 60)
        now += 3600
        assert consumer.stuck()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

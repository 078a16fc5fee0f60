"""By command: a replica built again, a topic published again; by time: what is kept and what is not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import inbox, outbox, retention
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.rebuild import rebuild

from .conftest import TYPE, Bench, eventually


async def empty_replica(connection: Connection) -> None:
    await connection.execute("DELETE FROM effect")


async def test_a_running_consumer_is_rebuilt_by_command(bench: Bench) -> None:
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(50)
        await bench.arrived(50)
        await rebuild(bench.database, "test", empty_replica)
        await bench.arrived(50)
        await bench.happen(10)
        await bench.arrived(60)
        await bench.settled()
    assert sorted(number for _, number in await bench.effects()) == list(range(60))


async def test_a_consumer_that_is_down_is_rebuilt_when_it_starts(bench: Bench) -> None:
    async with bench.running(bench.relay(), bench.consumer()):
        await bench.happen(50)
        await bench.arrived(50)
    await rebuild(bench.database, "test", empty_replica)
    async with bench.running(bench.consumer()):
        await bench.arrived(50)
    assert sorted(number for _, number in await bench.effects()) == list(range(50))


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


async def test_a_big_replica_is_built_within_seconds(bench: Bench) -> None:
    """2,000 resources from a filled log: one transaction a batch, not one an event."""
    await bench.happen(2000, keys=2000)
    async with bench.running(bench.relay()):
        await bench.published()
    async with bench.running(bench.consumer()):
        await bench.arrived(1, within_s=20)
        await bench.arrived(2000, within_s=8)


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

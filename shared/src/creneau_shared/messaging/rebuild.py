"""Rebuilds a replica from a compacted topic, by command, while everybody goes on reading the replica.

Mark and sweep: from the command on, the key of every handled event is marked, even if the event changes nothing. Each
partition is read to the end that it had when it was rewound. Then replica rows without a mark are no longer in the topic,
and are forgotten. Nobody ever sees an empty replica.

A log that has lost records does not show which keys are gone: then nothing is forgotten.

Several processes may sweep at once, and another rebuild may be ordered meanwhile. So each removal, and the end of the
rebuild, happens in a transaction that locks the rebuild's rows and has checked that everything was read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from creneau_shared.database.closing import announce
from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging.inbox import REBUILD

log = structlog.get_logger(__name__)

CHANNEL = "creneau_rebuild"
"""the channel that wakes consumers when a rebuild is ordered"""

Place = tuple[str, int]
"""A topic's name and a partition of it."""


@dataclass(frozen=True, slots=True)
class Replica:
    """The data that a consumer keeps: `keys` is a query for all its keys; `forget` removes one key."""

    keys: str
    forget: Callable[[Connection, str], Awaitable[None]]


async def rebuild(database: Database, consumer: str) -> None:
    """Orders `consumer` to forget what it has handled and to read its topics from their beginning.

    Its running processes hear of the order, or notice it within `CONSUMER_COMMAND_INTERVAL_S`; none needs to be stopped.
    If none runs, the next one to start carries it out.
    """
    async with database.transaction() as connection:
        # Locks the partitions first: this waits for a batch in progress, or the batch waits and then must not commit.
        await connection.execute("LOCK TABLE inbox_log IN SHARE ROW EXCLUSIVE MODE")
        await connection.execute(
            "UPDATE inbox_log SET generation = $2 WHERE consumer = $1", consumer, REBUILD
        )
        await connection.execute("DELETE FROM inbox WHERE consumer = $1", consumer)
        await _end(connection, consumer)
        await connection.execute(
            "INSERT INTO rebuild (consumer, topic, partition)"
            " SELECT consumer, topic, partition FROM inbox_log WHERE consumer = $1",
            consumer,
        )
        announce(connection, CHANNEL)


async def begun(connection: Connection, consumer: str, place: Place, end: int, handled: int) -> None:
    """Records that a partition is read from its beginning up to `end` (the offset of its next record). `handled`: its last
    handled offset; a log that ends at or before it has lost records, and the rebuild then forgets nothing."""
    if end <= handled:
        await abandon(connection, consumer)
        return
    await connection.execute(
        "UPDATE rebuild SET until = $4 WHERE (consumer, topic, partition) = ($1, $2, $3) AND until IS NULL",
        consumer,
        *place,
        end,
    )


async def abandon(connection: Connection, consumer: str) -> None:
    """Ends the rebuild without forgetting anything: a log has lost records."""
    if await _end(connection, consumer):
        log.warning("rebuild forgets nothing: a log has lost records", consumer=consumer)


async def mark(connection: Connection, consumer: str, keys: Sequence[str]) -> None:
    """Marks these keys as present in the topic, while a rebuild is under way."""
    await connection.execute(
        "INSERT INTO rebuild_key (consumer, key) SELECT $1, key FROM unnest($2::text[]) AS said (key)"
        " WHERE EXISTS (SELECT FROM rebuild WHERE consumer = $1) ON CONFLICT DO NOTHING",
        consumer,
        sorted(set(keys)),
    )


async def sweep_when_read(
    database: Database, consumer: str, positions: Mapping[Place, int], replica: Replica
) -> bool:
    """Forgets the keys without a mark, if everything has been read; returns whether there is more to read first.

    `positions`: how far this process has handled each of its partitions.
    """
    rows = await database.pool.fetch(
        "SELECT topic, partition, until FROM rebuild WHERE consumer = $1", consumer
    )
    if not rows:
        return False
    read = [
        (row["topic"], row["partition"])
        for row in rows
        if row["until"] is not None and positions.get((row["topic"], row["partition"]), -1) >= row["until"]
    ]
    if read:
        # `until` 0: the partition has been read, even if another member has it next.
        await database.pool.execute(
            "UPDATE rebuild SET until = 0 FROM unnest($2::text[], $3::int[]) AS read (topic, partition)"
            " WHERE consumer = $1 AND rebuild.topic = read.topic AND rebuild.partition = read.partition",
            consumer,
            [topic for topic, _ in read],
            [partition for _, partition in read],
        )
    if any(row["until"] != 0 and (row["topic"], row["partition"]) not in read for row in rows):
        return True
    await _sweep(database, consumer, replica)
    return False


async def _sweep(database: Database, consumer: str, replica: Replica) -> None:
    """Forgets the keys without a mark, one by one, until there are none; then the rebuild is over."""
    forgotten = 0
    while keys := await _unmarked(database, consumer, replica):
        for key in keys:
            forgotten += await _forget(database, consumer, replica, key)
    if forgotten:
        log.info("replica swept", consumer=consumer, forgotten=forgotten)


async def _unmarked(database: Database, consumer: str, replica: Replica) -> Sequence[str]:
    """The replica's keys without a mark; ends the rebuild if there are none. Empty, too, if another process has ended it or
    another rebuild was ordered."""
    async with database.transaction() as connection:
        if not await _is_read(connection, consumer, "UPDATE"):
            return ()
        # In one statement: a row that came meanwhile is seen with its mark, or not at all.
        rows = await connection.fetch(
            f"SELECT key FROM ({replica.keys}) AS present (key)"
            " EXCEPT SELECT key FROM rebuild_key WHERE consumer = $1 ORDER BY key",
            consumer,
        )
        if not rows:
            await _end(connection, consumer)
            log.info("replica rebuilt", consumer=consumer)
        return [row["key"] for row in rows]


async def _forget(database: Database, consumer: str, replica: Replica, key: str) -> bool:
    """Forgets one key, unless it has been marked or this rebuild is over; returns whether it did."""
    async with database.transaction() as connection:
        if not await _is_read(connection, consumer, "KEY SHARE"):
            return False
        # A consumer that handles an event of this key now waits for the mark, and applies the event afterwards.
        first = await connection.fetchval(
            "INSERT INTO rebuild_key (consumer, key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            consumer,
            key,
        )
        if first:
            await replica.forget(connection, key)
        return bool(first)


async def _is_read(connection: Connection, consumer: str, strength: Literal["UPDATE", "KEY SHARE"]) -> bool:
    """Whether a rebuild is under way that has read everything. Locks its rows, so that this holds until the transaction
    ends."""
    rows = await connection.fetch(
        f"SELECT until FROM rebuild WHERE consumer = $1 ORDER BY topic, partition FOR {strength}", consumer
    )
    return bool(rows) and all(row["until"] == 0 for row in rows)


async def _end(connection: Connection, consumer: str) -> bool:
    # First the rows that others lock while they forget: a transaction that waits for them must not hold their marks.
    stood = await connection.fetch("DELETE FROM rebuild WHERE consumer = $1 RETURNING true", consumer)
    await connection.execute("DELETE FROM rebuild_key WHERE consumer = $1", consumer)
    return bool(stood)

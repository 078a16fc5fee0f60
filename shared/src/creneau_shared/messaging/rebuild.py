"""A replica is built again from a compacted topic, by command, while everybody goes on reading it.

Mark and sweep: from the command on, the key of every event that is handled is marked, whether it changes anything or
not. Once each partition has been read to where it ended when it was begun anew, what is in the replica and was not
marked is in the topic no more, and is forgotten. Nobody ever sees an empty replica.

A log that has lost records says nothing of what is gone: then nothing is forgotten.

Several processes may sweep at once, and another rebuild may be ordered meanwhile. So whatever is forgotten, and the end
itself, is decided in a transaction that holds the rows of the rebuild, and finds that everything has been read.
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
"""on which consumers are told that one of them is to be built again"""

Place = tuple[str, int]
"""A topic's name and a partition of it."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What a consumer keeps: `keys` is a query of the keys of all that is there, `forget` removes one of them."""

    keys: str
    forget: Callable[[Connection, str], Awaitable[None]]


async def rebuild(database: Database, consumer: str) -> None:
    """Have `consumer` forget what it has handled and read its topics from their beginning.

    The running processes of the consumer hear of it, or notice within `CONSUMER_COMMAND_INTERVAL_S`; none needs to be
    stopped, and if none runs the next one to start does it.
    """
    async with database.transaction() as connection:
        # First the partitions: a batch being handled now is waited for, or waits and finds that it may not commit.
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
    """A partition is read from its beginning, and ends at `end` (the offset of its next record). `handled` is the last
    offset that was handled of it: a log that ends before has lost records, and the rebuild forgets nothing."""
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
    """Forget nothing: the logs do not hold all that there is."""
    if await _end(connection, consumer):
        log.warning("rebuild forgets nothing: a log has lost records", consumer=consumer)


async def mark(connection: Connection, consumer: str, keys: Sequence[str]) -> None:
    """While a rebuild is under way: these keys are in the topic."""
    await connection.execute(
        "INSERT INTO rebuild_key (consumer, key) SELECT $1, key FROM unnest($2::text[]) AS said (key)"
        " WHERE EXISTS (SELECT FROM rebuild WHERE consumer = $1) ON CONFLICT DO NOTHING",
        consumer,
        sorted(set(keys)),
    )


async def sweep_when_read(
    database: Database, consumer: str, positions: Mapping[Place, int], replica: Replica
) -> bool:
    """Forget what was not marked, if everything has been read; whether there is more to read before that.

    `positions`: up to where this process has handled each of its partitions.
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
        # 0: read, whoever has the partition next.
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
    """Forget one by one what is not marked, until nothing is left of it; then the rebuild is over."""
    forgotten = 0
    while keys := await _unmarked(database, consumer, replica):
        for key in keys:
            forgotten += await _forget(database, consumer, replica, key)
    if forgotten:
        log.info("replica swept", consumer=consumer, forgotten=forgotten)


async def _unmarked(database: Database, consumer: str, replica: Replica) -> Sequence[str]:
    """What is there and was not found in the topics; if that is nothing, the rebuild is over. Nothing as well when
    somebody else has ended it, or has ordered another one."""
    async with database.transaction() as connection:
        if not await _is_read(connection, consumer, "UPDATE"):
            return ()
        # In one statement: what has come meanwhile is seen with its mark, or not at all.
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
    """Forget one key, unless it has been marked, or this rebuild is over."""
    async with database.transaction() as connection:
        if not await _is_read(connection, consumer, "KEY SHARE"):
            return False
        # Whoever hears of it in this moment waits for the mark, and comes after.
        first = await connection.fetchval(
            "INSERT INTO rebuild_key (consumer, key) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            consumer,
            key,
        )
        if first:
            await replica.forget(connection, key)
        return bool(first)


async def _is_read(connection: Connection, consumer: str, strength: Literal["UPDATE", "KEY SHARE"]) -> bool:
    """Whether a rebuild is under way that has read everything. It stays so until the transaction ends: its rows are
    locked."""
    rows = await connection.fetch(
        f"SELECT until FROM rebuild WHERE consumer = $1 ORDER BY topic, partition FOR {strength}", consumer
    )
    return bool(rows) and all(row["until"] == 0 for row in rows)


async def _end(connection: Connection, consumer: str) -> bool:
    # First what others hold while they forget: who waits for them has none of their marks.
    stood = await connection.fetch("DELETE FROM rebuild WHERE consumer = $1 RETURNING true", consumer)
    await connection.execute("DELETE FROM rebuild_key WHERE consumer = $1", consumer)
    return bool(stood)

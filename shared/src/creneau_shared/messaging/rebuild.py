"""A replica is built again from a compacted topic, by command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from creneau_shared.database.pool import Connection, Database
from creneau_shared.messaging.inbox import REBUILD


async def rebuild(
    database: Database, consumer: str, clear: Callable[[Connection], Awaitable[None]] | None = None
) -> None:
    """Have `consumer` forget what it has handled and read its topics from their beginning.

    `clear` empties its replica in the same transaction, so that what no longer exists does not stay. The
    running processes of the consumer notice within `CONSUMER_CHECK_INTERVAL_S`; none needs to be stopped, and
    if none runs the next one to start does it.
    """
    async with database.transaction() as connection:
        # First the partitions: a batch being handled now waits here, then finds that it may not commit.
        await connection.execute(
            "UPDATE inbox_log SET generation = $2 WHERE consumer = $1", consumer, REBUILD
        )
        await connection.execute("DELETE FROM inbox WHERE consumer = $1", consumer)
        if clear is not None:
            await clear(connection)

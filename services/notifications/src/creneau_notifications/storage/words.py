"""The last word that was heard of each thing in a replica: older ones, told late, change nothing.

A letter that is replayed and a topic that is read again from its beginning both say what held once. A word is as old as its
event: its time travels with it, however often and in whichever log it is sent. It outlives what it ended, for as long as
letters can be replayed. Of two that are told within seconds the one that is heard later is the last: their owner's machines
need not agree on the second, and the log keeps the order. A rebuild that finds nothing of a thing leaves no word of it
either: what comes back is taken.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from creneau_shared.clock import CLOCKS_APART
from creneau_shared.database.pool import Connection

Kept = Literal["contact", "account", "fact"]
"""what replicas keep"""


async def is_last(
    connection: Connection, replica: Kept, key: str, said_at: datetime, *, gone_at: datetime | None = None
) -> bool:
    """Whether no later word was heard, and then this is the last. `gone_at`: it ends what is kept, now. Rivals for one
    thing wait for each other here, until the transaction ends."""
    return bool(
        await connection.fetchval(
            "INSERT INTO last_word (replica, key, said_at, gone_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (replica, key) DO UPDATE"
            " SET said_at = greatest(last_word.said_at, excluded.said_at), gone_at = excluded.gone_at"
            " WHERE last_word.said_at <= excluded.said_at + $5::interval RETURNING true",
            replica,
            key,
            said_at,
            gone_at,
            CLOCKS_APART,
        )
    )


async def forget(connection: Connection, replica: Kept, key: str) -> None:
    """Nothing was heard of it: any word of it holds."""
    await connection.execute("DELETE FROM last_word WHERE replica = $1 AND key = $2", replica, key)


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` words of what has been gone since before, unless letters wait that may say otherwise; how
    many."""
    rows = await connection.fetch(
        "DELETE FROM last_word WHERE (replica, key) IN"
        " (SELECT replica, key FROM last_word WHERE gone_at < $1"
        " AND NOT EXISTS (SELECT FROM dead_letter WHERE state = 'waiting')"
        " ORDER BY gone_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING key",
        before,
        limit,
    )
    return len(rows)

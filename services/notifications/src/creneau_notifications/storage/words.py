"""The last word heard of each thing in a replica: older words that arrive late change nothing.

A replayed letter and a topic read again from its beginning both say what held once. A word is as old as its event, whose
time travels with it, however often and in whichever log it is sent. A word outlives the thing that it ended, as long as
letters can be replayed. Of two words within seconds, the one heard later is the last: the owner's machines need not agree on
the second, and the log keeps the order. A rebuild that finds nothing of a thing also forgets its word: a later word is
taken.
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
    """Whether no later word was heard; if so, saves this word as the last. `gone_at`: the time at which it ends the thing.
    Transactions on one thing wait here for each other."""
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
    """Forget the word: any later word holds."""
    await connection.execute("DELETE FROM last_word WHERE replica = $1 AND key = $2", replica, key)


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` words of things gone since before `before`, unless dead letters wait; returns how many."""
    rows = await connection.fetch(
        "DELETE FROM last_word WHERE (replica, key) IN"
        " (SELECT replica, key FROM last_word WHERE gone_at < $1"
        " AND NOT EXISTS (SELECT FROM dead_letter WHERE state = 'waiting')"
        " ORDER BY gone_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING key",
        before,
        limit,
    )
    return len(rows)

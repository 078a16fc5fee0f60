"""A transaction that changes nothing and yet waits for the standbys when it commits.

A commit whose client has left while it waited for its synchronous standby stays on the primary alone: the next one
sees its rows, and a failover takes them away. What an answer repeats from such rows must not be told before a standby
has them. A record in the log before the COMMIT is enough: it comes after theirs, and is waited for like any other.
"""

from __future__ import annotations

from creneau_shared.database.pool import Connection

_RECORD = "SELECT pg_logical_emit_message(true, 'creneau', 'barrier')"


async def commit_barrier(connection: Connection) -> None:
    """Have this transaction's COMMIT wait until the standbys have what it has read."""
    await connection.execute(_RECORD)

"""A read-only transaction that waits for the standbys when it commits.

When a client leaves while its commit waits for the synchronous standby, the commit may be on the primary alone. Later
transactions see its rows, and a failover loses them. An answer must not repeat such rows before a standby has them. One
record in the WAL before the COMMIT is enough: it comes after the records of those rows, and the COMMIT waits for it.
"""

from __future__ import annotations

from creneau_shared.database.pool import Connection

_RECORD = "SELECT pg_logical_emit_message(true, 'creneau', 'barrier')"


async def commit_barrier(connection: Connection) -> None:
    """Makes this transaction's COMMIT wait until the standbys have the rows that it has read."""
    await connection.execute(_RECORD)

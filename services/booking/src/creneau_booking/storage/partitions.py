"""Slot's monthly partitions: made ready ahead of time, dropped whole once past keeping.

Months outside the ready range go to `slot_default`, so that nothing a client publishes is refused for its date.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from creneau_shared.database.pool import Connection

LOCK_TIMEOUT_S = 2
_NAME = re.compile(r"^slot_(\d{4})_(\d{2})$")


def add_months(moment: datetime, months: int) -> datetime:
    """The first instant (UTC) of the month that lies `months` after that of `moment`."""
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def partition_name(month: datetime) -> str:
    return f"slot_{month.year:04d}_{month.month:02d}"


async def ensure_partitions(connection: Connection, now: datetime, months_ahead: int) -> int:
    """Create the partitions of last month up to `months_ahead`; how many were missing.

    A month whose slots already lie in the default partition keeps them there: it gets no partition of its own.
    """
    created = 0
    for offset in range(-1, months_ahead + 1):
        first, following = add_months(now, offset), add_months(now, offset + 1)
        name = partition_name(first)
        async with connection.transaction():
            await _wait_no_longer(connection)
            # Several workers may do this at once.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('slot partitions'))")
            if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
                continue
            strays = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM slot_default WHERE start >= $1 AND start < $2)", first, following
            )
            if strays:
                continue
            await connection.execute(
                f"CREATE TABLE {name} PARTITION OF slot FOR VALUES FROM ('{first.isoformat()}')"
                f" TO ('{following.isoformat()}')"
            )
            created += 1
    return created


async def drop_old_partitions(connection: Connection, now: datetime, months_kept: int) -> int:
    """Drop the partitions that end before the kept months begin; how many."""
    oldest_kept = add_months(now, -months_kept)
    names = await connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'slot'::regclass"
    )
    dropped = 0
    for row in names:
        match = _NAME.match(row["name"])
        if match and datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC) < oldest_kept:
            async with connection.transaction():
                await _wait_no_longer(connection)
                await connection.execute(f"DROP TABLE IF EXISTS {row['name']}")
            dropped += 1
    return dropped


async def _wait_no_longer(connection: Connection) -> None:
    """Both statements lock the whole table: better to fail and try again in an hour than to hold everybody up."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")

"""Slot's monthly partitions: made ready ahead of time, dropped whole once past keeping.

Months outside the ready range go to `slot_default`, so that nothing a client publishes is refused for its date. The
tables are the owner's: its functions (`make_slot_partition`, `drop_slot_partition`) make and drop these and nothing
else. Both lock the whole table, and give up after 2 s: better to try again in an hour than to hold everybody up.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from creneau_shared.database.pool import Connection

_NAME = re.compile(r"^slot_(\d{4})_(\d{2})$")


def add_months(moment: datetime, months: int) -> datetime:
    """The first instant (UTC) of the month that lies `months` after that of `moment`."""
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


async def ensure_partitions(connection: Connection, now: datetime, months_ahead: int) -> int:
    """Create the partitions of last month up to `months_ahead`; how many were missing.

    A month whose slots already lie in the default partition keeps them there: it gets no partition of its own.
    """
    created = 0
    for offset in range(-1, months_ahead + 1):
        created += await connection.fetchval("SELECT make_slot_partition($1)", add_months(now, offset))
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
        month = datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC) if match else oldest_kept
        if month < oldest_kept:
            await connection.execute("SELECT drop_slot_partition($1)", month)
            dropped += 1
    return dropped

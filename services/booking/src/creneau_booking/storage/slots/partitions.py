"""Slot's monthly partitions: made ready ahead of time, dropped whole once past keeping."""

from __future__ import annotations

from datetime import datetime

from creneau_shared.database.partitions import add_months, drop_months, make_months
from creneau_shared.database.pool import Connection


async def ensure_partitions(connection: Connection, now: datetime, months_ahead: int) -> int:
    """Create the partitions of last month up to `months_ahead`; how many were missing."""
    return await make_months(connection, "slot", now, months_ahead)


async def drop_old_partitions(connection: Connection, now: datetime, months_kept: int) -> int:
    """Drop the partitions that end before the kept months begin; how many."""
    return (await drop_months(connection, "slot", add_months(now, -months_kept))).partitions

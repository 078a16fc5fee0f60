"""Tables that are partitioned by month: months are made ready ahead of time, and dropped whole once past keeping.

`<table>_2026_11` holds November 2026 (UTC). A row whose month has no partition goes to `<table>_default`: nothing is
refused for its date. What a table held before it was partitioned may stand in `<table>_before`, one partition for
everything earlier.

The tables are the owner's: its functions (`database.partitioning`) make and drop months and nothing else. Making one
locks the default partition alone; dropping one locks the whole table for a moment. Both give up after 2 s: better to
try again in an hour than to hold everybody up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from creneau_shared.database.pool import Connection


@dataclass(frozen=True, slots=True)
class Dropped:
    """What `drop_months` took away. `rows` is as the planner knows it, exact for what was never analysed."""

    partitions: int
    rows: int


def add_months(moment: datetime, months: int) -> datetime:
    """The first instant (UTC) of the month that lies `months` after that of `moment`."""
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def month_of(connection: Connection, table: str, first: datetime, last: datetime, now: datetime) -> str:
    """Where the rows from `first` to `last` (inclusive) stand: the month's partition if they are all of one that is not
    over, or `table`. Over all months a statement is planned and locked for each of them; of one that is there at `now`,
    that is known when a connection opens, and never taken away."""
    year, month = _month(first)
    if (year, month) != _month(last) or (year, month) < _month(now):
        return table
    name = f"{table}_{year:04d}_{month:02d}"
    return name if name in getattr(connection, "partitions", ()) else table


def _month(moment: datetime) -> tuple[int, int]:
    there = moment.astimezone(UTC)
    return there.year, there.month


async def make_months(connection: Connection, table: str, now: datetime, ahead: int) -> int:
    """Make the partitions of last month up to `ahead` months from now; how many were missing.

    A month whose rows already lie in the one for everything earlier gets no partition of its own; nor does one of which
    the default partition has rows, unless they may be moved and are few (`partitioning.MAKE_MOVING`).
    """
    made = 0
    for offset in range(-1, ahead + 1):
        made += await connection.fetchval("SELECT make_month($1, $2)", table, add_months(now, offset))
    return made


async def drop_months(connection: Connection, table: str, before: datetime) -> Dropped:
    """Drop the partitions of `table` that hold nothing from `before` on."""
    ((partitions, rows),) = await connection.fetch(
        "SELECT partitions, rows FROM drop_months($1, $2)", table, before
    )
    return Dropped(partitions, rows)


async def remainders(connection: Connection, table: str, before: datetime) -> list[str]:
    """The partitions of `table` that are not months, and that `drop_months` leaves: their rows go one by one."""
    rows = await connection.fetch(
        "SELECT name FROM partitions_of($1) WHERE low IS NULL AND (high > $2) IS NOT FALSE ORDER BY name",
        table,
        before,
    )
    return [row["name"] for row in rows]

"""Tables partitioned by month: months are made ahead of time, and dropped whole when their retention has ended.

`<table>_2026_11` holds November 2026 (UTC). A row whose month has no partition goes to `<table>_default`, so no row is
refused for its date. Rows from before the partitioning may stand in `<table>_before`, one partition for everything
earlier.

The database owner owns the tables; only its functions (`database.partitioning`) make and drop months. Making a month
locks the default partition alone; dropping one locks the whole table for a moment. Both give up after 2 s and are tried
again later, rather than hold up everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from creneau_shared.database.pool import Connection


@dataclass(frozen=True, slots=True)
class Dropped:
    """The partitions and rows that `drop_months` removed. `rows` is the planner's estimate; exact if never analysed."""

    partitions: int
    rows: int


def add_months(moment: datetime, months: int) -> datetime:
    """The first instant (UTC) of the month that lies `months` after that of `moment`."""
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def month_of(connection: Connection, table: str, first: datetime, last: datetime, now: datetime) -> str:
    """The name to query for rows from `first` to `last` (inclusive): the partition of their month, else `table`.

    A statement on `table` is planned and locked for every month. The partition is used only if all rows are of one month
    that is not over at `now`: the connection knew it when it opened, and it is not dropped meanwhile.
    """
    year, month = _month(first)
    if (year, month) != _month(last) or (year, month) < _month(now):
        return table
    name = f"{table}_{year:04d}_{month:02d}"
    return name if name in getattr(connection, "partitions", ()) else table


def _month(moment: datetime) -> tuple[int, int]:
    there = moment.astimezone(UTC)
    return there.year, there.month


async def make_months(connection: Connection, table: str, now: datetime, ahead: int) -> int:
    """Makes the partitions from last month to `ahead` months from now; returns how many were missing.

    No partition is made for a month that `<table>_before` covers. Nor for one of which the default partition has rows,
    unless they may be moved and are few (`partitioning.MAKE_MOVING`).
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
    """The partitions of `table` that are no months and that `drop_months` leaves; their rows are deleted one by one."""
    rows = await connection.fetch(
        "SELECT name FROM partitions_of($1) WHERE low IS NULL AND (high > $2) IS NOT FALSE ORDER BY name",
        table,
        before,
    )
    return [row["name"] for row in rows]

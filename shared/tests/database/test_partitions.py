"""Months are made ready, hold what is theirs and are dropped whole; nothing is refused for its date, nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from tests.fixtures.postgres import NewDatabase

from creneau_shared.database.partitioning import FUNCTIONS, MAKE_MOVING, MOVED_MAX
from creneau_shared.database.partitions import (
    Dropped,
    add_months,
    drop_months,
    make_months,
    month_of,
    remainders,
)
from creneau_shared.database.pool import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLE = """
CREATE TABLE trace (id uuid NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE trace_default PARTITION OF trace (PRIMARY KEY (id)) DEFAULT;
CREATE INDEX ix_trace_at ON trace (at)
"""


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    async with Database(new_database(), size=8, statement_timeout_s=60, name="test") as database:
        for statement in (TABLE, *FUNCTIONS):
            await database.pool.execute(statement)
        yield database


async def write(database: Database, *moments: datetime) -> None:
    await database.pool.execute("INSERT INTO trace SELECT uuidv7(), unnest($1::timestamptz[])", list(moments))


async def held(database: Database) -> dict[str, int]:
    """Partition → how many rows it has."""
    rows = await database.pool.fetch(
        "SELECT name, (SELECT count(*) FROM trace WHERE trace.tableoid = to_regclass(name)) FROM partitions_of('trace')"
    )
    return dict(map(tuple, rows))


async def make(database: Database, ahead: int = 1, now: datetime = NOW) -> int:
    async with database.connection() as connection:
        return await make_months(connection, "trace", now, ahead)


async def drop(database: Database, before: datetime) -> Dropped:
    async with database.connection() as connection:
        return await drop_months(connection, "trace", before)


@pytest.mark.parametrize(
    ("months", "expected"),
    [(0, (2026, 11)), (1, (2026, 12)), (2, (2027, 1)), (-11, (2025, 12)), (14, (2028, 1))],
)
def test_months(months: int, expected: tuple[int, int]) -> None:
    assert add_months(NOW, months) == datetime(*expected, 1, tzinfo=UTC)


async def test_each_month_has_its_rows_whatever_zone_the_session_speaks_in(database: Database) -> None:
    """The first instant is its own, the last microsecond still; a month begins in UTC."""
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL timezone = 'Europe/Paris'")
        assert await make_months(connection, "trace", NOW, 1) == 3
    december = datetime(2026, 12, 1, tzinfo=UTC)
    await write(database, december - timedelta(microseconds=1), december, december + timedelta(days=40))
    assert await held(database) == {
        "trace_2026_10": 0,
        "trace_2026_11": 1,
        "trace_2026_12": 1,
        "trace_default": 1,
    }
    keys = "SELECT count(*) FROM pg_index WHERE indrelid = 'trace_2026_11'::regclass"
    assert await database.pool.fetchval(keys) == 2


async def test_any_number_of_workers_make_a_month_once(database: Database) -> None:
    assert sum(await asyncio.gather(*(make(database, 3) for _ in range(4)))) == 5


async def test_a_clock_that_jumps_by_years_refuses_nothing(database: Database) -> None:
    """What is written into no month stands in the default, there it stays when its month is made, and goes one by one."""
    await make(database)
    later = NOW + timedelta(days=400)
    await write(database, NOW, later, datetime(1999, 1, 1, tzinfo=UTC))
    assert await make(database, 1, later) == 2  # not the month that has a row already
    await write(database, later)
    assert (await held(database))["trace_default"] == 3
    async with database.connection() as connection:
        assert await remainders(connection, "trace", NOW) == ["trace_default"]


async def test_where_rows_may_be_moved_a_month_takes_them_with_it(database: Database) -> None:
    """Its own alone; and so many that all who write would wait for long stay where they are."""
    await database.pool.execute(MAKE_MOVING.replace(str(MOVED_MAX), "2"))
    december, january, later = (
        datetime(*month, 15, tzinfo=UTC) for month in ((2026, 12), (2027, 1), (2027, 2))
    )
    await write(database, december, december, january, january, january, later)
    assert await make(database, 2) == 3
    assert await held(database) == {
        "trace_2026_10": 0,
        "trace_2026_11": 0,
        "trace_2026_12": 2,
        "trace_default": 4,
    }


async def test_months_that_are_wholly_past_are_dropped_and_no_others(database: Database) -> None:
    await make(database, 2)
    await write(database, *(datetime(2026, month, 15, tzinfo=UTC) for month in (10, 10, 11, 12)))
    assert await drop(database, datetime(2026, 10, 31, 23, 59, tzinfo=UTC)) == Dropped(0, 0)
    assert await drop(database, datetime(2026, 12, 1, tzinfo=UTC)) == Dropped(2, 3)
    assert await held(database) == {"trace_2026_12": 1, "trace_2027_01": 0, "trace_default": 0}


async def test_what_was_there_before_the_months_is_one_partition_until_it_is_past(database: Database) -> None:
    """No month is made where it has the rows; it goes whole like a month, and until then one by one."""
    await database.pool.execute(
        "CREATE TABLE trace_before PARTITION OF trace FOR VALUES FROM (MINVALUE) TO ('2026-12-01Z')"
    )
    await write(database, NOW, NOW - timedelta(days=900))
    assert await make(database) == 1
    async with database.connection() as connection:
        assert await remainders(connection, "trace", NOW) == ["trace_before", "trace_default"]
        assert await remainders(connection, "trace", datetime(2026, 12, 1, tzinfo=UTC)) == ["trace_default"]
    assert await drop(database, NOW) == Dropped(0, 0)
    assert await drop(database, datetime(2026, 12, 1, tzinfo=UTC)) == Dropped(1, 2)


async def test_making_months_waits_for_nobody_who_writes_and_they_do_not_wait(database: Database) -> None:
    await make(database)
    async with database.transaction() as writer:
        await writer.execute("INSERT INTO trace VALUES (uuidv7(), $1)", NOW)
        assert await asyncio.create_task(make(database, 3)) == 2
    async with database.transaction() as maker:
        await make_months(maker, "trace", NOW, 4)
        await asyncio.wait_for(write(database, NOW), 60)


async def test_dropping_gives_up_rather_than_hold_everybody_up(database: Database) -> None:
    """Whoever reads goes on; another hour will do."""
    await make(database)
    async with database.transaction() as reader:
        await reader.fetch("SELECT * FROM trace")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await asyncio.create_task(drop(database, NOW))
    assert (await drop(database, NOW)).partitions == 1


@pytest.mark.parametrize("table", ["plain", "by_number", "nowhere", "trace; DROP TABLE trace", "pg_class"])
async def test_only_tables_that_go_by_months_have_any(database: Database, table: str) -> None:
    """The functions act as the owner: they are asked for nothing else."""
    await database.pool.execute("CREATE TABLE plain (at timestamptz)")
    await database.pool.execute("CREATE TABLE by_number (n int) PARTITION BY RANGE (n)")
    async with database.connection() as connection:
        with pytest.raises(asyncpg.NoDataFoundError):
            await make_months(connection, table, NOW, 1)
        assert await drop_months(connection, table, datetime(9000, 1, 1, tzinfo=UTC)) == Dropped(0, 0)


async def test_a_month_is_as_its_table_is(database: Database) -> None:
    """Whoever may write the table may name the month, and its pages are filled as those of the default partition are."""
    await database.pool.execute(
        "DO $$ BEGIN IF to_regrole('month_writer') IS NULL THEN CREATE ROLE month_writer; END IF; END $$;"
        "GRANT SELECT, UPDATE ON trace TO month_writer; ALTER TABLE trace_default SET (fillfactor = 90)"
    )
    assert await make(database, 0) == 2
    for privilege, granted in (("SELECT", True), ("UPDATE", True), ("DELETE", False)):
        sql = "SELECT has_table_privilege('month_writer', 'trace_2026_11', $1)"
        assert await database.pool.fetchval(sql, privilege) is granted
    options = await database.pool.fetchval("SELECT reloptions FROM pg_class WHERE relname = 'trace_2026_11'")
    assert options == ["fillfactor=90"]


def session(*partitions: str) -> Any:
    """A connection that knows these partitions."""
    return SimpleNamespace(partitions=frozenset(partitions))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (NOW, NOW + timedelta(days=10), "trace_2026_11"),
        (datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, tzinfo=UTC), "trace_2026_12"),
        (datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), NOW, "trace_2026_11"),
        (NOW, NOW + timedelta(days=11), "trace"),
        (NOW - timedelta(days=20), NOW - timedelta(days=20), "trace"),
        (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), "trace"),
    ],
)
def test_the_month_that_holds_a_time(first: datetime, last: datetime, expected: str) -> None:
    """By UTC; not one that is over and may be dropped, nor one that was made since the connection was opened."""
    knows = session("trace_2026_10", "trace_2026_11", "trace_2026_12", "other_2027_01")
    assert month_of(knows, "trace", first, last, NOW) == expected
    assert month_of(SimpleNamespace(), "trace", first, last, NOW) == "trace"  # type: ignore[arg-type]

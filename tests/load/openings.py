"""`python -m tests.load.openings`: what it costs to make an agenda's slots from its rules.

In a database of its own, durable, by one connection: a week of 15-minute visits (200 slots) is written anew, looked at
again, and half of it replaced, each beside the same rows written by one plain statement (the yardstick); then
OPENINGS_AGENDAS agendas are carried forward by a day, as the worker does every night.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from services.booking.tests.openings import FOLLOW_UP, WEEK, opening, ruled, service
from tests.fixtures.postgres import running_postgres

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.domain.openings.rules import OpeningLimits
from creneau_booking.handlers.openings import OpeningsJob
from creneau_booking.storage.openings import OpeningStore
from creneau_booking.storage.partitions import ensure_partitions
from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.storage.store import Resource, WriteContext

BASE = "http://127.0.0.1:8080/fhir"
NOW = datetime(2026, 11, 15, 20, tzinfo=UTC)
"""a Sunday evening"""
AGENDAS = int(os.environ.get("OPENINGS_AGENDAS", "200"))
ROUNDS = 25
GOAL_MS = 50.0
_YARDSTICK = """
INSERT INTO slot (id, start, "end", schedule_key, kind_key, last_updated, version, status, said)
SELECT gen_random_uuid(), $1::timestamptz + n * interval '15 minutes', $1::timestamptz + (n + 1) * interval '15 minutes',
  $2, 1, $1, 1, 'free', 'free' FROM generate_series(1, $3::int) AS n
"""


def agenda(name: str, start: str) -> Resource:
    """Forty hours a week, from `start` (a time) on for eight hours."""
    end = f"{int(start[:2]) + 8:02}{start[2:]}"
    days = opening(f"2026-11-16T{start}+01:00", f"2026-11-16T{end}+01:00", freq="WEEKLY", byDay=list(WEEK))
    return ruled(name, [f"Practitioner/{name}"], days, service(FOLLOW_UP, 15))


async def timed(
    database: Database, work: Callable[[Connection, int], Awaitable[object]], prepare: Any = None
) -> float:
    """Median of some transactions of it, milliseconds."""
    taken = []
    for number in range(ROUNDS):
        if prepare is not None:
            await prepare(number)
        began = time.perf_counter()
        async with database.transaction() as connection:
            await work(connection, number)
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


async def measure(database: Database) -> bool:
    """Whether the goal was met; a line each on standard output."""
    await carry_forward(database, FixedClock(NOW))
    context = WriteContext(now=NOW)
    week = OpeningStore(BASE, OpeningLimits(horizon_days=7))
    schedules = ScheduleStore(BASE, week)

    async def write(connection: Connection, number: int, start: str) -> None:
        await schedules.put(connection, context, f"week-{number}", agenda(f"week-{number}", start))

    async def plain(connection: Connection, number: int) -> None:
        await connection.execute(_YARDSTICK, NOW, 1_000_000 + number, 200)

    yardstick = await timed(database, plain)
    fresh = await timed(database, lambda c, n: write(c, n, "09:00:00"))
    same = await timed(database, lambda c, n: write(c, n, "09:00:00"))
    half = await timed(database, lambda c, n: write(c, n, "13:00:00"))
    print(f"{'200 slots by one statement':<44}{yardstick:8.1f} ms")
    for name, taken in (
        ("a week of an agenda, written anew", fresh),
        ("the same stated again", same),
        ("half of it replaced", half),
    ):
        print(
            f"{name:<44}{taken:8.1f} ms   ratio {yardstick / taken:5.2f}   (goal {GOAL_MS:.0f} ms)",
            flush=True,
        )
    return max(fresh, same, half) < GOAL_MS


async def carry_forward(database: Database, clock: FixedClock) -> None:
    """All agendas by a day."""
    store = OpeningStore(BASE)
    schedules = ScheduleStore(BASE, store)
    for number in range(AGENDAS):
        async with database.transaction() as connection:
            name = f"night-{number}"
            await schedules.put(connection, WriteContext(now=NOW), name, agenda(name, "09:00:00"))
    clock.advance(timedelta(days=1))
    began = time.perf_counter()
    done = await OpeningsJob(database, store, clock).sweep()
    taken = time.perf_counter() - began
    print(
        f"{f'{done} agendas carried forward by a day':<44}{taken * 1000 / done:8.1f} ms each, {done / taken:.0f}/s"
    )


async def main() -> int:
    with running_postgres(durable=True) as server:
        url = server.create_database("openings")
        await migrate(find_migrations("creneau_booking"), url)
        async with Database(url, size=4, statement_timeout_s=60, name="openings") as database:
            async with database.connection() as connection:
                await ensure_partitions(connection, NOW, 15)
            return 0 if await measure(database) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""`python -m tests.load.openings`: what it costs to make an agenda's slots from its rules.

In a database of its own, durable, by one connection: a week of 15-minute visits (200 slots) is written anew, looked at
again, and half of it replaced, each beside the same rows written by one plain statement (the yardstick); then
OPENINGS_AGENDAS agendas (200; up to 10,000) are carried forward by a day, as the worker does every night, broken off
half-way and gone on with, beside their new slots written plainly.
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
from tests.load.feeds import POOL, Meter

from creneau_booking.api.schedules import ScheduleStore
from creneau_booking.domain.openings.rules import OpeningLimits
from creneau_booking.handlers.openings import OpeningsJob
from creneau_booking.storage.openings.made_slots import OpeningStore
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.storage.store import Resource, WriteContext

BASE = "http://127.0.0.1:8080/fhir"
NOW = datetime(2026, 11, 15, 20, tzinfo=UTC)
"""a Sunday evening"""
AGENDAS = int(os.environ.get("OPENINGS_AGENDAS", "200"))
A_DAY = 32
"""slots that a day has"""
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
    meter = Meter()
    await meter.watch(database)
    began, used, served = time.perf_counter(), time.process_time(), meter.server_s()
    # Broken off half-way, and gone on with by another: what was due stays due, and nothing is made twice.
    half = await OpeningsJob(database, store, clock).sweep(_Stop(AGENDAS // 2))
    rest = await OpeningsJob(database, store, clock).sweep()
    taken, used, served = time.perf_counter() - began, time.process_time() - used, meter.server_s() - served
    done = half + rest
    if done != AGENDAS:
        raise RuntimeError(f"{done} of {AGENDAS} agendas were due")
    told = f"{done} agendas carried forward, {half} before a break"
    each = f"{taken * 1000 / done:8.1f} ms each, CPU {used * 1000 / done:.1f} + {served * 1000 / done:.1f} ms"
    began, served = time.perf_counter(), meter.server_s()
    async with database.transaction() as connection:
        for number in range(done):
            await connection.execute(_YARDSTICK, NOW, 2_000_000 + number, A_DAY)
    plain, served = time.perf_counter() - began, meter.server_s() - served
    print(f"{told:<44}{each}; 10,000 in {taken * 10_000 / done:.0f} s", flush=True)
    print(f"{f'… their {A_DAY} new slots by one statement each':<44}{plain * 1000 / done:8.1f} ms each,"
          f" CPU {served * 1000 / done:.1f} ms; ratio {plain / taken:.2f}")  # fmt: skip


class _Stop(asyncio.Event):
    """Says so once it has been asked so often."""

    def __init__(self, asked: int) -> None:
        super().__init__()
        self._left = asked

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


async def main() -> int:
    with running_postgres(durable=True) as server:
        url = server.create_database("openings")
        await migrate(find_migrations("creneau_booking"), url)
        async with Database(
            url, size=POOL, statement_timeout_s=60, name="openings", opened_at_once=POOL
        ) as database:
            async with database.connection() as connection:
                await ensure_partitions(connection, NOW, 15)
            return 0 if await measure(database) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

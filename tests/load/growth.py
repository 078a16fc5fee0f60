"""`python -m tests.load.growth`: what a booking costs as the appointments that are kept grow.

A system of its own, its workers stopped. Appointments of past years are laid in by SQL, as many as GROWTH says
(`100000,1000000`, or up to `10000000`, for which there must be room: 2 kB each), and the same bookings are made each
time. Beside the rate stand what PostgreSQL has counted of them: its time, the pages it touched and the bytes of WAL.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass

import asyncpg
from tests.load import data
from tests.load.http_load import Load
from tests.load.measures.writes import Desk, book
from tests.load.system import System, running
from tests.load.workers import Workers

SIZES = [int(size) for size in os.environ.get("GROWTH", "100000,1000000").split(",")]
AT_ONCE = 250_000
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "full_page_writes": "off",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
}
_DAYS = 3 * 365
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY ('{appointment,appointment_date}')
  AND NOT starts_with(indexname, 'pk_') AND NOT starts_with(indexname, 'uq_')
"""
_CONTENT = """format('{"resourceType":"Appointment","id":"%s","meta":{"versionId":"2","lastUpdated":"%s"},'
  '"status":"fulfilled","serviceType":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode",'
  '"code":"AMB"}],"text":"Consultation"}],"description":"Consultation de suivi","start":"%s","end":"%s",'
  '"slot":[{"reference":"Slot/%s"}],"participant":[{"actor":{"reference":"Patient/p%s"},"status":"accepted"},'
  '{"actor":{"reference":"Practitioner/d%s"},"status":"accepted"}]}',
  id, updated, at, at + interval '15 minutes', slot, n % 3000000, n % 40000)"""
_LAY_IN = f"""
WITH visit AS MATERIALIZED (
  SELECT n, gen_random_uuid()::text AS id, gen_random_uuid()::text AS slot, now() - random() * interval '{_DAYS} days' AS at,
    now() - random() * interval '{_DAYS} days' AS updated FROM generate_series($1::bigint, $2::bigint) AS n
), kept AS (
  INSERT INTO appointment (id, version, last_updated, content, terms, traits, words)
  SELECT id, 2, updated, convert_to({_CONTENT}, 'UTF8'),
    ARRAY['status=fulfilled', 'service-type=AMB', 'slot=Slot/' || slot, 'part-status=accepted', 'actor=Patient/p' ||
      n % 3000000, 'patient=Patient/p' || n % 3000000, 'actor=Practitioner/d' || n % 40000, '~agenda=a' || n % 40000,
      '~owner=o' || n % 20000, '~shared=p' || n % 3000000],
    ARRAY['date', 'practitioner=Practitioner/d' || n % 40000],
    '''amb'':1 ''consultation'':3,11 ''de'':12 ''suivi'':13'::tsvector
  FROM visit RETURNING id, key
)
INSERT INTO appointment_date (key, parameter, low, high)
SELECT key, parameter, at, at + interval '1 microsecond'
FROM kept JOIN visit USING (id), unnest(ARRAY['date', 'end']) AS parameter
"""
_COUNTED = """
SELECT sum(total_exec_time) AS ms, sum(shared_blks_hit + shared_blks_read) AS pages, sum(wal_bytes) AS wal
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
WHERE datname = 'creneau_booking' AND userid <> 'postgres'::regrole
"""


@dataclass(frozen=True)
class Cost:
    """Of one booking, on the average."""

    load: Load
    ms: float
    pages: float
    wal: float


async def lay_in(connection: asyncpg.Connection, size: int) -> None:
    """As many appointments as wanted; indexes are made anew, which is quicker than to fill them."""
    there = await connection.fetchval("SELECT count(*) FROM appointment")
    indexes = await connection.fetch(_INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['indexname']}")
    for first in range(there, size, AT_ONCE):
        await connection.execute(_LAY_IN, first, min(first + AT_ONCE, size) - 1)
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute("VACUUM ANALYZE appointment, appointment_date")
    await connection.execute("CHECKPOINT")


async def measure(system: System, connection: asyncpg.Connection, desk: Desk) -> Cost:
    """Bookings, of which the warm-up counts as well."""
    booked = desk.booked
    await connection.execute("SELECT pg_stat_statements_reset()")
    load = await book(desk, [system.token_of("system")])
    counted = await connection.fetchrow(_COUNTED)
    assert counted is not None
    made = desk.booked - booked
    return Cost(load, counted["ms"] / made, float(counted["pages"] / made), float(counted["wal"] / made))


async def grow(system: System) -> None:
    """One line a size."""
    desk = Desk(system, await data.fill(system.database))
    connection = await asyncpg.connect(system.database("booking"))
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    await connection.execute("SET synchronous_commit = off")
    workers = Workers(system, connection)
    await workers.stop()
    least: Cost | None = None
    try:
        for size in SIZES:
            began = time.perf_counter()
            await lay_in(connection, size)
            laid_in = time.perf_counter() - began
            cost = await measure(system, connection, desk)
            least = least or cost
            print(
                f"{size:>11,} appointments: {cost.load.rate:6.0f} bookings/s   PostgreSQL {cost.ms:.3f} ms"
                f" (× {cost.ms / least.ms:.2f})   {cost.pages:5.0f} pages (× {cost.pages / least.pages:.2f})"
                f"   {cost.wal:6.0f} bytes of WAL (× {cost.wal / least.wal:.2f})   [laid in within {laid_in:.0f} s]",
                flush=True,
            )
    finally:
        workers.go_on()
        await connection.close()


def main() -> int:
    """Measure at each size; 0 when it could be done."""
    with running(postgres=SETTINGS) as system:
        asyncio.run(grow(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.load.slot_growth`: what a booking costs as the slots that there are grow.

For each of SLOT_GROWTH (`100000,10000000`) a database of its own, filled as `tests.load.soonest` does (40 slots an agenda;
about 0.5 kB each), and BOOKINGS (300) made in it by software, of free slots anywhere, one after the other in one process.
Of each agenda a slot has been booked just before, so that both sizes are measured warm: PostgreSQL holds what a booking
touches, as it does where somebody has just searched it. Everything is counted, so that what else the machine does makes no
difference: statements, pages and WAL to the number; CPU time nearly so. Nothing is vacuumed meanwhile, and no page is
written whole. The last line has the ratios of the largest to the smallest.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.fixtures.postgres import running_postgres
from tests.load.feeds import BASE, POOL, Meter
from tests.load.soonest import SLOTS_EACH, fill

from creneau_booking.app import create_commands, create_fhir
from creneau_booking.settings import BookingSettings
from creneau_shared.clock import SystemClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.security.principal import Principal, Scope

SIZES = [int(size) for size in os.environ.get("SLOT_GROWTH", "100000,10000000").split(",")]
BOOKINGS = int(os.environ.get("BOOKINGS", "300"))
SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off", "max_wal_size": "8GB"}
_FREE = """
SELECT slot.id, slot.start, slot."end", substr(schedule.id, 2) AS whose
FROM (SELECT DISTINCT 1 + floor(random() * $2)::bigint AS n FROM generate_series(1, $1::integer * 2)
  LIMIT $1::integer) AS one
JOIN schedule ON schedule.id = 's' || one.n
CROSS JOIN LATERAL (SELECT *, row_number() OVER (ORDER BY slot.start) AS nth FROM slot
  WHERE slot.schedule_key = schedule.key AND slot.status = 'free' ORDER BY slot.start LIMIT 2) AS slot
ORDER BY slot.nth, random()
"""
"""of so many agendas, of so many that there are, the first free slot, and then of each of them the second"""
_COUNTED = """
SELECT sum(shared_blks_hit + shared_blks_read) AS pages, sum(shared_blks_read) AS read FROM pg_stat_statements
JOIN pg_database ON pg_database.oid = dbid WHERE datname = current_database() AND query !~ 'pg_stat_statements'
"""
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


@dataclass(frozen=True)
class Cost:
    """Of one booking, on the average."""

    statements: float
    pages: float
    read: float
    """of the pages, those that PostgreSQL did not hold"""
    wal: float
    postgres_ms: float
    process_ms: float

    def told(self) -> str:
        return (
            f"{self.statements:5.2f} statements   {self.pages:6.1f} pages, {self.read:.1f} read   {self.wal:6.0f} bytes of WAL"
            f"   CPU PostgreSQL {self.postgres_ms:.2f} ms, process {self.process_ms:.2f} ms"
        )

    def against(self, least: Cost) -> str:
        """How many times as much as another."""
        whole = (self.postgres_ms + self.process_ms) / (least.postgres_ms + least.process_ms)
        return (
            f"CPU of PostgreSQL \u00d7 {self.postgres_ms / least.postgres_ms:.2f}, of the process"
            f" \u00d7 {self.process_ms / least.process_ms:.2f}, of both \u00d7 {whole:.2f};"
            f" pages \u00d7 {self.pages / least.pages:.2f}, WAL \u00d7 {self.wal / least.wal:.2f}"
        )


class Software:
    """A practice's software, whose requests need no network."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server
        scopes = (Scope("system", "*", frozenset("cruds")),)
        self._principal = Principal("https://issuer.example", "software", scopes, role="system")

    async def send(self, method: str, *path: str, body: dict[str, Any]) -> None:
        request = FhirRequest(
            method=method,
            path=path,
            query=[],
            headers={"content-type": "application/fhir+json"},
            body=dumps(body),
            principal=self._principal,
            now=datetime.now(UTC),
            base_url=BASE,
        )
        answer = await self._server.answer(request)
        if answer.status not in (200, 201):
            raise RuntimeError(f"{answer.status} {answer.content!r}")

    async def book(self, number: int, slot: Any) -> None:
        start, end = (slot[name].isoformat(timespec="seconds") for name in ("start", "end"))
        whom = (f"Patient/patient-{number}", f"Practitioner/p{slot['whose']}")
        await self.send(
            "POST",
            "Appointment",
            body={
                "resourceType": "Appointment",
                "status": "booked",
                "description": "Consultation de suivi",
                "start": start,
                "end": end,
                "slot": [{"reference": f"Slot/{slot['id']}"}],
                "participant": [
                    {"actor": {"reference": who}, "required": "required", "status": "accepted"}
                    for who in whom
                ],
            },
        )


async def measure(url: str, agendas: int, bookings: int = BOOKINGS) -> Cost:
    """Book in a database with so many agendas."""
    settings = BookingSettings(database_url=url, public_base_url=BASE, database_pool_size=POOL)
    async with Database(
        url, size=POOL, statement_timeout_s=60, name="growth", opened_at_once=POOL
    ) as database:
        database.closes_with = create_commands(settings).handlers.waiting.offer_freed
        software = Software(create_fhir(settings, database, SystemClock()))
        async with database.connection() as connection:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            slots = await connection.fetch(_FREE, bookings, agendas)
        # Each for a patient of its own, who cannot be in two places.
        for number in range(len(slots)):
            body = {"resourceType": "Patient", "id": f"patient-{number}", "name": [{"family": "Durand"}]}
            await software.send("PUT", "Patient", f"patient-{number}", body=body)
        meter = Meter()
        await meter.watch(database)
        for number, slot in enumerate(slots[:bookings]):
            await software.book(number, slot)
        async with database.connection() as connection:
            await connection.execute("CHECKPOINT")
            await connection.execute("SELECT pg_stat_statements_reset()")
            wal, meter.statements = await connection.fetchval(_WAL), 0
        served, used = meter.server_s(), time.process_time()
        for number, slot in enumerate(slots[bookings:], start=bookings):
            await software.book(number, slot)
        served, used = meter.server_s() - served, time.process_time() - used
        statements = meter.statements
        async with database.connection() as connection:
            return await _cost(connection, bookings, wal, statements, served, used)


async def _cost(
    connection: Connection, made: int, wal: int, statements: int, served: float, used: float
) -> Cost:
    wal = int(await connection.fetchval(_WAL)) - wal
    counted = await connection.fetchrow(_COUNTED)
    assert counted is not None
    return Cost(
        statements / made,
        float(counted["pages"]) / made,
        float(counted["read"]) / made,
        wal / made,
        served * 1000 / made,
        used * 1000 / made,
    )


async def run() -> None:
    """One line a size, and the ratios."""
    costs: list[Cost] = []
    with running_postgres(settings=SETTINGS) as server:
        for size in SIZES:
            url = server.create_database(f"slots_{size}")
            await migrate(find_migrations("creneau_booking"), url)
            await fill(url, size // SLOTS_EACH)
            costs.append(await measure(url, size // SLOTS_EACH))
            print(f"{size:>11,} slots: {costs[-1].told()}", flush=True)
    print(f"a booking at {SIZES[-1]:,} slots against {SIZES[0]:,}, warm: {costs[-1].against(costs[0])}")


def main() -> int:
    """Measure at each size; 0 when it could be done."""
    asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())

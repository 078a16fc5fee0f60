"""What a feed of slots costs: `python -m tests.load.feeds`.

Statements, processor time of the process and of PostgreSQL, and slots a second, for the Bundles that publishers send.
Processor times say more than the clock on a machine that does other things beside.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
from tests.fixtures.postgres import running_postgres
from tests.load.processes import cpu_s

from creneau_booking.app import create_commands, create_fhir
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.slots.partitions import ensure_partitions
from creneau_shared.clock import SystemClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.security.principal import Principal, Scope

BASE = "http://127.0.0.1/fhir"
AGENDAS = 3
POOL = 8
REPEATED = int(os.environ.get("FEEDS_REPEATED", "20"))


class Meter:
    """Counts the statements of the pool's connections, and the processor time of their servers."""

    def __init__(self) -> None:
        self.statements = 0
        self._servers: list[int] = []

    async def watch(self, database: Database) -> None:
        connections = [await database.pool.acquire() for _ in range(POOL)]
        for connection in connections:
            self._servers.append(await connection.fetchval("SELECT pg_backend_pid()"))
            connection.add_query_logger(self._count)
        for connection in connections:
            await database.pool.release(connection)

    async def _count(self, _: object) -> None:
        self.statements += 1

    def server_s(self) -> float:
        """Processor time of the servers so far."""
        return cpu_s(self._servers)


@asynccontextmanager
async def booking() -> AsyncIterator[tuple[FhirServer, Meter]]:
    """Booking over a database of its own, with a few agendas."""
    with running_postgres() as postgres:
        url = postgres.create_database("feeds")
        await migrate(find_migrations("creneau_booking"), url)
        connection = await asyncpg.connect(url)
        await ensure_partitions(connection, datetime.now(UTC), 14)
        await connection.close()
        settings = BookingSettings(database_url=url, public_base_url=BASE, database_pool_size=POOL)
        async with Database(
            url, size=POOL, statement_timeout_s=60, name="feeds", opened_at_once=POOL
        ) as database:
            database.closes_with = create_commands(settings).handlers.waiting.offer_freed
            server = create_fhir(settings, database, SystemClock())
            agendas = [("PUT", f"Schedule/{id_}", _schedule(id_)) for id_ in _agendas()]
            await send(server, "transaction", agendas)
            meter = Meter()
            await meter.watch(database)
            # As in a process that serves (`creneau_shared.app`): what was loaded to start is not searched for garbage.
            gc.collect()
            gc.freeze()
            yield server, meter


def _agendas() -> Iterator[str]:
    return (f"agenda-{number}" for number in range(AGENDAS))


def _schedule(id_: str) -> dict[str, Any]:
    return {
        "resourceType": "Schedule",
        "id": id_,
        "active": True,
        "actor": [{"reference": f"Practitioner/{id_}"}],
    }


def _slots(count: int, prefix: str) -> list[dict[str, Any]]:
    """Slots of a publisher: identified, of a few kinds, agenda after agenda."""
    agendas = list(_agendas())
    first = datetime.now(UTC).replace(hour=7, minute=0, second=0, microsecond=0) + timedelta(days=2)
    return [
        {
            "resourceType": "Slot",
            "id": f"{prefix}-{number}",
            "identifier": [{"system": "https://agenda.exemple.fr/creneau", "value": f"{prefix}-{number}"}],
            "schedule": {"reference": f"Schedule/{agendas[number * AGENDAS // count]}"},
            "serviceType": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}]}
            ],
            "specialty": [
                {"coding": [{"system": "urn:oid:1.2.250.1.213.2.28", "code": f"SM{53 + number % 2}"}]}
            ],
            "status": "free" if number % 5 else "busy",
            "start": (first + number * timedelta(minutes=20)).isoformat(timespec="seconds"),
            "end": (first + (number + 1) * timedelta(minutes=20)).isoformat(timespec="seconds"),
            "comment": "https://agenda.exemple.fr/reserver",
        }
        for number in range(count)
    ]


async def send(server: FhirServer, kind: str, entries: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
    """A Bundle of the deployment itself; RuntimeError unless all of it was done."""
    bundle = {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [{"resource": r, "request": {"method": m, "url": url}} for m, url, r in entries],
    }
    scopes = (Scope("system", "*", frozenset("cruds")),)
    request = FhirRequest(
        method="POST",
        path=(),
        query=[],
        headers={"content-type": "application/fhir+json", "prefer": "return=minimal"},
        body=dumps(bundle),
        principal=Principal("https://issuer.example", "feeds", scopes, role="system"),
        now=datetime.now(UTC),
        base_url=BASE,
    )
    answer = await server.handle(request)
    for part in loads(answer.content or b"")["entry"]:
        if not part["response"]["status"].startswith("20"):
            raise RuntimeError(f"refused: {part}")


async def measure(
    server: FhirServer, meter: Meter, name: str, kind: str, count: int, method: str, *, known: bool
) -> None:
    """One line: a Bundle of `count` slots, sent anew several times (`known`: every time the same slots)."""
    repeated = max(6, REPEATED * 20 // count)

    def bundle(number: int) -> list[tuple[str, str, dict[str, Any]]]:
        slots = _slots(count, f"{kind}-{count}" if known else uuid4().hex[:12])
        if method == "POST":
            return [("POST", "Slot", {k: v for k, v in slot.items() if k != "id"}) for slot in slots]
        return [("PUT", f"Slot/{slot['id']}", {**slot, "comment": f"{number % 2}"}) for slot in slots]

    bundles = [bundle(number) for number in range(repeated + 2)]
    for warm_up in bundles[:2]:
        await send(server, kind, warm_up)
    meter.statements, served = 0, meter.server_s()
    began, used = time.perf_counter(), time.process_time()
    for one in bundles[2:]:
        await send(server, kind, one)
    took, used, served = time.perf_counter() - began, time.process_time() - used, meter.server_s() - served
    print(
        f"{name:<38}{meter.statements / repeated:>8.0f} statements   process {1000 * used / repeated:>7.1f} ms"
        f"   PostgreSQL {1000 * served / repeated:>7.1f} ms   {count * repeated / took:>6.0f} slots/s",
        flush=True,
    )


async def run() -> None:
    async with booking() as (server, meter):
        for kind, count in (("transaction", 20), ("batch", 200), ("transaction", 1000)):
            for method, known, what in (
                ("POST", False, "POST"),
                ("PUT", False, "PUT, new"),
                ("PUT", True, "PUT, known"),
            ):
                await measure(server, meter, f"{kind} of {count}, {what}", kind, count, method, known=known)


def main() -> int:
    """Measure; 0 when everything that was sent was accepted."""
    asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())

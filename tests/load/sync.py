"""What `$sync-slots` of 10,000 slots costs: `python -m tests.load.sync`, beside PostgreSQL writing the same rows.

The yardstick is the least that could be done: the rows copied as they are in one statement, by nobody asked and compared
with nothing. SYNC_SLOTS (10000), SYNC_REPEATED (3).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.load.feeds import BASE, Meter, booking

from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.security.principal import Principal, Scope

SLOTS = int(os.environ.get("SYNC_SLOTS", "10000"))
REPEATED = int(os.environ.get("SYNC_REPEATED", "3"))
LENGTH = timedelta(minutes=10)
FIRST = datetime.now(UTC).replace(hour=7, minute=0, second=0, microsecond=0) + timedelta(days=2)
EMPTY = "DELETE FROM slot WHERE schedule_key = (SELECT key FROM schedule WHERE id = 'agenda-0')"
SAME_ROWS = """
WITH gone AS (DELETE FROM slot WHERE schedule_key = (SELECT key FROM schedule WHERE id = 'agenda-1'))
INSERT INTO slot (id, start, "end", status, said, extra, terms, schedule_key, kind_key, last_updated, version)
SELECT gen_random_uuid(), start + make_interval(secs => {shift}), "end" + make_interval(secs => {shift}), status, said,
  extra, terms, (SELECT key FROM schedule WHERE id = 'agenda-1'), kind_key, last_updated, 1
FROM slot WHERE schedule_key = (SELECT key FROM schedule WHERE id = 'agenda-0')
"""


def slots(comment: str, changed_each: int = 0) -> bytes:
    """NDJSON of a publisher's slots, `changed_each` of which say something else."""
    return b"\n".join(
        dumps(
            {
                "resourceType": "Slot",
                "identifier": [{"system": "https://agenda.exemple.fr/creneau", "value": str(number)}],
                "serviceType": [
                    {
                        "coding": [
                            {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
                        ]
                    }
                ],
                "specialty": [
                    {"coding": [{"system": "urn:oid:1.2.250.1.213.2.28", "code": f"SM{53 + number % 2}"}]}
                ],
                "status": "free" if number % 5 else "busy",
                "start": (FIRST + number * LENGTH).isoformat(timespec="seconds"),
                "end": (FIRST + (number + 1) * LENGTH).isoformat(timespec="seconds"),
                "comment": f"https://agenda.exemple.fr/{comment if changed_each and number % changed_each == 0 else ''}",
            }
        )
        for number in range(SLOTS)
    )


async def sync(server: FhirServer, body: bytes) -> dict[str, int]:
    scopes = (Scope("system", "*", frozenset("cruds")),)
    query = [("from", FIRST.isoformat()), ("to", (FIRST + SLOTS * LENGTH).isoformat())]
    request = FhirRequest(
        method="POST",
        path=("Schedule", "agenda-0", "$sync-slots"),
        query=query,
        headers={"content-type": "application/fhir+ndjson"},
        body=body,
        principal=Principal("https://issuer.example", "feeds", scopes, role="system"),
        now=datetime.now(UTC),
        base_url=BASE,
    )
    answer = await server.handle(request)
    return {
        p["name"]: p["valueInteger"] for p in loads(answer.content or b"")["parameter"] if "valueInteger" in p
    }


async def timed(
    name: str, server: FhirServer, meter: Meter, bodies: Sequence[bytes], yard_s: float, yard_cpu_s: float
) -> None:
    meter.statements, served = 0, meter.server_s()
    began, used = time.perf_counter(), time.process_time()
    told: Any = None
    for body in bodies:
        told = await sync(server, body)
    took, used, served = time.perf_counter() - began, time.process_time() - used, meter.server_s() - served
    each = len(bodies)
    print(
        f"{name:<26}{took / each:>7.2f} s ({SLOTS * each / took:>6.0f} slots/s, {yard_s / (took / each):.2f} of the yardstick)"
        f"   process {used / each:>5.2f} s   PostgreSQL {served / each:>5.2f} s"
        f"   CPU {(used + served) / each / yard_cpu_s:.1f} times the yardstick's   {meter.statements / each:>3.0f} statements"
        f"   {told}",
        flush=True,
    )


async def run() -> None:
    async with booking() as (server, meter):
        whole = slots("")
        print(f"{SLOTS} slots, {len(whole) / 1e6:.1f} MB of NDJSON")
        await sync(server, whole)  # what a process does once, it has done
        first = [0.0, 0.0, 0.0]
        for _ in range(REPEATED):
            async with server.service.transaction() as connection:
                await connection.execute(EMPTY)
            began, used, served = time.perf_counter(), time.process_time(), meter.server_s()
            await sync(server, whole)
            now = time.perf_counter(), time.process_time(), meter.server_s()
            first = [sum(each) for each in zip(first, now, (-began, -used, -served), strict=True)]
        first_s, used, served = (each / REPEATED for each in first)
        async with server.service.transaction() as connection:
            times = []
            before_all = meter.server_s()
            for shift in range(1, 4):
                before = time.perf_counter()
                await connection.execute(SAME_ROWS.format(shift=shift))
                times.append(time.perf_counter() - before)
        yard_s, yard_cpu_s = min(times), (meter.server_s() - before_all) / len(times)
        print(
            f"yardstick: the same rows   {yard_s:>5.2f} s ({SLOTS / yard_s:>6.0f} slots/s), of which CPU {yard_cpu_s:.2f} s"
        )
        print(
            f"all of them new           {first_s:>7.2f} s ({SLOTS / first_s:>6.0f} slots/s,"
            f" {yard_s / first_s:.2f} of the yardstick)   process {used:>5.2f} s   PostgreSQL {served:>5.2f} s"
            f"   CPU {(used + served) / yard_cpu_s:.1f} times the yardstick's"
        )
        await timed("nothing has changed", server, meter, [whole] * REPEATED, yard_s, yard_cpu_s)
        few = [slots(f"{n}", 100) for n in range(REPEATED)]
        await timed("one in a hundred changed", server, meter, few, yard_s, yard_cpu_s)
        every = [slots(f"{n}", 1) for n in range(REPEATED)]
        await timed("all of them changed", server, meter, every, yard_s, yard_cpu_s)


def main() -> int:
    """Measure; 0 when everything that was sent was accepted."""
    asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())

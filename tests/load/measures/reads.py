"""Reads: the same request again and again, and people who look at what is theirs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

from tests.load import data
from tests.load.http_load import Load, http_request, repeated, run
from tests.load.measures.figures import CONNECTIONS, SECONDS
from tests.load.system import System


async def read(system: System, path: str, token: str | None = None) -> Load:
    """Warm up for a fifth of the time, then measure."""
    request = http_request("GET", path, system.host, token)
    await run(system.address, repeated(request, time.perf_counter() + SECONDS / 5), CONNECTIONS)
    return await run(system.address, repeated(request, time.perf_counter() + SECONDS), CONNECTIONS)


async def read_own(system: System, patients: Sequence[str]) -> Load:
    """Each patient reads what is kept of them, one after the other."""
    numbers = itertools.count()

    def reads(seconds: float) -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            number = next(numbers) % len(patients)
            path = f"/fhir/Patient/{data.patient_id(number)}"
            yield http_request("GET", path, system.host, patients[number])

    await run(system.address, reads(SECONDS / 5), CONNECTIONS)
    return await run(system.address, reads(SECONDS), CONNECTIONS)

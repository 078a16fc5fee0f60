"""What each page of the journey costs: requests of the FHIR base, and CPU time by kind of process.

One person after the other takes the same step, so that the counts belong to one page and the machine is never full.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import httpx
from tests.load.measures.journey import SEARCHES, STEPS, Journeys, Person, steps
from tests.load.processes import cpu_ms
from tests.load.system import System

COLUMNS = {
    "web": "pages",
    "nginx": "nginx",
    "gateway": "gateway",
    "booking-api": "booking",
    "directory-api": "direct.",
    "notifications-api": "notif.",
    "booking-worker": "worker",
    "postgres": "postgres",
}
"""the parts that take part, and what their columns are called"""
ASKED = tuple(part for part in COLUMNS if part.endswith("-api"))
IDLE_S = 5
_COUNT = re.compile(
    r'^creneau_http_requests_total\{method="(\w+)",resource="(\w+)",status="\d+"\} (\S+)', re.MULTILINE
)


async def tell_costs(system: System, people: Sequence[Person]) -> None:
    """A table: of each page, how much, and what was asked for it."""
    idle = await _idle(system)
    print(
        f"\nOf each of {len(people)} pages: requests of the FHIR base, and milliseconds of CPU without what goes on anyhow"
    )
    print(f"{'':<12}{'asked':>8}" + "".join(f"{label:>10}" for label in (*COLUMNS.values(), "all")))
    walks = [
        steps(system, person, SEARCHES[number % len(SEARCHES)], Journeys())
        for number, person in enumerate(people)
    ]
    asked_in_all, used_in_all = Counter[str](), Counter[str]()
    for step in STEPS:
        asked_before, cpu_before, began = await _asked(system), cpu_ms(system.pids()), time.perf_counter()
        for walk in walks:
            await anext(walk)
        lasted = time.perf_counter() - began
        used = {
            kind: ms - cpu_before.get(kind, 0.0) - idle.get(kind, 0.0) * lasted
            for kind, ms in cpu_ms(system.pids()).items()
        }
        asked = await _asked(system) - asked_before
        _line(step, asked, used, len(people))
        asked_in_all.update(asked)
        used_in_all.update(used)
    for walk in walks:
        await walk.aclose()
    _line("a journey", asked_in_all, used_in_all, len(people))


def _line(name: str, asked: Counter[str], used: Mapping[str, float], people: int) -> None:
    shares = [max(0.0, used.get(kind, 0.0)) / people for kind in COLUMNS]
    whom = ", ".join(f"{count / people:.2g} {what}" for what, count in asked.most_common())
    columns = "".join(f"{share:>10.2f}" for share in (*shares, sum(shares)))
    print(f"{name:<12}{asked.total() / people:>8.2f}{columns}   {whom}", flush=True)


async def _idle(system: System) -> dict[str, float]:
    """Milliseconds of CPU a second while nobody asks."""
    before = cpu_ms(system.pids())
    await asyncio.sleep(IDLE_S)
    return {kind: (used - before.get(kind, 0.0)) / IDLE_S for kind, used in cpu_ms(system.pids()).items()}


async def _asked(system: System) -> Counter[str]:
    """What the services' processes have answered, by method and type; what is asked of their health is left out."""
    found: Counter[str] = Counter()
    async with httpx.AsyncClient() as client:
        for part in system.pids():
            if not part.startswith(ASKED):
                continue
            text = (await client.get(f"http://127.0.0.1:{system.port_of(part)}/metrics")).text
            for method, resource, count in _COUNT.findall(text):
                if resource != "other":
                    found[f"{method} {resource}"] += int(float(count))
                elif method == "POST":
                    found["batch"] += int(float(count))
    return found

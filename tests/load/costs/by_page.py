"""What each page of the journey costs: requests of the FHIR base, and CPU time by kind of process.

One person after the other takes the same step, so that the counts belong to one page and the machine is never full.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence

import httpx
from tests.load.measures.journey import SEARCHES, STEPS, Journeys, NotAsWantedError, Person, steps
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
    asked_in_all, used_in_all = defaultdict[str, float](float), defaultdict[str, float](float)
    ended = Counter[str]()
    for step in STEPS:
        walking = len(walks)
        if not walking:
            break
        asked_before, cpu_before, began = await _asked(system), cpu_ms(system.pids()), time.perf_counter()
        walks = await a_step_further(walks, ended)
        lasted = time.perf_counter() - began
        used = {
            kind: ms - cpu_before.get(kind, 0.0) - idle.get(kind, 0.0) * lasted
            for kind, ms in cpu_ms(system.pids()).items()
        }
        asked_each = {what: count / walking for what, count in (await _asked(system) - asked_before).items()}
        used_each = {kind: max(0.0, used.get(kind, 0.0)) / walking for kind in COLUMNS}
        _line(step, asked_each, used_each)
        for what, count in asked_each.items():
            asked_in_all[what] += count
        for kind, ms in used_each.items():
            used_in_all[kind] += ms
    for walk in walks:
        await walk.aclose()
    _line("a journey", asked_in_all, used_in_all)
    if ended:
        print(f"{ended.total()} of {len(people)} ended early: {dict(ended)}", flush=True)


async def a_step_further(
    walks: Sequence[AsyncGenerator[str]], ended: Counter[str]
) -> list[AsyncGenerator[str]]:
    """Those who take their next step, one after the other. Why the others end is counted in `ended`."""
    further = []
    for walk in walks:
        try:
            await anext(walk)
        except NotAsWantedError as error:
            ended[str(error)] += 1
        else:
            further.append(walk)
    return further


def _line(name: str, asked: Mapping[str, float], used: Mapping[str, float]) -> None:
    """One row of the table, of what one page takes: requests by what is asked, and milliseconds by kind of process."""
    shares = [used.get(kind, 0.0) for kind in COLUMNS]
    whom = ", ".join(
        f"{count:.2g} {what}" for what, count in sorted(asked.items(), key=lambda one: one[1], reverse=True)
    )
    columns = "".join(f"{share:>10.2f}" for share in (*shares, sum(shares)))
    print(f"{name:<12}{sum(asked.values()):>8.2f}{columns}   {whom}", flush=True)


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

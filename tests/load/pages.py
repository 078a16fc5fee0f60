"""`python -m tests.load.pages`: people on the pages, as a part of `make bench`, on a system with the demonstration data.

What each page of the journey costs (requests of the FHIR base, CPU by kind of process), one person after the other. Then
arrivals at JOURNEY_RATES people a second (5,20,50), each from the first page to a confirmed appointment; beside them, how
fast one page comes by itself, and its yardsticks: a static file by nginx, and what the page asks the FHIR base for.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
from tests.load.costs.by_page import tell_costs
from tests.load.draining import Draining
from tests.load.measures.figures import SECONDS, report, report_alone, telling_cores
from tests.load.measures.journey import Person, alone, journeys, prepare
from tests.load.system import System, running

RATES = tuple(float(rate) for rate in os.environ.get("JOURNEY_RATES", "5,20,50").split(","))
WARM_UP = 20
COUNTED = 60
"""people of whose pages the costs are told"""
GOAL = 0.5
"""a page of times against its one search, answers a second"""


async def measure(system: System) -> None:
    """Single pages first, then people."""
    counts = [int(rate * SECONDS) for rate in RATES]
    # Agendas follow the rules of their offers once they have heard of them: until then a time for children is anybody's.
    await (await Draining.of(system)).replicated()
    people = iter(await prepare(system, sum(counts) + WARM_UP + COUNTED))
    await journeys(system, list(_some(people, WARM_UP)), 5.0)
    await tell_costs(system, list(_some(people, COUNTED)))
    one = next(iter(await prepare(system, 1)))
    await _singly(system, one)
    for rate, count in zip(RATES, counts, strict=True):
        with telling_cores(system):
            found = await journeys(system, list(_some(people, count)), rate)
            found.tell(rate)


async def _singly(system: System, one: Person) -> None:
    async with httpx.AsyncClient() as client:
        home = (await client.get(f"http://{system.host}/")).text
    found = re.search(r'href="(/static/[^"]+/style\.css)"', home)
    assert found
    static = await alone(system, found[1])
    report_alone("a static file by nginx", static)
    with telling_cores(system):
        report("page: home", await alone(system, "/"), static.rate, 0.02)
    query = urlencode(
        [
            ("schedule.actor", f"PractitionerRole/{one.role}"),
            ("status", "free"),
            ("_sort", "start"),
            ("_count", "200"),
        ]
    )
    fhir = await alone(system, f"/fhir/Slot?{query}")
    report_alone("its search on the FHIR base", fhir)
    with telling_cores(system):
        times = await alone(system, f"/soignants/{one.role}/creneaux", one.cookie)
        report("page: times", times, fhir.rate, GOAL)


def _some(people: Iterator[Person], count: int) -> Iterator[Person]:
    for _ in range(count):
        yield next(people)


def main() -> int:
    """On a system of its own; 0 when it could be measured."""
    with running({"DEMONSTRATION": "on"}) as system:
        asyncio.run(measure(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

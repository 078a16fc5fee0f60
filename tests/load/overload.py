"""`python -m tests.load.overload`: people who hold a time, while a crowd looks for one.

LOOKERS (100) connections load results and times again and again, as fast as they come; who is asked to come back asks again
at once, which is worse than any browser. Beside them RATE (2) people a second, who have chosen their time, book it. Once for
each of BELOW (`ADMISSION_LOOKING_BELOW`; 100000 turns nobody away): how many booked, how long each step took, and how the
crowd fared.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from tests.load.http_load import http_request, run
from tests.load.measures.figures import SECONDS, percentiles, telling_cores
from tests.load.measures.journey import SEARCHES, Person, journeys, prepare
from tests.load.system import System, running

LOOKERS = int(os.environ.get("LOOKERS", "100"))
RATE = float(os.environ.get("RATE", "2"))
BELOW = os.environ.get("BELOW", "100000,32").split(",")
WARM_UP = 10
GATHERS_S = 3.0
"""how long the crowd is there before somebody books"""


def looking(system: System, people: Sequence[Person], over: asyncio.Event) -> Iterator[bytes]:
    """What the crowd asks for, until it is over."""
    paths = [f"/recherche?quoi={quote(what)}&ou={quote(where)}" for what, where in SEARCHES]
    paths += [f"/soignants/{person.role}/creneaux" for person in people]
    for path in itertools.cycle(paths):
        if over.is_set():
            return
        yield http_request("GET", path, system.host, None)


async def measure(system: System, below: str) -> None:
    """One crowd, and those who book through it."""
    people = await prepare(system, int(RATE * SECONDS) + WARM_UP)
    first, others = people[:WARM_UP], people[WARM_UP:]
    await journeys(system, first, 1.0)
    over = asyncio.Event()
    crowd = asyncio.create_task(run(system.address, looking(system, first, over), LOOKERS))
    await asyncio.sleep(GATHERS_S)
    print(f"\n{LOOKERS} look, ADMISSION_LOOKING_BELOW {below}", flush=True)
    with telling_cores(system):
        found = await journeys(system, others, RATE, looking=False)
        found.tell(RATE)
    over.set()
    load = await crowd
    print(f"{'those who look':<34}{percentiles(load.latencies)}   {dict(load.statuses)}", flush=True)


def main() -> int:
    """A system of its own for each; 0 when it could be measured."""
    for below in BELOW:
        settings = {
            "ADMISSION_LOOKING_BELOW": below,
            "ADMISSION_FINISHING_BELOW": str(max(int(below), 256)),
        }
        with running({"DEMONSTRATION": "on", **settings}) as system:
            asyncio.run(measure(system, below))
    return 0


if __name__ == "__main__":
    sys.exit(main())

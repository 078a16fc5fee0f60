"""`python -m tests.load.overload`: people who hold a time, while a crowd looks for one.

LOOKERS (100) people load results and times again and again, as fast as they come; who is asked to come back does so when
their browser would. Beside them RATE (2) people a second, who have chosen their time, book it. Once for each of BELOW
(`ADMISSION_LOOKING_BELOW`: 100000, where nobody is turned away, 32, 16): how many booked, how long each step took, and how
the crowd fared.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

import httpx
from tests.load.measures.figures import SECONDS, percentiles, telling_cores
from tests.load.measures.journey import SEARCHES, Person, journeys, prepare
from tests.load.system import System, running

LOOKERS = int(os.environ.get("LOOKERS", "100"))
RATE = float(os.environ.get("RATE", "2"))
BELOW = os.environ.get("BELOW", "100000,32,16").split(",")
WARM_UP = 10
ANSWER_S = 120.0


class Crowd:
    """Those who look."""

    def __init__(self, system: System, people: Sequence[Person]) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"http://{system.host}", timeout=ANSWER_S, limits=httpx.Limits(max_connections=LOOKERS)
        )
        self._paths = [f"/recherche?quoi={quote(what)}&ou={quote(where)}" for what, where in SEARCHES]
        self._paths += [f"/soignants/{person.role}/creneaux" for person in people]
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []

    async def look(self) -> None:
        """All of them, until they are cancelled."""
        async with self._client:
            await asyncio.gather(*(self._one(number) for number in range(LOOKERS)))

    async def _one(self, number: int) -> None:
        while True:
            number += 1
            began = time.perf_counter()
            answer = await self._client.get(self._paths[number % len(self._paths)])
            self.seconds.append(time.perf_counter() - began)
            self.statuses[answer.status_code] += 1
            if answer.status_code != 200:
                await asyncio.sleep(float(answer.headers.get("retry-after", "5")))


async def measure(system: System, below: str) -> None:
    """One crowd, and those who book through it."""
    count = int(RATE * SECONDS)
    people = iter(await prepare(system, count + WARM_UP))
    first = [next(people) for _ in range(WARM_UP)]
    await journeys(system, first, 1.0)
    crowd = Crowd(system, first)
    looking = asyncio.create_task(crowd.look())
    await asyncio.sleep(3)
    with telling_cores(system):
        found = await journeys(system, list(people), RATE, looking=False)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    print(f"\n{LOOKERS} look, ADMISSION_LOOKING_BELOW {below}: {found.done} of {count} booked")
    found.tell(RATE)
    print(f"{'those who look':<34}{percentiles(crowd.seconds)}   {dict(crowd.statuses)}", flush=True)


def main() -> int:
    """A system of its own for each; 0 when it could be measured."""
    for below in BELOW:
        far = str(max(int(below), 256))
        settings = {"ADMISSION_LOOKING_BELOW": below, "ADMISSION_FINISHING_BELOW": far}
        with running({"DEMONSTRATION": "on", **settings}) as system:
            asyncio.run(measure(system, below))
    return 0


if __name__ == "__main__":
    sys.exit(main())

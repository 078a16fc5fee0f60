"""`python -m tests.load.waits`: what bookings wait for, at the rate that a system of its own gives.

Every few milliseconds one looks at what booking's sessions are doing: working, waiting for a lock, the disk or the log, or
for their process to say the next thing within a transaction. The shares are those of sessions within a transaction; what
they have in common with the tail of the latencies is told by the slowest bookings beside the median.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import asyncpg
from tests.load import data
from tests.load.measures.figures import report_alone, telling_cores
from tests.load.measures.writes import Desk, book
from tests.load.system import System, running
from tests.load.workers import Workers

EVERY_S = 0.01
SHOWN_FROM = 0.005
_LOOK = """
SELECT CASE WHEN state = 'idle in transaction' THEN 'the process' WHEN wait_event IS NULL THEN 'nothing: at work'
    ELSE wait_event_type || ' ' || wait_event END AS what, count(*) AS sessions
FROM pg_stat_activity WHERE application_name = 'creneau-booking-api' AND state <> 'idle' GROUP BY 1
"""


async def sample(connection: asyncpg.Connection, seen: Counter[str], stop: asyncio.Event) -> int:
    """Look until told to stop; how often."""
    looks = 0
    while not stop.is_set():
        for row in await connection.fetch(_LOOK):
            seen[row["what"]] += row["sessions"]
        looks += 1
        await asyncio.sleep(EVERY_S)
    return looks


async def watch(
    system: System, connection: asyncpg.Connection, desk: Desk, name: str, tokens: list[str]
) -> None:
    """Bookings by these callers in turn, and what they waited for."""
    seen, stop = Counter[str](), asyncio.Event()
    looking = asyncio.create_task(sample(connection, seen, stop))
    with telling_cores(system):
        load = await book(desk, tokens)
    stop.set()
    looks = await looking
    report_alone(name, load)
    print(f"{'':<34}sessions within a transaction: {seen.total() / looks:.1f} on the average", flush=True)
    for what, count in seen.most_common():
        if count / seen.total() >= SHOWN_FROM:
            print(f"{'':<34}{count / seen.total():6.1%}  {what}", flush=True)


async def measure(system: System) -> None:
    """Software and patients, with the workers and without."""
    desk = Desk(system, await data.fill(system.database))
    connection = await asyncpg.connect(system.server())
    workers, callers = (
        Workers(system, connection),
        (("software books", [system.token_of("system")]), ("patients book", system.patients())),
    )
    for name, tokens in callers:
        await watch(system, connection, desk, name, tokens)
    await workers.stop()
    try:
        for name, tokens in callers:
            await watch(system, connection, desk, f"{name}, workers stopped", tokens)
    finally:
        workers.go_on()
        await connection.close()


def main() -> int:
    """Look once; 0 when it could be done."""
    with running() as system:
        asyncio.run(measure(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

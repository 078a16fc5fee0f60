"""What notifications does with a backlog, and how soon an e-mail comes: `python -m tests.load.backlog`.

A system of its own. Bookings are made while notifications stands still; then it is let go on, and is timed until the
last e-mail has been accepted: messages a second on this machine, the mailbox and the databases beside. Then how long
after its answer each booking's e-mail is accepted, at a steady rate. BENCH_SECONDS: how long is booked (8).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from tests.load import data
from tests.load.draining import Draining
from tests.load.measures.figures import percentiles, telling_cores
from tests.load.measures.mails import delays
from tests.load.measures.writes import Desk, book
from tests.load.system import System, running
from tests.load.workers import Workers

RATE = float(os.environ.get("BACKLOG_RATE", "150"))
"""bookings a second at which e-mails are waited for"""
_SENT = "SELECT count(*) FROM message WHERE status = 'sent'"


async def measure(system: System) -> None:
    """The backlog, then the steady rate."""
    desk = Desk(system, await data.fill(system.database))
    draining, token = await Draining.of(system), system.token_of("system")
    workers = Workers(system, draining.booking)
    await book(desk, [token])
    await draining.drained()
    before = await draining.notifications.fetchval(_SENT)
    await workers.stop("notifications-worker")
    try:
        await book(desk, [token])
        await draining.published()
    finally:
        workers.go_on("notifications-worker")
    began = time.perf_counter()
    with telling_cores(system):
        await draining.drained()
    seconds = time.perf_counter() - began
    sent = await draining.notifications.fetchval(_SENT) - before
    print(f"{sent} messages in {seconds:.1f} s: {sent / seconds:.0f} a second", flush=True)
    with telling_cores(system):
        found = await delays(desk, draining, token, RATE)
    print(
        f"answer → e-mail at {RATE:.0f} bookings/s: {percentiles(found.seconds)} [{len(found.seconds)} of {found.booked}]"
    )


def main() -> int:
    """Measure on a system of its own; 0 when it could be done."""
    with running() as system:
        asyncio.run(measure(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

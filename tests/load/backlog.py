"""What notifications does with a backlog, what each message costs, and how soon an e-mail comes: `python -m
tests.load.backlog`.

A system of its own. Bookings are made while the workers stand still; then booking's relay is let go on, then
notifications, and each is timed until it has done: messages a second on this machine, the mailbox and the databases
beside, and for each message the CPU of every kind of process (less what it uses at rest) and PostgreSQL's log (WAL),
which say more than seconds do on a machine that others use. The yardstick is the same mailbox, given as many letters by
smtplib. Then how long after its answer each booking's e-mail is accepted, at a steady rate. BENCH_SECONDS: how long is
booked (8).
"""

from __future__ import annotations

import asyncio
import os
import smtplib
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from deploy.local.folder import Folder
from deploy.local.mail_store import MailStore
from tests.load import data
from tests.load.draining import Draining
from tests.load.measures.figures import percentiles, telling_cores
from tests.load.measures.mails import delays
from tests.load.measures.writes import Desk, book
from tests.load.processes import cpu_ms
from tests.load.system import System, running
from tests.load.workers import Workers

RATE = float(os.environ.get("BACKLOG_RATE", "150"))
"""bookings a second at which e-mails are waited for"""
TOLD_FROM_MS = 0.02
REST_S = 5.0
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"


async def at_rest(system: System) -> dict[str, float]:
    """What each kind of process uses in a second in which nothing happens; milliseconds."""
    before = cpu_ms(system.pids())
    await asyncio.sleep(REST_S)
    return {kind: (ms - before.get(kind, 0.0)) / REST_S for kind, ms in cpu_ms(system.pids()).items()}


@asynccontextmanager
async def telling_cost(
    name: str, count: int, rest: Mapping[str, float], system: System, draining: Draining
) -> AsyncIterator[None]:
    """Tells after the block what each of so many has cost, beside what is used at `rest`."""
    used, wal, began = cpu_ms(system.pids()), await draining.booking.fetchval(_WAL), time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    each = {
        kind: (ms - used.get(kind, 0.0) - rest.get(kind, 0.0) * seconds) / count
        for kind, ms in cpu_ms(system.pids()).items()
    }
    written = (await draining.booking.fetchval(_WAL) - wal) / count
    shown = ", ".join(f"{kind} {ms:.2f}" for kind, ms in sorted(each.items()) if ms >= TOLD_FROM_MS)
    print(
        f"{name}: {count} in {seconds:.1f} s, {count / seconds:.0f} a second;"
        f" each {sum(each.values()):.2f} ms of CPU ({shown}) and {written:.0f} bytes of WAL",
        flush=True,
    )


async def measure(system: System) -> None:
    """The backlog, then the steady rate."""
    desk = Desk(system, await data.fill(system.database))
    draining, token = await Draining.of(system), system.token_of("system")
    workers = Workers(system, draining.booking)
    await book(desk, [token])
    await draining.drained()
    rest = await at_rest(system)
    await workers.stop("booking-worker", "notifications-worker")
    try:
        count = (await book(desk, [token])).statuses[201]
        workers.go_on("booking-worker")
        async with telling_cost("published", count, rest, system, draining):
            await draining.published()
    finally:
        workers.go_on("notifications-worker")
    async with telling_cost("heard and sent", count, rest, system, draining):
        await draining.drained()
    async with telling_cost("given to the mailbox alone", count, rest, system, draining):
        await asyncio.to_thread(_give, system, count)
    with telling_cores(system):
        found = await delays(desk, draining, token, RATE)
    print(
        f"answer → e-mail at {RATE:.0f} bookings/s: {percentiles(found.seconds)} [{len(found.seconds)} of {found.booked}]"
    )


def _give(system: System, count: int) -> None:
    """The newest letter of the mailbox, so often, over one connection."""
    letter = next(MailStore(Folder(system.folder).mail).newest_first())
    began = time.process_time()
    with smtplib.SMTP("127.0.0.1", system.port_of("smtp")) as client:
        for _ in range(count):
            client.sendmail("creneau@exemple.fr", ["personne@exemple.fr"], letter.source)
    print(f"  smtplib itself: {(time.process_time() - began) / count * 1000:.2f} ms each")


def main() -> int:
    """Measure on a system of its own; 0 when it could be done."""
    with running() as system:
        asyncio.run(measure(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

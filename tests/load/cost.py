"""`make cost`: what one of each main operation costs: statements, WAL and CPU time, not seconds.

Starts a system of its own, whose workers stand still while the calls are made and are then let go on one after the
other: first booking's (which sends what has happened to the broker), then notifications'. So the log's growth belongs
to one database at a time, and other work on the machine changes none of the counts. COST_OPERATIONS: how often each.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.load import data
from tests.load.costs.counts import SETTINGS, Counted, Counters
from tests.load.costs.operations import Operations
from tests.load.draining import Draining
from tests.load.system import System, running
from tests.load.workers import Workers

OPERATIONS = int(os.environ.get("COST_OPERATIONS", "100"))
WARM_UP = 20
IDLE_S = 4
CPU_KINDS = {
    "nginx": "nginx",
    "gateway": "gateway",
    "booking-api": "booking",
    "booking-worker": "worker",
    "notifications-worker": "notif.",
    "broker": "broker",
    "mailbox": "mailbox",
    "postgres": "postgres",
}
"""the parts that take part, and what their columns are called"""


@dataclass(frozen=True)
class Price:
    """What `OPERATIONS` of one operation have cost: while they were called, and then by whom; each without what goes on
    anyhow."""

    calls: Counted
    relayed: Counted
    notified: Counted
    messages: int


class Measurement:
    """Measures operation by operation, on a system at rest."""

    def __init__(self, system: System, counters: Counters, draining: Draining) -> None:
        self._counters = counters
        self._draining = draining
        self._workers = Workers(system, counters.connection)
        self._idle: dict[str | None, Counted] = {}

    async def idle(self) -> Counted:
        """What the system does while nobody asks; remembers what each worker does then."""
        await self._draining.drained()
        whole = await self._rest()
        await self._workers.stop()
        try:
            self._idle[None] = await self._rest()
            for worker in ("booking-worker", "notifications-worker"):
                with self._workers.only(worker):
                    self._idle[worker] = await self._rest()
        finally:
            self._workers.go_on()
        return whole

    async def price(self, call: Callable[[], None]) -> Price:
        """Of one operation, once it has been asked for some times."""
        await self._repeat(call, WARM_UP)
        await self._draining.drained()
        sent_before = await self._sent()
        await self._workers.stop()
        try:
            async with self._counters.counting() as calls:
                await self._repeat(call, OPERATIONS)
            relayed = await self._worked("booking-worker", self._draining.published)
            notified = await self._worked("notifications-worker", self._draining.drained)
        finally:
            self._workers.go_on()
        return Price(calls.without(self._idle[None]), relayed, notified, await self._sent() - sent_before)

    async def _worked(self, worker: str, done: Callable[[], Awaitable[object]]) -> Counted:
        async with self._counters.counting() as counted:
            with self._workers.only(worker):
                await done()
        return counted.without(self._idle[worker])

    async def _rest(self) -> Counted:
        async with self._counters.counting() as counted:
            await asyncio.sleep(IDLE_S)
        return counted

    async def _repeat(self, call: Callable[[], None], times: int) -> None:
        def repeat() -> None:
            for _ in range(times):
                call()

        await asyncio.to_thread(repeat)

    async def _sent(self) -> int:
        return int(
            await self._draining.notifications.fetchval("SELECT count(*) FROM message WHERE status = 'sent'")
        )


def idle_line(idle: Counted) -> str:
    """What goes on by itself, a second."""
    statements, cores = idle.sent() / idle.seconds, sum(idle.cpu_ms.values()) / idle.seconds / 1000
    return (
        f"Nobody asks: {statements:.0f} statements and {idle.wal_bytes / idle.seconds:.0f} bytes of WAL a second,"
        f" {cores:.3f} of a core"
    )


def count_line(name: str, price: Price) -> str:
    """Statements and WAL of one operation."""
    each = 1 / OPERATIONS
    return (
        f"{name:<26}{price.calls.sent_by_each(OPERATIONS):>10}{price.calls.wal_bytes * each:>9.0f}"
        f"{price.relayed.sent() * each:>10.1f}{price.relayed.wal_bytes * each:>9.0f}"
        f"{price.notified.sent() * each:>10.1f}{price.notified.wal_bytes * each:>9.0f}"
        f"{price.messages * each:>10.1f}"
    )


def cpu_line(name: str, price: Price) -> str:
    """CPU time of one operation by kind of process."""
    phases = (price.calls, price.relayed, price.notified)
    shares = [sum(counted.cpu_ms.get(kind, 0.0) for counted in phases) / OPERATIONS for kind in CPU_KINDS]
    return f"{name:<26}" + "".join(f"{share:>10.2f}" for share in (*shares, sum(shares)))


async def measure(system: System) -> None:
    """Every operation, one after the other."""
    agenda = await data.fill(system.database)
    measurement = Measurement(system, await Counters.of(system), await Draining.of(system))
    print(idle_line(await measurement.idle()))
    print(
        f"\nOf each of {OPERATIONS}: statements, and bytes of WAL (no page is written whole, nothing is vacuumed)"
    )
    columns = ("booking:", "api", "relay:", "worker", "notif.:", "worker", "e-mails")
    print(f"{'':<26}" + "".join(f"{c:>{w}}" for c, w in zip(columns, (10, 9, 10, 9, 10, 9, 10), strict=True)))
    operations, cpu = Operations(system, agenda), []
    for name, call in operations.all().items():
        price = await measurement.price(call)
        print(count_line(name, price), flush=True)
        cpu.append(cpu_line(name, price))
    print("\nOf each: milliseconds of CPU, with what it sets going, without what goes on anyhow")
    print(f"{'':<26}" + "".join(f"{label:>10}" for label in (*CPU_KINDS.values(), "all")))
    print("\n".join(cpu))


def main() -> int:
    """Count on a system of its own; 0 when it could be done."""
    with running(postgres=SETTINGS) as system:
        asyncio.run(measure(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

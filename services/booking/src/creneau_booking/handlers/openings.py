"""Makes the slots of agendas with opening rules, day after day."""

from __future__ import annotations

import asyncio
import time
from datetime import date

import structlog
from prometheus_client import Counter, Gauge

from creneau_booking.domain.openings.days_off import SCHOOL_CALENDAR
from creneau_booking.storage.availability.agendas import beside_others
from creneau_booking.storage.openings.made_slots import Made, OpeningStore, due
from creneau_booking.storage.openings.whose import DUE_CHANNEL
from creneau_shared.clock import PARIS, Clock
from creneau_shared.database.pool import Database
from creneau_shared.logging import describe

DUE = Gauge("creneau_openings_due", "Agendas whose slots are to be made from their rules and are not yet")
AGENDAS = Counter("creneau_openings_agendas_total", "Agendas whose slots were made from their rules")
SLOTS = Counter("creneau_openings_slots_total", "Slots that rules have made and taken away", ["change"])
SCHOOL_DAYS = Gauge(
    "creneau_school_calendar_days", "Days from today for which it is known when there is no school"
)
FAILED = Counter("creneau_openings_failed_total", "Agendas whose slots could not be made, by times")
TOLD_EVERY_S = 10.0
"""the time between two progress lines in the log"""

log = structlog.get_logger(__name__)


class OpeningsJob:
    """Makes the slots of the agendas that are due, each in a transaction of its own: an agenda stays due if its transaction
    fails. Several workers may run it at once: the agenda's row shows whose turn it is. `school_known_until`: from when on
    nobody has said when there is no school."""

    def __init__(
        self,
        database: Database,
        openings: OpeningStore,
        clock: Clock,
        school_known_until: date = SCHOOL_CALENDAR.until,
    ) -> None:
        self._database = database
        self._openings = openings
        self._clock = clock
        self._school_known_until = school_known_until
        self._due_now = database.bells.of(DUE_CHANNEL)

    async def run(self, stop: asyncio.Event, pause_s: float) -> None:
        """Sweeps whenever agendas become due, and at the latest after `pause_s` seconds, until `stop` is set."""
        while not stop.is_set():
            since = self._due_now.rung
            await self.sweep(stop)
            await self._due_now.wait(stop, pause_s, since=since)

    async def sweep(self, stop: asyncio.Event | None = None) -> int:
        """Makes the slots of all agendas that are due. Returns the number of agendas."""
        # First, for the alert: making the slots of many agendas may take hours.
        SCHOOL_DAYS.set((self._school_known_until - self._clock.now().astimezone(PARIS).date()).days)
        done, told_at, began = 0, time.monotonic(), time.monotonic()
        while stop is None or not stop.is_set():
            made = await self._one()
            if made is None:
                break
            done += 1
            AGENDAS.inc()
            SLOTS.labels("appeared").inc(made.appeared)
            SLOTS.labels("vanished").inc(made.vanished)
            if time.monotonic() - told_at > TOLD_EVERY_S:
                told_at = time.monotonic()
                await self._tell(done, began)
        DUE.set(await self._due())
        if done:
            log.info("slots made from rules", agendas=done, seconds=round(time.monotonic() - began, 1))
        return done

    async def _one(self) -> Made | None:
        """Makes the slots of the longest due agenda that no other worker has; None if there is none."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await beside_others(connection)
            found = await self._openings.next_due(connection, now)
            if found is None:
                return None
            key, id_, schedule = found
            try:
                async with connection.transaction():
                    return await self._openings.carry_on(connection, key, schedule, now)
            except Exception as error:  # a failing agenda must not block the others
                log.error("slots not made", schedule=id_, error=describe(error))
                FAILED.inc()
                await self._openings.failed(connection, key, now)
                return Made(0, 0, complete=False)

    async def _due(self) -> int:
        async with self._database.connection() as connection:
            return await due(connection, self._clock.now())

    async def _tell(self, done: int, began: float) -> None:
        left = await self._due()
        DUE.set(left)
        log.info(
            "making slots from rules", agendas=done, left=left, seconds=round(time.monotonic() - began, 1)
        )

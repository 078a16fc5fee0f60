"""A practitioner's own calendar blocks their time here: read again and again, and nothing kept of it but when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import Gauge

from creneau_booking.handlers.ics_reading import CalendarUnreadableError, busy_times
from creneau_booking.handlers.outside import NotPublicError, Outside, OutsideUnreachableError
from creneau_booking.storage.calendars import (
    calendar_failed,
    calendar_read,
    failing_calendars,
    keep_busy,
    next_calendar,
    still_follows,
    zone_of_agenda,
)
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database

FAILING = Gauge(
    "creneau_external_calendars_failing",
    "Calendars of practitioners that could not be read the last time: what they said before still holds",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ExternalCalendars:
    """Reads the calendars that agendas follow."""

    database: Database
    clock: Clock
    outside: Outside
    interval: timedelta
    ahead: timedelta

    async def read_all(self) -> int:
        """Read those that are due; how many. What cannot be read leaves what was read before."""
        count = 0
        while await self._read_next():
            count += 1
        async with self.database.connection() as connection:
            FAILING.set(await failing_calendars(connection))
        return count

    async def _read_next(self) -> bool:
        now = self.clock.now()
        async with self.database.transaction() as connection:
            due = await next_calendar(connection, now, now + self.interval)
            if due is None:
                return False
            schedule, url = due
            zone = ZoneInfo(await zone_of_agenda(connection, schedule))
        within = (now, now + self.ahead)
        try:
            content = await self.outside.get(url)
            busy = await asyncio.to_thread(busy_times, content, within, zone)
        except (NotPublicError, OutsideUnreachableError, CalendarUnreadableError) as error:
            # Neither the address nor what stands there: the one is a secret, the other somebody's life.
            log.warning("calendar not read", schedule=schedule, error=str(error))
            async with self.database.transaction() as connection:
                await calendar_failed(connection, schedule, now)
            return True
        async with self.database.transaction() as connection:
            if not await still_follows(connection, schedule, url):
                return True
            changed = await keep_busy(connection, schedule, busy, within, self.clock.now())
            await calendar_read(connection, schedule, now)
        log.info("calendar read", schedule=schedule, periods=len(busy), changed=changed)
        return True

"""A practitioner's own calendar blocks their time here: it is read regularly, and only its busy times are stored."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import Gauge

from creneau_booking.domain.busy_times import Period, merged
from creneau_booking.domain.not_read import NotReadError
from creneau_booking.handlers.outside.caldav_reading import contents, find
from creneau_booking.handlers.outside.calendar_password import CalendarPasswords
from creneau_booking.handlers.outside.fetching import Outside
from creneau_booking.handlers.outside.foreign_text import ForeignText
from creneau_booking.handlers.outside.known_outside import Known
from creneau_booking.storage.outside.calendars import keep_busy, zone_of_agenda
from creneau_booking.storage.outside.followed_calendars import (
    Followed,
    calendar_failed,
    calendar_read,
    failing_calendars,
    next_calendar,
    still_follows,
)
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database

FAILING = Gauge(
    "creneau_external_calendars_failing",
    "Calendars of practitioners that could not be read the last time, by why: what they said before still holds",
    ["problem"],
)
LANES = 4
"""calendars that are read at once, no two of one host: a server that is slow keeps only its own waiting"""
READ_ANEW = timedelta(days=1)
"""an unchanged calendar is read again once this much of the time ahead has not been read yet"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Lanes:
    """The lanes of one sweep: whose turn it is to choose a calendar, and the hosts that are being asked."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class ExternalCalendars:
    """Reads the calendars that agendas follow."""

    database: Database
    clock: Clock
    outside: Outside
    passwords: CalendarPasswords
    interval: timedelta
    ahead: timedelta

    async def read_all(self) -> int:
        """Reads the calendars that are due; returns how many. If one cannot be read, its former busy times stay."""
        lanes = _Lanes()
        async with asyncio.TaskGroup() as group:
            counts = [group.create_task(self._lane(lanes)) for _ in range(LANES)]
        async with self.database.connection() as connection:
            for problem, failing in (await failing_calendars(connection)).items():
                FAILING.labels(problem).set(failing)
        return sum(count.result() for count in counts)

    async def _lane(self, lanes: _Lanes) -> int:
        """Reads one calendar after the other, until none is due whose host no other lane asks."""
        count = 0
        async with ForeignText() as text:
            while found := await self._next(lanes):
                try:
                    await self._read_one(text, *found)
                finally:
                    lanes.asked.remove(found[0].host)
                count += 1
        return count

    async def _next(self, lanes: _Lanes) -> tuple[Followed, ZoneInfo, datetime] | None:
        """The next calendar, its agenda's zone, and now."""
        async with lanes.turn:
            now = self.clock.now()
            async with self.database.transaction() as connection:
                followed = await next_calendar(connection, now, now + self.interval, lanes.asked)
                if followed is None:
                    return None
                zone = ZoneInfo(await zone_of_agenda(connection, followed.schedule))
            lanes.asked.add(followed.host)
            return followed, zone, now

    async def _read_one(self, text: ForeignText, followed: Followed, zone: ZoneInfo, now: datetime) -> None:
        within = (now, now + self.ahead)
        try:
            read = await self._read(text, followed, within, zone)
        except NotReadError as error:
            # Logs neither the address, which is a secret, nor the content, which is private.
            log.warning(
                "calendar not read", schedule=followed.schedule, problem=error.problem, error=str(error)
            )
            async with self.database.transaction() as connection:
                await calendar_failed(connection, followed, error.problem, now)
            return
        async with self.database.transaction() as connection:
            if not await still_follows(connection, followed):
                return
            changed = await keep_busy(connection, read.schedule, read.busy, within, self.clock.now())
            await calendar_read(connection, read, now)
        log.info("calendar read", schedule=read.schedule, periods=len(read.busy), changed=changed)

    async def _read(self, text: ForeignText, followed: Followed, within: Period, zone: tzinfo) -> Followed:
        """Returns the calendar with its current busy times. Raises NotReadError."""
        if followed.credentials is None:
            content = await self.outside.get(followed.url)
            return replace(followed, busy=tuple(await text.busy_times([content], within, zone)))
        credentials = self.passwords.open(followed.credentials, followed.schedule, followed.url)
        async with self.outside.visit(Known(credentials, followed.url)) as visit:
            calendars = await find(visit, text, followed.url, followed.homes)
            if _is_as_read(followed, calendars.state, within):
                return replace(followed, busy=tuple(merged(followed.busy, within)))
            said = await contents(visit, text, calendars, within)
        return replace(
            followed,
            homes=calendars.homes,
            state=calendars.state,
            busy=tuple(await text.busy_times(said, within, zone)),
            busy_until=within[1],
        )


def _is_as_read(followed: Followed, state: str | None, within: Period) -> bool:
    """Whether this state of the calendar was read already, far enough ahead."""
    return (
        state is not None
        and state == followed.state
        and followed.busy_until is not None
        and within[1] - followed.busy_until < READ_ANEW
    )

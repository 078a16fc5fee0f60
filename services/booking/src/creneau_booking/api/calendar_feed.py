"""/calendar/<secret>.ics: an agenda in its owner's own calendar. Anybody with the address reads it; it names no patient."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from creneau_booking.storage.outside.calendars import (
    CalendarFeed,
    ShownVisit,
    feed_of,
    shown_visits,
    state_of_shown_visits,
    zone_of_agenda,
)
from creneau_shared.clock import Clock
from creneau_shared.content_lines import moment_line, raw_line, text_line
from creneau_shared.database.pool import Database
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.json import loads
from creneau_shared.limits import costs
from creneau_shared.limits.callers import Counted, Limit
from creneau_shared.limits.deployment import DeploymentLimits
from creneau_shared.vtimezone import timezone_bytes

PATH = "/calendar/{secret}.ics"
PRODID = "-//Creneau//Agenda 1.0//FR"
PAST = timedelta(days=30)
VISITS_MAX = 5_000
REFRESH_S = 300
LIMIT = Limit("calendar-feed", 0.5, 120)
"""for each agenda: a hundred looks at once, and a full agenda of 5,000 visits (20 units) every 40 s"""
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_HEADERS = {
    "Cache-Control": f"private, max-age={REFRESH_S}",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
}
_BEGINNING = b"".join(
    [
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n",
        text_line("PRODID", PRODID),
        text_line("X-WR-CALNAME", "Créneau"),
        raw_line("REFRESH-INTERVAL;VALUE=DURATION", f"PT{REFRESH_S}S"),
        raw_line("X-PUBLISHED-TTL", f"PT{REFRESH_S}S"),  # what Outlook reads instead
    ]
)
TITLE, PENDING = "Rendez-vous", "Rendez-vous à confirmer"


@dataclass(frozen=True)
class CalendarFeeds:
    """Serves the feeds over the service's database."""

    database: Database
    clock: Clock
    ahead: timedelta
    limits: DeploymentLimits

    def serve(self, app: FastAPI) -> None:
        """Adds the route."""
        app.add_api_route(PATH, self.show, methods=["GET", "HEAD"], include_in_schema=False)

    async def show(self, secret: str, request: Request) -> Response:
        """The agenda as a calendar; 304 if it is as it was, 404 for a secret that opens nothing, or no more. Raises
        TooManyRequests."""
        if not _SECRET.fullmatch(secret):
            return Response(status_code=404, headers=_HEADERS)
        async with self.database.connection() as connection:
            feed = await feed_of(connection, secret)
        if feed is None:
            return Response(status_code=404, headers=_HEADERS)
        counted = (Counted(self.limits.callers.key("calendar", feed.schedule), LIMIT),)
        await self.limits.limiter.take(counted, 1)
        now = self.clock.now()
        shown = (now - PAST, now + self.ahead, VISITS_MAX)
        async with self.database.connection() as connection:
            # Before the visits: what changes in between gets another tag at the next look.
            zone = timezone_bytes(await zone_of_agenda(connection, feed.schedule), now.year)
            tag = _tag(feed, zone, await state_of_shown_visits(connection, feed.schedule, *shown))
            headers = {**_HEADERS, "ETag": tag}
            if tag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            visits = await shown_visits(connection, feed.schedule, *shown)
        content = calendar_of(visits, zone, details=feed.details)
        self.limits.limiter.charge(counted, costs.of_answer(len(content)))
        return Response(content, media_type="text/calendar; charset=utf-8", headers=headers)


def _tag(feed: CalendarFeed, zone: bytes, state: str) -> str:
    said = f"{PRODID} {feed.schedule} {feed.details} {state}"
    return f'"{hashlib.sha256(said.encode() + zone).hexdigest()[:24]}"'


def calendar_of(visits: Sequence[ShownVisit], zone: bytes, *, details: bool) -> bytes:
    """Returns the visits as an iCalendar file; with `details`, titles say what each is for. It says nothing of patients.
    `zone` is the VTIMEZONE of the agenda: a calendar has one component at least (RFC 5545 3.6), on its first day too."""
    lines = [_BEGINNING, zone]
    for visit in visits:
        lines += _event(visit, details=details)
    return b"".join([*lines, b"END:VCALENDAR\r\n"])


def _event(visit: ShownVisit, *, details: bool) -> Iterator[bytes]:
    said = loads(visit.content)
    if "start" not in said or "end" not in said:
        return
    pending = said.get("status") == "pending"
    title = PENDING if pending else TITLE
    if details and (what := _what(said)):
        title = f"{title} – {what}"
    changed = visit.last_updated.astimezone(UTC)
    yield b"BEGIN:VEVENT\r\n"
    yield text_line("SUMMARY", title)
    yield moment_line("DTSTART", instant_of(said["start"]).astimezone(UTC), "UTC")
    yield moment_line("DTEND", instant_of(said["end"]).astimezone(UTC), "UTC")
    yield moment_line("DTSTAMP", changed, "UTC")
    yield moment_line("LAST-MODIFIED", changed, "UTC")
    yield raw_line("UID", f"{visit.id}@creneau")
    yield raw_line("SEQUENCE", str(visit.version - 1))
    yield raw_line("STATUS", "TENTATIVE" if pending else "CONFIRMED")
    yield b"CLASS:PRIVATE\r\nTRANSP:OPAQUE\r\nEND:VEVENT\r\n"


def _what(appointment: dict[str, Any]) -> str:
    """Returns what the visit is for, from the display of its coded type: free text may name somebody."""
    for concept in appointment.get("serviceType", ()):
        for coding in concept.get("coding", ()):
            if coding.get("display"):
                return str(coding["display"])
    return ""

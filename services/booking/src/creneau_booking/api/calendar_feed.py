"""/calendar/<secret>.ics: an agenda in its owner's own calendar. Anybody with the address reads it; it names no patient."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from fastapi import FastAPI, Request
from icalendar import Calendar, Event, Timezone
from starlette.responses import Response

from creneau_booking.storage.outside.calendars import ShownVisit, feed_of, shown_visits, zone_of_agenda
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.json import loads
from creneau_shared.vtimezone import timezone_bytes

PATH = "/calendar/{secret}.ics"
PRODID = "-//Creneau//Agenda 1.0//FR"
PAST = timedelta(days=30)
VISITS_MAX = 5_000
REFRESH_MIN = 5
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_HEADERS = {
    "Cache-Control": f"private, max-age={REFRESH_MIN * 60}",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
}
TITLE, PENDING = "Rendez-vous", "Rendez-vous à confirmer"


@dataclass(frozen=True)
class CalendarFeeds:
    """Serves the feeds over the service's database."""

    database: Database
    clock: Clock
    ahead: timedelta

    def serve(self, app: FastAPI) -> None:
        """Adds the route."""
        app.add_api_route(PATH, self.show, methods=["GET", "HEAD"], include_in_schema=False)

    async def show(self, secret: str, request: Request) -> Response:
        """The agenda as a calendar; 404 for a secret that opens nothing, or no more."""
        if not _SECRET.fullmatch(secret):
            return Response(status_code=404, headers=_HEADERS)
        now = self.clock.now()
        async with self.database.connection() as connection:
            feed = await feed_of(connection, secret)
            if feed is None:
                return Response(status_code=404, headers=_HEADERS)
            visits = await shown_visits(connection, feed.schedule, now - PAST, now + self.ahead, VISITS_MAX)
            zone = await zone_of_agenda(connection, feed.schedule)
        content = calendar_of(visits, timezone_bytes(zone, now.year), details=feed.details)
        tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        headers = {**_HEADERS, "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="text/calendar; charset=utf-8", headers=headers)


def calendar_of(visits: list[ShownVisit], zone: bytes, *, details: bool) -> bytes:
    """Returns the visits as an iCalendar file; with `details`, titles say what each is for. It says nothing of patients.
    `zone` is the VTIMEZONE of the agenda: a calendar has one component at least (RFC 5545 3.6), on its first day too."""
    calendar = Calendar()
    calendar.add("prodid", PRODID)
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", "Créneau")
    calendar.add("refresh-interval", timedelta(minutes=REFRESH_MIN), parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", f"PT{REFRESH_MIN}M")  # what Outlook reads instead
    calendar.add_component(Timezone.from_ical(zone))
    for visit in visits:
        event = _event(visit, details=details)
        if event is not None:
            calendar.add_component(event)
    return bytes(calendar.to_ical())


def _event(visit: ShownVisit, *, details: bool) -> Event | None:
    said = loads(visit.content)
    if "start" not in said or "end" not in said:
        return None
    pending = said.get("status") == "pending"
    title = PENDING if pending else TITLE
    if details and (what := _what(said)):
        title = f"{title} – {what}"
    event = Event()
    event.add("uid", f"{visit.id}@creneau")
    event.add("sequence", visit.version - 1)
    event.add("dtstamp", visit.last_updated.astimezone(UTC))
    event.add("last-modified", visit.last_updated.astimezone(UTC))
    event.add("dtstart", instant_of(said["start"]).astimezone(UTC))
    event.add("dtend", instant_of(said["end"]).astimezone(UTC))
    event.add("summary", title)
    event.add("status", "TENTATIVE" if pending else "CONFIRMED")
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE")
    return event


def _what(appointment: dict[str, Any]) -> str:
    """Returns what the visit is for, from the display of its coded type: free text may name somebody."""
    for concept in appointment.get("serviceType", ()):
        for coding in concept.get("coding", ()):
            if coding.get("display"):
                return str(coding["display"])
    return ""

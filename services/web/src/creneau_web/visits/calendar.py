"""The calendar file of an appointment (RFC 5545): the same event as the one that its e-mails carry."""

from __future__ import annotations

from datetime import UTC, datetime

from icalendar import Calendar, Event, vText

from creneau_web.visits.model import Visit

PRODID = "-//Creneau//Pages 1.0//FR"
CANCELLED = frozenset({"cancelled", "entered-in-error", "noshow"})


def calendar_file(visit: Visit, summary: str, url: str, now: datetime) -> bytes:
    """The .ics file, UTF-8 with CRLF.

    `UID` is the one of the e-mails, so that a calendar that has both shows the visit once; `SEQUENCE` rises with each
    change. Times are the place's own, with its VTIMEZONE; in the hour that a clock shows twice, in UTC.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODID)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    event = Event()
    event.add("uid", f"{visit.id}@creneau")
    event.add("sequence", visit.sequence)
    event.add("dtstamp", now.astimezone(UTC))
    twice = visit.start.fold or visit.end.fold
    for name, moment in (("dtstart", visit.start), ("dtend", visit.end)):
        event.add(name, moment.astimezone(UTC) if twice else moment)
    event.add("summary", vText(summary))
    place = visit.professional.place if visit.professional else None
    if place is not None and not visit.by_video:
        event.add("location", vText(", ".join(part for part in (place.name, place.address) if part)))
        if place.latitude is not None and place.longitude is not None:
            event.add("geo", (place.latitude, place.longitude))
    event.add("url", url)
    event.add("class", "PRIVATE")
    event.add("status", "CANCELLED" if visit.status in CANCELLED else "CONFIRMED")
    calendar.add_component(event)
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())

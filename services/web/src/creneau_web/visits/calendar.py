"""The calendar file of an appointment (RFC 5545, published as of RFC 5546)."""

from __future__ import annotations

from datetime import UTC, datetime

from icalendar import Calendar, Event, Timezone, vGeo

from creneau_shared.vtimezone import calendar_times, timezone_bytes
from creneau_web.visits.model import Visit
from creneau_web.wording import Wording

PRODID = "-//Creneau//Pages 1.0//FR"
CANCELLED = frozenset({"cancelled", "entered-in-error", "noshow"})
AGREED_BY_ONE = frozenset({"proposed", "pending"})


def calendar_file(visit: Visit, wording: Wording, address: str, now: datetime) -> bytes:
    """The .ics file. `UID` and `SEQUENCE` are those of the file that goes out by e-mail, so that a calendar which gets
    both shows one event in its latest version. `now`: for an appointment that does not say when it was changed."""
    calendar = Calendar()
    for name, value in (
        ("PRODID", PRODID),
        ("VERSION", "2.0"),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
    ):
        calendar.add(name, value)
    start, end = calendar_times(visit.start, visit.end, visit.zone)
    calendar.add_component(Timezone.from_ical(timezone_bytes(visit.zone.key, start.year)))
    calendar.add_component(_event(visit, wording, address, start, end, visit.updated or now))
    content: bytes = calendar.to_ical()
    return content


def _event(
    visit: Visit, wording: Wording, address: str, start: datetime, end: datetime, stamp: datetime
) -> Event:
    event = Event()
    event.add("UID", f"{visit.id}@creneau")
    event.add("SEQUENCE", visit.sequence)
    event.add("DTSTAMP", stamp.astimezone(UTC))
    event.add("DTSTART", start)
    event.add("DTEND", end)
    who = visit.with_whom
    summary = wording.t("calendar.with", who=who) if who else wording.t("calendar.alone")
    event.add("SUMMARY", summary.unescape())
    place = visit.place
    if place is not None and not (visit.modes and "AMB" not in visit.modes):
        event.add("LOCATION", ", ".join(part for part in (place.name, place.address) if part))
        if place.latitude is not None and place.longitude is not None:
            event.add("GEO", vGeo((place.latitude, place.longitude)))
    phone = visit.professional.phone if visit.professional else None
    manage = f"{wording.t('calendar.manage').unescape()}\n{address}"
    event.add("DESCRIPTION", "\n".join(line for line in (phone, visit.instructions, manage) if line))
    event.add("STATUS", _status(visit))
    event.add("CLASS", "PRIVATE")
    event.add("TRANSP", "OPAQUE")
    event.add("URL", address)
    return event


def _status(visit: Visit) -> str:
    if visit.status in CANCELLED:
        return "CANCELLED"
    return "TENTATIVE" if visit.status in AGREED_BY_ONE else "CONFIRMED"

"""The calendar file of an appointment (RFC 5545, published as of RFC 5546)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event, Timezone, TimezoneDaylight, TimezoneStandard, vGeo

from creneau_web.visits.model import Visit
from creneau_web.wording import Wording

PRODID = "-//Creneau//Pages 1.0//FR"
CANCELLED = frozenset({"cancelled", "entered-in-error", "noshow"})
AGREED_BY_ONE = frozenset({"proposed", "pending"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOOKED_BACK = timedelta(days=366)


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
    start, end = _times(visit)
    if start.tzinfo is not UTC:
        calendar.add_component(_zone(start))
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


def _times(visit: Visit) -> tuple[datetime, datetime]:
    """Start and end by the clock of the place; in UTC around a clock change, where a local time may mean two instants
    (RFC 5545 §3.3.5) and one observance does not tell both."""
    start, end = visit.start, visit.end
    if start.fold or end.fold or start.utcoffset() != end.utcoffset():
        return start.astimezone(UTC), end.astimezone(UTC)
    return start, end


def _zone(start: datetime) -> Timezone:
    """The zone as it is at that moment: one observance from the clock change before on. Calendars that read TZID take
    their own zone; those that do not (Outlook) need no more for one event."""
    component = Timezone()
    component.add("TZID", str(start.tzinfo))
    part = TimezoneDaylight() if start.dst() else TimezoneStandard()
    onset, before = _onset(start)
    part.add("DTSTART", (onset + before).replace(tzinfo=None))
    part.add("TZOFFSETFROM", before)
    part.add("TZOFFSETTO", _offset(start))
    part.add("TZNAME", start.tzname() or str(start.tzinfo))
    component.add_component(part)
    return component


def _onset(start: datetime) -> tuple[datetime, timedelta]:
    """When the offset of that moment began (UTC, to the hour), and the offset before it; long ago where the clocks do
    not change."""
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    oldest = hour - LOOKED_BACK
    while hour > oldest:
        earlier = (hour - timedelta(hours=1)).astimezone(start.tzinfo)
        if earlier.utcoffset() != start.utcoffset():
            return hour, _offset(earlier)
        hour -= timedelta(hours=1)
    return EPOCH, _offset(start)


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()

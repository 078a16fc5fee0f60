"""The calendar file of an appointment (RFC 5545, RFC 5546 iTIP)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, vCalAddress, vText

from creneau_notifications.domain.appointment import Appointment, Mode
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.plan import Kind
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.rendering.timezone import timezone_bytes
from creneau_notifications.rendering.wording import WORDINGS, Wording

PRODID = "-//Creneau//Notifications 1.0//FR"
BEGIN_EVENT = b"BEGIN:VEVENT\r\n"
ALARMS_BEFORE = (timedelta(days=1), timedelta(hours=2))


def method_of(kind: Kind) -> str:
    """iTIP method: CANCEL takes the appointment off the calendar, REQUEST puts or updates it."""
    return "CANCEL" if kind is Kind.CANCELLATION else "REQUEST"


def calendar_file(occasion: Occasion, organizer: str, organizer_name: str) -> bytes:
    """The .ics file, UTF-8 with CRLF, for `occasion.contact`, who must have an e-mail address.

    `UID` never changes during the appointment's life, or calendars would show it twice; `SEQUENCE` is the
    event's. `DTSTAMP` is the time of the event, so that the same event always gives the same bytes.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODID)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method_of(occasion.kind))
    calendar.add_component(_event(occasion, organizer, organizer_name))
    content: bytes = calendar.to_ical()
    timezone = timezone_bytes(occasion.visit.zone.key, occasion.event.appointment.start.year)
    return content.replace(BEGIN_EVENT, timezone + BEGIN_EVENT, 1)


def _event(occasion: Occasion, organizer: str, organizer_name: str) -> Event:
    appointment, visit = occasion.event.appointment, occasion.visit
    wording = WORDINGS[occasion.contact.writes_in]
    event = Event()
    event.add("uid", f"{appointment.id}@creneau")
    event.add("sequence", appointment.sequence)
    event.add("dtstamp", occasion.event.time)
    for name, moment in zip(("dtstart", "dtend"), _times(appointment, visit.zone), strict=True):
        event.add(name, moment)
    event.add("summary", _summary(occasion, wording))
    event.add("description", _description(occasion, wording))
    event.add("url", occasion.page_url)
    event.add("status", "CANCELLED" if occasion.kind is Kind.CANCELLATION else "CONFIRMED")
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE")
    if visit.mode is Mode.PRACTICE:
        _add_place(event, occasion)
    event.add("organizer", _address(organizer, organizer_name, {"ROLE": "CHAIR"}), encode=False)
    event.add("attendee", _attendee(occasion.contact), encode=False)
    if occasion.kind is not Kind.CANCELLATION:
        for before in ALARMS_BEFORE:
            event.add_component(_alarm(before, wording))
    return event


def _times(appointment: Appointment, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end by the clock of the place, or in UTC where that clock shows one of them a second time: a local
    time that occurs twice means its first occurrence (RFC 5545 §3.3.5)."""
    local = appointment.start.astimezone(zone), appointment.end.astimezone(zone)
    if any(moment.fold for moment in local):
        return appointment.start.astimezone(UTC), appointment.end.astimezone(UTC)
    return local


def _add_place(event: Event, occasion: Occasion) -> None:
    visit = occasion.visit
    location = ", ".join(line for line in (visit.place, *visit.address) if line)
    if location:
        event.add("location", location)
    if visit.position is not None:
        event.add("geo", visit.position)


def _summary(occasion: Occasion, wording: Wording) -> str:
    if occasion.visit.professional is None:
        return wording.event_summary_alone
    return wording.event_summary.format(name=occasion.visit.professional)


def _description(occasion: Occasion, wording: Wording) -> str:
    lines = [wording.modes[occasion.visit.mode]]
    if occasion.is_elsewhere:
        # The calendar shows the visit by its own clock: whoever travels there wants the other.
        when = occasion.told(occasion.event.appointment.start)
        lines.append(f"{wording.when}{wording.colon}{when}")
    if occasion.kind is not Kind.CANCELLATION:
        lines.append(f"{wording.manage}{wording.colon}{occasion.page_url}")
    return "\n".join(lines)


def _address(address: str, name: str, parameters: dict[str, str]) -> vCalAddress:
    party = vCalAddress(f"mailto:{address}")
    named = {"CN": name} if name else {}
    for key, value in (named | parameters).items():
        party.params[key] = vText(value)
    return party


def _attendee(contact: Contact) -> vCalAddress:
    if contact.email is None:
        raise ValueError("a calendar file needs the attendee's address")
    # Already accepted, no answer wanted: the patient chose the time.
    answer = {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE", "CUTYPE": "INDIVIDUAL"}
    return _address(contact.email, contact.name, answer)


def _alarm(before: timedelta, wording: Wording) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", -before)
    alarm.add("description", wording.alarm)
    return alarm

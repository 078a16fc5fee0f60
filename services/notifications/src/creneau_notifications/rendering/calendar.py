"""The calendar file of an appointment (RFC 5545, RFC 5546 iTIP)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from functools import lru_cache

from icalendar import vCalAddress, vText
from icalendar.parser import Contentline

from creneau_notifications.domain.appointment import Mode, Occurrence
from creneau_notifications.domain.contact import Contact, Language
from creneau_notifications.domain.plan import Kind
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.rendering.wording import WORDINGS, Wording
from creneau_shared.content_lines import moment_line, raw_line, text_line
from creneau_shared.vtimezone import calendar_times, timezone_bytes

PRODID = "-//Creneau//Notifications 1.0//FR"
_BEGINNING = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + text_line("PRODID", PRODID) + b"CALSCALE:GREGORIAN\r\n"
ALARMS = ("-P1D", "-PT2H")
_ACCEPTED = {"CUTYPE": "INDIVIDUAL", "PARTSTAT": "ACCEPTED", "ROLE": "REQ-PARTICIPANT", "RSVP": "FALSE"}
_ANSWER = "".join(f";{key}={value}" for key, value in _ACCEPTED.items())
_NAME = re.compile(r"(?:[^\W\d_]|[ '’.-])*")


def method_of(occasion: Occasion) -> str:
    """iTIP method: CANCEL removes the appointment from the calendar, REQUEST adds or updates it. Both are for one
    appointment (RFC 5546 §3.2); for several, PUBLISH gives the state of each."""
    if len(occasion.occurrences) > 1:
        return "PUBLISH"
    return "CANCEL" if occasion.kind is Kind.CANCELLATION else "REQUEST"


def calendar_file(occasion: Occasion, organizer: str, organizer_name: str) -> bytes:
    """The .ics file, UTF-8 with CRLF, for `occasion.contact`, who must have an e-mail address.

    `UID` never changes during the appointment's life, or calendars would show it twice; `SEQUENCE` is the
    event's. `DTSTAMP` is the time of the event, so that the same event always gives the same bytes.
    """
    zone, year = occasion.visit.zone.key, occasion.event.appointment.start.year
    cancelled = occasion.kind is Kind.CANCELLATION
    alarms = b"" if cancelled else _alarms(occasion.contact.writes_in)
    lines = [
        *(_BEGINNING, text_line("METHOD", method_of(occasion))),
        timezone_bytes(zone, year),
    ]
    for one in occasion.occurrences:
        lines += [
            b"BEGIN:VEVENT\r\n",
            *_event(occasion, one, organizer, organizer_name),
            alarms,
            b"END:VEVENT\r\n",
        ]
    return b"".join([*lines, b"END:VCALENDAR\r\n"])


def _event(
    occasion: Occasion, appointment: Occurrence, organizer: str, organizer_name: str
) -> Iterator[bytes]:
    visit = occasion.visit
    wording = WORDINGS[occasion.contact.writes_in]
    yield text_line("SUMMARY", _summary(occasion, wording))
    times = calendar_times(appointment.start, appointment.end, visit.zone)
    for name, moment in zip(("DTSTART", "DTEND"), times, strict=True):
        yield moment_line(name, moment, visit.zone.key)
    yield moment_line("DTSTAMP", occasion.event.time.astimezone(UTC), "UTC")
    yield text_line("UID", f"{appointment.appointment}@creneau")
    yield raw_line("SEQUENCE", str(appointment.sequence))
    if len(occasion.occurrences) == 1:
        yield attendee_line(occasion.contact)
    yield b"CLASS:PRIVATE\r\n"
    yield text_line("DESCRIPTION", _description(occasion, appointment, wording))
    if visit.mode is Mode.PRACTICE:
        yield from _place(occasion)
    yield _organizer(organizer, organizer_name)
    yield text_line("STATUS", "CANCELLED" if occasion.kind is Kind.CANCELLATION else "CONFIRMED")
    yield b"TRANSP:OPAQUE\r\n"
    url = occasion.url_of(appointment)
    if url is not None:
        yield raw_line("URL", url)


def _place(occasion: Occasion) -> Iterator[bytes]:
    visit = occasion.visit
    if visit.position is not None:
        latitude, longitude = visit.position
        yield raw_line("GEO", f"{latitude};{longitude}")
    location = ", ".join(line for line in (visit.place, *visit.address) if line)
    if location:
        yield text_line("LOCATION", location)


def _summary(occasion: Occasion, wording: Wording) -> str:
    if occasion.visit.professional is None:
        return wording.event_summary_alone
    return wording.event_summary.format(name=occasion.visit.professional)


def _description(occasion: Occasion, appointment: Occurrence, wording: Wording) -> str:
    lines = [wording.modes[occasion.visit.mode]]
    if occasion.is_elsewhere:
        # The calendar shows its user's clock; a traveller to the visit wants the place's.
        when = occasion.told(appointment.start)
        lines.append(f"{wording.when}{wording.colon}{when}")
    url = occasion.url_of(appointment)
    if url is not None and occasion.kind is not Kind.CANCELLATION:
        lines.append(f"{wording.manage}{wording.colon}{url}")
    return "\n".join(lines)


@lru_cache(maxsize=64)
def _organizer(address: str, name: str) -> bytes:
    return _party_line("ORGANIZER", _address(address, name, {"ROLE": "CHAIR"}))


@lru_cache(maxsize=len(WORDINGS))
def _alarms(language: Language) -> bytes:
    lines = [
        b"BEGIN:VALARM\r\nACTION:DISPLAY\r\n"
        + text_line("DESCRIPTION", WORDINGS[language].alarm)
        + raw_line("TRIGGER", trigger)
        + b"END:VALARM\r\n"
        for trigger in ALARMS
    ]
    return b"".join(lines)


def _party_line(name: str, party: vCalAddress) -> bytes:
    """Names among parameters are quoted, or not, by the library."""
    line: bytes = Contentline.from_parts(name, party.params, party).to_ical()
    return line + b"\r\n"


def _address(address: str, name: str, parameters: Mapping[str, str]) -> vCalAddress:
    party = vCalAddress(f"mailto:{address}")
    # A parameter has no escapes (RFC 5545 §3.1), but many readers take a backslash and what follows for one.
    named = {"CN": name.replace("\\", "/")} if name else {}
    for key, value in {**named, **parameters}.items():
        party.params[key] = vText(value)
    return party


def attendee_line(contact: Contact) -> bytes:
    """Already accepted, no answer wanted: the patient chose the time. A plain name is written between quotes; the library
    escapes any other."""
    if contact.email is None:
        raise ValueError("a calendar file needs the attendee's address")
    if not _NAME.fullmatch(contact.name):
        return _party_line("ATTENDEE", _address(contact.email, contact.name, _ACCEPTED))
    named = f';CN="{contact.name}"' if contact.name else ""
    return raw_line(f"ATTENDEE{named}{_ANSWER}", f"mailto:{contact.email}")

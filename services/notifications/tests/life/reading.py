"""What a message says: what it is, by its subject, and how a time stands in it."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

OF_REQUEST = r"Votre demande .*|Your request .*|Demande .*|Request .*"
"""of what was never booked: no calendar holds it"""
KINDS = {
    "confirmation": r"(?:Votre rendez-vous du|Vos \d rendez-vous à partir du) .*\d h(?: \d\d)?"
    r"|(?:Your appointment on|Your \d appointments from) .*\d [ap]m"
    r"|(?:\d r|R)endez-vous confirmés? .*|(?:\d a|A)ppointments? confirmed.*",
    "change": r".*modifiés?\b.*|(?:Your .*|.*ppointments?) changed.*",
    "cancellation": r"(?:Votre|Vos) .* annulés?|Your .* cancelled|(?:\d r|R)endez-vous annulés? .*"
    rf"|(?:\d a|A)ppointments? cancelled.*|{OF_REQUEST}",
    "reminder": r"Rappel : .*|Reminder: .*",
    "offer": r"Un créneau se libère : .*|Créneau libéré : .*|A time has become free: .*|Time free: .*",
    "proposal": r"(?:Une autre heure|Autre heure|Another time) .*",
}
MONTHS = {
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin"),
    "en": ("January", "February", "March", "April", "May", "June"),
}
"""those of a life"""
_ZONE = re.compile(r" \([^)]*\)")


def kind_of(said: str) -> str:
    """By its subject, or the text of a text message."""
    bare = _ZONE.sub("", _with_plain_spaces(said))
    return next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, bare, re.DOTALL)), bare)


def is_of_request(said: str) -> bool:
    """Whether it tells of a request that came to nothing, by its subject."""
    return re.fullmatch(OF_REQUEST, _with_plain_spaces(said), re.DOTALL) is not None


def tells_of_several(said: str) -> bool:
    """Whether it counts visits, by its subject or its text."""
    return re.match(r"\D*\d+ (?:rendez-vous|appointments)", _with_plain_spaces(said)) is not None


def says(said: str, when: str) -> bool:
    """Whether that time stands in it, and no later minute of its hour."""
    return re.search(rf"{re.escape(when)}(?! ?\d)", _with_plain_spaces(said)) is not None


def _with_plain_spaces(said: str) -> str:
    return said.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def spoken(instant: datetime, zone: ZoneInfo, language: str) -> str:
    """As it stands in a message, but for the day of the week."""
    local = instant.astimezone(zone)
    month = MONTHS[language][local.month - 1]
    if language == "en":
        return f"{local.day} {month} at {local.hour % 12 or 12}:{local.minute:02} {'am' if local.hour < 12 else 'pm'}"
    first = "er" if local.day == 1 else ""
    return f"{local.day}{first} {month} à {local.hour} h{f' {local.minute:02}' if local.minute else ''}"

"""Dates and times as people write them, by the clock of the place of the visit."""

from __future__ import annotations

from datetime import datetime

from babel.dates import format_date, format_time, get_timezone_location

from creneau_notifications.domain.contact import Language
from creneau_notifications.domain.visit import PARIS, Visit

LOCALES: dict[Language, str] = {"fr": "fr_FR", "en": "en_GB"}


def day(instant: datetime, visit: Visit, language: Language, *, year: bool = False) -> str:
    """`mardi 1er décembre` or `Tuesday 1 December`, with the year when asked for."""
    local = instant.astimezone(visit.zone)
    pattern = "EEEE d MMMM y" if year else "EEEE d MMMM"
    text = format_date(local, pattern, locale=LOCALES[language])
    if language == "fr" and local.day == 1:
        return text.replace(" 1 ", " 1er ", 1)
    return text


def time_of_day(instant: datetime, visit: Visit, language: Language) -> str:
    """`10 h 00` or `10:00`."""
    pattern = "H 'h' mm" if language == "fr" else "HH:mm"
    return format_time(instant.astimezone(visit.zone), pattern, locale=LOCALES[language])


def zone_note(visit: Visit, language: Language) -> str:
    """` (heure de Cayenne)` when the reader could take the time for another zone's, else nothing.

    The time of an unknown place is given by Paris time, and says so.
    """
    if visit.zone == PARIS and visit.zone_known:
        return ""
    city = get_timezone_location(visit.zone, locale=LOCALES[language], return_city=True)
    return f" (heure de {city})" if language == "fr" else f" ({city} time)"


def moment(instant: datetime, visit: Visit, language: Language, *, year: bool = False) -> str:
    """`mardi 1er décembre à 10 h 00`, with the zone where it is needed."""
    joint = "à" if language == "fr" else "at"
    date, time = day(instant, visit, language, year=year), time_of_day(instant, visit, language)
    return f"{date} {joint} {time}{zone_note(visit, language)}"

"""Dates and times as people write them, by the clock of the place of the visit."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, get_timezone_location

from creneau_notifications.domain.contact import Language
from creneau_notifications.domain.visit import Visit

LOCALES: dict[Language, str] = {"fr": "fr_FR", "en": "en_GB"}


def day(instant: datetime, visit: Visit, language: Language, *, year: bool = False) -> str:
    """`mardi 1er décembre` or `Tuesday 1 December`, with the year when asked for."""
    return _day(instant.astimezone(visit.zone).date(), language, year=year)


@lru_cache(maxsize=1024)
def _day(local: date, language: Language, *, year: bool) -> str:
    pattern = "EEEE d MMMM y" if year else "EEEE d MMMM"
    text = format_date(local, pattern, locale=LOCALES[language])
    if language == "fr" and local.day == 1:
        return text.replace(" 1 ", " 1er ", 1)
    return text


def time_of_day(instant: datetime, visit: Visit, language: Language) -> str:
    """`10 h`, `10 h 05` or `10:05 am`, as the pages write it; no line ends within it."""
    local = instant.astimezone(visit.zone)
    if language == "en":
        return f"{local.hour % 12 or 12}:{local.minute:02}\u00a0{'am' if local.hour < 12 else 'pm'}"
    return f"{local.hour}\u00a0h\u00a0{local.minute:02}" if local.minute else f"{local.hour}\u00a0h"


def is_elsewhere(instant: datetime, visit: Visit, reader: ZoneInfo) -> bool:
    """Whether a reader by the clock of `reader` could take the place's time for another instant.

    An unknown place's time is in Paris time: a reader who knows the place could.
    """
    return not visit.zone_known or (
        instant.astimezone(visit.zone).utcoffset() != instant.astimezone(reader).utcoffset()
    )


def zone_note(visit: Visit, language: Language, *, brief: bool = False) -> str:
    """` (heure de Cayenne)`, or ` (Cayenne)` where each character counts."""
    city = _city(visit.zone, language)
    if brief:
        return f" ({city})"
    return f" (heure de {city})" if language == "fr" else f" ({city} time)"


@lru_cache(maxsize=256)
def _city(zone: ZoneInfo, language: Language) -> str:
    return get_timezone_location(zone, locale=LOCALES[language], return_city=True)


def moment(
    instant: datetime,
    visit: Visit,
    language: Language,
    reader: ZoneInfo,
    *,
    year: bool = False,
    brief: bool = False,
) -> str:
    """`mardi 1er décembre à 10 h`, with the zone (`brief`: its city alone) where the reader needs it."""
    joint = "à" if language == "fr" else "at"
    written, time = day(instant, visit, language, year=year), time_of_day(instant, visit, language)
    note = zone_note(visit, language, brief=brief) if is_elsewhere(instant, visit, reader) else ""
    return f"{written} {joint} {time}{note}"

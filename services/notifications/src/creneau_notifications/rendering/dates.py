"""Dates and times as people write them, by the clock of the place of the visit."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_location

from creneau_notifications.domain.contact import Language
from creneau_notifications.domain.visit import Visit
from creneau_shared import spoken_time

LOCALES: dict[Language, str] = {"fr": "fr_FR", "en": "en_GB"}


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
    written = spoken_time.moment(instant.astimezone(visit.zone), language, year=year)
    return written + (zone_note(visit, language, brief=brief) if is_elsewhere(instant, visit, reader) else "")

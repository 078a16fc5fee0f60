"""Days and hours as people write them, in French and English, by the clock of a place: what is told and what is shown says
them alike."""

from __future__ import annotations

from datetime import date, datetime, time
from functools import lru_cache
from typing import Literal

Language = Literal["fr", "en"]

WEEKDAYS: dict[Language, tuple[str, ...]] = {
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
"""from the first day of the week on (ISO 8601)"""
_MONTHS: dict[Language, tuple[str, ...]] = {
    "fr": (
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
_AT: dict[Language, str] = {"fr": "à", "en": "at"}
_FIRST_AND_SECOND: dict[Language, tuple[str, str]] = {
    "fr": ("heure d'été", "heure d'hiver"),
    "en": ("summer time", "winter time"),
}
"""an hour that the clock shows twice: before it is put back, and after"""


def moment(local: datetime, language: Language, *, year: bool = False) -> str:
    """`mardi 1er décembre à 10 h` or `Tuesday 1 December at 10:00 am`, with the year when asked for."""
    return f"{day(local.date(), language, year=year)} {_AT[language]} {hour(local, language)}"


@lru_cache(maxsize=4096)
def day(of: date, language: Language, *, weekday: bool = True, year: bool = False) -> str:
    """`mardi 1er décembre` or `Tuesday 1 December`, with the year when asked for; without the day of the week, as of a birth,
    `4 décembre 1984`."""
    number = "1er" if language == "fr" and of.day == 1 else str(of.day)
    parts = (
        *((WEEKDAYS[language][of.weekday()],) if weekday else ()),
        number,
        _MONTHS[language][of.month - 1],
        *((str(of.year),) if year else ()),
    )
    return " ".join(parts)


def hour(of: datetime | time, language: Language) -> str:
    """`10 h`, `10 h 05` or `10:05 am`; no line ends within it. In the night in which the clocks go back the same hour comes
    twice, and is told apart: `2 h 30 (heure d'été)`."""
    written = _hour(of.hour, of.minute, language)
    if isinstance(of, datetime) and _comes_twice(of):
        return f"{written} ({_FIRST_AND_SECOND[language][of.fold]})"
    return written


@lru_cache(maxsize=4096)
def _hour(hour: int, minute: int, language: Language) -> str:
    if language == "en":
        return f"{hour % 12 or 12}:{minute:02}\u00a0{'am' if hour < 12 else 'pm'}"
    return f"{hour}\u00a0h\u00a0{minute:02}" if minute else f"{hour}\u00a0h"


def _comes_twice(local: datetime) -> bool:
    """Whether the clock shows this time again after it was put back (PEP 495)."""
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return first is not None and second is not None and first > second

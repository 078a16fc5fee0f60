"""Phrases that several messages share: instants, durations, ages and numbers, in French and English."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

_THINGS = {
    "Patient": ("patient", "patient"),
    "RelatedPerson": ("proche", "proxy"),
    "Practitioner": ("professionnel", "professional"),
    "PractitionerRole": ("professionnel", "professional"),
    "Location": ("lieu", "place"),
    "Device": ("équipement", "device"),
    "HealthcareService": ("offre", "offer"),
    "Organization": ("structure", "organisation"),
}
"""the type of a reference in French and in English; people cannot use its id"""
_ANYTHING = ("participant", "participant")


def local(moment: datetime, zone: tzinfo) -> str:
    """An instant in the local time of a zone, and the zone's name."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"


def time_in_words(duration: timedelta) -> tuple[str, str]:
    """A duration in French and in English, in the largest unit that gives a whole number."""
    minutes = int(duration.total_seconds()) // 60
    for unit, fr, en in ((1440, "jour", "day"), (60, "heure", "hour")):
        if minutes >= unit and minutes % unit == 0:
            return counted(minutes // unit, fr, en)
    return counted(minutes, "minute", "minute")


def months_in_words(months: int) -> tuple[str, str]:
    """An age in French and in English: years, and the remaining months."""
    years, rest = divmod(months, 12)
    years_fr, years_en = counted(years, "an", "year")
    if not rest:
        return years_fr, years_en
    rest_en = counted(rest, "mois", "month")[1]
    return (f"{years_fr} et {rest} mois", f"{years_en} and {rest_en}") if years else (f"{rest} mois", rest_en)


def counted(number: int, fr: str, en: str, en_plural: str | None = None) -> tuple[str, str]:
    """`1 jour`, `2 jours`, `2 rendez-vous`; in French zero is singular."""
    several_fr = fr if fr.endswith("s") else f"{fr}s"
    several_en = en_plural or f"{en}s"
    return f"{number} {several_fr if number > 1 else fr}", f"{number} {several_en if number != 1 else en}"


def ages_in_words(from_months: int, below_months: int | None) -> tuple[str, str]:
    from_fr, from_en = months_in_words(from_months)
    if below_months is None:
        return f"à partir de {from_fr}", f"from the age of {from_en} on"
    below_fr, below_en = months_in_words(below_months)
    if from_months == 0:
        return f"de moins de {below_fr}", f"younger than {below_en}"
    return f"de {from_fr} à moins de {below_fr}", f"from {from_en} to less than {below_en}"


def things_in_words(references: Iterable[str]) -> tuple[str, str]:
    """The kinds of references with their numbers, in French and English: `1 professionnel, 2 patients`."""
    kinds = Counter(_THINGS.get(reference.partition("/")[0], _ANYTHING) for reference in references)
    said = [counted(number, fr, en) for (fr, en), number in kinds.items()]
    return ", ".join(fr for fr, _ in said), ", ".join(en for _, en in said)


def plain_references(references: Iterable[str]) -> str:
    """References for a program, without the suffix (`#…`) that marks hidden appointments."""
    return ", ".join(dict.fromkeys(reference.partition("#")[0] for reference in references))

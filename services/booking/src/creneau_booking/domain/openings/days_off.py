"""Days on which a place is closed by the calendar: French public holidays, and the school holidays of the three zones.

Public holidays: Code du travail L3133-1, with Alsace-Moselle (L3134-13) and those of each overseas territory, by law or by
custom. School holidays: the decrees of the Ministry of Education, those of the release and further ones that the operator
gives (`SchoolCalendar.read`); elsewhere and later they are unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from creneau_shared.postal_codes import postal_code

_EVERYWHERE_DAYS = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
"""month and day"""
_EVERYWHERE_AFTER_EASTER = (1, 39, 50)
"""Easter Monday, Ascension, Whit Monday: days after Easter Sunday"""
_DAYS_OF: dict[str, tuple[tuple[int, int], ...]] = {
    "57": ((12, 26),),
    "67": ((12, 26),),
    "68": ((12, 26),),
    "971": ((5, 27), (7, 21)),
    "972": ((5, 22), (7, 21)),
    "973": ((6, 10),),
    "974": ((12, 20),),
    "976": ((4, 27),),
    "977": ((10, 9),),
    "978": ((5, 28), (7, 21)),
    "986": ((4, 28), (6, 29), (7, 29)),
    "987": ((3, 5), (11, 20)),
    "988": ((9, 24),),
}
"""Further days of a part of France: of the east, the abolition of slavery, Schoelcher's day, the feasts of Wallis and
Futuna, the arrival of the Gospel and Matari'i, the citizens' day."""
_AFTER_EASTER_OF = {"57": (-2,), "67": (-2,), "68": (-2,), "971": (-24, -2), "972": (-2,), "987": (-2,)}
"""Good Friday, and in Guadeloupe the Thursday of the middle of Lent."""
_PARTS_OF_CODES = {"97133": "977", "97150": "978", "97123": "977", "97127": "978"}
"""Saint-Barthélemy and Saint-Martin have codes among Guadeloupe's."""
_UPPER_CORSICA = "202"
"""the postal codes of Haute-Corse begin with it; those of Corse-du-Sud are lower"""
_OF_ZONE = {
    "America/Guadeloupe": "971",
    "America/Martinique": "972",
    "America/Cayenne": "973",
    "Indian/Reunion": "974",
    "America/Miquelon": "975",
    "Indian/Mayotte": "976",
    "America/St_Barthelemy": "977",
    "America/Marigot": "978",
    "Indian/Kerguelen": "984",
    "Pacific/Wallis": "986",
    "Pacific/Tahiti": "987",
    "Pacific/Marquesas": "987",
    "Pacific/Gambier": "987",
    "Pacific/Noumea": "988",
}
"""Time zone → territory, for a place of which only the time zone is known."""
_FRENCH_ZONES = frozenset({"Europe/Paris", *_OF_ZONE})

_ZONE_A = "01 03 07 15 16 17 19 21 23 24 25 26 33 38 39 40 42 43 47 58 63 64 69 70 71 73 74 79 86 87 89 90"
_ZONE_B = (
    "02 04 05 06 08 10 13 14 18 22 27 28 29 35 36 37 41 44 45 49 50 51 52 53 54 55 56 57 59 60 61 62 67 68"
    " 72 76 80 83 84 85 88"
)
_ZONE_C = "09 11 12 30 31 32 34 46 48 65 66 75 77 78 81 82 91 92 93 94 95"
_SCHOOL_ZONES = {
    department: zone
    for zone, departments in (("A", _ZONE_A), ("B", _ZONE_B), ("C", _ZONE_C))
    for department in departments.split()
}
_NO_SCHOOL_ANYWHERE = (
    (date(2025, 10, 18), date(2025, 11, 3)),
    (date(2025, 12, 20), date(2026, 1, 5)),
    (date(2026, 5, 15), date(2026, 5, 18)),
    (date(2026, 7, 4), date(2026, 9, 1)),
    (date(2026, 10, 17), date(2026, 11, 2)),
    (date(2026, 12, 19), date(2027, 1, 4)),
    (date(2027, 5, 7), date(2027, 5, 10)),
    (date(2027, 7, 3), date(2027, 9, 1)),
)
"""From the first day without school to the day on which it begins again: holidays, and the days after Ascension Thursday."""
_NO_SCHOOL = {
    "A": (
        (date(2026, 2, 7), date(2026, 2, 23)),
        (date(2026, 4, 4), date(2026, 4, 20)),
        (date(2027, 2, 13), date(2027, 3, 1)),
        (date(2027, 4, 10), date(2027, 4, 26)),
    ),
    "B": (
        (date(2026, 2, 14), date(2026, 3, 2)),
        (date(2026, 4, 11), date(2026, 4, 27)),
        (date(2027, 2, 20), date(2027, 3, 8)),
        (date(2027, 4, 17), date(2027, 5, 3)),
    ),
    "C": (
        (date(2026, 2, 21), date(2026, 3, 9)),
        (date(2026, 4, 18), date(2026, 5, 4)),
        (date(2027, 2, 6), date(2027, 2, 22)),
        (date(2027, 4, 3), date(2027, 4, 19)),
    ),
}
Days = tuple[date, date]
"""From the first day without school to the day on which it begins again."""


@dataclass(frozen=True, slots=True)
class SchoolCalendar:
    """Days without school in the zones A, B and C, within the half-open period for which they are known."""

    since: date
    until: date
    without: Mapping[str, tuple[Days, ...]]
    """zone → holidays"""

    def is_holiday(self, zone: str | None, day: date) -> bool | None:
        """Whether there is no school; None if it is unknown."""
        if zone is None or not self.since <= day < self.until:
            return None
        return any(first <= day < again for first, again in self.without[zone])

    def read(self, text: str) -> SchoolCalendar:
        """The calendar with further school years, or with what a decree has changed: lines `known;2027-09-01;2028-09-01` (a
        period of which the text tells all), and `ABC;2027-10-16;2027-11-02` for the holidays that begin within one (zones;
        first day without school; day on which it begins again). Blank lines and those that begin with `#` say nothing.
        ValueError names the line that is wrong."""
        rows = [
            _row(number, line, self.without)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.startswith("#")
        ]
        known = sorted((row for row in rows if row.what == _KNOWN), key=lambda row: row.days)
        holidays = [row for row in rows if row.what != _KNOWN]
        for row in holidays:
            if not _begins_within(row.days, known):
                raise _wrong(row.number, f"no line `{_KNOWN}` tells of the days from {row.days[0]} on")
        return SchoolCalendar(
            self.since,
            self._until(known),
            {
                zone: (
                    *(one for one in days if not _begins_within(one, known)),
                    *(row.days for row in holidays if zone in row.what),
                )
                for zone, days in self.without.items()
            },
        )

    def _until(self, known: Sequence[_Row]) -> date:
        """The end of what is known with these periods, the earliest first. ValueError for one that leaves a gap."""
        until = self.until
        for row in known:
            first, again = row.days
            if not self.since <= first <= until:
                raise _wrong(
                    row.number, f"{first} is not between {self.since} and {until}, the end of what is known"
                )
            until = max(until, again)
        return until


_KNOWN = "known"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the operator's file."""

    number: int
    what: str
    """zones, or `known`"""
    days: Days


def _row(number: int, line: str, zones: Collection[str]) -> _Row:
    try:
        what, first, again = (part.strip() for part in line.split(";"))
        days = date.fromisoformat(first), date.fromisoformat(again)
    except ValueError as error:
        raise _wrong(number, str(error)) from None
    if what != _KNOWN and (not what or not set(what) <= set(zones)):
        raise _wrong(number, f"no zones: {what!r}")
    if days[0] >= days[1]:
        raise _wrong(number, f"{again} is not after {first}")
    return _Row(number, what, days)


def _begins_within(days: Days, periods: Collection[_Row]) -> bool:
    return any(row.days[0] <= days[0] < row.days[1] for row in periods)


def _wrong(number: int, why: str) -> ValueError:
    return ValueError(f"line {number} of the school calendar: {why}")


SCHOOL_CALENDAR = SchoolCalendar(
    date(2025, 9, 1),
    date(2027, 9, 1),
    {zone: (*_NO_SCHOOL_ANYWHERE, *days) for zone, days in _NO_SCHOOL.items()},
)
"""What the release knows."""


def part_of_france(code: str | None, zone: str) -> str | None:
    """The department or territory of a place, by its postal or commune code, else by its time zone. Empty if the zone shows
    only that it is in France; None abroad."""
    if code is not None:
        return part_of_code(code)
    if zone not in _FRENCH_ZONES:
        return None
    return _OF_ZONE.get(zone, "")


def part_of_code(code: str) -> str:
    """The department or territory of a postal code in five digits: `35`, `2A`, `974`."""
    if code.startswith("20"):
        return "2A" if code < _UPPER_CORSICA else "2B"
    return _PARTS_OF_CODES.get(code) or (code[:3] if code.startswith(("97", "98")) else code[:2])


def is_public_holiday(part: str | None, day: date) -> bool:
    """`part`: see `part_of_france`."""
    return part is not None and day in _public_holidays(part, day.year)


@cache
def _public_holidays(part: str, year: int) -> frozenset[date]:
    sunday = easter(year)
    moving = (*_EVERYWHERE_AFTER_EASTER, *_AFTER_EASTER_OF.get(part, ()))
    fixed = (*_EVERYWHERE_DAYS, *_DAYS_OF.get(part, ()))
    return frozenset(
        [*(date(year, *day) for day in fixed), *(sunday + timedelta(days=days) for days in moving)]
    )


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm, Nature 1876)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    leap_centuries, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - leap_centuries - correction + 15) % 30
    leap_years, of_four = divmod(of_century, 4)
    weekday = (32 + 2 * rest + 2 * leap_years - moon - of_four) % 7
    shift = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def school_zone(code: str | None) -> str | None:
    """The zone (A, B, C) of the school calendar for a postal or commune code; None if there is none."""
    return _SCHOOL_ZONES.get(code[:2]) if code is not None else None


def code_of(address: Any) -> str | None:
    """The postal code of an address, in five digits."""
    return postal_code(str(address.get("postalCode", ""))) if isinstance(address, dict) else None

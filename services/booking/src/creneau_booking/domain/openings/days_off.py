"""Days on which a place is closed by the calendar: French public holidays, and the school holidays of the three zones.

Public holidays: Code du travail L3133-1, with Alsace-Moselle (L3134-13) and the territories overseas, by the package
`holidays`. School holidays: the decrees of the Ministry of Education (2025-2026, 2026-2027); elsewhere and later, nobody
has said.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import holidays

from creneau_shared.fhir.postal_codes import postal_code

_OF_DEPARTMENT = {"57": "57", "67": "6AE", "68": "6AE"}
_OVERSEAS = {
    "971": "971",
    "972": "972",
    "973": "973",
    "974": "974",
    "975": "PM",
    "976": "976",
    "977": "BL",
    "978": "MF",
    "984": "TF",
    "986": "WF",
    "987": "PF",
    "988": "NC",
    "97133": "BL",
    "97150": "MF",
    "97123": "BL",
    "97127": "MF",
}
"""The beginning of a postal code, or of a commune's code → how `holidays` names the territory."""
_OF_ZONE = {
    "America/Guadeloupe": "971",
    "America/Martinique": "972",
    "America/Cayenne": "973",
    "Indian/Reunion": "974",
    "America/Miquelon": "PM",
    "Indian/Mayotte": "976",
    "America/St_Barthelemy": "BL",
    "America/Marigot": "MF",
    "Indian/Kerguelen": "TF",
    "Pacific/Wallis": "WF",
    "Pacific/Tahiti": "PF",
    "Pacific/Marquesas": "PF",
    "Pacific/Gambier": "PF",
    "Pacific/Noumea": "NC",
}
"""For a place of which no more than its clock is known."""
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
_EVERYWHERE = (
    (date(2025, 10, 18), date(2025, 11, 3)),
    (date(2025, 12, 20), date(2026, 1, 5)),
    (date(2026, 7, 4), date(2026, 9, 1)),
    (date(2026, 10, 17), date(2026, 11, 2)),
    (date(2026, 12, 19), date(2027, 1, 4)),
    (date(2027, 7, 3), date(2027, 9, 1)),
)
"""From the first day without school to the day on which it begins again."""
_BY_ZONE = {
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
SCHOOL_KNOWN = (date(2025, 9, 1), date(2027, 9, 1))
"""From when to before when the school calendar is known."""


def subdivision(code: str | None, zone: str) -> str | None:
    """How `holidays` names the part of France in which a place is, by its postal code or its commune's, else by its clock;
    empty for the rest of France, None abroad."""
    if code is not None:
        return _OVERSEAS.get(code) or _OVERSEAS.get(code[:3]) or _OF_DEPARTMENT.get(code[:2], "")
    if zone not in _FRENCH_ZONES:
        return None
    return _OF_ZONE.get(zone, "")


def is_public_holiday(part: str | None, day: date) -> bool:
    """`part`: see `subdivision`."""
    return part is not None and day in _public_holidays(part, day.year)


@cache
def _public_holidays(part: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FR", subdiv=part or None, years=year))


def school_zone(code: str | None) -> str | None:
    """The zone (A, B, C) of the school calendar for a postal code or a commune's; None where there is no such zone."""
    return _SCHOOL_ZONES.get(code[:2]) if code is not None else None


def is_school_holiday(zone: str | None, day: date) -> bool | None:
    """Whether there is no school; None where nobody has said."""
    if zone is None or not SCHOOL_KNOWN[0] <= day < SCHOOL_KNOWN[1]:
        return None
    return any(first <= day < again for first, again in (*_EVERYWHERE, *_BY_ZONE[zone]))


def code_of(address: Any) -> str | None:
    """The postal code of an address, in five digits."""
    return postal_code(str(address.get("postalCode", ""))) if isinstance(address, dict) else None

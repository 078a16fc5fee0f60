"""When professionals are free: the first times of each of several agendas.

The one module that knows how this is asked; an index of first free times takes the batch's place here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from creneau_web.care.model import Availability, Opening, Professional
from creneau_web.care.reading import openings_of
from creneau_web.fhir.client import Fhir
from creneau_web.fhir.values import entries

FIRST = 12
"""free times of one agenda that a card may need: three days of four"""
TOGETHER = 30
"""searches in one batch"""
ELEMENTS = "schedule,start,end,serviceType,appointmentType,status"


async def first_openings(
    fhir: Fhir, professionals: Sequence[Professional], after: datetime
) -> dict[str, Availability]:
    """The first free times of each professional, by the id of their PractitionerRole."""
    found: dict[str, Availability] = {}
    for begin in range(0, len(professionals), TOGETHER):
        some = professionals[begin : begin + TOGETHER]
        bundles = await fhir.together([_path(p.id, after, FIRST) for p in some])
        for professional, bundle in zip(some, bundles, strict=True):
            found[professional.id] = (
                Availability(known=False)
                if bundle is None
                else Availability(tuple(openings_of(bundle, professional.zone)))
            )
    return found


async def openings_between(
    fhir: Fhir, professional: Professional, start: datetime, end: datetime, *, most: int = 200
) -> list[Opening]:
    """The free times of one professional from `start` until before `end`."""
    query = [*_query(professional.id, start, most), ("start", f"lt{end.isoformat()}")]
    return openings_of(await fhir.search("Slot", query), professional.zone)


async def next_openings(
    fhir: Fhir, professional: Professional, after: datetime, count: int = 1
) -> list[Opening]:
    """The first free times from an instant on."""
    bundle = await fhir.search("Slot", _query(professional.id, after, count))
    return openings_of(bundle, professional.zone)


async def nearest_openings(
    fhir: Fhir, professional: Professional, moment: datetime, now: datetime, count: int = 3
) -> list[Opening]:
    """The free times that are nearest to an instant, in the order of time."""
    around = timedelta(days=7)
    before = await openings_between(fhir, professional, max(now, moment - around), moment)
    after = await next_openings(fhir, professional, moment, count)
    nearest = sorted([*before, *after], key=lambda opening: abs(opening.start - moment))[:count]
    return sorted(nearest, key=lambda opening: opening.start)


async def is_connected(fhir: Fhir, professional: Professional) -> bool:
    """Whether an agenda of theirs is here at all."""
    query = [
        ("actor", f"PractitionerRole/{professional.id}"),
        ("active", "true"),
        ("_count", "1"),
        ("_elements", "id"),
    ]
    return any(entries(await fhir.search("Schedule", query), "Schedule"))


def _query(role: str, after: datetime, count: int) -> list[tuple[str, str]]:
    return [
        ("schedule.actor", f"PractitionerRole/{role}"),
        ("status", "free"),
        ("start", f"ge{after.isoformat()}"),
        ("_sort", "start"),
        ("_elements", ELEMENTS),
        ("_count", str(count)),
    ]


def _path(role: str, after: datetime, count: int) -> str:
    return f"Slot?{urlencode(_query(role, after, count))}"

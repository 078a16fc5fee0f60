"""When professionals are free: the first times of each of several agendas.

The one module that knows how this is asked: the index of first free times (`Slot/$soonest`) says who has any, and only of
these the first few are searched.
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
AGENDAS = 100
"""first free times of agendas that are asked for at once"""
ELEMENTS = "schedule,start,end,serviceType,appointmentType,status,extension"


async def first_openings(
    fhir: Fhir, professionals: Sequence[Professional], after: datetime
) -> dict[str, Availability]:
    """The first free times of each professional, by the id of their PractitionerRole."""
    found: dict[str, Availability] = {}
    for begin in range(0, len(professionals), TOGETHER):
        some = professionals[begin : begin + TOGETHER]
        free = await _having_free_time(fhir, some, after)
        found |= {p.id: Availability() for p in some if p not in free}
        bundles = await fhir.together([_path(p.id, after, FIRST) for p in free])
        for professional, bundle in zip(free, bundles, strict=True):
            found[professional.id] = (
                Availability(known=False)
                if bundle is None
                else Availability(tuple(openings_of(bundle, professional.zone)))
            )
    return found


async def _having_free_time(
    fhir: Fhir, professionals: Sequence[Professional], after: datetime
) -> list[Professional]:
    """Those of them who have a free time from an instant on, in their order."""
    query = [
        ("practitioner-role", ",".join(p.id for p in professionals)),
        ("after", after.isoformat()),
        ("facets", "false"),
        ("_count", str(AGENDAS)),
    ]
    bundle = await fhir.search("Slot/$soonest", query)
    if any(link["relation"] == "next" for link in bundle.get("link", ())):
        return list(professionals)  # more agendas than one answer holds: each is searched
    named = {
        actor.get("reference", "")
        for agenda in entries(bundle, "Schedule")
        for actor in agenda.get("actor", ())
    }
    return [p for p in professionals if f"PractitionerRole/{p.id}" in named]


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

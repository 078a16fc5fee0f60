"""When professionals are free: the first times of each of several agendas.

The one module that knows how this is asked: the index of first free times (`Slot/$soonest`) says who is free when, and of
those who are shown what follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from creneau_web.care.model import Opening, Professional
from creneau_web.care.reading import openings_of
from creneau_web.fhir.client import Fhir, Resource
from creneau_web.fhir.values import entries

FIRST = 12
"""free times of one agenda that a card may need: three days of four"""
AGENDAS = 100
"""first free times of agendas that are asked for at once"""


async def first_openings(
    fhir: Fhir, professionals: Sequence[Professional], after: datetime, mode: str = "", count: int = FIRST
) -> dict[str, tuple[Opening, ...]]:
    """The first free times of each of them from an instant on, by the id of their PractitionerRole; who has none is not
    there. `mode`: only of this way of seeing each other (ActCode). At least `count` of each, where there are so many."""
    if not professionals:
        return {}
    query = [
        ("practitioner-role", ",".join(p.id for p in professionals)),
        ("after", after.isoformat()),
        *([("mode", mode)] if mode else []),
        ("per-agenda", str(count)),
        ("_include", "Slot:schedule"),
        ("facets", "false"),
        ("_count", str(AGENDAS)),
    ]
    bundle: Resource | None = await fhir.search("Slot/$soonest", query)
    found: dict[str, list[Resource]] = defaultdict(list)
    while bundle is not None:
        agendas = {f"Schedule/{one['id']}": one for one in entries(bundle, "Schedule")}
        for slot in entries(bundle, "Slot"):
            for actor in agendas.get(slot["schedule"]["reference"], {}).get("actor", ()):
                found[actor.get("reference", "")].append(slot)
        bundle = await fhir.follow(bundle)
    return {
        p.id: tuple(openings_of(slots, p.zone))
        for p in professionals
        if (slots := found.get(f"PractitionerRole/{p.id}"))
    }


async def openings_between(
    fhir: Fhir, professional: Professional, start: datetime, end: datetime, *, most: int = 200
) -> list[Opening]:
    """The free times of one professional from `start` until before `end`."""
    query = [*_query(professional.id, start, most), ("start", f"lt{end.isoformat()}")]
    return openings_of(entries(await fhir.search("Slot", query), "Slot"), professional.zone)


async def next_openings(
    fhir: Fhir, professional: Professional, after: datetime, count: int = 1
) -> list[Opening]:
    """The first free times from an instant on."""
    bundle = await fhir.search("Slot", _query(professional.id, after, count))
    return openings_of(entries(bundle, "Slot"), professional.zone)


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
        ("_total", "none"),
    ]
    return any(entries(await fhir.search("Schedule", query), "Schedule"))


def _query(role: str, after: datetime, count: int) -> list[tuple[str, str]]:
    """Whole Slots: to have some of their elements chosen costs the server more than to send them all."""
    return [
        ("schedule.actor", f"PractitionerRole/{role}"),
        ("status", "free"),
        ("start", f"ge{after.isoformat()}"),
        ("_sort", "start"),
        ("_count", str(count)),
        ("_total", "none"),
    ]

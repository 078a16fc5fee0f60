"""When professionals are free: the first times of each of several agendas.

The one module that knows how to ask this: the index of first free times (`Slot/$soonest`) tells who is free when, and the
next times of those who are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from creneau_web.care.alone import agendas_of_person, references_of
from creneau_web.care.model import Opening, Professional
from creneau_web.care.reading import openings_of
from creneau_web.care.when import asked_by
from creneau_web.fhir.client import Fhir, Resource
from creneau_web.fhir.values import entries

FIRST = 12
"""free times of one agenda that a card may need: three days of four"""
AGENDAS = 100
"""first free times of agendas that are asked for at once"""
MANY = 200
"""free times of one professional that are asked for at once"""
LOOKED_AT_MAX = 2_000
"""most free times searched for one that fits: some weeks of somebody who vaccinates every five minutes"""


async def first_openings(
    fhir: Fhir,
    professionals: Sequence[Professional],
    after: datetime,
    mode: str = "",
    count: int = FIRST,
    wishes: Sequence[str] = (),
) -> dict[str, tuple[Opening, ...]]:
    """First free times of each professional from an instant on, by PractitionerRole id; who has none is left out. `mode`:
    only this way of a visit (ActCode); `wishes`: only then (`care.when`). At least `count` of each, if there are so many."""
    if not professionals:
        return {}
    query = [
        ("practitioner-role", ",".join(p.id for p in professionals)),
        *({"after": after.isoformat()} | dict(asked_by(wishes, after, professionals[0].zone))).items(),
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
            actors = references_of(agendas.get(slot["schedule"]["reference"], {}))
            for actor in [a for a in actors if a.startswith("PractitionerRole/")] or actors:
                found[actor].append(slot)
        bundle = await fhir.follow(bundle)
    openings = {}
    for p in professionals:
        slots = found.get(f"PractitionerRole/{p.id}") or await _alone(fhir, p, found)
        if slots:
            openings[p.id] = tuple(openings_of(slots, p.zone))
    return openings


async def openings_between(
    fhir: Fhir, professional: Professional, start: datetime, end: datetime
) -> list[Opening]:
    """All free times of one professional from `start` until before `end`, however many."""
    query = [*_query(start, MANY), ("start", f"lt{end.isoformat()}")]
    return [opening async for page in _pages(fhir, professional, query) for opening in page]


async def next_openings(
    fhir: Fhir, professional: Professional, after: datetime, count: int = 1
) -> list[Opening]:
    """The first free times from an instant on."""
    return await _first_page(fhir, professional, _query(after, count))


async def next_fitting(
    fhir: Fhir, professional: Professional, after: datetime, fits: Callable[[Opening], bool]
) -> Opening | None:
    """The first free time from an instant on that fits, among the next `LOOKED_AT_MAX`."""
    looked_at = 0
    async for page in _pages(fhir, professional, _query(after, MANY)):
        if (found := next(filter(fits, page), None)) is not None:
            return found
        looked_at += len(page)
        if looked_at >= LOOKED_AT_MAX:
            break
    return None


async def openings_after(fhir: Fhir, professional: Professional, after: datetime) -> list[Opening]:
    """Free times from an instant on, until `LOOKED_AT_MAX` are read."""
    found: list[Opening] = []
    async for page in _pages(fhir, professional, _query(after, MANY)):
        found += page
        if len(found) >= LOOKED_AT_MAX:
            break
    return found


async def nearest_openings(
    fhir: Fhir, professional: Professional, moment: datetime, now: datetime, count: int = 3
) -> list[Opening]:
    """The free times that are nearest to an instant, in the order of time."""
    around = timedelta(days=7)
    last = [*_query(max(now, moment - around), count, "-start"), ("start", f"lt{moment.isoformat()}")]
    before = await _first_page(fhir, professional, last)
    after = await next_openings(fhir, professional, moment, count)
    nearest = sorted([*before, *after], key=lambda opening: abs(opening.start - moment))[:count]
    return sorted(nearest, key=lambda opening: opening.start)


async def is_connected(fhir: Fhir, professional: Professional) -> bool:
    """Whether the professional has an active agenda here."""
    query = [
        ("actor", f"PractitionerRole/{professional.id}"),
        ("active", "true"),
        ("_count", "1"),
        ("_total", "none"),
    ]
    named = any(entries(await fhir.search("Schedule", query), "Schedule"))
    return named or bool(await agendas_of_person(fhir, professional))


async def roles_with_agenda(fhir: Fhir, professionals: Sequence[Professional]) -> frozenset[str]:
    """Which of these have an active agenda here (PractitionerRole ids), by the rule of `is_connected`: asked for together,
    once more for each whom an agenda may name alone."""
    roles = [f"PractitionerRole/{one.id}" for one in professionals]
    people = dict.fromkeys(f"Practitioner/{one.practitioner}" for one in professionals if one.practitioner)
    query = [
        ("actor", ",".join([*roles, *people])),
        ("active", "true"),
        ("_count", str(AGENDAS)),
        ("_total", "none"),
    ]
    named: set[str] = set()
    bundle: Resource | None = await fhir.search("Schedule", query)
    while bundle is not None:
        for agenda in entries(bundle, "Schedule"):
            actors = references_of(agenda)
            named.update([a for a in actors if a.startswith("PractitionerRole/")] or actors)
        bundle = await fhir.follow(bundle)
    return frozenset(
        [
            one.id
            for one in professionals
            if f"PractitionerRole/{one.id}" in named
            or (f"Practitioner/{one.practitioner}" in named and await agendas_of_person(fhir, one))
        ]
    )


async def _alone(
    fhir: Fhir, professional: Professional, found: Mapping[str, Sequence[Resource]]
) -> list[Resource]:
    """The slots whose agendas name the person alone. `found`: actor → slots."""
    slots = found.get(f"Practitioner/{professional.practitioner}", ())
    agendas = await agendas_of_person(fhir, professional) if slots else frozenset[str]()
    return [slot for slot in slots if slot["schedule"]["reference"].partition("/")[2] in agendas]


async def _first_page(
    fhir: Fhir, professional: Professional, query: Sequence[tuple[str, str]]
) -> list[Opening]:
    async for page in _pages(fhir, professional, query):
        return page
    return []


async def _pages(
    fhir: Fhir, professional: Professional, query: Sequence[tuple[str, str]]
) -> AsyncIterator[list[Opening]]:
    """Yields the free times page by page: of the agendas that name the role; if these have none, of the person alone."""
    whose = ("schedule.actor", f"PractitionerRole/{professional.id}")
    first: Resource = await fhir.search("Slot", [whose, *query])
    if not any(entries(first, "Slot")) and (agendas := await agendas_of_person(fhir, professional)):
        whose = ("schedule", ",".join(f"Schedule/{id_}" for id_ in sorted(agendas)))
        first = await fhir.search("Slot", [whose, *query])
    bundle: Resource | None = first
    while bundle is not None and (slots := list(entries(bundle, "Slot"))):
        yield openings_of(slots, professional.zone)
        bundle = await fhir.follow(bundle)


def _query(after: datetime, count: int, order: str = "start") -> list[tuple[str, str]]:
    """Asks for the free Slots that can be booked as they stand, since a page offers each from its start to its end. All
    elements are asked for: to select some costs the server more than to send them all."""
    return [
        ("status", "free"),
        ("bookable", "whole"),
        ("start", f"ge{after.isoformat()}"),
        ("_sort", order),
        ("_count", str(count)),
        ("_total", "none"),
    ]

"""Agendas of a professional alone: they name the person, and no role. Much software has only these.

Such an agenda is shown with a role if the place is clear: the role is at the place that the agenda names (a room and its
site are one), or the agenda names none and all present roles of the person are at one place.
"""

from __future__ import annotations

from collections.abc import Mapping

from creneau_web.care.directory import PART_OF
from creneau_web.care.model import Place, Professional
from creneau_web.care.reading import places_now, roles_now, within
from creneau_web.fhir.client import Fhir, Resource
from creneau_web.fhir.values import by_reference, entries

MOST = "100"


async def agendas_of_person(fhir: Fhir, professional: Professional) -> frozenset[str]:
    """The ids of the active agendas (Schedule) that name the person alone, for this role."""
    person = professional.practitioner
    if person is None:
        return frozenset()
    query = [
        ("actor", f"Practitioner/{person}"),
        ("active", "true"),
        ("_include", "Schedule:actor:Location"),
        PART_OF,
        ("_count", MOST),
        ("_total", "none"),
    ]
    found = await fhir.search("Schedule", query)
    known = by_reference(found)
    alone = [one for one in entries(found, "Schedule") if not _named(one, "PractitionerRole")]
    there = frozenset(one["id"] for one in alone if _is_there(professional.place, one, known))
    anywhere = frozenset(one["id"] for one in alone if not _named(one, "Location"))
    if anywhere and not await _is_at_one_place(fhir, person):
        return there
    return there | anywhere


def _is_there(place: Place | None, schedule: Resource, known: Mapping[str, Resource]) -> bool:
    """Whether a place is one that an agenda names, part of one, or the whole of one."""
    return place is not None and any(
        id_ in (place.id, *place.within) or place.id in within(known.get(f"Location/{id_}", {}), known)
        for id_ in _named(schedule, "Location")
    )


async def _is_at_one_place(fhir: Fhir, person: str) -> bool:
    query = [
        ("practitioner", f"Practitioner/{person}"),
        ("active:not", "false"),
        ("_include", "PractitionerRole:location"),
        ("_include", "PractitionerRole:organization"),
        ("_count", MOST),
        ("_total", "none"),
    ]
    found = await fhir.search("PractitionerRole", query)
    known = by_reference(found)
    return len({places_now(role, known, fhir.at) for role in roles_now(found, fhir.at)}) == 1


def references_of(schedule: Resource) -> list[str]:
    """An agenda's actors: `Type/id`."""
    return [str(actor.get("reference", "")) for actor in schedule.get("actor", ())]


def _named(schedule: Resource, kind: str) -> list[str]:
    """The ids of the actors of one type."""
    return [r.partition("/")[2] for r in references_of(schedule) if r.startswith(f"{kind}/")]

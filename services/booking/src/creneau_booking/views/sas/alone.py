"""Agendas of a professional alone, who names no role: much software has only these (ADR « agendas of a person alone »)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from creneau_booking.views.sas.facts import Facts
from creneau_shared.fhir.current import is_active, is_there
from creneau_shared.fhir.storage.store import Resource


def role_alone(facts: Facts, person: str, agenda: Resource) -> Resource | None:
    """Returns the role in which a person (reference) is received at the place of an agenda that names no role: at the place
    that it names (a room and its site are one), else at the only place where they work; the first by id if there are several
    roles. Returns None if the place is not clear: a wrong address is worse than none. (SQL: `availability.alone.ROLES_ALONE`.)
    """
    at = {role["id"]: _places(facts, role) for role in _roles_of(facts, person)}
    named = facts.named(agenda.get("actor", []), "Location")
    if named:
        here = [id_ for id_, places in at.items() if _meet(facts, places, named)]
    else:
        everywhere = set(at.values())
        here = list(at) if len(everywhere) == 1 and all(len(places) == 1 for places in everywhere) else []
    return facts.find(f"PractitionerRole/{min(here)}") if here else None


def _roles_of(facts: Facts, person: str) -> Iterator[Resource]:
    """Yields the roles of a person that they have now, in a structure, a place and an offer that are in use."""
    for role in facts.all("PractitionerRole"):
        structure = facts.find(role.get("organization", {}).get("reference", "")) or {}
        is_somewhere = not role.get("location") or bool(_places(facts, role))
        if (
            facts.named([role.get("practitioner", {})], "Practitioner") == [person]
            and is_there(role, facts.now)
            and is_active(structure)
            and is_somewhere
            and _offers_something(facts, role)
        ):
            yield role


def _places(facts: Facts, role: Resource) -> frozenset[str]:
    """Returns the places (references) of a role that are in use; one that it contains is nobody else's."""
    references = [facts.relative(place.get("reference", "")) for place in role.get("location", [])]
    return frozenset(
        f"{role['id']}{one}" if one.startswith("#") else one
        for one in references
        if all(is_active(facts.find(whole) or {}) for whole in _wholes(facts, one))
    )


def _meet(facts: Facts, places: Iterable[str], others: Sequence[str]) -> bool:
    """Whether one of the places (references) is one of the others, part of it, or its whole."""
    return any(
        place in _wholes(facts, other) or other in _wholes(facts, place)
        for place in places
        for other in others
    )


def _wholes(facts: Facts, place: str) -> list[str]:
    """Returns a place (reference) and what it is part of, as far as it is known."""
    met = [place]
    while (found := facts.find(met[-1])) is not None:
        whole = facts.relative(found.get("partOf", {}).get("reference", ""))
        if not whole or whole in met:
            break
        met.append(whole)
    return met


def _offers_something(facts: Facts, role: Resource) -> bool:
    """Whether one of the offers that a role names is in use, as far as they are known, or it names none."""
    offers = [facts.find(one.get("reference", "")) or {} for one in role.get("healthcareService", [])]
    return not offers or any(map(is_active, offers))

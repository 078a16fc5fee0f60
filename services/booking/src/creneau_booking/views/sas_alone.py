"""Agendas of a professional alone, who names no role: much software has only these (ADR « agendas of a person alone »)."""

from __future__ import annotations

from collections.abc import Iterator

from creneau_booking.views.sas_facts import Facts
from creneau_shared.fhir.current import is_active, is_there
from creneau_shared.fhir.storage.store import Resource


def role_alone(facts: Facts, person: str, agenda: Resource) -> Resource | None:
    """Returns the role in which a person (reference) is received at the place of an agenda that names no role: at the place
    that it names, else at the only place where they work; the first by id if there are several roles. Returns None if the
    place is not clear: a wrong address is worse than none. (SQL: `availability.alone.ROLES_ALONE`.)"""
    at = {role["id"]: _places(facts, role) for role in _roles_of(facts, person)}
    named = set(facts.named(agenda.get("actor", []), "Location"))
    if named:
        here = [id_ for id_, places in at.items() if places & named]
    else:
        everywhere = set(at.values())
        here = list(at) if len(everywhere) == 1 and all(len(places) == 1 for places in everywhere) else []
    return facts.find(f"PractitionerRole/{min(here)}") if here else None


def _roles_of(facts: Facts, person: str) -> Iterator[Resource]:
    """Yields the roles of a person that they have now, in a structure and a place that are in use."""
    for role in facts.all("PractitionerRole"):
        structure = facts.find(role.get("organization", {}).get("reference", "")) or {}
        is_somewhere = not role.get("location") or bool(_places(facts, role))
        if (
            facts.named([role.get("practitioner", {})], "Practitioner") == [person]
            and is_there(role, facts.now)
            and is_active(structure)
            and is_somewhere
        ):
            yield role


def _places(facts: Facts, role: Resource) -> frozenset[str]:
    """Returns the places (references) of a role that are in use; one that it contains is nobody else's."""
    references = [facts.relative(place.get("reference", "")) for place in role.get("location", [])]
    return frozenset(
        f"{role['id']}{one}" if one.startswith("#") else one
        for one in references
        if is_active(facts.find(one) or {})
    )

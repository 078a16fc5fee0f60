"""Where the people of an agenda work that says no place, role or offer: software has agendas of a person alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from creneau_booking.storage.availability.agendas import IN_PERIOD, PLACE_GONE, ROLE_GONE
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.zones import zone_of

_SAYING_WHERE = {"HealthcareService", "Location", "PractitionerRole"}
_OF_PEOPLE = f"""
SELECT DISTINCT ON (place.id) place.content FROM practitioner_role AS role
JOIN role_place ON role_place.role = role.id JOIN location AS place ON place.id = role_place.place
WHERE role.terms && ARRAY(SELECT 'practitioner=Practitioner/' || id FROM unnest($1::text[]) AS id)
  AND NOT {ROLE_GONE} AND {IN_PERIOD} AND NOT {PLACE_GONE} AND place.content IS NOT NULL
ORDER BY place.id
"""
_ROLES = {
    "PractitionerRole": "SELECT id, terms FROM practitioner_role WHERE id = $1",
    "Location": "SELECT id, terms FROM practitioner_role WHERE id IN (SELECT role FROM role_place WHERE place = $1)",
}
"""of a role itself, and of a place"""
_NAMED_WITH = """
WITH roles AS ({roles})
SELECT 'PractitionerRole/' || id AS reference FROM roles
UNION SELECT substr(t, 14) FROM roles, unnest(terms) AS t WHERE starts_with(t, 'practitioner=Practitioner/')
"""


async def working_places(
    connection: Connection, people: Sequence[str], kinds: Collection[str]
) -> list[Resource]:
    """The places of the roles that these Practitioners (ids) have by now, of an agenda that has actors of these types. None
    where one of these says where it is, or where the places do not live by one clock."""
    if not people or _SAYING_WHERE & set(kinds):
        return []
    places = [loads(row["content"]) for row in await connection.fetch(_OF_PEOPLE, list(people))]
    return places if len({zone_of(place) for place in places}) == 1 else []


async def named_with(connection: Connection, reference: str) -> list[str]:
    """By what agendas may name a role or a place (`Location/12`): itself, its roles, and whose roles these are."""
    kind, _, id_ = reference.partition("/")
    if kind not in _ROLES:
        return [reference]
    rows = await connection.fetch(_NAMED_WITH.format(roles=_ROLES[kind]), id_)
    return sorted({reference, *(row["reference"] for row in rows)})

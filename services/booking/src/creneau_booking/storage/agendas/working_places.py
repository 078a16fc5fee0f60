"""The working places of people whose agenda names no place, role or offer: software has agendas of a person alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from zoneinfo import ZoneInfo

from creneau_booking.storage.availability.agendas import IN_PERIOD, PLACE_GONE, ROLE_GONE
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.zones import zone_of

PARTS_MAX = 9
"""how many levels of places around a room are searched: a floor, a building, a site"""
AROUND = f"""around (rank, depth, id) AS (
  SELECT 0, 0, id FROM location WHERE id = ANY({{places}})
  UNION SELECT 1, 0, place FROM role_place WHERE role = ANY({{roles}})
  UNION SELECT 2, 0, substr(t, 19) FROM healthcare_service AS offer CROSS JOIN unnest(offer.terms) AS t
    WHERE offer.id = ANY({{offers}}) AND starts_with(t, 'location=Location/')
  UNION SELECT around.rank, around.depth + 1, substr(t, 17) FROM around
    JOIN location AS part ON part.id = around.id CROSS JOIN unnest(part.terms) AS t
    WHERE starts_with(t, 'partof=Location/') AND around.depth < {PARTS_MAX})"""
"""SQL (WITH RECURSIVE): the places that an agenda names (rank 0), those of its roles (1), those of its offers (2), and by
`depth` the places that contain these: a room without a clock or an address has those of its site."""
_SAYING_WHERE = {"HealthcareService", "Location", "PractitionerRole"}
_OF_PEOPLE = f"""
WITH RECURSIVE around (work, depth, id) AS (
  SELECT place.id, 0, place.id FROM practitioner_role AS role
    JOIN role_place ON role_place.role = role.id JOIN location AS place ON place.id = role_place.place
    WHERE role.terms && ARRAY(SELECT 'practitioner=Practitioner/' || id FROM unnest($1::text[]) AS id)
      AND NOT {ROLE_GONE} AND {IN_PERIOD} AND NOT {PLACE_GONE} AND place.content IS NOT NULL
  UNION SELECT around.work, around.depth + 1, substr(t, 17) FROM around
    JOIN location AS part ON part.id = around.id CROSS JOIN unnest(part.terms) AS t
    WHERE starts_with(t, 'partof=Location/') AND around.depth < {PARTS_MAX})
SELECT around.work, place.content FROM around JOIN location AS place ON place.id = around.id
WHERE NOT place.deleted AND place.content IS NOT NULL ORDER BY around.depth, around.work
"""
_ROLES = {
    "PractitionerRole": "SELECT id, terms FROM practitioner_role WHERE id = $1",
    "HealthcareService": "SELECT id, terms FROM practitioner_role WHERE terms && ARRAY['service=HealthcareService/' || $1]",
    "Location": """SELECT id, terms FROM practitioner_role
      WHERE id IN (SELECT role FROM role_place WHERE place IN (SELECT id FROM parts))""",
}
"""SQL by type: the role itself, or the roles of an offer, or of a place and its rooms"""
_ALSO_THERE = """
UNION SELECT 'HealthcareService/' || id FROM healthcare_service
  WHERE terms && ARRAY(SELECT 'location=Location/' || id FROM parts)
UNION SELECT 'Device/' || id FROM device WHERE terms && ARRAY(SELECT 'location=Location/' || id FROM parts)
"""
_NAMED_WITH = """
WITH RECURSIVE parts (id) AS (
  SELECT $1::text COLLATE "C"
  UNION SELECT part.id FROM parts JOIN location AS part ON part.terms && ARRAY['partof=Location/' || parts.id]
), roles AS ({roles})
SELECT '{kind}/' || id AS reference FROM parts
UNION SELECT 'PractitionerRole/' || id FROM roles
UNION SELECT substr(t, 14) FROM roles, unnest(terms) AS t WHERE starts_with(t, 'practitioner=Practitioner/')
"""


async def working_places(
    connection: Connection, people: Sequence[str], kinds: Collection[str]
) -> list[Resource]:
    """Returns the places of the current roles of these Practitioners (ids), then the places that contain them. Empty if the
    types of the agenda's actors (`kinds`) include one that says where it is, or if the places differ in time zone."""
    if not people or _SAYING_WHERE & set(kinds):
        return []
    places: list[Resource] = []
    clocks: dict[str, ZoneInfo | None] = {}
    for row in await connection.fetch(_OF_PEOPLE, list(people)):
        places.append(loads(row["content"]))
        clocks[row["work"]] = clocks.get(row["work"]) or zone_of(places[-1])
    return places if len(set(clocks.values())) == 1 else []


async def named_with(connection: Connection, reference: str) -> list[str]:
    """Returns the references by which agendas may depend on a role, an offer or a place (`Location/12`): itself, its rooms,
    the roles there or with that offer, the professionals of these roles, and the offers and devices there."""
    kind, _, id_ = reference.partition("/")
    if kind not in _ROLES:
        return [reference]
    sql = _NAMED_WITH.format(roles=_ROLES[kind], kind=kind) + (_ALSO_THERE if kind == "Location" else "")
    rows = await connection.fetch(sql, id_)
    return sorted(row["reference"] for row in rows)

"""The agendas of actors: by the actors that an agenda names, and by their roles.

An agenda that names only a role belongs to its professional and to the role's places. An agenda that names only a
professional belongs to the roles, and their places, in which they are always received there (`availability.alone`). A place
that an agenda names counts before the places of roles.
"""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.storage.availability.alone import ROLES_ALONE
from creneau_shared.database.pool import Connection

_SAYS_A_PLACE = """EXISTS (
  SELECT FROM agenda_named AS said WHERE said.schedule_key = named.schedule_key AND starts_with(said.reference, 'Location/'))"""
_OF_A_PERSON_ALONE = f"""
SELECT named.schedule_key FROM practitioner_role AS role CROSS JOIN unnest(role.terms) AS t
JOIN agenda_named AS named ON named.reference = substr(t, 14) JOIN schedule ON schedule.key = named.schedule_key
WHERE NOT role.deleted AND starts_with(t, 'practitioner=Practitioner/')
  AND EXISTS (SELECT FROM {ROLES_ALONE} AS alone WHERE alone.id = role.id)
"""


def _of_actors(references: str, people: str, places: str, schedules: str) -> str:
    """SELECT of the agendas (ids) of these actors, text arrays: `Type/id`, the terms of professionals in their roles, the ids
    of places and of agendas themselves."""
    return f"""
WITH role AS MATERIALIZED (
  SELECT id, terms, false AS by_place FROM practitioner_role
  WHERE NOT deleted AND id = ANY(ARRAY(
    SELECT substr(r, 18) FROM unnest((SELECT {references})) AS r WHERE starts_with(r, 'PractitionerRole/')))
  UNION ALL SELECT id, terms, true FROM practitioner_role
  WHERE NOT deleted AND id = ANY(ARRAY(SELECT role FROM role_place WHERE place = ANY((SELECT {places})::text[])))
), own AS (
  SELECT schedule_key FROM agenda_named WHERE reference = ANY(ARRAY(
    SELECT unnest((SELECT {references}))
    UNION ALL SELECT 'PractitionerRole/' || id FROM practitioner_role WHERE terms && (SELECT {people}) AND NOT deleted))
  UNION ALL
  SELECT named.schedule_key FROM role JOIN agenda_named AS named ON named.reference = 'PractitionerRole/' || role.id
  WHERE role.by_place AND NOT {_SAYS_A_PLACE}
  UNION ALL
  SELECT named.schedule_key FROM role CROSS JOIN unnest(role.terms) AS t JOIN agenda_named AS named
    ON named.reference = substr(t, 14) JOIN schedule ON schedule.key = named.schedule_key
  WHERE starts_with(t, 'practitioner=Practitioner/') AND NOT (role.by_place AND {_SAYS_A_PLACE})
    AND EXISTS (SELECT FROM {ROLES_ALONE} AS alone WHERE alone.id = role.id)
  UNION ALL SELECT key FROM schedule WHERE id = ANY((SELECT {schedules})::text[])
)
SELECT id FROM schedule WHERE key = ANY(ARRAY(SELECT schedule_key FROM own)) AND NOT deleted ORDER BY id
"""


_OF_THESE = _of_actors("$1::text[]", "$2::text[]", "$3::text[]", "$4::text[]")
_OF_EACH = f"""
SELECT id, min(one.place) AS place FROM unnest($1::text[], $2::integer[]) AS one (actor, place) CROSS JOIN LATERAL (
{
    _of_actors(
        "ARRAY[one.actor]",
        "ARRAY['practitioner=' || one.actor]",
        "ARRAY[substring(one.actor FROM '^Location/(.*)$')]",
        "ARRAY[substring(one.actor FROM '^Schedule/(.*)$')]",
    )
}) AS own (id) GROUP BY id ORDER BY place, id
"""


def agendas_at(places: str) -> str:
    """SELECT of the agendas (keys) at these places, a SELECT of Locations (ids), by the rule of `agendas_of_actors`."""
    return f"""
    WITH place (id) AS MATERIALIZED ({places}),
    works (id) AS MATERIALIZED (SELECT DISTINCT role_place.role FROM place JOIN role_place ON role_place.place = place.id)
    SELECT schedule_key FROM place JOIN agenda_named ON agenda_named.reference = 'Location/' || place.id
    UNION ALL
    SELECT named.schedule_key FROM works JOIN practitioner_role AS role ON role.id = works.id AND NOT role.deleted
    JOIN agenda_named AS named ON named.reference = 'PractitionerRole/' || role.id WHERE NOT {_SAYS_A_PLACE}
    UNION ALL
    {_OF_A_PERSON_ALONE} AND role.id IN (SELECT id FROM works) AND NOT {_SAYS_A_PLACE}"""


def agendas_alone_in(roles: str) -> str:
    """SELECT of the agendas (keys) of a person alone who is received there in these roles, a SELECT of their ids."""
    return f"{_OF_A_PERSON_ALONE} AND role.id IN ({roles})"


async def agendas_of_actors(connection: Connection, references: Sequence[str]) -> list[str]:
    """Returns the agendas (ids) of at least one of these: `Practitioner/12`, `PractitionerRole/4`, `Location/2`,
    `Schedule/7` …"""
    ids: dict[str, list[str]] = {}
    for reference in references:
        kind, _, id_ = reference.partition("/")
        ids.setdefault(kind, []).append(id_)
    rows = await connection.fetch(
        _OF_THESE,
        [reference for reference in references if not reference.startswith("Schedule/")],
        [f"practitioner=Practitioner/{id_}" for id_ in ids.get("Practitioner", ())],
        ids.get("Location", []),
        ids.get("Schedule", []),
    )
    return [row["id"] for row in rows]


async def ranked_agendas(connection: Connection, actors: Sequence[Sequence[str]]) -> dict[str, int]:
    """Returns the agendas of at least one of these, each with the place in `actors` of the first that it is of. An element
    has the references that are meant by one; several where an identifier means several."""
    places = {reference: place for place, some in reversed([*enumerate(actors)]) for reference in some}
    rows = await connection.fetch(_OF_EACH, list(places), list(places.values()))
    return {row["id"]: row["place"] for row in rows}

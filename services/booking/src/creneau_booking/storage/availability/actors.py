"""Who can be in one place only, and whose turn it is to dispose of their time."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.database.pool import Connection

ROOM = """(convert_from({place}.content, 'UTF8')::jsonb @? '$.physicalType.coding[*] ?
  (@.system == "http://terminology.hl7.org/CodeSystem/location-physical-type" && (@.code == "ro" || @.code == "bd"))')"""
"""Condition on a row of `location`: it is a room or a bed, which one visit takes; a surgery or a site receives many."""

TURN = "hashtextextended('time of ' || {actor}, 0)"
"""The advisory lock of an actor's time: shared for whoever writes slots as an agenda says them, exclusive for whoever
takes or frees."""

_RESOLVE = f"""
SELECT 'PractitionerRole/' || id AS named, substr(t, 14) AS exclusive
FROM practitioner_role, unnest(terms) AS t WHERE id = ANY($1) AND starts_with(t, 'practitioner=Practitioner/')
UNION ALL
SELECT 'Location/' || id, 'Location/' || id FROM location AS place
WHERE id = ANY($2) AND content IS NOT NULL AND {ROOM.format(place="place")}
"""
_TAKEN = "(SELECT DISTINCT actor FROM occupancy WHERE appointment_id = $1 ORDER BY actor) AS taken"
_WAIT = f"SELECT count(pg_advisory_xact_lock({TURN.format(actor='actor')})) FROM {_TAKEN}"
_TRY = (
    f"SELECT coalesce(bool_and(pg_try_advisory_xact_lock({TURN.format(actor='actor')})), true) FROM {_TAKEN}"
)
_OF_AGENDA = f"""
SELECT count(pg_advisory_xact_lock_shared({TURN.format(actor="actor")}))
FROM (SELECT actor FROM agenda_actor WHERE schedule_key = ANY($1) ORDER BY actor) AS people
"""


async def resolve(connection: Connection, references: Sequence[str]) -> dict[str, str]:
    """For each of these references that is a role or a room: who is taken with it."""
    roles = [r.partition("/")[2] for r in references if r.startswith("PractitionerRole/")]
    places = [r.partition("/")[2] for r in references if r.startswith("Location/")]
    if not roles and not places:
        return {}
    return {row["named"]: row["exclusive"] for row in await connection.fetch(_RESOLVE, roles, places)}


async def wait_for_turn(connection: Connection, appointment_id: str) -> None:
    """Wait until nobody else disposes of the time of those whom an appointment takes."""
    await connection.execute(_WAIT, appointment_id)


async def try_turn(connection: Connection, appointment_id: str) -> bool:
    """Whether it is our turn at once. Whoever holds slots already must not wait for people as well."""
    return bool(await connection.fetchval(_TRY, appointment_id))


async def write_beside(connection: Connection, schedules: Sequence[int]) -> None:
    """Wait until nobody takes or frees the people of these agendas (keys); others may write slots meanwhile."""
    await connection.execute(_OF_AGENDA, list(schedules))

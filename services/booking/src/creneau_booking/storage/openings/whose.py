"""The actors of an agenda, who may state its hours, and the place that gives its clock and days off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from creneau_booking.domain.openings import days_off
from creneau_booking.domain.openings.expansion import Place
from creneau_booking.storage.agendas.named_actors import actors_named
from creneau_booking.storage.agendas.working_places import AROUND, working_places
from creneau_booking.storage.availability.actors import ROOM
from creneau_booking.storage.openings.extensions import Actors
from creneau_shared.clock import PARIS
from creneau_shared.database.closing import announce
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.zones import zone_of

_ACTORS = f"""
WITH RECURSIVE {AROUND.format(places="$3", roles="$1", offers="$2")}
SELECT 'role' AS what, 0 AS rank, 0 AS depth, id, content FROM practitioner_role WHERE id = ANY($1) AND NOT deleted
UNION ALL SELECT 'offer', 0, 0, id, content FROM healthcare_service WHERE id = ANY($2) AND NOT deleted
UNION ALL SELECT CASE WHEN (around.rank, around.depth) = (0, 0) AND {ROOM.format(place="place")} THEN 'room' ELSE 'place' END,
  around.rank, around.depth, place.id, place.content
  FROM around JOIN location AS place ON place.id = around.id WHERE NOT place.deleted AND place.content IS NOT NULL
UNION ALL SELECT 'person', 0, 0, id, content FROM practitioner WHERE id = ANY($4) AND NOT deleted
ORDER BY rank, depth, id
"""
_DUE_BY_ACTOR = """
UPDATE agenda_opening SET due_at = $2 WHERE due_at > $2 AND schedule_key IN (
  SELECT schedule_key FROM agenda_named WHERE reference = ANY($1::text[]))
"""
_INHERITED = ("PractitionerRole", "HealthcareService", "Location")
DUE_CHANNEL = "openings_due"
"""channel on which the makers of slots are woken"""


async def actor_of_openings(
    connection: Connection,
    reference: str,
    named: Sequence[str],
    now: datetime,
    *,
    states_zone: bool = False,
) -> None:
    """Makes due the slots of agendas that depend on a role, an offer, a place or somebody's time zone that the directory has
    changed. `named`: the references by which agendas may name the actor (`named_with`)."""
    if reference.partition("/")[0] not in _INHERITED and not states_zone:
        return
    if await connection.execute(_DUE_BY_ACTOR, list(named), now) != "UPDATE 0":
        announce(connection, DUE_CHANNEL)


async def actors_of(connection: Connection, schedule: Resource, base_url: str) -> Actors:
    ids: dict[str, list[str]] = {}
    for actor in actors_named(schedule, base_url):
        kind, _, id_ = actor.partition("/")
        ids.setdefault(kind, []).append(id_)
    rows = []
    kinds = (*_INHERITED, "Practitioner")
    if ids.keys() & set(kinds):
        rows = await connection.fetch(_ACTORS, *(ids.get(kind, []) for kind in kinds))
    found: dict[str, list[Resource]] = {}
    for row in rows:
        if row["content"] is not None:
            found.setdefault(row["what"], []).append(loads(row["content"]))
    roles, rooms = found.get("role", []), found.get("room", [])
    behind = await working_places(connection, ids.get("Practitioner", []), ids.keys())
    alone = bool(ids.keys() & {"Practitioner", "Device"}) or bool(rooms)
    return Actors(
        roles,
        found.get("offer", []),
        [*rooms, *found.get("place", []), *behind],
        alone or any("practitioner" in role for role in roles),
        found.get("person", []),
    )


def place_of(schedule: Resource, actors: Actors, calendar: days_off.SchoolCalendar) -> tuple[ZoneInfo, Place]:
    """Returns an agenda's place: by what it states, else by its offers and places, else by its people's clock."""
    resources = (schedule, *actors.offers, *actors.places, *actors.roles, *actors.people)
    zone = next((zone for zone in map(zone_of, resources) if zone is not None), PARIS)
    codes = (days_off.code_of(place.get("address")) for place in actors.places)
    code = next((code for code in codes if code is not None), None)
    part, school = days_off.part_of_france(code, zone.key), days_off.school_zone(code)
    return zone, Place(
        zone,
        lambda day: days_off.is_public_holiday(part, day),
        lambda day: calendar.is_holiday(school, day),
    )

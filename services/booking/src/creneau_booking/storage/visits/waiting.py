"""The waiting list in SQL: who stands in it, who is the first whom a slot suits, what they were offered.

Those who wait are found by the terms of the slot's agenda and kind (`waiting_key`), in their order. The same statement
passes over those whom the slot does not suit. A slot that nobody waits for costs one probe of an index.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from creneau_booking.domain.appointment import Appointment, patient_actor
from creneau_booking.domain.waiting import AFTERNOON_H, EVENING_H, Near, Wish
from creneau_booking.storage.availability.actors import CONCERNED, TURN
from creneau_booking.storage.availability.alone import ROLES_ALONE
from creneau_booking.storage.availability.freed import OWN_KEYS
from creneau_booking.storage.availability.rule import agenda_of, is_free, is_open
from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_booking.storage.mapping.slot import slot_key
from creneau_booking.storage.mapping.visibility import is_public
from creneau_booking.storage.mapping.wishes import MODES
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.storage.store import Resource

_ELEMENTS = {
    "serviceCategory": "service-category",
    "serviceType": "service-type",
    "appointmentType": "appointment-type",
}
"""element that says what a visit is for → search parameter of a slot's kind"""
assert set(_ELEMENTS.values()) <= set(parameters_of("Slot"))
_MODES = ", ".join(f"'service-type={code}'" for code in sorted(MODES))
_KIND = f"CASE WHEN {{term}} IN ({_MODES}) THEN 'mode' ELSE split_part({{term}}, '=', 1) END"
"""SQL: the kind of a visit's term: `mode`, or its search parameter"""

_SUITS = f"""
  NOT waiting.offered
  AND (waiting.periods IS NULL OR waiting.periods @> tstzrange(fact.start, fact."end"))
  AND (waiting.times = '{{}}' OR fact.part_of_day = ANY(waiting.times))
  AND (waiting.slots = '{{}}' OR fact.id = ANY(waiting.slots))
  AND (waiting.agendas = '{{}}' OR waiting.agendas && fact.terms)
  AND (waiting.people = '{{}}' OR waiting.people && fact.terms)
  AND (waiting.services = '{{}}' OR waiting.services && fact.terms)
  AND (waiting.places = '{{}}' OR waiting.places && fact.places)
  AND (waiting.specialties = '{{}}' OR waiting.specialties && fact.specialties)
  AND NOT EXISTS (
    SELECT FROM (SELECT term, {_KIND.format(term="term")} AS kind FROM unnest(waiting.visit) AS term) AS wanted
    WHERE wanted.kind IN (
      SELECT {_KIND.format(term="has")} FROM unnest(fact.kind_terms) AS has WHERE has LIKE '%=%|_%')
    GROUP BY wanted.kind HAVING NOT bool_or(wanted.term = ANY(fact.terms)))
  AND (waiting.radius_m IS NULL OR EXISTS (
    SELECT FROM location WHERE 'Location/' || location.id = ANY(fact.places) AND location.latitude IS NOT NULL
      AND earth_distance(ll_to_earth(location.latitude, location.longitude),
        ll_to_earth(waiting.latitude, waiting.longitude)) <= waiting.radius_m))
  AND NOT EXISTS (
    SELECT FROM waiting_offer WHERE waiting_offer.patient = waiting.patient AND waiting_offer.slot = fact.id)
  AND NOT EXISTS (
    SELECT FROM waiting_offer
    WHERE waiting_offer.appointment_id = waiting.appointment_id AND waiting_offer.slot = fact.id)
  AND NOT EXISTS (
    SELECT FROM occupancy WHERE occupancy.actor = waiting.patient
      AND occupancy.period && tstzrange(fact.start, fact."end"))
  AND waiting.appointment_id <> ALL($4::text[])"""
_LINE = f"""
WITH found AS MATERIALIZED (
  SELECT slot.start, slot."end", slot.id, coalesce(slot.name, slot.id::text) AS slot, slot_agenda.zone,
    kind.terms AS kind_terms, kind.members, coalesce(kind.capacity, 1) > 1 AS shared, {OWN_KEYS} AS own_terms,
    schedule.terms AS schedule_terms, ARRAY(
      SELECT substr(t, 24) FROM unnest(schedule.terms) AS t WHERE starts_with(t, 'actor=PractitionerRole/')
      UNION SELECT alone.id FROM {ROLES_ALONE} AS alone) AS roles,
    extract(hour FROM slot.start AT TIME ZONE slot_agenda.zone) AS hour
  FROM slot {agenda_of("slot")} JOIN slot_kind AS kind ON kind.key = slot.kind_key
  JOIN schedule ON schedule.key = slot.schedule_key
  WHERE slot.id = (SELECT $1::uuid) AND slot.start = (SELECT $2::timestamptz)
    AND {is_free("slot", "$3")} AND {is_open("slot", "$3", whole=True)} AND {is_public("kind")}
), fact AS MATERIALIZED (
  SELECT *, own_terms || ARRAY(SELECT 'actor=PractitionerRole/' || role FROM unnest(roles) AS role) AS terms,
    CASE WHEN hour < {AFTERNOON_H} THEN 'morning' WHEN hour < {EVENING_H} THEN 'afternoon' ELSE 'evening' END
      AS part_of_day,
    ARRAY(SELECT t FROM unnest(CASE WHEN EXISTS (SELECT FROM unnest(kind_terms) AS own WHERE starts_with(own, 'specialty='))
        THEN kind_terms ELSE schedule_terms END) AS t WHERE starts_with(t, 'specialty=')) AS specialties,
    ARRAY(
      SELECT substr(t, 7) FROM unnest(schedule_terms) AS t WHERE starts_with(t, 'actor=Location/')
      UNION SELECT 'Location/' || place FROM role_place WHERE role = ANY(roles)
      UNION SELECT substr(at, 10) FROM unnest(schedule_terms) AS t
        JOIN healthcare_service AS offer ON offer.id = substr(t, 25) CROSS JOIN LATERAL unnest(offer.terms) AS at
        WHERE starts_with(t, 'actor=HealthcareService/') AND starts_with(at, 'location=Location/')
    ) AS places
  FROM found
), pair AS MATERIALIZED (
  SELECT t AS key, '' AS place FROM fact, unnest(terms) AS t
  UNION SELECT 'actor=' || at, '' FROM fact, unnest(places) AS at
  UNION
  SELECT t, at.place FROM fact, unnest(specialties) AS t CROSS JOIN LATERAL (
    SELECT unnest(places) AS place
    UNION SELECT '#' || floor(latitude) || ':' || floor(longitude) FROM location
      WHERE 'Location/' || location.id = ANY(places) AND latitude IS NOT NULL) AS at
)
SELECT fact.start, fact."end", fact.slot, fact.zone, fact.members, fact.shared,
  ARRAY(SELECT appointment_id FROM (
    SELECT DISTINCT first.* FROM pair CROSS JOIN LATERAL (
      SELECT waiting.rank, waiting.since, waiting.appointment_id FROM waiting_key
      JOIN waiting USING (appointment_id)
      WHERE waiting_key.key = pair.key AND waiting_key.place = pair.place AND {_SUITS}
      ORDER BY waiting_key.rank, waiting_key.since, waiting_key.appointment_id LIMIT (SELECT $5::integer)) AS first
    ORDER BY 1, 2, 3 LIMIT (SELECT $5::integer)) AS line) AS line
FROM fact
"""
_STAND = """
WITH kept AS (
  INSERT INTO waiting (appointment_id, patient, rank, since, periods, times, agendas, people, services, places, specialties,
    visit, slots, latitude, longitude, radius_m)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
  ON CONFLICT (appointment_id) DO UPDATE SET patient = excluded.patient, rank = excluded.rank, since = excluded.since,
    periods = excluded.periods, times = excluded.times, agendas = excluded.agendas, people = excluded.people,
    services = excluded.services, places = excluded.places, specialties = excluded.specialties, visit = excluded.visit,
    slots = excluded.slots, latitude = excluded.latitude, longitude = excluded.longitude,
    radius_m = excluded.radius_m, offered = false, wish = NULL
), left_out AS (
  DELETE FROM waiting_key WHERE appointment_id = $1
    AND (key, place, rank, since) NOT IN (SELECT key, place, $3::smallint, $4::timestamptz
      FROM unnest($17::text[], $18::text[]) AS wanted (key, place))
)
INSERT INTO waiting_key (key, place, rank, since, appointment_id)
SELECT DISTINCT key, place, $3::smallint, $4::timestamptz, $1 FROM unnest($17::text[], $18::text[]) AS wanted (key, place)
ON CONFLICT DO NOTHING
"""
_CONCERNED = CONCERNED.format(
    people="""(
      SELECT agenda_actor.actor FROM slot JOIN agenda_actor USING (schedule_key)
        WHERE slot.id = (SELECT $1::uuid) AND slot.start = (SELECT $2::timestamptz)
      UNION SELECT $3::text) AS taken"""
)
_TRY = f"""
SELECT coalesce(bool_and(pg_try_advisory_xact_lock({TURN.format(actor="actor")})), true) FROM {_CONCERNED} AS people
"""
_LOCK = """
SELECT id, version, last_updated, content FROM appointment
WHERE id = $1 AND terms @> ARRAY['status=waitlist'] AND NOT deleted FOR UPDATE SKIP LOCKED
"""
_INSTEAD = f"""
SELECT id FROM appointment
WHERE terms && $1::text[] AND terms && ARRAY['status=waitlist', 'status=pending'] AND NOT deleted
  AND EXISTS (SELECT FROM jsonb_path_query(convert_from(content, 'UTF8')::jsonb,
    '$.extension[*] ? (@.url == "{REPLACES}").valueReference.reference') AS replaced
    WHERE replaced #>> '{{}}' = 'Appointment/' || $2)
ORDER BY id
"""
"""Searches their content, because those of a hidden visit have no term of it (`appointment_terms`)."""
_CELL = "#{}:{}"
_KM_A_DEGREE = 111.0


@dataclass(frozen=True, slots=True)
class FreeSlot:
    """A slot that is free for everybody at this moment, and who waits for it: Appointments (ids), the first one first."""

    id: str
    start: datetime
    end: datetime
    zone: str
    said: Resource
    """what the slot says of the visit, as elements of Slot"""
    line: tuple[str, ...]
    shared: bool = False
    """whether it has several places"""


async def line_for(
    connection: Connection, slot: UUID, start: datetime, now: datetime, besides: Sequence[str], most: int
) -> FreeSlot | None:
    """Returns the slot with the first `most` Appointments that it suits, without `besides` (ids); None if it is not free, or
    not for the public."""
    row = await connection.fetchrow(_LINE, slot, start, now, list(besides), most)
    if row is None:
        return None
    said = json.loads("{" + row["members"] + "}")
    line = tuple(row["line"])
    return FreeSlot(row["slot"], row["start"], row["end"], row["zone"], said, line, row["shared"])


async def try_turn_for(connection: Connection, slot: UUID, start: datetime, patient: str) -> bool:
    """Tries to get at once the turn on the time of the slot's people and of the patient (as in `occupancy`)."""
    return bool(await connection.fetchval(_TRY, slot, start, patient))


async def waits_instead(connection: Connection, visit: Appointment) -> list[str]:
    """Returns the Appointments (ids), in any agenda, that wait for something earlier than this visit, or are offered it."""
    people = [f"patient={patient}" for patient in visit.patients]
    return [row["id"] for row in await connection.fetch(_INSTEAD, people, visit.id)]


async def lock_waiting(connection: Connection, appointment_id: str) -> Any:
    """Locks and returns the row of a waiting Appointment; None if it waits no more, or somebody is changing it now."""
    return await connection.fetchrow(_LOCK, appointment_id)


async def stand_in_line(
    connection: Connection,
    appointment_id: str,
    patient: str,
    rank: int,
    since: datetime,
    wish: Wish,
    *,
    hidden: bool,
) -> None:
    """Puts the Appointment in its place in the line, or in a new one if its wish has changed."""
    keys = _keys(wish)
    periods = None
    if wish.periods:
        periods = [
            asyncpg.Range(low, high)
            for low, high in wish.periods
            if low is None or high is None or low < high
        ]
    near = wish.near
    await connection.execute(
        _STAND,
        appointment_id,
        patient_actor(patient, hidden=hidden),
        rank,
        since,
        periods,
        sorted(wish.times),
        [f"schedule=Schedule/{id_}" for id_ in sorted(wish.agendas)],
        [f"actor={actor}" for actor in sorted(wish.people)],
        [f"actor={actor}" for actor in sorted(wish.services)],
        [f"Location/{id_}" for id_ in sorted(wish.places)],
        [f"specialty={code}" for code in sorted(wish.specialties)],
        [f"{_ELEMENTS[element]}={code}" for element, code in sorted(wish.visit)],
        [slot_key(id_) for id_ in sorted(wish.slots)],
        near.latitude if near else None,
        near.longitude if near else None,
        near.radius_km * 1000 if near else None,
        [key for key, _ in keys],
        [place for _, place in keys],
    )


async def leave_line(connection: Connection, appointment_id: str) -> None:
    """Takes an Appointment out of the line."""
    await connection.execute("DELETE FROM waiting WHERE appointment_id = $1", appointment_id)


async def note_offer(connection: Connection, appointment_id: str, slot: UUID, wish: Resource) -> None:
    """Notes that the slot is offered to the Appointment. `wish`: what it said before, where the offer says otherwise."""
    await connection.execute(
        "WITH offered AS (INSERT INTO waiting_offer (appointment_id, slot, patient)"
        " SELECT appointment_id, $2, patient FROM waiting WHERE appointment_id = $1"
        " ON CONFLICT (appointment_id, slot) DO UPDATE SET patient = excluded.patient)"
        " UPDATE waiting SET offered = true, wish = $3::text::jsonb WHERE appointment_id = $1",
        appointment_id,
        slot,
        json.dumps(wish),
    )


async def wish_before(connection: Connection, appointment_id: str) -> Resource | None:
    """Returns what an Appointment that is offered something said before, as given to `note_offer`."""
    wish = await connection.fetchval(
        "SELECT wish::text FROM waiting WHERE appointment_id = $1", appointment_id
    )
    return json.loads(wish) if wish is not None else None


async def agendas_named(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Returns the terms of those of these Schedules (ids) that exist."""
    rows = await connection.fetch(
        "SELECT id, terms FROM schedule WHERE id = ANY($1) AND NOT deleted", sorted(ids)
    )
    return {row["id"]: row["terms"] for row in rows}


async def agendas_of_slots(connection: Connection, slots: Sequence[str]) -> list[str]:
    """The Schedules (ids) of these slots (ids)."""
    rows = await connection.fetch(
        "SELECT DISTINCT schedule.id FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        " WHERE slot.id = ANY($1::uuid[]) ORDER BY 1",
        [slot_key(id_) for id_ in slots],
    )
    return [row["id"] for row in rows]


def _keys(wish: Wish) -> list[tuple[str, str]]:
    """Returns the keys and places by which a wish is found: of the narrowest thing that it names."""
    if wish.agendas:
        return [(f"schedule=Schedule/{id_}", "") for id_ in sorted(wish.agendas)]
    if wish.people or wish.services:
        return [(f"actor={actor}", "") for actor in sorted(wish.people or wish.services)]
    if wish.specialties:
        places = (
            _cells(wish.near) if wish.near else [f"Location/{id_}" for id_ in sorted(wish.places)] or [""]
        )
        return [(f"specialty={code}", place) for code in sorted(wish.specialties) for place in places]
    return [(f"actor=Location/{id_}", "") for id_ in sorted(wish.places)]


def _cells(near: Near) -> list[str]:
    """The square degrees that the circle may reach into."""
    north = near.radius_km / _KM_A_DEGREE
    # Towards the poles a degree of longitude is shorter.
    east = min(180.0, north / max(math.cos(math.radians(min(abs(near.latitude) + north, 89.0))), 0.02))
    rows = range(math.floor(near.latitude - north), math.floor(near.latitude + north) + 1)
    columns = {
        (column + 180) % 360 - 180
        for column in range(math.floor(near.longitude - east), math.floor(near.longitude + east) + 1)
    }
    return [_CELL.format(row, column) for row in rows for column in sorted(columns)]

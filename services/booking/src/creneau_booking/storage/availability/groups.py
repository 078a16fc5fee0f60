"""Groups: those who have the places of one slot, each by an appointment of their own.

A slot that has several places is claimed place by place: the UPDATE takes what is left and never more, under the lock of
the slot's row. The first who comes opens the group, and with it takes the time of the agenda's people, who are occupied
once, by the group (`Slot/` and the slot's id), however many come; the last who leaves gives it back. Whom an appointment
names beside them is taken by the group too, until nobody who stays names them. Each patient's own time is taken by their
own appointment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from creneau_booking.domain.appointment import SlotFact
from creneau_booking.domain.refusals.slots import GroupFull, PlaceTaken
from creneau_booking.domain.rules import exclusive_actors, to_resolve
from creneau_booking.storage.availability.actors import resolve
from creneau_booking.storage.availability.freed import note_agendas
from creneau_booking.storage.mapping.appointment import facts
from creneau_booking.storage.mapping.places import GROUP, balance_sql, left_sql, status_sql
from creneau_booking.storage.mapping.slot import KEY_SQL, SUPERSEDE, SUPERSEDED, slot_key
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads

_FULL_KEY = "(slot.schedule_key, slot.start, slot.id) = (place.schedule_key, place.start, place.id)"
_LEFT = left_sql("slot", "slot.kind_key")

_ELSEWHERE = """
SELECT person FROM slot_place WHERE slot_id = $1 AND person = ANY($2::text[]) AND appointment_id <> $3 ORDER BY 1
"""
_CLAIM = f"""
WITH gone AS (
  DELETE FROM slot_place WHERE slot_id = $1 AND appointment_id = $3 AND person <> ALL($2::text[]) RETURNING person
), come AS (
  INSERT INTO slot_place (slot_id, person, appointment_id) SELECT $1, person, $3 FROM unnest($2::text[]) AS person
  ON CONFLICT DO NOTHING RETURNING person
), turn AS MATERIALIZED (
  SELECT (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM come) AS come
), place AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id, {balance_sql("slot", "slot.kind_key")} + gone - come AS left
  FROM slot CROSS JOIN turn
  WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $4) AND slot.start = $5 AND slot.id = $1 AND gone + come > 0
    AND (slot.taken_by IS NULL OR slot.places IS NOT NULL)
), claimed AS (
  UPDATE slot SET places = greatest(0, place.left), taken_by = '{GROUP}' || slot.id,
    status = {status_sql("slot.said", "place.left")}, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $6)
  FROM place CROSS JOIN turn WHERE {_FULL_KEY} AND (turn.come = 0 OR place.left >= 0
    AND EXISTS (SELECT FROM agenda WHERE agenda.schedule_key = place.schedule_key AND agenda.open))
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM claimed
)
SELECT gone + come = 0 OR EXISTS (SELECT FROM claimed) FROM turn
"""
# The actors whom the group (`slot`) takes beside its agenda's.
_BESIDE = f"""ARRAY(
  SELECT actor FROM occupancy WHERE appointment_id = '{GROUP}' || slot.id AND actor NOT IN (
    SELECT actor FROM agenda_actor WHERE agenda_actor.schedule_key = slot.schedule_key) ORDER BY 1)"""
_BESIDE_OF = f"SELECT {_BESIDE} FROM slot WHERE id = $1"
# Whoever has a slot alone takes whom they name themselves (see `rules.claim_for`).
_OTHERS = f"""
SELECT content FROM slot_place JOIN appointment ON appointment.id = slot_place.appointment_id
WHERE slot_id = $1 AND appointment.id <> $2 AND NOT EXISTS (
  SELECT FROM slot WHERE taken_by = appointment.id AND slot.id = ANY(ARRAY(
    SELECT {KEY_SQL.format(id="substr(t, 11)")} FROM unnest(appointment.terms) AS t WHERE t ~ '^slot=Slot/[^/]+$')))
"""
_LOCK = """
SELECT slot.id FROM slot WHERE slot.id = ANY($2::uuid[])
  AND EXISTS (SELECT FROM slot_place WHERE slot_id = slot.id AND appointment_id = $1)
ORDER BY slot.schedule_key, slot.start, slot.id FOR UPDATE
"""
_RELEASE = f"""
WITH gone AS (
  DELETE FROM slot_place WHERE slot_id = ANY($2::uuid[]) AND appointment_id = $1 AND ($4::text[] IS NULL OR person = ANY($4))
  RETURNING slot_id
), fewer AS (
  SELECT slot_id, count(*) AS places FROM gone GROUP BY slot_id
), place AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id,
    greatest(0, coalesce((SELECT capacity FROM slot_kind WHERE slot_kind.key = slot.kind_key), 1) - stay.places) AS left,
    stay.places = 0 AS empty
  FROM fewer JOIN slot ON slot.id = fewer.slot_id CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM slot_place WHERE slot_place.slot_id = slot.id) - fewer.places AS places) AS stay
), changed AS (
  UPDATE slot SET places = place.left, status = {status_sql("slot.said", "place.left")}, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $3)
  FROM place WHERE {_FULL_KEY} AND NOT place.empty
  RETURNING {SUPERSEDED}
), superseded AS (
  {SUPERSEDE} SELECT * FROM changed
)
SELECT coalesce(slot.name, slot.id::text) AS id, slot.id AS key, slot.start, place.empty,
  'Schedule/' || schedule.id AS schedule, {_BESIDE} AS beside
FROM place JOIN slot ON {_FULL_KEY} JOIN schedule ON schedule.key = place.schedule_key
"""
_RESIZE = f"""
WITH place AS MATERIALIZED (
  SELECT slot.schedule_key, slot.start, slot.id, {_LEFT} AS left
  FROM slot WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $1) AND slot.places IS NOT NULL
  ORDER BY 1, 2, 3 FOR UPDATE OF slot
), changed AS (
  UPDATE slot SET places = place.left, status = {status_sql("slot.said", "place.left")}, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $2)
  FROM place WHERE {_FULL_KEY} AND slot.places <> place.left
  RETURNING {SUPERSEDED}
)
{SUPERSEDE} SELECT * FROM changed
"""


@dataclass(frozen=True, slots=True)
class Released:
    """A slot in which an appointment had places: its agenda (a reference), whether nobody has one any more, and whom its
    group takes beside the agenda's people."""

    id: str
    key: UUID
    start: datetime
    schedule: str
    empty: bool
    beside: Sequence[str]


def group_of(slot: SlotFact) -> str:
    """Returns the name under which the group of a slot takes the time of its people."""
    return f"{GROUP}{slot_key(slot.id)}"


async def claim_places(
    connection: Connection,
    appointment_id: str,
    slots: Sequence[SlotFact],
    persons: Sequence[str],
    now: datetime,
) -> None:
    """Gives the appointment a place for each of these persons in each of the locked slots, and takes back its other places.
    Raises GroupFull if too few are left, PlaceTaken if one of them has a place already by another appointment."""
    wanted = sorted(persons)
    for slot in slots:
        key = slot_key(slot.id)
        twice = await connection.fetch(_ELSEWHERE, key, wanted, appointment_id)
        if twice:
            raise PlaceTaken(slot.id, slot.start, tuple(row["person"] for row in twice))
        claimed = await connection.fetchval(
            _CLAIM, key, wanted, appointment_id, slot.schedule, slot.start, now
        )
        if not claimed:
            raise GroupFull(slot.id, slot.start, slot.places_left, len(wanted))


async def release_places(
    connection: Connection,
    appointment_id: str,
    slots: Sequence[str],
    now: datetime,
    persons: Sequence[str] | None = None,
) -> list[Released]:
    """Give back the places that an appointment has in these slots (ids): those of these persons; None: all."""
    keys = [
        row["id"] for row in await connection.fetch(_LOCK, appointment_id, [slot_key(id_) for id_ in slots])
    ]
    if not keys:
        return []
    rows = await connection.fetch(_RELEASE, appointment_id, keys, now, persons)
    return [Released(**row) for row in rows]


async def beside_agenda(connection: Connection, group: UUID) -> Sequence[str]:
    """The actors whom the group of a slot (its key) takes beside those of the agenda."""
    beside: Sequence[str] = await connection.fetchval(_BESIDE_OF, group) or ()
    return beside


async def named_by_others(connection: Connection, group: UUID, appointment_id: str) -> frozenset[str]:
    """The actors whom the group of a slot (its key) takes for others than this appointment: whom they name."""
    rows = await connection.fetch(_OTHERS, group, appointment_id)
    visits = [facts(loads(row["content"]), "") for row in rows]
    named = sorted({reference for visit in visits for reference in to_resolve(visit)})
    resolved = await resolve(connection, named) if named else {}
    return frozenset(actor for visit in visits for actor in exclusive_actors(visit, (), resolved))


async def groups_of(connection: Connection, appointments: Sequence[str]) -> dict[str, list[str]]:
    """The groups in which these appointments (ids) have places, by appointment."""
    rows = await connection.fetch(
        f"SELECT DISTINCT appointment_id, '{GROUP}' || slot_id AS of FROM slot_place WHERE appointment_id = ANY($1::text[])",
        list(appointments),
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["appointment_id"], []).append(row["of"])
    return found


async def resize(connection: Connection, schedule: str, now: datetime) -> None:
    """Adapts the partly taken slots of an agenda (id) that says anew how many places its slots have."""
    changed = await connection.execute(_RESIZE, schedule, now)
    if not changed.endswith(" 0"):
        key = await connection.fetchval("SELECT key FROM schedule WHERE id = $1", schedule)
        await note_agendas(connection, [key], now)

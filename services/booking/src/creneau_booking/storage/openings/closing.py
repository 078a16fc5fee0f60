"""Which appointments a closure hits, and the nearest free time of the agenda for each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX, schedules_of
from creneau_booking.storage.mapping.slot import IS_OVERBOOKED
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.terms import after

LOOKED_AROUND = timedelta(days=93)
"""how far from an appointment's time another time is looked for"""

_NAMES_IT = f"{IS_OVERBOOKED.format(slot='slot')} AND {{}}.terms @> ARRAY['slot=Slot/' || coalesce(slot.name, slot.id::text)]"
"""SQL: whether an appointment is in a slot that is somebody else's"""
_HAS_IT = f"""(slot.taken_by = $2 OR slot.id IN (SELECT slot_id FROM slot_place WHERE appointment_id = $2)
  OR EXISTS (SELECT FROM appointment WHERE appointment.id = $2 AND {_NAMES_IT.format("appointment")}))"""
"""SQL: whether one appointment ($2) has a slot or one of its places, or is beside the one that has it"""
_OWN = "(convert_from(appointment.content, 'UTF8')::json ->> '{}')::timestamptz"
_ITS_TIME = f'{_OWN.format("start")} AS start, {_OWN.format("end")} AS "end"'
"""SQL: when an appointment starts and ends: it may reach beyond the slots that a closure hits"""
_HIT = f"""
SELECT hit.id, hit.start, hit."end", hit.held, count(*) OVER () AS total FROM (
  SELECT DISTINCT ON (appointment.id) appointment.id, {_ITS_TIME},
    EXISTS (SELECT FROM hold WHERE hold.appointment_id = appointment.id) AS held
  FROM slot CROSS JOIN LATERAL (
    SELECT slot.taken_by AS id UNION SELECT appointment_id FROM slot_place WHERE slot_place.slot_id = slot.id
    UNION SELECT beside.id FROM appointment AS beside WHERE {_NAMES_IT.format("beside")} AND NOT beside.deleted) AS has
  JOIN appointment ON appointment.id = has.id
  WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $1) AND slot.start < $3 AND slot."end" > $2
    AND slot.start > $4 AND slot."end" > $5 AND appointment.terms && ARRAY['status=booked', 'status=pending']
  ORDER BY appointment.id) AS hit
ORDER BY hit.start, hit.id LIMIT $6
"""
_STILL_HIT = f"""
SELECT {_ITS_TIME}, EXISTS (SELECT FROM hold WHERE hold.appointment_id = $2) AS held
FROM appointment WHERE id = $2 AND EXISTS (
  SELECT FROM slot WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $1) AND slot.start < $4
    AND slot."end" > $3 AND slot.start > $5 AND slot."end" > $6 AND {_HAS_IT})
"""
_IS_FOR = ("service-category", "service-type", "specialty", "appointment-type", "_security")
_FOR = f"""ARRAY(
  SELECT t FROM unnest(kind.terms) AS t WHERE split_part(t, '=', 1) IN ({", ".join(f"'{name}'" for name in _IS_FOR)})
  ORDER BY t)"""
"""SQL: what and whom the slots of a kind are for"""
_NEAREST = f"""
WITH had AS MATERIALIZED (
  SELECT {_FOR} AS meant, kind.capacity, kind.key
  FROM slot JOIN slot_kind AS kind ON kind.key = slot.kind_key
  JOIN schedule ON schedule.key = slot.schedule_key JOIN agenda ON agenda.schedule_key = schedule.key
  WHERE {_HAS_IT} AND schedule.id = $1 AND slot.start < $4 AND slot."end" > $3
    AND slot.start > $3 - agenda.slot_length_max
  ORDER BY slot.start LIMIT 1
)
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end" FROM slot
JOIN agenda USING (schedule_key) JOIN slot_kind AS kind ON kind.key = slot.kind_key CROSS JOIN had
WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $1) AND slot.status = 'free' AND agenda.open
  AND slot.start > $5 AND slot.start BETWEEN $3 - $6::interval AND $3 + $6::interval
  AND slot."end" - slot.start = $4::timestamptz - $3::timestamptz
  AND slot.start >= agenda.horizon_start AND slot."end" <= agenda.horizon_end
  AND ($5 <= slot.start - make_interval(mins => agenda.minimum_notice_min)) IS NOT FALSE
  AND {_FOR} = had.meant AND kind.capacity IS NOT DISTINCT FROM had.capacity
  AND NOT (slot.start < $8 AND slot."end" > $7) AND coalesce(slot.name, slot.id::text) <> ALL($9::text[])
ORDER BY abs(extract(epoch FROM slot.start - $3::timestamptz)), kind.key <> had.key, slot.id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """An appointment (id), from when to when it is, that has a slot in the closed time of the agenda."""

    id: str
    start: datetime
    end: datetime
    held: bool = False
    """whether it is only held, or asked for: its person looks for another time themselves"""


@dataclass(frozen=True, slots=True)
class FreeTime:
    """A free slot (id)."""

    slot: str
    start: datetime
    end: datetime


async def appointments_hit(
    connection: Connection,
    schedule: str,
    period: tuple[datetime, datetime],
    now: datetime,
    most: int,
) -> tuple[list[Hit], int]:
    """Returns the first `most` booked or held appointments to come with a slot in that time of the agenda (id), and how many
    there are."""
    rows = await connection.fetch(_HIT, schedule, *period, period[0] - SLOT_LENGTH_MAX, now, most)
    hits = [Hit(row["id"], row["start"], row["end"], row["held"]) for row in rows]
    return hits, rows[0]["total"] if rows else 0


async def still_hit(
    connection: Connection, schedule: str, period: tuple[datetime, datetime], now: datetime, appointment: str
) -> Hit | None:
    """Returns a locked appointment (id) as the closure hits it at this moment; None if it has no slot to come in that time
    of the agenda (id) any more."""
    row = await connection.fetchrow(
        _STILL_HIT, schedule, appointment, *period, period[0] - SLOT_LENGTH_MAX, now
    )
    return None if row is None else Hit(appointment, row["start"], row["end"], row["held"])


async def nearest_free(
    connection: Connection,
    schedule: str,
    hit: Hit,
    period: tuple[datetime, datetime],
    now: datetime,
    besides: Collection[str] = (),
) -> FreeTime | None:
    """Returns the free slot of the agenda (id) nearest to an appointment's time: as long, for the same, and outside of the
    closed time. Leaves out `besides` (ids), which are given away already."""
    row = await connection.fetchrow(
        _NEAREST, schedule, hit.id, hit.start, hit.end, now, LOOKED_AROUND, *period, list(besides)
    )
    return None if row is None else FreeTime(row["id"], row["start"], row["end"])


async def agendas_of_appointment(connection: Connection, appointment: str) -> tuple[str, ...]:
    """The agendas (references) in which an appointment (id) has slots."""
    terms = await connection.fetchval("SELECT terms FROM appointment WHERE id = $1", appointment)
    return await schedules_of(connection, after("slot=Slot/", terms or ()))

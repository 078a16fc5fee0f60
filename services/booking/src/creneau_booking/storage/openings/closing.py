"""Which appointments a closure hits, and the nearest free time of the agenda for each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX, schedules_of
from creneau_shared.database.pool import Connection

LOOKED_AROUND = timedelta(days=93)
"""how far from its time another is looked for"""

_HIT = """
SELECT hit.id, hit.start, hit."end", count(*) OVER () AS total FROM (
  SELECT appointment.id, min(slot.start) AS start, max(slot."end") AS "end"
  FROM slot CROSS JOIN LATERAL (
    SELECT slot.taken_by AS id UNION SELECT appointment_id FROM slot_place WHERE slot_place.slot_id = slot.id) AS has
  JOIN appointment ON appointment.id = has.id
  WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $1) AND slot.start < $3 AND slot."end" > $2
    AND slot.start > $4 AND slot."end" > $5 AND appointment.terms && ARRAY['status=booked', 'status=pending']
  GROUP BY appointment.id) AS hit
WHERE hit.id <> ALL($7) ORDER BY hit.start, hit.id LIMIT $6
"""
_NEAREST = """
WITH had AS MATERIALIZED (
  SELECT ARRAY(SELECT t FROM unnest(kind.terms) AS t WHERE starts_with(t, 'service-type=')) AS services, kind.key
  FROM slot JOIN slot_kind AS kind ON kind.key = slot.kind_key
  JOIN schedule ON schedule.key = slot.schedule_key
  WHERE (slot.taken_by = $2 OR slot.id IN (SELECT slot_id FROM slot_place WHERE appointment_id = $2))
    AND schedule.id = $1 AND slot.start >= $3 AND slot.start < $4
  ORDER BY slot.start LIMIT 1
)
SELECT coalesce(slot.name, slot.id::text) AS id, slot.start, slot."end" FROM slot
JOIN agenda USING (schedule_key) JOIN slot_kind AS kind ON kind.key = slot.kind_key CROSS JOIN had
WHERE slot.schedule_key = (SELECT key FROM schedule WHERE id = $1) AND slot.status = 'free' AND agenda.open
  AND slot.start > $5 AND slot.start BETWEEN $3 - $6::interval AND $3 + $6::interval
  AND slot."end" - slot.start = $4::timestamptz - $3::timestamptz
  AND slot.start >= agenda.horizon_start AND slot."end" <= agenda.horizon_end
  AND ($5 <= slot.start - make_interval(mins => agenda.minimum_notice_min)) IS NOT FALSE
  AND (had.services = '{}' OR kind.terms && had.services)
  AND NOT (slot.start < $8 AND slot."end" > $7) AND coalesce(slot.name, slot.id::text) <> ALL($9::text[])
ORDER BY abs(extract(epoch FROM slot.start - $3::timestamptz)), kind.key <> had.key, slot.id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """An appointment (id) whose time in the agenda would be closed."""

    id: str
    start: datetime
    end: datetime


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
    besides: Collection[str] = (),
) -> tuple[list[Hit], int]:
    """The booked and held appointments to come with a slot in that time of the agenda (id), the first `most` of them; how
    many there are."""
    rows = await connection.fetch(
        _HIT, schedule, *period, period[0] - SLOT_LENGTH_MAX, now, most, list(besides)
    )
    return [Hit(row["id"], row["start"], row["end"]) for row in rows], rows[0]["total"] if rows else 0


async def nearest_free(
    connection: Connection,
    schedule: str,
    hit: Hit,
    period: tuple[datetime, datetime],
    now: datetime,
    besides: Collection[str] = (),
) -> FreeTime | None:
    """The free slot of the agenda (id) nearest to an appointment's time, as long and for the same, outside of what is
    closed; those of `besides` (ids) are given away already."""
    row = await connection.fetchrow(
        _NEAREST, schedule, hit.id, hit.start, hit.end, now, LOOKED_AROUND, *period, list(besides)
    )
    return None if row is None else FreeTime(row["id"], row["start"], row["end"])


async def agendas_of_appointment(connection: Connection, appointment: str) -> tuple[str, ...]:
    """The agendas (references) in which an appointment (id) has slots."""
    terms = await connection.fetchval("SELECT terms FROM appointment WHERE id = $1", appointment)
    slots = [t.removeprefix("slot=Slot/") for t in terms or () if t.startswith("slot=Slot/")]
    return await schedules_of(connection, slots)

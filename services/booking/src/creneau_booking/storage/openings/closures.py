"""Closed times of an agenda (`agenda_closure`): they block its slots, which are free again once a closure is taken back."""

from __future__ import annotations

from datetime import datetime

from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX
from creneau_booking.storage.availability.actors import write_alone
from creneau_booking.storage.availability.agendas import rejudge
from creneau_booking.storage.availability.freed import note_freed
from creneau_booking.storage.mapping.slot import SUPERSEDE, SUPERSEDED
from creneau_booking.storage.openings.saying import SAY
from creneau_shared.database.pool import Connection
from creneau_shared.ids import new_uuid

_CLOSE = """
INSERT INTO agenda_closure (id, schedule_key, period, reason, closed_at, closed_by)
SELECT $1, $2, tstzrange($3, $4), $5, $6, $7
WHERE NOT EXISTS (SELECT FROM agenda_closure WHERE schedule_key = $2 AND period @> tstzrange($3, $4))
"""
_UNCLOSE = """
WITH ended AS (
  DELETE FROM agenda_closure USING schedule
  WHERE schedule.id = $1 AND schedule_key = schedule.key AND period && tstzrange($2, $3) RETURNING agenda_closure.*
), left_closed AS (
  INSERT INTO agenda_closure (id, schedule_key, period, reason, closed_at, closed_by)
  SELECT gen_random_uuid(), schedule_key, part, reason, closed_at, closed_by
  FROM ended, unnest(tstzmultirange(period) - tstzmultirange(tstzrange($2, $3))) AS part
)
SELECT id FROM ended
"""
_SAID_FREE = """schedule_key = $1 AND start < $3 AND "end" > $2 AND start > $4 AND said = 'free'"""
_ANY_LEFT = f"SELECT EXISTS (SELECT FROM slot WHERE {_SAID_FREE})"
_BLOCK = f"""
WITH closed AS MATERIALIZED (
  SELECT schedule_key, start, id, generated FROM slot WHERE {_SAID_FREE}
  ORDER BY schedule_key, start, id FOR UPDATE
), blocked AS (
  UPDATE slot SET said = 'busy-unavailable',
    status = CASE WHEN taken_by IS NULL OR places IS NOT NULL THEN 'busy-unavailable'::slot_status ELSE status END,
    version = slot.version + 1, last_updated = greatest(slot.last_updated, $5)
  FROM closed WHERE (slot.schedule_key, slot.start, slot.id) = (closed.schedule_key, closed.start, closed.id)
  RETURNING {SUPERSEDED}
), kept AS (
  -- What rules made, rules open again.
  INSERT INTO agenda_closed_slot (schedule_key, start, id) SELECT schedule_key, start, id FROM closed WHERE generated IS NOT TRUE
  ON CONFLICT DO NOTHING
), superseded AS ({SUPERSEDE} SELECT * FROM blocked)
SELECT count(*) FROM blocked
"""
_CLOSED_NO_MORE = """
WITH kept AS MATERIALIZED (
  DELETE FROM agenda_closed_slot AS closed USING slot
  WHERE closed.schedule_key = $1 AND (slot.schedule_key, slot.start, slot.id) = (closed.schedule_key, closed.start, closed.id)
    AND NOT EXISTS (SELECT FROM agenda_closure WHERE agenda_closure.schedule_key = $1
      AND agenda_closure.period && tstzrange(slot.start, slot."end"))
  RETURNING closed.*
)
SELECT slot.id, slot.start FROM slot JOIN kept USING (schedule_key, start, id)
WHERE slot.said = 'busy-unavailable' AND slot.start > $2
ORDER BY slot.schedule_key, slot.start, slot.id FOR UPDATE OF slot
"""


async def close(
    connection: Connection,
    schedule_id: str,
    period: tuple[datetime, datetime],
    reason: str | None,
    now: datetime,
    by: str,
) -> int:
    """Closes a time of an agenda: blocks its slots, the taken ones for when they are given back, and lets none be made
    there. Returns how many it blocked."""
    key = await _nobody_else_writes(connection, schedule_id)
    await connection.execute(_CLOSE, new_uuid(), key, *period, reason, now, by)
    within, blocked = (key, *period, period[0] - SLOT_LENGTH_MAX), 0
    # A slot that somebody else had locked may be booked in part meanwhile: its rest is a new slot, not looked at yet.
    while await connection.fetchval(_ANY_LEFT, *within):
        blocked += await connection.fetchval(_BLOCK, *within, now)
    return blocked


async def reopen(
    connection: Connection, schedule_id: str, period: tuple[datetime, datetime], now: datetime
) -> int:
    """Ends the closures of an agenda (id) in that time; returns how many it shortened or ended. The slots that the agenda's
    rules ask for are made anew afterwards; those that its software has pushed are free as they were."""
    key = await _nobody_else_writes(connection, schedule_id)
    rows = await connection.fetch(_UNCLOSE, schedule_id, *period)
    back = await connection.fetch(_CLOSED_NO_MORE, key, now)
    if back:
        ids, starts = [row["id"] for row in back], [row["start"] for row in back]
        await connection.execute(SAY, key, ids, starts, "free", now)
        await rejudge(connection, [key], now)
        note_freed(connection, list(zip(ids, starts, strict=True)), now)
    return len(rows)


async def _nobody_else_writes(connection: Connection, schedule_id: str) -> int:
    """Returns the key of an agenda (id), and keeps others from making or writing its slots until this transaction ends:
    earlier ones are seen, later ones know what is closed. Makers of slots from rules lock their row before they wait for
    people, and so does this."""
    key: int = await connection.fetchval("SELECT key FROM schedule WHERE id = $1", schedule_id)
    await connection.execute("SELECT FROM agenda_opening WHERE schedule_key = $1 FOR UPDATE", key)
    await write_alone(connection, key)
    return key

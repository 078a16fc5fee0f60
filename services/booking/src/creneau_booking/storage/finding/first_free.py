"""Moves first free starts on as time passes, which no write tells of; triggers keep the rest (migration 0027)."""

from __future__ import annotations

from datetime import datetime

from creneau_shared.database.pool import Connection

_PASSED = """
SELECT schedule_key, kind_key FROM first_free WHERE start <= $1
ORDER BY start, schedule_key LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_MOVE_ON = """
UPDATE first_free AS known SET start = (
  SELECT slot.start FROM slot
  WHERE slot.schedule_key = known.schedule_key AND slot.kind_key = known.kind_key AND slot.status = 'free'
    AND slot.start > (SELECT $3::timestamptz)
  ORDER BY slot.start LIMIT 1)
FROM unnest($1::bigint[], $2::bigint[]) AS passed (schedule_key, kind_key)
WHERE known.schedule_key = passed.schedule_key AND known.kind_key = passed.kind_key
"""


async def move_on(connection: Connection, now: datetime, most: int) -> int:
    """Moves some of the past starts up to `now`; returns how many. Skips those that somebody changes at this moment."""
    rows = await connection.fetch(_PASSED, now, most)
    if rows:
        agendas, kinds = zip(*rows, strict=True)
        await connection.execute(_MOVE_ON, list(agendas), list(kinds), now)
    return len(rows)

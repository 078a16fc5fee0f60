"""SQL that changes what an agenda says of its slots: rules withdraw or open them again, or a closure ends."""

from __future__ import annotations

from creneau_booking.storage.mapping.places import left_sql, status_sql
from creneau_booking.storage.mapping.slot import SUPERSEDE, SUPERSEDED, SUPERSEDED_COLUMNS

SAY = f"""
WITH told AS (
  UPDATE slot SET said = $4::slot_status,
    status = CASE WHEN places IS NULL THEN slot.status
      ELSE {status_sql("$4::slot_status", left_sql("slot", "slot.kind_key"))} END,
    version = slot.version + (places IS NOT NULL)::integer,
    last_updated = CASE WHEN places IS NULL THEN slot.last_updated ELSE greatest(slot.last_updated, $5) END
  FROM unnest($2::uuid[], $3::timestamptz[]) AS named (id, start)
  WHERE slot.schedule_key = $1 AND slot.start = named.start AND slot.id = named.id
  RETURNING {SUPERSEDED}, new.version > old.version AS is_new
)
{SUPERSEDE} SELECT {SUPERSEDED_COLUMNS} FROM told WHERE is_new
"""
"""$1: the agenda (key); $2, $3: ids and starts of its slots; $4: `said`; $5: now."""

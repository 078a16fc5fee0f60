"""The index of first free starts against a full scan of the slots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from creneau_shared.database.pool import Connection, Database

# One that is past is looked beyond by whoever reads it: nothing free may lie before it, and it says no more.
DISAGREEING = """
SELECT kind.schedule_key, kind.key AS kind_key, known.start AS known, scan.start AS scanned
FROM slot_kind AS kind LEFT JOIN first_free AS known ON (known.schedule_key, known.kind_key) = (kind.schedule_key, kind.key)
CROSS JOIN LATERAL (
  SELECT min(slot.start) AS start FROM slot
  WHERE slot.schedule_key = kind.schedule_key AND slot.kind_key = kind.key AND slot.status = 'free' AND slot.start > $1
) AS scan
WHERE known.start IS DISTINCT FROM scan.start AND (known.start <= $1) IS NOT TRUE
"""


async def disagreeing(database: Database | Connection, now: datetime) -> list[dict[str, Any]]:
    """The kinds whose first free start is not the one that a full scan finds, or of which something is left unsettled."""
    fetch = database.pool.fetch if isinstance(database, Database) else database.fetch
    left = await fetch("SELECT schedule_key, kind_key FROM first_free_due")
    return [dict(row) for row in (*await fetch(DISAGREEING, now), *left)]

"""Whether two appointments have one slot, or one person at one time: it cannot be, and is looked for all the same.

What is compared is what the appointments say, not the tables by which rivals exclude each other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from prometheus_client import Gauge

from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.slot_rows import IS_OVERBOOKED, KEY_SQL
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.generic import literal

DOUBLES = Gauge(
    "creneau_double_bookings", "Appointments that have a slot which another one has, too, and nobody meant it"
)

LOOKED_AT_MAX = 10_000

_CLAIMING = f"ARRAY[{', '.join(literal(f'status={status}') for status in SLOT_STATUS_OF)}]"
_CHANGED = f"""
SELECT id FROM appointment WHERE last_updated > $1 AND NOT deleted AND terms && {_CLAIMING}
ORDER BY last_updated DESC LIMIT $2
"""
# A place in a group, and a visit that a practice has put over another one, are meant.
_DOUBLED = f"""
WITH shared AS MATERIALIZED (
  SELECT one.id, slot FROM appointment AS one CROSS JOIN unnest(one.terms) AS slot
  WHERE one.id = ANY($1) AND NOT one.deleted AND one.terms && {_CLAIMING} AND slot ~ '^slot=Slot/[^/]+$' AND EXISTS (
    SELECT FROM appointment AS other WHERE other.terms @> ARRAY[slot] AND other.id <> one.id AND NOT other.deleted
    AND other.terms && {_CLAIMING})
)
SELECT DISTINCT shared.id FROM shared JOIN slot ON slot.id = {KEY_SQL.format(id="substr(shared.slot, 11)")}
WHERE slot.places IS NULL AND NOT {IS_OVERBOOKED.format(slot="slot")}
"""


async def doubled(connection: Connection, since: datetime, known: Collection[str]) -> frozenset[str]:
    """The ids of doubled appointments, among those that have changed since and those that were `known` to be."""
    rows = await connection.fetch(_CHANGED, since, LOOKED_AT_MAX)
    wanted = {row["id"] for row in rows} | set(known)
    found = await connection.fetch(_DOUBLED, list(wanted)) if wanted else []
    return frozenset(row["id"] for row in found)

"""Looks for two appointments that have one slot: it cannot be, and is looked for all the same.

It compares what the appointments say, not the tables by which rivals exclude each other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from prometheus_client import Gauge

from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.mapping.slot import IS_OVERBOOKED, KEY_SQL
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.generic import literal

DOUBLES = Gauge(
    "creneau_double_bookings", "Appointments that have a slot which another one has, too, and nobody meant it"
)

LOOKED_AT_MAX = 10_000
TOGETHER = 100
"""appointments whose slots are looked for at once: one by one, each would read through the index; all at once, each entry
that is found would be compared with every slot"""

_CLAIMING = f"ARRAY[{', '.join(literal(f'status={status}') for status in SLOT_STATUS_OF)}]"
_CHANGED = f"""
SELECT id FROM appointment WHERE last_updated > $1 AND NOT deleted AND terms && {_CLAIMING}
ORDER BY last_updated DESC LIMIT $2
"""
# Leaves out a place in a group, and a visit that a practice has put over another one: these are meant. With OFFSET 0 the
# index looks for the slots alone: almost every appointment has the statuses.
DOUBLED = f"""
WITH one AS MATERIALIZED (
  SELECT id, slot FROM appointment CROSS JOIN unnest(terms) AS slot
  WHERE id = ANY($1) AND NOT deleted AND terms && {_CLAIMING} AND slot ~ '^slot=Slot/[^/]+$'
), other AS MATERIALIZED (
  SELECT id, slot
  FROM (SELECT id, deleted, terms FROM appointment WHERE terms && ARRAY(SELECT slot FROM one) OFFSET 0) AS sharing
  CROSS JOIN unnest(terms) AS slot WHERE NOT deleted AND terms && {_CLAIMING}
), shared AS MATERIALIZED (
  SELECT DISTINCT one.id, slot FROM one JOIN other USING (slot) WHERE one.id <> other.id
)
SELECT DISTINCT shared.id FROM shared JOIN slot ON slot.id = {KEY_SQL.format(id="substr(shared.slot, 11)")}
WHERE slot.places IS NULL AND NOT {IS_OVERBOOKED.format(slot="slot")}
"""


async def doubled(connection: Connection, since: datetime, known: Collection[str]) -> frozenset[str]:
    """Returns the ids of doubled appointments, among those changed `since` and those that were `known` to be."""
    rows = await connection.fetch(_CHANGED, since, LOOKED_AT_MAX)
    wanted = sorted({row["id"] for row in rows} | set(known))
    found: set[str] = set()
    for first in range(0, len(wanted), TOGETHER):
        rows = await connection.fetch(DOUBLED, wanted[first : first + TOGETHER])
        found.update(row["id"] for row in rows)
    return frozenset(found)

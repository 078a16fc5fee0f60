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
TOGETHER = 100
"""appointments of which the slots are looked for at once: asked for one by one, the index is read through for each; for
all, each entry that is found is compared with every slot"""

_CLAIMING = f"ARRAY[{', '.join(literal(f'status={status}') for status in SLOT_STATUS_OF)}]"
_CHANGED = f"""
SELECT id FROM appointment WHERE last_updated > $1 AND NOT deleted AND terms && {_CLAIMING}
ORDER BY last_updated DESC LIMIT $2
"""
# A place in a group, and a visit that a practice has put over another one, are meant. OFFSET 0 leaves the index but one thing
# to look for, the slots: almost every appointment has the statuses.
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
    """The ids of doubled appointments, among those that have changed since and those that were `known` to be."""
    rows = await connection.fetch(_CHANGED, since, LOOKED_AT_MAX)
    wanted = sorted({row["id"] for row in rows} | set(known))
    found: set[str] = set()
    for first in range(0, len(wanted), TOGETHER):
        rows = await connection.fetch(DOUBLED, wanted[first : first + TOGETHER])
        found.update(row["id"] for row in rows)
    return frozenset(found)

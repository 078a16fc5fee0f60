"""Visits that a practice puts where another one is: the slot stays the first one's, and says that it is overbooked.

All the same nobody is in two places in the schema: the second visit takes its patient alone. It takes the first one's place
when that is given up, so that no time is offered in which somebody is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.mapping.slot import IS_OVERBOOKED, OVERBOOKED, SUPERSEDE, SUPERSEDED, slot_key
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.json import loads

_TAKEN = """
SELECT coalesce(bool_and(locked.taken_by IS NOT NULL), false) AND count(*) = cardinality($1::uuid[])
FROM (SELECT taken_by FROM slot WHERE id = ANY($1) ORDER BY schedule_key, start, id FOR UPDATE) AS locked
"""
_MARK = f"""
WITH marked AS (
  UPDATE slot SET extra = {{extra}}, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $2)
  WHERE id = ANY($1::uuid[]) AND {{still}} {IS_OVERBOOKED.format(slot="slot")}
  RETURNING {SUPERSEDED}
)
{SUPERSEDE} SELECT * FROM marked
"""
_MARK_SQL = _MARK.format(extra=f"'{OVERBOOKED}' || coalesce(slot.extra, '')", still="NOT")
_UNMARK_SQL = _MARK.format(extra=f"nullif(replace(slot.extra, '{OVERBOOKED}', ''), '')", still="")
_OVERBOOKED = f"""
SELECT id, coalesce(name, id::text) AS name, schedule_key, start, "end", taken_by FROM slot
WHERE id = ANY($1::uuid[]) AND {IS_OVERBOOKED.format(slot="slot")} ORDER BY schedule_key, start, id FOR UPDATE
"""
_THERE = """
SELECT id, content FROM appointment
WHERE terms @> ARRAY['slot=Slot/' || $1] AND terms && $2::text[] AND id <> $3 AND NOT deleted ORDER BY key
"""
_INHERIT = f"""
WITH inherited AS (
  UPDATE slot SET taken_by = $4, status = $5::slot_status, version = slot.version + 1,
    last_updated = greatest(slot.last_updated, $6)
  WHERE (schedule_key, start, id) = ($1, $2, $3)
  RETURNING {SUPERSEDED}
)
{SUPERSEDE} SELECT * FROM inherited
"""
_TAKING = [f"status={status}" for status in SLOT_STATUS_OF]


@dataclass(frozen=True, slots=True)
class Heir:
    """The appointment that inherits a slot, and the actors that it takes, for its time in that slot: who has another slot
    beside keeps them there."""

    appointment: str
    actors: tuple[str, ...]
    start: datetime
    end: datetime


async def are_taken(connection: Connection, slots: Sequence[str]) -> bool:
    """Locks these slots; returns whether all of them are taken."""
    return bool(await connection.fetchval(_TAKEN, [slot_key(id_) for id_ in slots]))


async def mark(connection: Connection, slots: Sequence[str], now: datetime) -> None:
    """Marks these slots as overbooked."""
    await connection.execute(_MARK_SQL, [slot_key(id_) for id_ in slots], now)


async def left(
    connection: Connection, appointment_id: str, slots: Sequence[str], now: datetime
) -> list[Heir]:
    """Settles the overbooked ones among the slots that an appointment has left. A visit that is still there inherits the
    slot; a slot with one visit left is no longer marked. The caller has to take the heirs' actors."""
    heirs: list[Heir] = []
    for slot in await connection.fetch(_OVERBOOKED, [slot_key(id_) for id_ in slots]):
        there = await connection.fetch(_THERE, slot["name"], _TAKING, appointment_id)
        if slot["taken_by"] is None and there:
            visit = loads(there[0]["content"])
            place = (slot["schedule_key"], slot["start"], slot["id"])
            await connection.execute(_INHERIT, *place, there[0]["id"], SLOT_STATUS_OF[visit["status"]], now)
            actors = await connection.fetch(
                "SELECT actor FROM agenda_actor WHERE schedule_key = $1 ORDER BY 1", slot["schedule_key"]
            )
            start = max(slot["start"], instant_of(visit["start"]))
            end = min(slot["end"], instant_of(visit["end"]))
            heirs.append(Heir(there[0]["id"], tuple(row["actor"] for row in actors), start, end))
        if len(there) < 2:
            await connection.execute(_UNMARK_SQL, [slot["id"]], now)
    return heirs

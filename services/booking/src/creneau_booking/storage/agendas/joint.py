"""Look-ups over several agendas: their keys, and their slots that cover one time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from creneau_booking.domain.appointment import patient_actor
from creneau_booking.domain.joint import Cutting
from creneau_booking.storage.agendas.slots_of_agendas import SLOT_LENGTH_MAX
from creneau_shared.clock import PARIS, zone_named
from creneau_shared.database.pool import Connection

_COVERING = """
SELECT agenda.key AS schedule_key, (
  SELECT coalesce(slot.name, slot.id::text) FROM slot
  WHERE slot.schedule_key = agenda.key AND slot.start <= $2 AND slot."end" >= $3 AND slot.start > $4
  ORDER BY slot.status = 'free' DESC, slot.start = $2 AND slot."end" = $3 DESC, slot.start DESC, slot.id LIMIT 1) AS slot
FROM unnest($1::bigint[]) WITH ORDINALITY AS agenda (key, place) ORDER BY place
"""


async def keys_of_agendas(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """The keys of these agendas, by id."""
    rows = await connection.fetch("SELECT id, key FROM schedule WHERE id = ANY($1::text[])", list(ids))
    return {row["id"]: row["key"] for row in rows}


async def zones_of(connection: Connection, ids: Sequence[str]) -> dict[str, ZoneInfo]:
    """Returns the time zones of these agendas (ids), by id."""
    rows = await connection.fetch(
        "SELECT id, zone FROM schedule JOIN agenda ON schedule_key = key WHERE id = ANY($1::text[])",
        list(ids),
    )
    return {row["id"]: zone_named(row["zone"]) or PARIS for row in rows}


async def slots_covering(
    connection: Connection, keys: Sequence[int], start: datetime, end: datetime
) -> list[str] | None:
    """Returns the slot (id) of each agenda (key) that covers the period, preferably a free one; None if one has none."""
    rows = await connection.fetch(_COVERING, list(keys), start, end, start - SLOT_LENGTH_MAX)
    slots = [row["slot"] for row in rows]
    return None if None in slots else slots


async def visits_of(
    connection: Connection, patients: Sequence[str], start: datetime, end: datetime, *, besides: str
) -> list[tuple[datetime, datetime]]:
    """Returns the periods of visits of these Patients (ids) within a period, without the appointment `besides` (id) and
    without visits that are hidden from others."""
    rows = await connection.fetch(
        "SELECT lower(period), upper(period) FROM occupancy WHERE actor = ANY($1) AND period && tstzrange($2, $3)"
        " AND appointment_id <> $4 ORDER BY 1",
        [patient_actor(f"Patient/{id_}", hidden=False) for id_ in patients],
        start,
        end,
        besides,
    )
    return [(row[0], row[1]) for row in rows]


async def cutting_of(connection: Connection, ids: Sequence[str]) -> dict[str, Cutting]:
    """What may be taken out of the slots of each of these agendas (ids)."""
    rows = await connection.fetch(
        "SELECT schedule.id, agenda.parts, EXISTS (SELECT FROM slot_kind AS kind"
        " WHERE kind.schedule_key = schedule.key AND kind.capacity > 1) AS groups"
        " FROM schedule JOIN agenda ON agenda.schedule_key = schedule.key WHERE schedule.id = ANY($1::text[])",
        list(ids),
    )
    return {row["id"]: Cutting(row["parts"], row["groups"]) for row in rows}

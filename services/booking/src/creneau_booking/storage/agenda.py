"""Finding the slots of an agenda by time."""

from __future__ import annotations

from datetime import datetime

from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.datatypes import parse_interval


async def slots_between(connection: Connection, schedule: str, start: str, end: str) -> list[str]:
    """The slots of an agenda that cover `[start, end)` (FHIR instants), whatever their status, in order."""
    rows = await connection.fetch(
        "SELECT coalesce(slot.name, slot.id::text) AS id FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        ' WHERE schedule.id = $1 AND slot.start < $3 AND slot."end" > $2'
        " AND slot.status <> 'entered-in-error' ORDER BY slot.start",
        schedule,
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
    )
    if not rows:
        raise _no_slot(schedule, start)
    return [row["id"] for row in rows]


async def slot_from(connection: Connection, schedule: str, start: str) -> str:
    """The slot of an agenda that starts at `start` (FHIR dateTime), a free one if there are several."""
    moment = parse_interval(start, PARIS)[0]
    id_ = await connection.fetchval(
        "SELECT coalesce(slot.name, slot.id::text) FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        " WHERE schedule.id = $1 AND slot.start = $2 ORDER BY (slot.status = 'free') DESC, slot.id LIMIT 1",
        schedule,
        moment,
    )
    if id_ is None:
        raise _no_slot(schedule, start)
    return str(id_)


def _no_slot(schedule: str, start: str) -> Unprocessable:
    return Unprocessable(
        f"L'agenda Schedule/{schedule} n'a pas de créneau à {start}.",
        f"The agenda Schedule/{schedule} has no slot at {start}.",
        code="not-found",
        expression="Appointment.slot",
        details_code="unknown-slot",
    )

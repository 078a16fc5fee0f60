"""Finding the slots of an agenda by time."""

from __future__ import annotations

from datetime import datetime, timedelta

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable

SLOT_LENGTH_MAX = timedelta(days=31)
"""a longer slot is not found by the time within it; the bound keeps the search in two partitions"""


async def slots_between(connection: Connection, schedule: str, start: datetime, end: datetime) -> list[str]:
    """The ids of the slots of an agenda that lie in or reach into `[start, end)`, whatever their status, in order.

    Unprocessable when there is none.
    """
    rows = await connection.fetch(
        "SELECT coalesce(slot.name, slot.id::text) AS id FROM slot JOIN schedule ON schedule.key = slot.schedule_key"
        ' WHERE schedule.id = $1 AND slot.start < $3 AND slot.start > $4 AND slot."end" > $2'
        " AND slot.status <> 'entered-in-error' ORDER BY slot.start",
        schedule,
        start,
        end,
        start - SLOT_LENGTH_MAX,
    )
    if not rows:
        raise _no_slot(schedule, start.isoformat())
    return [row["id"] for row in rows]


def _no_slot(schedule: str, start: str) -> Unprocessable:
    return Unprocessable(
        f"L'agenda Schedule/{schedule} n'a pas de créneau à {start}.",
        f"The agenda Schedule/{schedule} has no slot at {start}.",
        code="not-found",
        expression="Appointment.slot",
        details_code="unknown-slot",
    )

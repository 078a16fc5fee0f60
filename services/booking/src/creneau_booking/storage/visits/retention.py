"""Which appointments are past keeping, and how they are removed, with their answers and Provenances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.storage.mapping.places import forget_places
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.purging import purge

_PAST = (
    "SELECT appointment.id FROM appointment_date AS began JOIN appointment ON appointment.key = began.key"
    " WHERE began.parameter = 'date' AND began.high < $1 ORDER BY began.high LIMIT $2"
    " FOR UPDATE OF appointment SKIP LOCKED"
)
# The same condition as the index ix_appointment_undated (migration 0040).
UNDATED = """
SELECT id FROM appointment WHERE is_undated(content) AND last_updated < $1
ORDER BY last_updated LIMIT $2 FOR UPDATE SKIP LOCKED
"""


async def remove_past_appointments(connection: Connection, before: datetime, limit: int) -> int:
    """Removes appointments that began before the instant; returns how many."""
    rows = await connection.fetch(_PAST, before, limit)
    return await remove_appointments(connection, [row["id"] for row in rows])


async def remove_undated_requests(connection: Connection, before: datetime, limit: int) -> int:
    """Removes requests that name no date, withdrawn or not, unchanged since the instant; returns how many."""
    rows = await connection.fetch(UNDATED, before, limit)
    return await remove_appointments(connection, [row["id"] for row in rows])


async def remove_appointments(connection: Connection, ids: Sequence[str]) -> int:
    """Removes these appointments, which nobody else may be changing, with all that is about them; returns how many."""
    if not ids:
        return 0
    references = [f"Appointment/{id_}" for id_ in ids]
    responses = await _found(
        connection, "appointment_response", [f"appointment={reference}" for reference in references]
    )
    await purge(connection, "AppointmentResponse", responses)
    told_of = [*references, *(f"AppointmentResponse/{id_}" for id_ in responses)]
    provenances = await _found(connection, "provenance", [f"target={reference}" for reference in told_of])
    await purge(connection, "Provenance", provenances)
    for table in ("occupancy", "hold", "appointment_series", "sas_report"):
        await connection.execute(f"DELETE FROM {table} WHERE appointment_id = ANY($1::text[])", list(ids))
    await forget_places(connection, ids)
    return await purge(connection, "Appointment", ids)


async def _found(connection: Connection, table: str, terms: list[str]) -> list[str]:
    rows = await connection.fetch(f"SELECT id FROM {table} WHERE terms && $1::text[]", terms)
    return [row["id"] for row in rows]

"""What each appointment's messages tell of."""

from __future__ import annotations

from datetime import datetime

from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.storage.snapshot import dump_event, load_event
from creneau_shared.database.pool import Connection


async def lock(connection: Connection, appointment: str) -> AppointmentEvent | None:
    """The last event seen of `appointment`, locked against other consumers until the transaction ends."""
    content = await connection.fetchval(
        "SELECT event FROM appointment_state WHERE appointment = $1 FOR UPDATE", appointment
    )
    return None if content is None else load_event(content)


async def save(connection: Connection, event: AppointmentEvent) -> bool:
    """Make `event` the last one of its appointment; False when a version as great was there already."""
    appointment = event.appointment
    saved = await connection.fetchval(
        "INSERT INTO appointment_state (appointment, version, recipient, ends_at, event)"
        " VALUES ($1, $2, $3, $4, $5::jsonb) ON CONFLICT (appointment) DO UPDATE SET"
        " version = excluded.version, recipient = excluded.recipient, ends_at = excluded.ends_at,"
        " event = excluded.event WHERE appointment_state.version < excluded.version RETURNING true",
        appointment.id,
        appointment.version,
        appointment.patient,
        appointment.end,
        dump_event(event),
    )
    return saved is True


async def ahead_of(connection: Connection, recipient: str, now: datetime) -> list[AppointmentEvent]:
    """The last events of the recipient's appointments that have not ended."""
    rows = await connection.fetch(
        "SELECT event FROM appointment_state WHERE recipient = $1 AND ends_at > $2", recipient, now
    )
    return [load_event(row["event"]) for row in rows]


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` appointments that ended before this instant; how many there were."""
    status = await connection.execute(
        "DELETE FROM appointment_state WHERE appointment IN"
        " (SELECT appointment FROM appointment_state WHERE ends_at < $1 LIMIT $2)",
        before,
        limit,
    )
    return int(status.rpartition(" ")[2])

"""What each appointment's messages tell of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.storage.snapshot import dump_event, load_event
from creneau_shared.database.pool import Connection


async def lock(connection: Connection, appointments: Collection[str]) -> Mapping[str, AppointmentEvent]:
    """The last event seen of each of these appointments, locked against other consumers until the transaction ends."""
    rows = await connection.fetch(
        "SELECT appointment, event FROM appointment_state WHERE appointment = ANY($1::text[])"
        " ORDER BY appointment FOR UPDATE",
        list(appointments),
    )
    return {row["appointment"]: load_event(row["event"]) for row in rows}


async def find(connection: Connection, appointments: Collection[str]) -> Mapping[str, AppointmentEvent]:
    """The last event seen of each of these appointments."""
    if not appointments:
        return {}
    rows = await connection.fetch(
        "SELECT appointment, event FROM appointment_state WHERE appointment = ANY($1::text[])",
        list(appointments),
    )
    return {row["appointment"]: load_event(row["event"]) for row in rows}


async def save(connection: Connection, events: Sequence[AppointmentEvent]) -> frozenset[str]:
    """Save each event as the last of its appointment (one event each). Returns the ids whose stored version was smaller, or
    missing."""
    appointments = [event.appointment for event in events]
    rows = await connection.fetch(
        "INSERT INTO appointment_state (appointment, version, recipient, ends_at, event, others)"
        " SELECT appointment, version, recipient, ends_at, event::jsonb,"
        " ARRAY(SELECT jsonb_array_elements_text(event::jsonb #> '{appointment,others}'))"
        " FROM unnest($1::text[], $2::integer[], $3::text[], $4::timestamptz[], $5::text[])"
        " AS given (appointment, version, recipient, ends_at, event) ORDER BY appointment"
        " ON CONFLICT (appointment) DO UPDATE SET"
        " version = excluded.version, recipient = excluded.recipient, ends_at = excluded.ends_at,"
        " event = excluded.event, others = excluded.others"
        " WHERE appointment_state.version < excluded.version RETURNING appointment",
        [appointment.id for appointment in appointments],
        [appointment.version for appointment in appointments],
        [appointment.patient for appointment in appointments],
        [appointment.end for appointment in appointments],
        [dump_event(event) for event in events],
    )
    return frozenset(row["appointment"] for row in rows)


async def ahead_of(connection: Connection, recipient: str, now: datetime) -> list[AppointmentEvent]:
    """The last events of the recipient's appointments that have not ended, locked against changes until the transaction
    ends."""
    rows = await connection.fetch(
        "SELECT event FROM appointment_state"
        " WHERE (recipient = $1 OR (others <> '{}' AND others @> ARRAY[$1::text])) AND ends_at > $2"
        " ORDER BY appointment FOR SHARE",
        recipient,
        now,
    )
    return [load_event(row["event"]) for row in rows]


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` appointments that ended before `before` and have no pending message; returns how many."""
    status = await connection.execute(
        "DELETE FROM appointment_state WHERE appointment IN"
        " (SELECT appointment FROM appointment_state AS told WHERE ends_at < $1 AND NOT EXISTS"
        " (SELECT FROM message WHERE message.appointment = told.appointment AND finished_at IS NULL) LIMIT $2)",
        before,
        limit,
    )
    return int(status.rpartition(" ")[2])

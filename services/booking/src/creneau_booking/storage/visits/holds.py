"""Holds: until when, and for whom, an appointment keeps its slots without being booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from creneau_booking.domain.appointment import Confirmation
from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.database.closing import LastWrite
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Stored

_KEEP = """
kept AS (
  INSERT INTO hold (appointment_id, expires_at, issuer, subject, extensions, confirmation) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (appointment_id) DO UPDATE SET expires_at = excluded.expires_at, extensions = hold.extensions + 1,
    confirmation = excluded.confirmation
)"""
_SINCE = "(SELECT since FROM waiting WHERE waiting.appointment_id = hold.appointment_id)"
_HELD = f"""
SELECT appointment.id, appointment.version, appointment.last_updated, appointment.content, hold.expires_at, hold.extensions,
  hold.confirmation, {_SINCE}
FROM appointment JOIN hold ON hold.appointment_id = appointment.id
WHERE appointment.id = $1 AND appointment.terms @> ARRAY['status=pending']"""
_AT_ONCE = "FOR UPDATE OF appointment, hold SKIP LOCKED"
"""The hold too: of rows that have changed since the statement began, PostgreSQL looks again only at those that it locks."""


OFFER = ("urn:creneau:waiting-list", "offer")
"""issuer and subject of an offer of the waiting list: no account's, so that whoever acts for the person may accept it"""


@dataclass(frozen=True, slots=True)
class Hold:
    """Whose hold it is, and until when."""

    issuer: str
    subject: str
    expires_at: datetime
    confirmation: Confirmation | None = None
    in_line_since: datetime | None = None
    """since when the person to whom it is offered has waited"""

    @property
    def is_offer(self) -> bool:
        return (self.issuer, self.subject) == OFFER


NOBODYS = ("", "")
"""issuer and subject of what waits for its practice: it counts as nobody's hold"""


@dataclass(frozen=True, slots=True)
class HeldAppointment:
    """A pending appointment whose row this transaction has locked, and its hold: until when, how often extended."""

    stored: Stored
    until: datetime
    extensions: int
    confirmation: Confirmation | None
    in_line_since: datetime | None = None


async def keep_hold(
    connection: Connection,
    appointment_id: str,
    until: datetime,
    issuer: str,
    subject: str,
    extensions: int = 0,
    confirmation: Confirmation | None = None,
) -> None:
    """Begins a hold, or extends the one that there is. `extensions`: how often the hold that it replaces was extended."""
    values = (appointment_id, until, issuer, subject, extensions, confirmation)
    await LastWrite("hold", _KEEP, values).run(connection)


async def await_practice(connection: Connection, appointment_id: str, until: datetime) -> None:
    """Keep what an appointment has taken until its practice answers, no later than `until`."""
    await keep_hold(connection, appointment_id, until, *NOBODYS, confirmation="asked")


async def set_confirmation(
    connection: Connection, appointment_id: str, confirmation: Confirmation | None
) -> None:
    """Sets whether the practice of what is held has to agree."""
    await connection.execute(
        "UPDATE hold SET confirmation = $2 WHERE appointment_id = $1", appointment_id, confirmation
    )


async def forget_hold(connection: Connection, appointment_id: str) -> Hold | None:
    """Ends a hold; returns it."""
    row = await connection.fetchrow(
        f"DELETE FROM hold WHERE appointment_id = $1 RETURNING issuer, subject, expires_at, confirmation, {_SINCE}",
        appointment_id,
    )
    return Hold(*row) if row is not None else None


async def hold_of(connection: Connection, appointment_id: str) -> Hold | None:
    """Returns the hold of an appointment; None without one."""
    row = await connection.fetchrow(
        f"SELECT issuer, subject, expires_at, confirmation, {_SINCE} FROM hold WHERE appointment_id = $1",
        appointment_id,
    )
    return Hold(*row) if row is not None else None


async def extensions_of(connection: Connection, appointment_id: str) -> int | None:
    """Returns how often a hold was extended; None when the appointment is pending because the practice must agree."""
    extensions: int | None = await connection.fetchval(
        "SELECT extensions FROM hold WHERE appointment_id = $1 AND confirmation IS DISTINCT FROM 'asked'",
        appointment_id,
    )
    return extensions


async def lock_expired_hold(
    connection: Connection, appointment_id: str, now: datetime
) -> HeldAppointment | None:
    """Locks and returns the appointment if its hold has run out and nobody else is changing it at this moment.

    Whoever has locked it is confirming, cancelling or expiring it: waiting for them could deadlock, and what they decide
    cannot be foreseen.
    """
    row = await connection.fetchrow(f"{_HELD} AND hold.expires_at <= $2 {_AT_ONCE}", appointment_id, now)
    return _held(row)


async def lock_live_hold(
    connection: Connection, appointment_id: str, now: datetime, issuer: str, subject: str
) -> HeldAppointment | None:
    """Locks and returns the appointment if this account or client holds it and nobody is changing it: see above."""
    row = await connection.fetchrow(
        f"{_HELD} AND hold.expires_at > $2 AND hold.issuer = $3 AND hold.subject = $4 {_AT_ONCE}",
        appointment_id,
        now,
        issuer,
        subject,
    )
    return _held(row)


def _held(row: Record | None) -> HeldAppointment | None:
    return HeldAppointment(Stored("Appointment", *row[:4]), *row[4:]) if row is not None else None


async def expired_holds_on_slots(connection: Connection, slots: Sequence[str], now: datetime) -> list[str]:
    """The appointments whose hold has run out and that still stand in the way of these slots."""
    rows = await connection.fetch(
        "SELECT hold.appointment_id FROM slot JOIN hold ON hold.appointment_id = slot.taken_by"
        " WHERE hold.expires_at <= $1 AND slot.id = ANY($2::uuid[])"
        " UNION SELECT hold.appointment_id FROM slot_place JOIN hold USING (appointment_id)"
        " WHERE hold.expires_at <= $1 AND slot_place.slot_id = ANY($2::uuid[]) ORDER BY 1",
        now,
        [slot_key(id_) for id_ in slots],
    )
    return [row["appointment_id"] for row in rows]


async def expired_holds_on_actors(
    connection: Connection, actors: Sequence[str], start: datetime, end: datetime, now: datetime
) -> list[str]:
    """The appointments whose hold has run out and that still take one of these people in `[start, end)`."""
    rows = await connection.fetch(
        "SELECT hold.appointment_id FROM occupancy JOIN hold USING (appointment_id)"
        " WHERE occupancy.actor = ANY($1) AND occupancy.period && tstzrange($2, $3) AND hold.expires_at <= $4"
        " UNION SELECT hold.appointment_id FROM occupancy"
        " JOIN slot_place ON slot_place.slot_id = CASE WHEN starts_with(occupancy.appointment_id, 'Slot/')"
        " THEN substr(occupancy.appointment_id, 6)::uuid END"
        " JOIN hold ON hold.appointment_id = slot_place.appointment_id"
        " WHERE occupancy.actor = ANY($1) AND occupancy.period && tstzrange($2, $3) AND hold.expires_at <= $4"
        " ORDER BY 1",
        list(actors),
        start,
        end,
        now,
    )
    return [row["appointment_id"] for row in rows]


async def holds_all(
    connection: Connection, slots: Sequence[str], issuer: str, subject: str, now: datetime
) -> bool:
    """Whether this account or client holds every one of these slots."""
    return bool(
        await connection.fetchval(
            "SELECT count(*) = cardinality($1::uuid[]) FROM slot JOIN hold ON hold.appointment_id = slot.taken_by"
            " WHERE slot.id = ANY($1) AND hold.issuer = $2 AND hold.subject = $3 AND hold.expires_at > $4",
            [slot_key(id_) for id_ in slots],
            issuer,
            subject,
            now,
        )
    )


async def next_expiry(connection: Connection) -> datetime | None:
    """Returns when the next hold runs out, or has run out; None without any."""
    moment: datetime | None = await connection.fetchval("SELECT min(expires_at) FROM hold")
    return moment


async def expired_holds(connection: Connection, now: datetime, limit: int) -> list[str]:
    """The appointments whose hold has run out, oldest first."""
    rows = await connection.fetch(
        "SELECT appointment_id FROM hold WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", now, limit
    )
    return [row["appointment_id"] for row in rows]

"""Who is leaving: what they are still told, and the deletion of their data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from creneau_notifications.storage import addresses, messages, recipients, words
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.purging import purge

_DUE = """
SELECT recipient FROM departure AS leaving
WHERE done_at IS NULL AND recipient <> ALL($3::text[])
  AND NOT EXISTS (SELECT FROM message WHERE message.recipient = leaving.recipient
                  AND status = 'sending' AND lease_until > $1)
  AND (forget_by <= $1 OR (
    NOT EXISTS (SELECT FROM message JOIN recipient AS reached ON reached.reference = message.recipient
                WHERE message.recipient = leaving.recipient AND status IN ('planned', 'sending'))
    AND NOT EXISTS (SELECT FROM unnest(awaited) AS expected (appointment)
                    WHERE NOT EXISTS (SELECT FROM appointment_state AS known
                                      WHERE known.appointment = expected.appointment
                                      AND known.event -> 'appointment' ->> 'status' = 'cancelled'))))
ORDER BY asked_at LIMIT $2 FOR UPDATE SKIP LOCKED"""
"""Recipients who have been told everything, cannot be told (no contact is learnt of them any more), or can wait no longer;
waits for a message that is being sent."""


async def begin(
    connection: Connection,
    recipient: str,
    asked_at: datetime,
    forget_by: datetime,
    awaited: Collection[str] | None,
) -> None:
    """Record that a recipient leaves. `awaited`: the cancelled appointments that they are still told of; None when unknown,
    which changes nothing for a recipient who already leaves."""
    await connection.execute(
        "INSERT INTO departure (recipient, asked_at, forget_by, awaited) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (recipient) DO UPDATE SET awaited = excluded.awaited, forget_by = excluded.forget_by"
        " WHERE $5 AND departure.done_at IS NULL",
        recipient,
        asked_at,
        forget_by,
        list(awaited or ()),
        awaited is not None,
    )


async def is_leaving(connection: Connection, recipient: str) -> bool:
    """Whether the recipient was erased, forgotten yet or not: nothing new is learnt about them."""
    return bool(
        await connection.fetchval("SELECT EXISTS (SELECT FROM departure WHERE recipient = $1)", recipient)
    )


@dataclass(frozen=True, slots=True)
class Left:
    """Some recipients: those who are `leaving`, and those who are `gone` (forgotten) and told nothing any more."""

    leaving: frozenset[str]
    gone: frozenset[str]


async def left_among(connection: Connection, recipients: Collection[str]) -> Left:
    """Those of these recipients who were erased; none of them is forgotten before the transaction ends."""
    rows = await connection.fetch(
        "SELECT recipient, done_at IS NOT NULL AS gone FROM departure WHERE recipient = ANY($1::text[])"
        " ORDER BY recipient FOR SHARE",
        list(recipients),
    )
    return Left(
        leaving=frozenset(row["recipient"] for row in rows if not row["gone"]),
        gone=frozenset(row["recipient"] for row in rows if row["gone"]),
    )


async def due(connection: Connection, now: datetime, limit: int, but: Collection[str] = ()) -> list[str]:
    """Recipients to forget now, except `but`; locked."""
    return [row["recipient"] for row in await connection.fetch(_DUE, now, limit, list(but))]


async def forget(connection: Connection, recipient: str, now: datetime) -> int:
    """Delete all that is kept of a leaving recipient; returns the number of messages.

    The events of appointments stay without the patient, so that no event takes effect twice.
    """
    await words.forget(connection, "contact", recipient)
    communications = [str(id_) for id_ in await messages.forget(connection, recipient)]
    await recipients.forget(connection, recipient)
    await addresses.forget(connection, recipient)
    await purge(connection, "Communication", communications)
    await connection.execute(
        "UPDATE appointment_state SET recipient = NULL, event = jsonb_set(event, '{appointment,patient}', 'null')"
        " WHERE recipient = $1",
        recipient,
    )
    await connection.execute(
        "UPDATE appointment_state SET others = array_remove(others, $1),"
        " event = jsonb_set(event, '{appointment,others}', (event #> '{appointment,others}') - $1::text)"
        " WHERE others <> '{}' AND others @> ARRAY[$1::text]",
        recipient,
    )
    await connection.execute(
        "UPDATE audit SET agent = $1, terms = array_replace(terms, 'altid=' || agent, 'altid=' || $1)"
        " WHERE role = 'patient' AND who = $1 AND agent <> $1",
        recipient,
    )
    await connection.execute(
        "DELETE FROM async_request WHERE finished_at IS NOT NULL AND position($1::bytea IN content) > 0",
        recipient.encode(),
    )
    await connection.execute("UPDATE departure SET done_at = $2 WHERE recipient = $1", recipient, now)
    return len(communications)

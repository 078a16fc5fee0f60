"""The links of messages to their visits.

A link is kept nowhere, hashed or not: its token is the id of its message with a keyed hash of it (`Keyring.visit_token`),
so that sending a message writes nothing for it. Here stands what became of the links that were used.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.storage.snapshot import load_event
from creneau_shared.database.pool import Connection


@dataclass(frozen=True, slots=True)
class VisitLink:
    """What a link leads to, as it is now."""

    message: UUID
    recipient: str
    """to whom it was sent (a reference)"""
    channel: str
    event: AppointmentEvent
    """the last of the visit"""
    number: int
    """of the newest link of the message: it alone works"""
    tries: int
    """wrong answers to that one"""
    answers: tuple[str, ...]
    """hashes of the right ones"""


async def find(connection: Connection, message: UUID) -> VisitLink | None:
    """What the links of a message lead to; None when the message, or its visit, is kept no longer."""
    row = await connection.fetchrow(
        "SELECT message.id AS message, message.recipient, message.channel, state.event,"
        " coalesce(link.number, 0) AS number, coalesce(link.tries, 0) AS tries,"
        " coalesce(recipient.answers, '{}') AS answers"
        " FROM message JOIN appointment_state AS state USING (appointment)"
        " LEFT JOIN visit_link AS link ON link.message = message.id"
        " LEFT JOIN recipient ON recipient.reference = message.recipient WHERE message.id = $1",
        message,
    )
    if row is None:
        return None
    return VisitLink(**{**row, "event": load_event(row["event"]), "answers": tuple(row["answers"])})


async def count_try(connection: Connection, link: VisitLink, tries_max: int) -> int | None:
    """Count an answer as a wrong one before it is judged; how many there are then. None: there were too many already, or
    a newer link has come. The transaction must be committed either way."""
    tries: int | None = await connection.fetchval(
        "INSERT INTO visit_link AS kept (message, tries) VALUES ($1, 1) ON CONFLICT (message) DO UPDATE"
        " SET tries = kept.tries + 1 WHERE kept.tries < $2 AND kept.number = $3 RETURNING tries",
        link.message,
        tries_max,
        link.number,
    )
    return tries


async def take_back_try(connection: Connection, link: VisitLink) -> None:
    """The answer that was counted last, in this transaction, was right."""
    await connection.execute("UPDATE visit_link SET tries = tries - 1 WHERE message = $1", link.message)


async def renew(connection: Connection, link: VisitLink) -> int:
    """Let a new link of the message work, and no earlier one; its number."""
    number: int = await connection.fetchval(
        "INSERT INTO visit_link AS kept (message, number) VALUES ($1, 1) ON CONFLICT (message) DO UPDATE"
        " SET number = kept.number + 1, tries = 0 RETURNING number",
        link.message,
    )
    return number


async def sent_to(connection: Connection, message: UUID) -> str | None:
    """The address to which a message went."""
    address: str | None = await connection.fetchval(
        "SELECT sent_to FROM attempt WHERE message = $1 AND sent_to IS NOT NULL ORDER BY key LIMIT 1", message
    )
    return address

"""The links of messages to their visits.

No link is stored, not even hashed: its token is the message's id with a keyed hash (`Keyring.visit_token`), so that sending
writes nothing for it. The table holds the state of used links.
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
    """of the link that left last: it works, and those that were made after it, which may be on their way"""
    tries: int
    """wrong answers since it left"""
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
    """Count an answer as wrong before it is judged; returns the count. None: there were too many already, or a newer link
    exists. Commit the transaction either way."""
    tries: int | None = await connection.fetchval(
        "INSERT INTO visit_link AS kept (message, tries) VALUES ($1, 1) ON CONFLICT (message) DO UPDATE"
        " SET tries = kept.tries + 1 WHERE kept.tries < $2 AND kept.number = $3 RETURNING tries",
        link.message,
        tries_max,
        link.number,
    )
    return tries


async def take_back_try(connection: Connection, link: VisitLink) -> None:
    """Uncount the last answer, in this transaction: it was right."""
    await connection.execute("UPDATE visit_link SET tries = tries - 1 WHERE message = $1", link.message)


async def renew(connection: Connection, link: VisitLink) -> int:
    """Returns the number of a new link of the message. The earlier one works until this one has left."""
    number: int = await connection.fetchval(
        "INSERT INTO visit_link AS kept (message, made) VALUES ($1, 1) ON CONFLICT (message) DO UPDATE"
        " SET made = greatest(kept.made, kept.number) + 1 RETURNING made",
        link.message,
    )
    return number


async def has_left(connection: Connection, message: UUID, number: int) -> None:
    """Ends the links of the message that were made before this one, and begins counting wrong answers anew."""
    await connection.execute(
        "UPDATE visit_link SET number = $2, tries = 0 WHERE message = $1", message, number
    )


async def sent_to(connection: Connection, message: UUID) -> str | None:
    """The address to which a message went."""
    address: str | None = await connection.fetchval(
        "SELECT sent_to FROM attempt WHERE message = $1 AND sent_to IS NOT NULL ORDER BY key LIMIT 1", message
    )
    return address

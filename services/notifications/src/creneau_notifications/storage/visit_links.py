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


@dataclass(frozen=True, slots=True)
class Newer:
    """A new link of a message, in the place of one that was answered wrongly so often (`tries_before`)."""

    message: UUID
    number: int
    tries_before: int


async def renew(connection: Connection, link: VisitLink) -> Newer:
    """Let only a new link of the message work."""
    tries = await connection.fetchval(
        "SELECT tries FROM visit_link WHERE message = $1 FOR UPDATE", link.message
    )
    number: int = await connection.fetchval(
        "INSERT INTO visit_link AS kept (message, number) VALUES ($1, 1) ON CONFLICT (message) DO UPDATE"
        " SET number = kept.number + 1, tries = 0 RETURNING number",
        link.message,
    )
    return Newer(link.message, number, tries or 0)


async def take_back(connection: Connection, newer: Newer) -> bool:
    """Let the link before this one, which has not left, work again; returns whether it was still the newest."""
    status: str = await connection.execute(
        "UPDATE visit_link SET number = number - 1, tries = tries + $3 WHERE message = $1 AND number = $2",
        newer.message,
        newer.number,
        newer.tries_before,
    )
    return status != "UPDATE 0"


async def sent_to(connection: Connection, message: UUID) -> str | None:
    """The address to which a message went."""
    address: str | None = await connection.fetchval(
        "SELECT sent_to FROM attempt WHERE message = $1 AND sent_to IS NOT NULL ORDER BY key LIMIT 1", message
    )
    return address

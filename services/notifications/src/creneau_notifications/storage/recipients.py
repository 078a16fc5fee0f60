"""The replica of the contacts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from creneau_notifications.domain.contact import Contact
from creneau_shared.clock import CLOCKS_APART
from creneau_shared.database.pool import Connection


async def save(connection: Connection, contact: Contact, changed_at: datetime) -> bool:
    """Keep `contact`, unless the kept one is newer by more than clocks may differ (`words.is_last`): a log may be read
    again. Returns whether it is kept."""
    status: str = await connection.execute(
        "INSERT INTO recipient (reference, name, email, phone, language, email_vouched, phone_vouched, zone,"
        " answers, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (reference) DO UPDATE SET"
        " name = excluded.name, email = excluded.email, phone = excluded.phone, language = excluded.language,"
        " email_vouched = excluded.email_vouched, phone_vouched = excluded.phone_vouched, zone = excluded.zone,"
        " answers = excluded.answers, changed_at = greatest(recipient.changed_at, excluded.changed_at)"
        " WHERE recipient.changed_at <= excluded.changed_at + $11::interval",
        contact.recipient,
        contact.name,
        contact.email,
        contact.phone,
        contact.language,
        contact.email_vouched,
        contact.phone_vouched,
        contact.zone,
        list(contact.answers),
        changed_at,
        CLOCKS_APART,
    )
    return status != "INSERT 0 0"


async def lock(connection: Connection, references: Collection[str]) -> None:
    """Let one transaction at a time change what is known of these recipients, be they known already or not.

    Contacts and appointments arrive by topics of their own: each plans from what the other has written.
    """
    await connection.execute(
        "SELECT count(pg_advisory_xact_lock(hashtextextended('recipient ' || reference, 0)))"
        " FROM (SELECT unnest($1::text[]) AS reference ORDER BY 1) AS everybody",
        sorted(set(references)),
    )


async def forget(connection: Connection, reference: str) -> None:
    """Forget the recipient altogether."""
    await connection.execute("DELETE FROM recipient WHERE reference = $1", reference)


async def find(connection: Connection, references: Collection[str]) -> Mapping[str, Contact]:
    """The contacts of `references` that have arrived."""
    rows = await connection.fetch(
        "SELECT reference, name, email, phone, language, email_vouched, phone_vouched, zone"
        " FROM recipient WHERE reference = ANY($1::text[])",
        list(references),
    )
    return {row["reference"]: Contact(*row) for row in rows}

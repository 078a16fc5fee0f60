"""The codes by which an account accepts what a RelatedPerson states. Only their digests are kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from creneau_booking.storage.people.accounts import Account
from creneau_shared.database.pool import Connection

CODE_BYTES = 24
"""192 bits: nobody finds one by trying"""


def new_code() -> str:
    """A code that can stand in an address."""
    return secrets.token_urlsafe(CODE_BYTES)


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


async def keep(
    connection: Connection, code: str, related_person: str, giver: Account, expires_at: datetime
) -> None:
    """Keep an invitation in the place of an earlier one for the same RelatedPerson (id), which is locked."""
    await connection.execute("DELETE FROM proxy_invitation WHERE related_person = $1", related_person)
    await connection.execute(
        "INSERT INTO proxy_invitation (digest, related_person, expires_at, issuer, subject)"
        " VALUES ($1, $2, $3, $4, $5)",
        _digest(code),
        related_person,
        expires_at,
        *giver,
    )


async def invited_to(connection: Connection, code: str, now: datetime) -> str | None:
    """The RelatedPerson (id) to which a code invites at `now`; None for any other text."""
    found: str | None = await connection.fetchval(
        "SELECT related_person FROM proxy_invitation WHERE digest = $1 AND expires_at > $2",
        _digest(code),
        now,
    )
    return found


async def use(connection: Connection, code: str, related_person: str, now: datetime) -> Account | None:
    """Uses a code up, once; returns its giver, or None if it holds no more. The RelatedPerson is locked."""
    row = await connection.fetchrow(
        "DELETE FROM proxy_invitation WHERE digest = $1 AND related_person = $2 AND expires_at > $3"
        " RETURNING issuer, subject",
        _digest(code),
        related_person,
        now,
    )
    return Account(*row) if row is not None else None


async def void_for_oneself(connection: Connection, patient: str) -> None:
    """Deletes earlier codes that would make another account the Patient's (id) own: they have one now."""
    await connection.execute(
        "DELETE FROM proxy_invitation WHERE related_person IN"
        " (SELECT id FROM related_person WHERE terms @> ARRAY['patient=Patient/' || $1, 'relationship=ONESELF'])",
        patient,
    )


async def forget_expired(connection: Connection, now: datetime) -> int:
    """Forgets the invitations that can no longer be accepted; returns how many."""
    rows = await connection.fetch("DELETE FROM proxy_invitation WHERE expires_at <= $1 RETURNING 1", now)
    return len(rows)

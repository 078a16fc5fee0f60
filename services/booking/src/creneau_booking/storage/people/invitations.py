"""The codes by which an account accepts what a RelatedPerson states. Only their digests are kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from creneau_booking.storage.people.accounts import Account
from creneau_shared.database.pool import Connection

CODE_LETTERS = "ACDEFGHJKMNPRTWXY34679"
"""letters and figures that nobody takes for one another, on paper or by telephone: no 0 and O, 1, I and L, 2 and Z, 5 and S, 8
and B, U and V"""
GROUPS, GROUP_LETTERS = 5, 4
"""89 bits: nobody finds one by trying"""


def new_code() -> str:
    """A code to read aloud, in groups: `ACDE-FGHJ-KMNP-RTWX-Y346`."""
    groups = ("".join(secrets.choice(CODE_LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))
    return "-".join(groups)


def as_given(typed: str) -> str:
    """A code as it was given, however it is typed: in lower case, with blanks or other hyphens, or together. Codes of before,
    which had both cases, are left as they are."""
    letters = "".join(letter for letter in typed.upper() if letter.isalnum())
    if len(letters) != GROUPS * GROUP_LETTERS:
        return typed.strip()
    return "-".join(letters[at : at + GROUP_LETTERS] for at in range(0, len(letters), GROUP_LETTERS))


def _digest(code: str) -> bytes:
    return hashlib.sha256(as_given(code).encode()).digest()


_USE = """
DELETE FROM proxy_invitation AS given WHERE digest = $1 AND related_person = $2 AND expires_at > $3
AND (NOT by_person OR EXISTS (SELECT FROM patient_account AS held
  WHERE (held.issuer, held.subject, held.patient_id) = (given.issuer, given.subject, $4) AND 'manage' = ANY (held.may)
  AND (held.since IS NULL OR held.since <= $3) AND (held.until IS NULL OR held.until > $3)))
RETURNING issuer, subject
"""


async def keep(
    connection: Connection,
    code: str,
    related_person: str,
    giver: Account,
    expires_at: datetime,
    *,
    by_person: bool,
) -> None:
    """Keep an invitation in the place of an earlier one for the same RelatedPerson (id), which is locked. `by_person`: it holds
    as long as the giver's account decides who represents the Patient."""
    await connection.execute("DELETE FROM proxy_invitation WHERE related_person = $1", related_person)
    await connection.execute(
        "INSERT INTO proxy_invitation (digest, related_person, expires_at, issuer, subject, by_person)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        _digest(code),
        related_person,
        expires_at,
        *giver,
        by_person,
    )


async def invited_to(connection: Connection, code: str, now: datetime) -> str | None:
    """The RelatedPerson (id) to which a code invites at `now`; None for any other text."""
    found: str | None = await connection.fetchval(
        "SELECT related_person FROM proxy_invitation WHERE digest = $1 AND expires_at > $2",
        _digest(code),
        now,
    )
    return found


async def use(
    connection: Connection, code: str, related_person: str, patient: str, now: datetime
) -> Account | None:
    """Uses a code up, once; returns its giver. None if it holds no more, or if a giver who acted for the Patient (id) decides
    no more who represents them. The RelatedPerson is locked."""
    row = await connection.fetchrow(_USE, _digest(code), related_person, now, patient)
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

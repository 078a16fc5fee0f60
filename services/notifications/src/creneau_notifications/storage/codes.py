"""One-time codes: the one that a contact has received last, those on their way to it, and when codes were sent to a letter
box, and asked for from a network (both in `contact_code_sent`).

A code ends the earlier one when it has left, not when it is made: of one that is lost on the way nobody knows.

Contacts and codes are stored as keyed hashes (see `addresses.Keyring`): a plain hash of six digits is broken in a moment.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_notifications.storage.addresses import Hashed
from creneau_shared.database.pool import Connection
from creneau_shared.retention.rules import removing

_ENDED = (
    removing("contact_code", "expires_at"),
    removing("contact_code_leaving", "expires_at"),
    removing("contact_code_sent", "last_at"),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """For whom what is sent is counted: a letter box of a channel, or a network."""

    kind: str
    """the channel, or `network`"""
    key: bytes


def to_letter_box(address: Hashed) -> Counted:
    """What is sent to an address counts for its letter box."""
    return Counted(address.channel, address.mailbox)


def from_network(network: bytes) -> Counted:
    """What is asked for from a network (`FhirRequest.network`) counts for it."""
    return Counted("network", network)


async def lock_sent(connection: Connection, counted: Counted) -> list[datetime]:
    """When codes were sent, locked against every other sender until the transaction ends."""
    sent: list[datetime] = await connection.fetchval(
        "INSERT INTO contact_code_sent AS kept (channel, mailbox) VALUES ($1, $2)"
        " ON CONFLICT (channel, mailbox) DO UPDATE SET channel = kept.channel RETURNING sent",
        counted.kind,
        counted.key,
    )
    return sent


async def put_down(connection: Connection, counted: Counted, sent: Sequence[datetime]) -> None:
    """Keep when codes were sent, of what is locked."""
    await connection.execute(
        "UPDATE contact_code_sent SET sent = $3, last_at = $4 WHERE channel = $1 AND mailbox = $2",
        counted.kind,
        counted.key,
        list(sent),
        max(sent),
    )


async def uncount(
    connection: Connection, counted: Counted, sent: Sequence[datetime], counted_at: datetime
) -> None:
    """Forget what was counted at that moment, of what is locked: it has not left."""
    left = list(sent)
    left.remove(counted_at)
    await connection.execute(
        "UPDATE contact_code_sent SET sent = $3 WHERE channel = $1 AND mailbox = $2",
        counted.kind,
        counted.key,
        left,
    )


async def keep(connection: Connection, address: Hashed, digest: bytes, expires_at: datetime) -> None:
    """Puts down a code of the contact that is about to leave. It works from now on, as the one that they received last does."""
    await connection.execute(
        "INSERT INTO contact_code_leaving (channel, address, digest, expires_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING",
        address.channel,
        address.exact,
        digest,
        expires_at,
    )


async def has_left(connection: Connection, address: Hashed, digest: bytes) -> None:
    """Makes this the code that the contact received last, in the place of an earlier one, with the tries that it had. Does
    nothing if it has been used, or forgotten, meanwhile."""
    await connection.execute(  # first, as `use` does
        "SELECT FROM contact_code WHERE channel = $1 AND address = $2 FOR UPDATE",
        address.channel,
        address.exact,
    )
    await connection.execute(
        "WITH gone AS (DELETE FROM contact_code_leaving WHERE channel = $1 AND address = $2 AND digest = $3 RETURNING *)"
        " INSERT INTO contact_code (channel, address, digest, tries, expires_at)"
        " SELECT channel, address, digest, tries, expires_at FROM gone ON CONFLICT (channel, address)"
        " DO UPDATE SET digest = excluded.digest, tries = excluded.tries, expires_at = excluded.expires_at",
        address.channel,
        address.exact,
        digest,
    )


async def has_not_left(connection: Connection, address: Hashed, digest: bytes) -> bool:
    """Forgets a code that has not left; returns whether nobody has tried any meanwhile."""
    tries = await connection.fetchval(
        "DELETE FROM contact_code_leaving WHERE channel = $1 AND address = $2 AND digest = $3 RETURNING tries",
        address.channel,
        address.exact,
        digest,
    )
    return bool(tries == 0)


_TRIED = """
UPDATE {table} SET tries = tries + 1 WHERE channel = $1 AND address = $2 AND expires_at > $3 AND tries < $4 RETURNING digest
"""
_TRY = f"""
WITH received AS ({_TRIED.format(table="contact_code")}), leaving AS ({_TRIED.format(table="contact_code_leaving")})
SELECT digest FROM received UNION ALL SELECT digest FROM leaving
"""


async def use(connection: Connection, address: Hashed, digest: bytes, now: datetime, tries_max: int) -> bool:
    """Try a code: it counts as a try of each code of the contact, of which each has `tries_max`. Returns whether it is one of
    them. A right code is used up, and ends the others.

    Commit the transaction either way: a try that is rolled back does not count.
    """
    kept = await connection.fetch(_TRY, address.channel, address.exact, now, tries_max)
    if not any(hmac.compare_digest(row["digest"], digest) for row in kept):
        return False
    await forget(connection, address)
    return True


async def forget(connection: Connection, address: Hashed) -> None:
    """Forget the codes of a contact. The times of sending stay: else erasing a record would allow more codes."""
    for table in ("contact_code", "contact_code_leaving"):
        await connection.execute(
            f"DELETE FROM {table} WHERE channel = $1 AND address = $2", address.channel, address.exact
        )


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` codes that ended before `before`, and as many counts; returns the larger number."""
    removed = [await remove(connection, before, limit) for remove in _ENDED]
    return max(removed)

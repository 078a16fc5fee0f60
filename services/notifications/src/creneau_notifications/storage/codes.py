"""One-time codes: one live code a contact, and when codes were sent to a letter box, and asked for from a network.

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

_ENDED = (removing("contact_code", "expires_at"), removing("contact_code_sent", "last_at"))


def asked_from(network: bytes) -> Hashed:
    """What is asked for from a network (`FhirRequest.network`) is counted as what is sent to a letter box is."""
    return Hashed("network", network, network)


async def lock_sent(connection: Connection, address: Hashed) -> list[datetime]:
    """When codes were sent to this letter box, locked against every other sender until the transaction ends."""
    sent: list[datetime] = await connection.fetchval(
        "INSERT INTO contact_code_sent AS kept (channel, mailbox) VALUES ($1, $2)"
        " ON CONFLICT (channel, mailbox) DO UPDATE SET channel = kept.channel RETURNING sent",
        address.channel,
        address.mailbox,
    )
    return sent


async def put_down(connection: Connection, address: Hashed, sent: Sequence[datetime]) -> None:
    """Keep when codes were sent to this letter box, which is locked."""
    await connection.execute(
        "UPDATE contact_code_sent SET sent = $3, last_at = $4 WHERE channel = $1 AND mailbox = $2",
        address.channel,
        address.mailbox,
        list(sent),
        max(sent),
    )


async def uncount(
    connection: Connection, address: Hashed, sent: Sequence[datetime], counted_at: datetime
) -> None:
    """Forget what was counted for this letter box, which is locked, at that moment: it has not left."""
    left = list(sent)
    left.remove(counted_at)
    await connection.execute(
        "UPDATE contact_code_sent SET sent = $3 WHERE channel = $1 AND mailbox = $2",
        address.channel,
        address.mailbox,
        left,
    )


@dataclass(frozen=True, slots=True)
class Code:
    """A live code of a contact."""

    digest: bytes
    expires_at: datetime
    tries: int


async def keep(connection: Connection, address: Hashed, digest: bytes, expires_at: datetime) -> Code | None:
    """Make this the one code of the contact; an earlier one, which is answered, works no more."""
    row = await connection.fetchrow(
        "SELECT digest, expires_at, tries FROM contact_code WHERE channel = $1 AND address = $2 FOR UPDATE",
        address.channel,
        address.exact,
    )
    await connection.execute(
        "INSERT INTO contact_code (channel, address, digest, expires_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (channel, address) DO UPDATE SET digest = $3, expires_at = $4, tries = 0",
        address.channel,
        address.exact,
        digest,
        expires_at,
    )
    return Code(**row) if row is not None else None


async def take_back(connection: Connection, address: Hashed, digest: bytes, earlier: Code | None) -> bool:
    """Put the earlier code in the place of this one, which has not left; tries of this one count as tries of it. Returns
    whether nobody has tried this one, and it was still the contact's."""
    given = (address.channel, address.exact, digest)
    if earlier is None:
        tries = await connection.fetchval(
            "DELETE FROM contact_code WHERE channel = $1 AND address = $2 AND digest = $3 RETURNING tries",
            *given,
        )
    else:
        tries = await connection.fetchval(
            "UPDATE contact_code SET digest = $4, expires_at = $5, tries = tries + $6"
            " WHERE channel = $1 AND address = $2 AND digest = $3 RETURNING tries - $6",
            *given,
            earlier.digest,
            earlier.expires_at,
            earlier.tries,
        )
    return bool(tries == 0)


async def use(connection: Connection, address: Hashed, digest: bytes, now: datetime, tries_max: int) -> bool:
    """Try a code, at most `tries_max` times; returns whether it is the contact's code. A right code is used up.

    Commit the transaction either way: a try that is rolled back does not count.
    """
    kept = await connection.fetchval(
        "UPDATE contact_code SET tries = tries + 1"
        " WHERE channel = $1 AND address = $2 AND expires_at > $3 AND tries < $4 RETURNING digest",
        address.channel,
        address.exact,
        now,
        tries_max,
    )
    if kept is None or not hmac.compare_digest(kept, digest):
        return False
    await connection.execute(
        "DELETE FROM contact_code WHERE channel = $1 AND address = $2", address.channel, address.exact
    )
    return True


async def forget(connection: Connection, address: Hashed) -> None:
    """Forget the code of a contact. The times of sending stay: else erasing a record would allow more codes."""
    await connection.execute(
        "DELETE FROM contact_code WHERE channel = $1 AND address = $2", address.channel, address.exact
    )


async def prune(connection: Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` codes that ended before `before`, and as many counts; returns the larger number."""
    removed = [await remove(connection, before, limit) for remove in _ENDED]
    return max(removed)

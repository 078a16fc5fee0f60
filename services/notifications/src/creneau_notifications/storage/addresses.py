"""What was sent to which address, what its owner said, and the links by which they say it.

Addresses stand here as keyed hashes (HMAC-SHA-256): of the address itself, and of the letter box where it arrives.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from creneau_notifications.domain.address import Address
from creneau_notifications.domain.allowance import Standing
from creneau_shared.database.pool import Connection

TOKEN_BYTES = 16
ID_BYTES = 16
NUMBER_BYTES = 2


@dataclass(frozen=True, slots=True)
class Hashed:
    """One address, as it is kept."""

    channel: str
    mailbox: bytes
    exact: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """What one link of a message speaks of."""

    address: Hashed
    recipient: str
    expires_at: datetime


State = Literal["open", "confirmed", "refused"]


class Keyring:
    """Hashes addresses and makes the tokens of links, with one key for all processes of a deployment."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def hashed(self, address: Address) -> Hashed:
        channel = address.channel
        return Hashed(
            channel,
            self._digest("mailbox", channel, address.mailbox),
            self._digest("address", channel, address.exact),
        )

    def token(self, message: UUID, address: Hashed) -> str:
        """128 bits, base64url. The same at each attempt of a message, so that it need not be kept to be repeated."""
        digest = self._digest("token", str(message), address.exact.hex())
        return urlsafe_b64encode(digest[:TOKEN_BYTES]).decode().rstrip("=")

    def visit_token(self, message: UUID, number: int = 0) -> str:
        """The token of a link to a message's visit: the message's id and 128 bits that need the key. `number`: counts the
        links asked for later, from 1."""
        said = message.bytes + (number.to_bytes(NUMBER_BYTES) if number else b"")
        return urlsafe_b64encode(said + self._visit_mark(said)).decode().rstrip("=")

    def read_visit_token(self, token: str) -> tuple[UUID, int] | None:
        """The message and number that a token was made of; None for any other text."""
        try:
            told = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        said, mark = told[:-TOKEN_BYTES], told[-TOKEN_BYTES:]
        if len(said) not in (ID_BYTES, ID_BYTES + NUMBER_BYTES) or not hmac.compare_digest(
            mark, self._visit_mark(said)
        ):
            return None
        return UUID(bytes=said[:ID_BYTES]), int.from_bytes(said[ID_BYTES:])

    def _visit_mark(self, said: bytes) -> bytes:
        return self._digest("visit", said.hex())[:TOKEN_BYTES]

    def code(self, address: Hashed, code: str) -> bytes:
        """The stored hash of an address's code."""
        return self._digest("code", address.channel, address.exact.hex(), code)

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._secret, "\0".join(parts).encode(), "sha256")


def token_hash(token: str) -> bytes:
    """The stored hash."""
    return hashlib.sha256(token.encode()).digest()


# -- counting ----------------------------------------------------------------------------------------------------


Box = tuple[str, bytes]
"""a letter box: channel and keyed hash"""


async def lock_standings(
    connection: Connection, boxes: Collection[Box], now: datetime
) -> Mapping[Box, Standing]:
    """The standings of these letter boxes, locked against every other sender until the transaction ends."""
    channels, mailboxes = _columns(sorted(set(boxes)))
    rows = await connection.fetch(
        "INSERT INTO address_standing AS kept (channel, mailbox, day, last_at)"
        " SELECT channel, mailbox, $3, $4 FROM unnest($1::text[], $2::bytea[]) AS box (channel, mailbox)"
        " ORDER BY channel, mailbox"
        " ON CONFLICT (channel, mailbox) DO UPDATE SET channel = kept.channel"
        " RETURNING channel, mailbox, unconfirmed, CASE WHEN day = $3 THEN day_sent ELSE 0 END AS today,"
        " coalesce(refused_until > $4, false) AS refused",
        channels,
        mailboxes,
        now.date(),
        now,
    )
    return {
        (row["channel"], row["mailbox"]): Standing(row["unconfirmed"], row["today"], row["refused"])
        for row in rows
    }


async def count(connection: Connection, standings: Mapping[Box, Standing], now: datetime) -> None:
    """Put down how much has gone to these letter boxes, which are locked, by now.

    `last_at` is the first time of its day: only then does an index change.
    """
    if not standings:
        return
    channels, mailboxes = _columns(list(standings))
    await connection.execute(
        "UPDATE address_standing AS kept SET unconfirmed = sent.unconfirmed, day_sent = sent.today, day = $5,"
        " last_at = CASE WHEN kept.day = $5 THEN kept.last_at ELSE $6 END"
        " FROM unnest($1::text[], $2::bytea[], $3::integer[], $4::integer[])"
        " AS sent (channel, mailbox, unconfirmed, today)"
        " WHERE kept.channel = sent.channel AND kept.mailbox = sent.mailbox",
        channels,
        mailboxes,
        [standing.unconfirmed for standing in standings.values()],
        [standing.today for standing in standings.values()],
        now.date(),
        now,
    )


def _columns(boxes: Sequence[Box]) -> tuple[list[str], list[bytes]]:
    return [channel for channel, _ in boxes], [mailbox for _, mailbox in boxes]


# -- what the owner of the address said --------------------------------------------------------------------------


Reader = tuple[Hashed, str]
"""an address, and for whom messages go to it (a reference)"""


async def confirmed_among(connection: Connection, readers: Collection[Reader]) -> frozenset[Reader]:
    """The readers whose address owner confirmed that this recipient's messages are for them."""
    if not readers:
        return frozenset()
    rows = await connection.fetch(
        "SELECT channel, address, recipient FROM address_confirmation"
        " JOIN unnest($1::text[], $2::bytea[], $3::text[]) AS asked (channel, address, recipient)"
        " USING (channel, address, recipient)",
        [address.channel for address, _ in readers],
        [address.exact for address, _ in readers],
        [recipient for _, recipient in readers],
    )
    found = {(row["channel"], row["address"], row["recipient"]) for row in rows}
    return frozenset(
        (address, recipient)
        for address, recipient in readers
        if (address.channel, address.exact, recipient) in found
    )


async def keep_link(connection: Connection, token: str, link: Link) -> None:
    """Keep the link of `token`; one that exists keeps its expiry."""
    await connection.execute(
        "INSERT INTO address_link (token, channel, mailbox, address, recipient, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (token) DO NOTHING",
        token_hash(token),
        link.address.channel,
        link.address.mailbox,
        link.address.exact,
        link.recipient,
        link.expires_at,
    )


async def find_link(connection: Connection, token: str) -> Link | None:
    """What the token speaks of, also when it has ended."""
    row = await connection.fetchrow(
        "SELECT channel, mailbox, address, recipient, expires_at FROM address_link WHERE token = $1",
        token_hash(token),
    )
    if row is None:
        return None
    return Link(Hashed(row["channel"], row["mailbox"], row["address"]), row["recipient"], row["expires_at"])


async def state_of(connection: Connection, link: Link, now: datetime) -> State:
    """The owner's answer so far; a confirmation for this recipient wins over a refusal of all others."""
    if await confirmed_among(connection, [(link.address, link.recipient)]):
        return "confirmed"
    refused = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM address_standing"
        " WHERE channel = $1 AND mailbox = $2 AND refused_until > $3)",
        link.address.channel,
        link.address.mailbox,
        now,
    )
    return "refused" if refused else "open"


async def confirm(connection: Connection, link: Link, now: datetime) -> None:
    """The owner says yes: messages for this recipient go on, and the count for others starts anew.

    Saying it again changes nothing, so that one link cannot be used to count anew for ever.
    """
    added = await connection.fetchval(
        "INSERT INTO address_confirmation (channel, address, recipient, confirmed_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true",
        link.address.channel,
        link.address.exact,
        link.recipient,
        now,
    )
    if added:
        await connection.execute(
            "UPDATE address_standing SET unconfirmed = 0 WHERE channel = $1 AND mailbox = $2",
            link.address.channel,
            link.address.mailbox,
        )


async def refuse(connection: Connection, link: Link, now: datetime, until: datetime) -> None:
    """The owner says: not me. Until `until` nothing is sent for recipients not confirmed or vouched for."""
    await connection.execute(
        "INSERT INTO address_standing AS kept (channel, mailbox, day, last_at, refused_until)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (channel, mailbox) DO UPDATE SET refused_until = $5",
        link.address.channel,
        link.address.mailbox,
        now.date(),
        now,
        until,
    )
    await connection.execute(
        "DELETE FROM address_confirmation WHERE channel = $1 AND address = $2 AND recipient = $3",
        link.address.channel,
        link.address.exact,
        link.recipient,
    )


# -- forgetting --------------------------------------------------------------------------------------------------


async def forget(connection: Connection, recipient: str) -> None:
    """Forget what was said about a recipient who is no longer known; what an address was sent stays counted."""
    for table in ("address_confirmation", "address_link"):
        await connection.execute(f"DELETE FROM {table} WHERE recipient = $1", recipient)


async def prune(connection: Connection, now: datetime, kept: timedelta) -> int:
    """Forget counts of letter boxes that nothing was sent to for `kept`, and links that ended as long ago; how many."""
    counts: str = await connection.execute(
        "DELETE FROM address_standing WHERE last_at < $1 AND (refused_until IS NULL OR refused_until <= $2)",
        now - kept,
        now,
    )
    links: str = await connection.execute("DELETE FROM address_link WHERE expires_at < $1", now - kept)
    return sum(int(status.rpartition(" ")[2]) for status in (counts, links))

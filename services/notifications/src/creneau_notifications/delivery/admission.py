"""The last look before a message leaves: whether its address may be written to, and what the message then says.

The count is taken in the transaction in which the sender decides about the message it has claimed, under a lock on
the letter box, so that any number of processes together keep to it. It is taken before the message leaves: a crash
in between costs the address a message, never gives it one more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from creneau_notifications.channels.channel import Channel
from creneau_notifications.domain.allowance import UNCONFIRMED, Allowance, withheld
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.storage import addresses, messages
from creneau_notifications.storage.addresses import Hashed, Keyring, Link
from creneau_notifications.storage.messages import Message
from creneau_shared.database.pool import Connection


@dataclass(frozen=True, slots=True)
class Withheld:
    """The message must not leave; `reason` as the Communication says it."""

    reason: str


class Admission:
    """Keeps to the allowance, and gives messages to unconfirmed addresses their link."""

    def __init__(self, keyring: Keyring, allowance: Allowance, link_life: timedelta) -> None:
        self._keyring = keyring
        self._allowance = allowance
        self._link_life = link_life

    async def admit(
        self, connection: Connection, channel: Channel, message: Message, occasion: Occasion, now: datetime
    ) -> Occasion | Withheld:
        """The occasion as it may be rendered, counted once however often it is tried. Raises InvalidAddressError."""
        contact = occasion.contact
        address = channel.address(channel.given(contact) or "")
        hashed = self._keyring.hashed(address)
        known = channel.is_vouched(contact) or await addresses.is_confirmed(
            connection, hashed, message.recipient
        )
        standing = await addresses.lock_standing(connection, hashed, now)
        if message.counted_for == hashed.mailbox:
            # Tried before: it has its place. Only what the owner has said since can take it away.
            reason = UNCONFIRMED if standing.refused and not known else None
        else:
            reason = withheld(self._allowance, standing, message.kind, known=known)
            if reason is None:
                await addresses.count(connection, hashed, now, unconfirmed=not known)
                await messages.count_for(connection, message, hashed.mailbox)
        if reason is not None:
            return Withheld(reason)
        contact = channel.reached_at(contact, address)
        if known:
            return replace(occasion, contact=contact)
        url = await self._link(connection, message, occasion, hashed, now)
        return replace(occasion, contact=contact, confirm_url=url)

    async def _link(
        self, connection: Connection, message: Message, occasion: Occasion, address: Hashed, now: datetime
    ) -> str:
        token = self._keyring.token(message.id, address)
        link = Link(address, message.recipient, now + self._link_life)
        await addresses.keep_link(connection, token, link)
        english = "/en" if occasion.contact.writes_in == "en" else ""
        return f"{occasion.site_url}/confirmer/{token}{english}"

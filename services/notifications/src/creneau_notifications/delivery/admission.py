"""The last check before messages leave: whether their addresses may be written to, and what each message then says.

The sender counts in the transaction that decides on its claimed messages, under locks on the letter boxes, so that all
processes together keep the limits. It counts before a message leaves: a crash in between costs the address a message, but
never adds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from creneau_notifications.channels.channel import Channel
from creneau_notifications.domain.address import Address, InvalidAddressError
from creneau_notifications.domain.allowance import UNCONFIRMED, Allowance, Standing, withheld
from creneau_notifications.rendering.letter import Occasion
from creneau_notifications.storage import addresses
from creneau_notifications.storage.addresses import Box, Hashed, Keyring, Link
from creneau_notifications.storage.messages import Message
from creneau_shared.database.pool import Connection


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that would leave by this channel."""

    channel: Channel
    message: Message
    occasion: Occasion


@dataclass(frozen=True, slots=True)
class Admitted:
    """The message may leave and says this; `mailbox`: the letter box counted now, None if counted before."""

    occasion: Occasion
    mailbox: bytes | None


@dataclass(frozen=True, slots=True)
class Withheld:
    """The message must not leave; `reason` as the Communication says it."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Addressed:
    """A candidate with its address, as it is meant and as it is kept."""

    candidate: Candidate
    address: Address
    hashed: Hashed

    @property
    def box(self) -> Box:
        return self.hashed.channel, self.hashed.mailbox

    @property
    def reader(self) -> tuple[Hashed, str]:
        return self.hashed, self.candidate.message.recipient

    @property
    def vouched(self) -> bool:
        return self.candidate.channel.is_vouched(self.candidate.occasion.contact)


Answer = Admitted | Withheld | InvalidAddressError


class Admission:
    """Keeps to the allowance, and gives messages to unconfirmed addresses their link."""

    def __init__(self, keyring: Keyring, allowance: Allowance, link_life: timedelta) -> None:
        self._keyring = keyring
        self._allowance = allowance
        self._link_life = link_life

    async def admit(
        self, connection: Connection, candidates: Sequence[Candidate], now: datetime
    ) -> list[Answer]:
        """The answer to each candidate; each is counted once however often it is tried."""
        addressed = [self._addressed(candidate) for candidate in candidates]
        known = [one for one in addressed if isinstance(one, _Addressed)]
        if not known:
            return [one for one in addressed if isinstance(one, InvalidAddressError)]
        confirmed = await addresses.confirmed_among(
            connection, {one.reader for one in known if not one.vouched}
        )
        standings = dict(await addresses.lock_standings(connection, {one.box for one in known}, now))
        counted: dict[Box, Standing] = {}
        found: list[Answer] = []
        for one in addressed:
            if isinstance(one, InvalidAddressError):
                found.append(one)
                continue
            sure = one.vouched or one.reader in confirmed
            judged = self._judge(one, standings[one.box], known=sure)
            if isinstance(judged, Standing):
                standings[one.box] = counted[one.box] = judged
            if isinstance(judged, Withheld):
                found.append(judged)
            else:
                mailbox = one.hashed.mailbox if judged is not None else None
                found.append(Admitted(await self._said(connection, one, now, known=sure), mailbox))
        await addresses.count(connection, counted, now)
        return found

    def _addressed(self, candidate: Candidate) -> _Addressed | InvalidAddressError:
        channel = candidate.channel
        try:
            address = channel.address(channel.given(candidate.occasion.contact) or "")
        except InvalidAddressError as error:
            return error
        return _Addressed(candidate, address, self._keyring.hashed(address))

    def _judge(self, one: _Addressed, standing: Standing, *, known: bool) -> Standing | Withheld | None:
        """The standing with this message, or Withheld; None: it was counted before."""
        message = one.candidate.message
        if message.counted_for == one.hashed.mailbox:
            # Tried before. Only what the owner has said since can take its place away.
            return Withheld(UNCONFIRMED) if standing.refused and not known else None
        reason = withheld(self._allowance, standing, message.kind, known=known)
        if reason is not None:
            return Withheld(reason)
        return replace(
            standing, today=standing.today + 1, unconfirmed=standing.unconfirmed + (0 if known else 1)
        )

    async def _said(self, connection: Connection, one: _Addressed, now: datetime, *, known: bool) -> Occasion:
        message, occasion = one.candidate.message, one.candidate.occasion
        return replace(
            occasion,
            visit_token=self._keyring.visit_token(message.id),
            linked=message.appointment,
            contact=one.candidate.channel.reached_at(occasion.contact, one.address),
            confirm_url=None if known else await self._link(connection, one, now),
        )

    async def _link(self, connection: Connection, one: _Addressed, now: datetime) -> str:
        message, occasion = one.candidate.message, one.candidate.occasion
        token = self._keyring.token(message.id, one.hashed)
        link = Link(one.hashed, message.recipient, now + self._link_life)
        await addresses.keep_link(connection, token, link)
        english = "/en" if occasion.contact.writes_in == "en" else ""
        return f"{occasion.site_url}/confirmer/{token}{english}"

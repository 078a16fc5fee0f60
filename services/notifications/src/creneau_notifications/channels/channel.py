"""What a channel has to offer, and what may go wrong on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from creneau_notifications.domain.address import Address
from creneau_notifications.domain.contact import Contact
from creneau_notifications.domain.rules import ChannelRules
from creneau_notifications.rendering.letter import Occasion

PARTICIPATION_MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
"""where the codes of Communication.medium come from"""


class Reached(StrEnum):
    """How far a try came that failed."""

    NOBODY = "nobody"
    """the far end was not asked to take anything: it could not be reached, or refused whoever speaks to it"""
    REFUSAL = "refusal"
    """the far end was asked, and has not taken it"""
    SILENCE = "silence"
    """all of it was handed over, and the far end did not say whether it has taken it"""
    UNKNOWN = "unknown"


class DeliveryError(Exception):
    """A message was not accepted. `permanent`: trying again would not help."""

    def __init__(
        self,
        text: str,
        *,
        permanent: bool,
        smtp_code: int | None = None,
        reached: Reached = Reached.UNKNOWN,
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.smtp_code = smtp_code
        self.reached = Reached.REFUSAL if permanent else reached

    @property
    def has_not_left(self) -> bool:
        """Whether it is certain that nobody gets this message."""
        return self.reached in (Reached.NOBODY, Reached.REFUSAL)


@dataclass(frozen=True, slots=True)
class Sent:
    """The record of a message that has left."""

    address: str
    subject: str | None = None
    """its subject line, where the channel has one"""


class Carrier(Protocol):
    """A channel as one sender uses it: renders and hands on one message at a time."""

    async def send(self, occasion: Occasion, message: UUID, date: datetime) -> Sent:
        """Send what `occasion` calls for to its contact's address, which is in normal form.

        Returns once somebody else has taken responsibility for the message. Raises DeliveryError, or
        InvalidAddressError.
        """
        ...

    def message_id(self, message: UUID) -> str | None:
        """The id by which the far end knows a repeated message; None: no id."""
        ...

    async def close(self) -> None:
        """Let go of what is held open between messages; the next `send` opens it anew."""
        ...


class Channel(Protocol):
    """One way by which messages travel."""

    @property
    def name(self) -> str:
        """As it stands in rows, in the ids of messages and in metrics: it never changes."""
        ...

    @property
    def medium(self) -> Mapping[str, str]:
        """Coding of Communication.medium."""
        ...

    @property
    def rules(self) -> ChannelRules:
        """What it tells, and when."""
        ...

    def is_offered(self) -> bool:
        """Whether this deployment plans messages by it."""
        ...

    def is_planned_for(self, contact: Contact | None) -> bool:
        """Whether it plans messages to a recipient with this contact (None: not known yet)."""
        ...

    def given(self, contact: Contact) -> str | None:
        """The address that the contact has for it, as it was given."""
        ...

    def is_vouched(self, contact: Contact) -> bool:
        """Whether somebody other than the patient's account answers for that address."""
        ...

    def address(self, given: str) -> Address:
        """The address that was meant, in normal form. Raises InvalidAddressError: nothing can be sent to it."""
        ...

    def reached_at(self, contact: Contact, address: Address) -> Contact:
        """The contact with this address in the place of the one that was given."""
        ...

    def open(self) -> Carrier:
        """The channel for one sender, as the settings say."""
        ...

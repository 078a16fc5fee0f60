"""How one recipient is reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from creneau_notifications.domain.rules import Channel

Language = Literal["fr", "en"]


@dataclass(frozen=True, slots=True)
class Contact:
    """The replica of a contact. `language` is a BCP 47 tag; anything but English is served in French."""

    recipient: str
    name: str
    email: str | None = None
    phone: str | None = None
    language: str = "fr"
    email_vouched: bool = False
    """a practice, or the deployment, gave the address; else the patient's own account did"""
    phone_vouched: bool = False

    def vouched(self, channel: Channel) -> bool:
        """Whether somebody other than the patient's account answers for the address of this channel."""
        return self.email_vouched if channel is Channel.EMAIL else self.phone_vouched

    def at(self, channel: Channel, address: str) -> Contact:
        """The contact with this address in the place of the one that was recorded."""
        return replace(self, email=address) if channel is Channel.EMAIL else replace(self, phone=address)

    @property
    def writes_in(self) -> Language:
        return "en" if self.language.lower().split("-")[0] == "en" else "fr"


def channels_for(contact: Contact | None, offered: frozenset[Channel]) -> frozenset[Channel]:
    """By which of the channels on offer the recipient can be planned for.

    E-mail is always planned, since the address may arrive after the appointment; text messages only when the
    telephone number is known (they are planned when it becomes known).
    """
    has_phone = contact is not None and contact.phone is not None
    return frozenset(channel for channel in offered if channel is Channel.EMAIL or has_phone)

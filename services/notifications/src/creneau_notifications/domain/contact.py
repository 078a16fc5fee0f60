"""How one recipient is reached."""

from __future__ import annotations

from dataclasses import dataclass
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

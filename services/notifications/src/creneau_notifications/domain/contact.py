"""How one recipient is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    zone: str | None = None
    """IANA name of the zone that the recipient lives in; None: not known"""

    answers: tuple[str, ...] = ()
    """hashes of the right answers for users of a link; senders do not read them"""

    @property
    def writes_in(self) -> Language:
        return "en" if self.language.lower().split("-")[0] == "en" else "fr"

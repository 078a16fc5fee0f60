"""A person as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Person:
    """A Patient whom the account may book for."""

    id: str
    given: str
    birth_name: str
    """the official family name"""
    usual_name: str | None
    birth_date: date | None
    email: str | None
    phone: str | None
    etag: str | None = None
    language: str = "fr"
    """of messages"""

    @property
    def name(self) -> str:
        """As one greets them: the usual name before the one of birth."""
        return f"{self.given} {self.usual_name or self.birth_name}".strip()

    @property
    def contacts(self) -> tuple[str, ...]:
        return tuple(contact for contact in (self.email, self.phone) if contact)

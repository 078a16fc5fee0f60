"""A person as the pages show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeVar

from creneau_shared.contact_points import Phone

EVERYTHING = frozenset({"see", "book", "cancel", "register", "manage"})


class Represented(Protocol):
    """Somebody for whom the account acts, as far as its rights tell."""

    @property
    def id(self) -> str: ...

    @property
    def oneself(self) -> bool: ...

    @property
    def may(self) -> frozenset[str]: ...


Whom = TypeVar("Whom", bound=Represented)


@dataclass(frozen=True, slots=True)
class Acting:
    """A person for whom an account acts, without their record."""

    id: str
    """of the Patient"""
    oneself: bool
    """whether this is the person in front of the page"""
    may: frozenset[str]
    """what the account may do for them"""
    by: str | None = None
    """id of the RelatedPerson by which it acts"""


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
    mobiles: tuple[Phone, ...] = ()
    """those of their numbers that take text messages: a landline takes none"""
    etag: str | None = None
    language: str = "fr"
    """of messages"""
    oneself: bool = True
    """whether this is the person in front of the page, and not somebody whom they represent"""
    may: frozenset[str] = EVERYTHING
    """what the account may do for them"""
    by: str | None = None
    """id of the RelatedPerson by which the account acts for them"""

    @property
    def name(self) -> str:
        """As one greets them: the usual name before the one of birth."""
        return f"{self.given} {self.usual_name or self.birth_name}".strip()

    @property
    def contacts(self) -> tuple[str, ...]:
        return tuple(contact for contact in (self.email, self.phone) if contact)


def own(people: Iterable[Whom]) -> Whom | None:
    """The person in front of the page among those for whom they act; None when only others are known."""
    return next((person for person in people if person.oneself), None)


def bookable(people: Iterable[Whom]) -> list[Whom]:
    """Those for whom the account may take appointments."""
    return [person for person in people if "book" in person.may]

"""Refusals: patients, their representatives, what their account may state, and their national identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class ProxyNotTheirs(Refusal):
    """The caller may not decide who represents the person."""


@dataclass(eq=False)
class AccountOfTheirOwn(Refusal):
    """The person has an account of their own, and decides about it."""


@dataclass(eq=False)
class GuardianAtPractice(Refusal):
    """Only a practice may state a protective measure (a guardian)."""


@dataclass(eq=False)
class MinorOnParents(Refusal):
    """A minor would decide who their parents are."""


@dataclass(eq=False)
class StatedByStaff(Refusal):
    """Elements of a Patient that its account may not change."""

    elements: tuple[str, ...]


@dataclass(eq=False)
class BornLater(Refusal):
    """The birth date of a Patient is in the future."""


@dataclass(eq=False)
class KnownByRequest(Refusal):
    """A practice writes about a person from whom it only has a request."""

    where: Literal["record", "proxy", "link"]
    """what it writes: the Patient, a representative, or a link that replaces another Patient by this one"""


UnreachableKind = Literal["email", "phone"]


@dataclass(eq=False)
class AddressesUnreachable(Refusal):
    """Addresses and numbers (index of Patient.telecom, kind) at which nothing can arrive."""

    places: tuple[tuple[int, UnreachableKind], ...]


InsFault = Literal["form", "key"]


@dataclass(eq=False)
class InsWrong(Refusal):
    """Numbers given as an INS (index of Patient.identifier, fault) that nobody can have."""

    places: tuple[tuple[int, InsFault], ...]


@dataclass(eq=False)
class OfficialInsUnverified(Refusal):
    """An INS (index of Patient.identifier) with use `official`, of an identity stated not to be validated."""

    index: int


@dataclass(eq=False)
class IdentityRegistered(Refusal):
    """Another Patient has this national identity; `holder`: its id, if the caller may see it."""

    holder: str | None

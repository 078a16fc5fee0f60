"""Refused: patients: who represents them, what their account states of them, which identity is theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class ProxyNotTheirs(Refusal):
    """They do not say who represents the person."""


@dataclass(eq=False)
class AccountOfTheirOwn(Refusal):
    """The person has an account of their own, and decides about it."""


@dataclass(eq=False)
class GuardianAtPractice(Refusal):
    """A protective measure is the practice's to state."""


@dataclass(eq=False)
class MinorOnParents(Refusal):
    """A minor would decide who their parents are."""


@dataclass(eq=False)
class StatedByStaff(Refusal):
    """Elements of a Patient that its account does not state."""

    elements: tuple[str, ...]


@dataclass(eq=False)
class BornLater(Refusal):
    """The birth date of a Patient is in the future."""


@dataclass(eq=False)
class KnownByRequest(Refusal):
    """A practice would write of somebody of whom it knows a request only."""

    where: Literal["record", "proxy", "link"]
    """what of theirs: the Patient, who represents them, that another Patient is replaced by theirs"""


UnreachableKind = Literal["email", "phone"]


@dataclass(eq=False)
class AddressesUnreachable(Refusal):
    """Addresses and numbers (indexes of Patient.telecom, and what each was to be) at which nothing can arrive."""

    places: tuple[tuple[int, UnreachableKind], ...]


InsFault = Literal["form", "key"]


@dataclass(eq=False)
class InsWrong(Refusal):
    """Numbers given as an INS (indexes of Patient.identifier, and what is wrong with each) that nobody can have."""

    places: tuple[tuple[int, InsFault], ...]


@dataclass(eq=False)
class OfficialInsUnverified(Refusal):
    """An INS (index of Patient.identifier) that is called official, of an identity that is stated not to be validated."""

    index: int


@dataclass(eq=False)
class IdentityRegistered(Refusal):
    """The national identity is another Patient's: its id, for whom may see it."""

    holder: str | None

"""Refusals: slots and agendas that a practice writes, and searches of slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_shared.refusal import Refusal

ActorsNamedIn = Literal["appointment", "schedule"]
"""The resource that names the actors."""
RuleFault = Literal[
    "repeated",
    "too-long",
    "days",
    "unknown-part",
    "no-ages",
    "too-old",
    "ages-turned",
    "count",
    "yes-or-no",
    "unit",
    "number",
    "boolean",
    "instant",
]
"""Why a practice's rule cannot be read."""


@dataclass(eq=False)
class SlotOrder(Refusal):
    """The end of a slot is not after its start."""


@dataclass(eq=False)
class SlotFraction(Refusal):
    """An instant of a slot (element, its text) is finer than the stored precision."""

    element: str
    said: str


@dataclass(eq=False)
class NoAgendaNamed(Refusal):
    """The slot's reference (possibly empty) does not point to an agenda of this base."""

    reference: str


@dataclass(eq=False)
class UnknownAgenda(Refusal):
    """The slot's agenda (id) does not exist."""

    schedule: str


@dataclass(eq=False)
class SlotMadeMeanwhile(Refusal):
    """Another request has just made a slot of this id."""

    id: str


@dataclass(eq=False)
class SlotClaimed(Refusal):
    """The slot would be moved or removed although an appointment (id) has it."""

    id: str
    appointment: str


@dataclass(eq=False)
class BookableUnclear(Refusal):
    """The search parameter `bookable` is neither true nor false nor whole."""


@dataclass(eq=False)
class SlotsNotSearchedBy(Refusal):
    """Slots cannot be searched by this parameter and modifier."""

    parameter: str
    modifier: str | None


@dataclass(eq=False)
class ActorOfOthers(Refusal):
    """The actor (reference) belongs to another practice."""

    actor: str
    named_in: ActorsNamedIn


@dataclass(eq=False)
class ActorOfNobody(Refusal):
    """It is not known to which practice the actor (reference) belongs, or not yet."""

    actor: str
    named_in: ActorsNamedIn


@dataclass(eq=False)
class UnknownZones(Refusal):
    """An agenda states time zones (index of the extension, name) that do not exist."""

    zones: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class UnreadRule:
    """An extension (index) that cannot be read as a rule: the fault, its element, and (`detail`) the value found or the
    values allowed there."""

    index: int
    fault: RuleFault
    element: str = ""
    detail: str = ""


@dataclass(eq=False)
class RulesUnread(Refusal):
    """A Schedule or an offer states rules that cannot be read."""

    resource_type: str
    rules: tuple[UnreadRule, ...]

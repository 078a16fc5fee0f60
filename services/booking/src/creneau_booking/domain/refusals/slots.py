"""Refusals: slots and actors that do not exist, are not open, do not fit, or are taken already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_shared.refusal import Refusal

WithVisits = Literal["Patient", "Schedule"]
"""The types that cannot be deleted while they have visits to come."""


@dataclass(eq=False)
class SlotTaken(Refusal):
    """Somebody else has taken or holds the slot; `status` is the slot's."""

    id: str
    start: datetime
    status: str


@dataclass(eq=False)
class GroupFull(Refusal):
    """A group slot has fewer places left than are wanted."""

    id: str
    start: datetime
    left: int
    wanted: int


@dataclass(eq=False)
class PlaceTaken(Refusal):
    """Persons (references) have a place in the slot already, through another appointment."""

    id: str
    start: datetime
    persons: tuple[str, ...]


@dataclass(eq=False)
class ActorsTaken(Refusal):
    """People, rooms or devices (references, in order) are taken at that time, perhaps through another agenda."""

    actors: tuple[str, ...]
    start: datetime


@dataclass(eq=False)
class JoiningTaken(Refusal):
    """People, rooms or devices (references, in order) who join an agenda are taken elsewhere at the time of its visits
    (their starts, in order)."""

    actors: tuple[str, ...]
    starts: tuple[datetime, ...]


@dataclass(eq=False)
class AgendaChangesHands(Refusal):
    """The people of an agenda changed while the caller waited to take a slot of it."""


@dataclass(eq=False)
class PeopleBusy(Refusal):
    """Somebody else is taking or freeing the time of people, for whom the caller, who has others already, does not wait."""


@dataclass(eq=False)
class JoinedMeanwhile(Refusal):
    """Somebody has joined an agenda beside those whose people change, and is being taken or freed at this moment."""


@dataclass(eq=False)
class UnknownSlots(Refusal):
    """Slots (ids, in order) that do not exist, or not for the caller."""

    ids: tuple[str, ...]


@dataclass(eq=False)
class NoTime(Refusal):
    """The appointment has neither a slot, nor a start and an end."""


@dataclass(eq=False)
class AppointmentOrder(Refusal):
    """The end is not after the start."""


@dataclass(eq=False)
class OutOfReach(Refusal):
    """The start or end (`element`) of a resource (`kind`) is outside the years `first` … `last`."""

    kind: str
    element: str
    first: int
    last: int


@dataclass(eq=False)
class LastsTooLong(Refusal):
    """A resource (`kind`) lasts longer than `days` days."""

    kind: str
    days: int


@dataclass(eq=False)
class OutsideSlots(Refusal):
    """The period `[start, end)` reaches beyond its slots, `[first, last)`."""

    start: datetime
    end: datetime
    first: datetime
    last: datetime


@dataclass(eq=False)
class NoPartOfSlot(Refusal):
    """A slot, which begins at `at`, lies outside the period `[start, end)`."""

    id: str
    at: datetime
    start: datetime
    end: datetime


@dataclass(eq=False)
class PartOfSlot(Refusal):
    """A part of a slot that is only taken whole, or a part that leaves an unusable rest."""

    id: str
    start: datetime


@dataclass(eq=False)
class VisitOfTooManySlots(Refusal):
    """A patient's visit has more slots of one agenda than the agenda allows."""

    count: int
    most: int


@dataclass(eq=False)
class SlotsNotAdjacent(Refusal):
    """Two slots of one agenda do not follow each other; `starts`: when they begin."""

    before: str
    after: str
    starts: tuple[datetime, ...]


@dataclass(eq=False)
class SlotsOfTwoKinds(Refusal):
    """Two slots of one visit differ in what they offer or in visibility; `starts`: when they begin."""

    one: str
    other: str
    starts: tuple[datetime, ...]


@dataclass(eq=False)
class AgendaClosed(Refusal):
    """The agenda (id) is not open for booking any more."""

    schedule: str


@dataclass(eq=False)
class NoSlot(Refusal):
    """A patient books without a slot."""


@dataclass(eq=False)
class SlotBegun(Refusal):
    """The slot, or the part of it that is wanted, has begun."""

    start: datetime


@dataclass(eq=False)
class OutsideHorizon(Refusal):
    """The slot lies outside the period that its agenda covers."""

    id: str
    start: datetime


@dataclass(eq=False)
class VisitsToCome(Refusal):
    """The resource to be deleted has `count` appointments to come; `first` is the id of one."""

    resource_type: WithVisits
    id: str
    first: str
    count: int


@dataclass(eq=False)
class NoSlotThen(Refusal):
    """The agenda (id) has no slot at that time."""

    schedule: str
    start: datetime


@dataclass(eq=False)
class SlotsUnclear(Refusal):
    """References to slots (index, text) that match none, or more than one."""

    said: tuple[tuple[int, str], ...]

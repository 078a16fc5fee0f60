"""Refused: series: which occurrence is refused and why, and what cannot be said of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class OccurrenceRefused(Refusal):
    """One of a series is refused, and with it the whole: the `number` that it would have, of how many, when it would be, and
    where in what was sent it stands (FHIRPath; `itself`: it was sent as a resource of its own)."""

    number: int
    total: int
    start: datetime | None
    where: str
    itself: bool
    refusal: Refusal


@dataclass(eq=False)
class RecurrenceUnread(Refusal):
    """How a series recurs cannot be read, or is of a kind that is not known here: in which of its elements."""

    element: str


@dataclass(eq=False)
class OccurrenceWithoutDay(Refusal):
    """A series by the day of the month comes to a month that has no such day: which occurrence, and which day."""

    number: int
    year: int
    month: int
    day: int


@dataclass(eq=False)
class SeriesTooLong(Refusal):
    """More occurrences than may be booked at once."""

    most: int


@dataclass(eq=False)
class SeriesOffPattern(Refusal):
    """The appointment itself is not on one of the days on which it is to recur."""

    start: datetime


@dataclass(eq=False)
class SeriesWithoutTime(Refusal):
    """Nothing says when the appointment is that is to recur."""


@dataclass(eq=False)
class SeriesBusy(Refusal):
    """Somebody else is changing one of the series at this moment."""


@dataclass(eq=False)
class ScopeUnfit(Refusal):
    """A scope that there is not, or that goes with cancelling and moving only, or with an appointment that is in a series."""

    scope: str
    why: Literal["unknown", "not-a-series", "neither"]

"""Refusals: series, their occurrences, and scopes that do not fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class OccurrenceRefused(Refusal):
    """An occurrence is refused, and with it the whole series: its number, of how many, its start, and where it is in the
    request (FHIRPath; `itself`: it was sent as a resource of its own). `standing`: it exists already, and was to be
    cancelled or moved."""

    number: int
    total: int
    start: datetime | None
    where: str
    itself: bool
    refusal: Refusal
    standing: bool = False


@dataclass(eq=False)
class RecurrenceUnread(Refusal):
    """The recurrence of a series cannot be read, or is of an unknown kind; `element`: where."""

    element: str


@dataclass(eq=False)
class OccurrenceWithoutDay(Refusal):
    """A monthly series reaches a month without the wanted day: the occurrence's number, and the day."""

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
    """The first appointment is not on one of the days of its series."""

    start: datetime


@dataclass(eq=False)
class SeriesWithoutTime(Refusal):
    """The appointment that is to recur has no time."""


@dataclass(eq=False)
class SeriesBusy(Refusal):
    """Somebody else is changing one of the series at this moment."""


@dataclass(eq=False)
class ScopeUnfit(Refusal):
    """A scope that is unknown, or used without a series, or with neither a cancellation nor a move."""

    scope: str
    why: Literal["unknown", "not-a-series", "neither"]

"""The opening rules of an agenda, as facts: openings, absences, what is offered in them, and how time is cut into slots.

Kinds and services are opaque names: they are compared here, never interpreted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
SchoolHolidays = Literal["only", "except"]
Moment = date | datetime
"""An instant with its zone, or a whole day of the place."""

LOWEST_PRIORITY = 10
"""the rank of a period without priority (RFC 7953: 1 is the highest, 9 the lowest, 0 undefined)"""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How a period repeats, in local days (RFC 5545 §3.3.10); days of the week from 0, Monday."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: Moment | None = None
    months: frozenset[int] = frozenset()
    weeks: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    weekdays: frozenset[tuple[int, int]] = frozenset()
    """each an ordinal within the month or the year (0: all) and a day of the week"""
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    week_start: int = 0

    @property
    def times_a_day(self) -> int:
        return max(len(self.hours), 1) * max(len(self.minutes), 1) * max(len(self.seconds), 1)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered in an opening: services of the agenda (empty: all), traits, and whether only in or outside school
    holidays."""

    services: frozenset[str] = frozenset()
    traits: str = ""
    school_holidays: SchoolHolidays | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """A stated period, which may recur."""

    start: Moment
    end: Moment
    recurrence: Recurrence | None = None
    priority: int | None = None
    offer: Offer = Offer()

    @property
    def rank(self) -> int:
        return self.priority if self.priority else LOWEST_PRIORITY


@dataclass(frozen=True, slots=True)
class Hours:
    """Weekly hours (PractitionerRole.availableTime) by days of the week from 0, Monday. An end at 0:00 is midnight; an end
    before the start is on the next day."""

    weekdays: frozenset[int]
    start: time = time.min
    end: time = time.min
    offer: Offer = Offer()


@dataclass(frozen=True, slots=True)
class Cutting:
    """How an opening is cut into slots: time kept free before and after each, and the grid of their starts, counted from
    local midnight (zero: no grid, from the opening's own start)."""

    buffer_before: timedelta = timedelta(0)
    buffer_after: timedelta = timedelta(0)
    grid: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything that decides which slots an agenda has."""

    openings: tuple[Period, ...] = ()
    absences: tuple[Period, ...] = ()
    hours: tuple[Hours, ...] = ()
    """used if there are no openings"""
    durations: Mapping[str, timedelta] = field(default_factory=dict)
    """service → how long it takes"""
    cutting: Cutting = Cutting()
    open_on_public_holidays: bool = False
    of_people: bool = True
    """whether somebody of the agenda can be in one place only: overlapping slots then exclude each other"""

    @property
    def states_time(self) -> bool:
        """Whether slots are made for it at all."""
        return bool((self.openings or self.hours) and self.durations)


@dataclass(frozen=True, slots=True)
class OpeningLimits:
    """How far ahead slots are made, and how many."""

    horizon_days: int = 60
    """if the agenda states no planning horizon"""
    horizon_days_max: int = 400
    at_once_max: int = 5_000
    """slots that one transaction writes; the others follow"""
    slots_max: int = 20_000
    """slots that one agenda's rules may ask for"""


class Kind(NamedTuple):
    """The services and traits that slots of one kind have in common."""

    services: frozenset[str]
    traits: str


class Wanted(NamedTuple):
    """A slot that the rules ask for; seconds since 1970 (UTC), so that thousands are compared quickly."""

    start: int
    end: int
    kind: Kind


Interval = tuple[int, int]
"""Half-open, in seconds since 1970."""

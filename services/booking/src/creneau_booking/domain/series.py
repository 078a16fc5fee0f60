"""Series: when the occurrences of an appointment are, at the same local time across both changes of the clocks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import count
from typing import Literal

from creneau_booking.domain.access_rules import local_instant
from creneau_booking.domain.refusals import RecurrenceUnread, SeriesOffPattern, SeriesTooLong

Scope = Literal["this", "this-and-following", "all"]
SCOPES: Mapping[Scope, tuple[str, ...]] = {
    "this": ("this", "occurrence", "instance"),
    "this-and-following": (
        "this-and-following",
        "this and following",
        "thisAndFollowing",
        "following",
        "future",
    ),
    "all": ("all", "series"),
}
"""How much of its series a change is about, and how that may be said."""
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SeriesLimits:
    """How many occurrences one series may have."""

    occurrences_max: int
    occurrences_per_patient_max: int
    """of one that a patient books"""

    def most(self, *, by_patient: bool) -> int:
        return self.occurrences_per_patient_max if by_patient else self.occurrences_max


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How an appointment recurs: on days of the week (0: Monday; none: on its own) every so many weeks, as often as `count`
    or up to `last`, or else on `dates`."""

    weekdays: frozenset[int] = frozenset()
    interval: int = 1
    count: int | None = None
    last: date | None = None
    dates: tuple[date, ...] = ()
    left_out: frozenset[date] = frozenset()
    numbers_left_out: frozenset[int] = frozenset()
    zone: tzinfo | None = None
    """by whose clock; None: that of the agenda"""


def occurrences(
    recurrence: Recurrence, start: datetime, zone: tzinfo, most: int
) -> list[tuple[int, datetime]]:
    """The number and the start of each occurrence of an appointment that starts at `start`, the first of them.

    What is left out keeps its number. Refused when there is no end to it, when there are more than `most`, and when `start`
    itself is on none of the days.
    """
    zone = recurrence.zone or zone
    first = start.astimezone(zone)
    if not recurrence.dates and recurrence.count is None and recurrence.last is None:
        raise RecurrenceUnread("occurrenceCount")
    found: list[tuple[int, datetime]] = []
    for number, day in enumerate(_days(recurrence, first.date()), 1):
        if number == 1 and day != first.date():
            raise SeriesOffPattern(start)
        if (recurrence.count is not None and number > recurrence.count) or (
            recurrence.last is not None and day > recurrence.last
        ):
            break
        if len(found) == most:
            raise SeriesTooLong(most)
        if day in recurrence.left_out or number in recurrence.numbers_left_out:
            if number == 1:
                raise SeriesOffPattern(start)
            continue
        found.append((number, start if number == 1 else local_instant(day, first.time(), zone)))
    return found


def _days(recurrence: Recurrence, first: date) -> Iterator[date]:
    if recurrence.dates:
        yield from sorted({first, *recurrence.dates})
        return
    weekdays = sorted(recurrence.weekdays or {first.weekday()})
    monday = first - timedelta(days=first.weekday())
    for weeks in count(0, recurrence.interval):
        for weekday in weekdays:
            try:
                day = monday + weeks * WEEK + timedelta(days=weekday)
            except OverflowError:
                return
            if day >= first:
                yield day


def moved_alike(start: datetime, before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """When an occurrence that starts at `start` is once another one was moved from `before` to `after`: as many days later
    or earlier, and as much by the clock."""
    by = after.astimezone(zone).replace(tzinfo=None) - before.astimezone(zone).replace(tzinfo=None)
    wall = start.astimezone(zone).replace(tzinfo=None) + by
    return local_instant(wall.date(), wall.time(), zone)

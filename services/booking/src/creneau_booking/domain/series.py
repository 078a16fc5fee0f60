"""Series: when the occurrences of an appointment are, at the same local time across both changes of the clocks. Pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import count
from typing import Literal

from creneau_booking.domain.access_rules import local_instant
from creneau_booking.domain.refusals.series import (
    OccurrenceWithoutDay,
    RecurrenceUnread,
    SeriesOffPattern,
    SeriesTooLong,
)

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
"""The scopes of a change within a series, and the values by which a caller may name each."""
WEEK, DAY = timedelta(days=7), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeriesLimits:
    """How many occurrences one series may have."""

    occurrences_max: int
    occurrences_per_patient_max: int
    """in a series that a patient books"""

    def most(self, *, by_patient: bool) -> int:
        return self.occurrences_per_patient_max if by_patient else self.occurrences_max


LAST = -1


@dataclass(frozen=True, slots=True)
class Monthly:
    """The day of a month: its number, or which one (1 to 4, LAST) of its `weekday`s (0: Monday). Without both: the day of
    the first occurrence."""

    day: int | None = None
    nth: int | None = None
    weekday: int | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How an appointment recurs: weekly on `weekdays` (0: Monday; none: the first one's own), monthly or daily, `count`
    times or until `last`; or else on `dates`."""

    weekdays: frozenset[int] = frozenset()
    interval: int = 1
    """in weeks; in months with `monthly`, in days with `daily`"""
    monthly: Monthly | None = None
    daily: bool = False
    count: int | None = None
    last: date | None = None
    dates: tuple[date, ...] = ()
    left_out: frozenset[date] = frozenset()
    numbers_left_out: frozenset[int] = frozenset()
    zone: tzinfo | None = None
    """None: the agenda's time zone"""


def occurrences(
    recurrence: Recurrence, start: datetime, zone: tzinfo, most: int
) -> list[tuple[int, datetime]]:
    """The number and the start of each occurrence; the first starts at `start`.

    An occurrence that is left out keeps its number. Raises RecurrenceUnread if the series has no end, SeriesTooLong if it
    has more than `most` occurrences, SeriesOffPattern if `start` is on none of its days. Raises OccurrenceWithoutDay if a
    month lacks the day: that occurrence may be left out, but is not moved to another day.
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
            recurrence.last is not None and (day.since if isinstance(day, _NoDay) else day) > recurrence.last
        ):
            break
        if len(found) == most:
            raise SeriesTooLong(most)
        if isinstance(day, _NoDay):
            if number in recurrence.numbers_left_out:
                continue
            raise OccurrenceWithoutDay(number, day.since.year, day.since.month, day.day)
        if day in recurrence.left_out or number in recurrence.numbers_left_out:
            if number == 1:
                raise SeriesOffPattern(start)
            continue
        found.append((number, start if number == 1 else local_instant(day, first.time(), zone)))
    else:
        if not recurrence.dates:  # the calendar ends before the series does
            raise RecurrenceUnread(
                "occurrenceCount" if recurrence.count is not None else "lastOccurrenceDate"
            )
    return found


@dataclass(frozen=True, slots=True)
class _NoDay:
    """A month (its first day) that lacks the wanted day."""

    since: date
    day: int


def _days(recurrence: Recurrence, first: date) -> Iterator[date | _NoDay]:
    if recurrence.dates:
        yield from sorted({first, *recurrence.dates})
        return
    if recurrence.monthly is not None:
        yield from _days_of_months(recurrence.monthly, recurrence.interval, first)
        return
    if recurrence.daily:
        yield from (first + days * DAY for days in range(0, (date.max - first).days, recurrence.interval))
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


def _days_of_months(monthly: Monthly, interval: int, first: date) -> Iterator[date | _NoDay]:
    for months in count(0, interval):
        years, month = divmod(first.month - 1 + months, 12)
        if first.year + years >= date.max.year:
            return
        since = date(first.year + years, month + 1, 1)
        length = monthrange(since.year, since.month)[1]
        if monthly.nth is not None:
            weekday = first.weekday() if monthly.weekday is None else monthly.weekday
            days = [n for n in range(1, length + 1) if since.replace(day=n).weekday() == weekday]
            day = days[monthly.nth - 1 if monthly.nth != LAST else LAST]
        else:
            day = monthly.day or first.day
        if day > length:
            yield _NoDay(since, day)
        elif since.replace(day=day) >= first:
            yield since.replace(day=day)


def moved_alike(start: datetime, before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The new start of an occurrence at `start`, after another one was moved from `before` to `after`: shifted by the same
    number of days and the same local time difference."""
    by = after.astimezone(zone).replace(tzinfo=None) - before.astimezone(zone).replace(tzinfo=None)
    wall = start.astimezone(zone).replace(tzinfo=None) + by
    return local_instant(wall.date(), wall.time(), zone)

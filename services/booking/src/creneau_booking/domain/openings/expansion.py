"""Makes the slots that an agenda's rules ask for, within a window."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import cached_property
from itertools import islice, takewhile
from operator import itemgetter

from creneau_booking.domain.openings.clock import day_of, first_instant, seconds_of, wall_of, whole_day
from creneau_booking.domain.openings.recurrence import first_day, occurrences
from creneau_booking.domain.openings.refusals import OpeningsUnread, UnreadOpening
from creneau_booking.domain.openings.rules import (
    LOWEST_PRIORITY,
    Hours,
    Interval,
    Kind,
    Offer,
    Period,
    Statement,
    Wanted,
)

_DAY = timedelta(days=1)
_TIMES_OVER = 4
"""how many times the wanted number of slots is generated at most, since overlapping ones are dropped afterwards"""
_STEPS_OVER = 20
"""how many steps are made at most for each wanted slot: days walked, starts tried, occurrences, and kinds"""
_STEPS_ALWAYS = 100_000
"""and this many even if few slots are wanted: a year of some hundred openings is walked in them"""
_STEPS_OF_AN_OCCURRENCE = 5
"""an occurrence takes about as long as this many days or starts"""
_STEPS_OF_A_KIND = 100
"""and a kind of slots, which becomes a resource and a row"""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an agenda: its time zone, its public holidays, its school holidays (None: unknown for that day)."""

    zone: tzinfo
    is_public_holiday: Callable[[date], bool] = lambda day: False
    is_school_holiday: Callable[[date], bool | None] = lambda day: None


@dataclass(frozen=True, slots=True)
class Expansion:
    """The slots that the rules ask for within a window."""

    wanted: tuple[Wanted, ...]
    """in order, at most `most` of them"""
    open_time: tuple[Interval, ...]
    """when the agenda is open: merged intervals, in order"""
    complete: bool
    """whether `wanted` has all slots of the window"""


def expand(
    statement: Statement,
    place: Place,
    window: Interval,
    *,
    closures: Sequence[Interval] = (),
    most: int | None = None,
) -> Expansion:
    """The slots that begin and end within `window` (seconds since 1970), the first `most` of them.

    Slots of one kind never overlap. If the agenda has no actor who can be in one place only, no slots overlap. With `most`,
    the work is bounded too, however few slots it makes: raises OpeningsUnread (`too-costly`).
    """
    if not statement.states_time:
        return Expansion((), (), True)
    return _Expander(statement, place, window, closures, _Steps(most)).expand(most)


class _Steps:
    """Counts what is done for the rules of an agenda."""

    def __init__(self, most: int | None) -> None:
        self._left = float("inf") if most is None else max(_STEPS_ALWAYS, _STEPS_OVER * most)

    def spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise OpeningsUnread((UnreadOpening(None, "too-costly"),))


@dataclass(frozen=True, slots=True)
class _Opened:
    """One occurrence of an opening."""

    start: int
    end: int
    offer: Offer
    rank: int


class _Expander:
    def __init__(
        self,
        statement: Statement,
        place: Place,
        window: Interval,
        closures: Sequence[Interval],
        steps: _Steps,
    ) -> None:
        self._statement = statement
        self._place = place
        self._since, self._until = window
        self._closures = closures
        self._steps = steps
        self._closed_for: dict[int, list[Interval]] = {}

    def expand(self, most: int | None) -> Expansion:
        found: list[tuple[int, int, int, Kind]] = []
        looked_at = None if most is None else _TIMES_OVER * most + 1
        lanes: dict[Offer, list[tuple[int, Kind]]] = {}
        opened_by_rank: dict[int, list[Interval]] = {}
        for opened in self._opened():
            closed = self._closed(opened.rank)
            opened_by_rank.setdefault(opened.rank, []).append((opened.start, opened.end))
            if opened.offer not in lanes:
                lanes[opened.offer] = self._lanes(opened.offer)
                self._steps.spend(_STEPS_OF_A_KIND * len(lanes[opened.offer]))
            for duration, kind in lanes[opened.offer]:
                cut = islice(self._cut(opened, duration, closed), looked_at and looked_at - len(found))
                found += [(start, end, len(found), kind) for start, end in cut]
            if len(found) == looked_at:
                break
        wanted = list(self._apart(sorted(found, key=itemgetter(0, 1, 2))))
        complete = most is None or (len(found) != looked_at and len(wanted) <= most)
        open_time = (
            part
            for rank, times in opened_by_rank.items()
            for time in merged(times)
            for part in _without(time, self._closed(rank))
        )
        return Expansion(tuple(wanted[:most]), tuple(merged(open_time)), complete)

    # -- when ------------------------------------------------------------------------------------------------

    def _opened(self) -> Iterator[_Opened]:
        periods = self._statement.openings or self._hours()
        for period in periods:
            condition = period.offer.school_holidays
            for start, end in self._times(period):
                if condition is not None:
                    there = self._place.is_school_holiday(day_of(start, self._place.zone))
                    if there is None or there != (condition == "only"):
                        continue
                yield _Opened(start, end, period.offer, period.rank)

    def _hours(self) -> Iterator[Period]:
        """Weekly hours as openings, one a day of the window."""
        day = day_of(self._since, self._place.zone) - _DAY
        last = day_of(self._until, self._place.zone)
        while day <= last:
            for hours in self._statement.hours:
                if day.weekday() in hours.weekdays:
                    yield _on(hours, day, self._place.zone)
            day += _DAY

    def _times(self, period: Period) -> Iterator[Interval]:
        """The occurrences of a period that reach into the window."""
        zone, rule = self._place.zone, period.recurrence
        self._steps.spend(_STEPS_OF_AN_OCCURRENCE)
        if rule is None:
            times: Iterable[Interval] = [
                (seconds_of(period.start, zone), seconds_of(period.end, zone, end=True))
            ]
        else:
            first = wall_of(period.start, zone)
            length = wall_of(period.end, zone, end=True) - first
            since = day_of(self._since, zone) - length - _DAY
            since, until = first_day(rule, first, since), day_of(self._until, zone)
            if rule.until is not None:
                last = wall_of(rule.until, zone, end=True)
                until = min(until, last.date())
            self._steps.spend(max(0, (until - since).days))
            walls = occurrences(rule, first, since, until)
            if rule.until is not None:
                whole = not isinstance(rule.until, datetime)
                walls = takewhile(lambda wall: wall < last if whole else wall <= last, walls)
            if rule.count is not None:
                walls = (wall for _, wall in zip(range(rule.count), walls, strict=False))
            times = self._instants(walls, length)
        return ((start, end) for start, end in times if start < self._until and end > self._since)

    def _instants(self, walls: Iterable[datetime], length: timedelta) -> Iterator[Interval]:
        zone = self._place.zone
        for wall in walls:
            self._steps.spend(_STEPS_OF_AN_OCCURRENCE)
            yield first_instant(wall, zone), first_instant(wall + length, zone)

    # -- what is closed --------------------------------------------------------------------------------------

    @cached_property
    def _absent(self) -> list[tuple[Interval, int]]:
        """The absences, each with its rank."""
        return [(time, absence.rank) for absence in self._statement.absences for time in self._times(absence)]

    @cached_property
    def _always_closed(self) -> list[Interval]:
        """Closures, and public holidays."""
        closed = list(self._closures)
        if not self._statement.open_on_public_holidays:
            zone = self._place.zone
            day, last = day_of(self._since, zone) - _DAY, day_of(self._until, zone) + _DAY
            while day <= last:
                if self._place.is_public_holiday(day):
                    closed.append(whole_day(day, zone))
                day += _DAY
        return closed

    def _closed(self, rank: int) -> list[Interval]:
        """The closed time for an opening of this rank. An absence does not close an opening of higher priority if both state
        a priority; it closes all others."""
        if rank not in self._closed_for:
            absent = [time for time, above in self._absent if not rank < above < LOWEST_PRIORITY]
            self._closed_for[rank] = merged([*absent, *self._always_closed])
        return self._closed_for[rank]

    # -- what is offered -------------------------------------------------------------------------------------

    def _lanes(self, offer: Offer) -> list[tuple[int, Kind]]:
        """The slot durations (seconds) of an opening, each with the services of that duration. If overlapping slots would
        not exclude each other, there is one duration, the longest, for all services."""
        durations = {
            service: int(duration.total_seconds())
            for service, duration in self._statement.durations.items()
            if not offer.services or service in offer.services
        }
        if not durations:
            return []
        if not self._statement.of_people:
            return [(max(durations.values()), Kind(frozenset(durations), offer.traits))]
        lanes: dict[int, set[str]] = {}
        for service, lasts in durations.items():
            lanes.setdefault(lasts, set()).add(service)
        return [(lasts, Kind(frozenset(services), offer.traits)) for lasts, services in sorted(lanes.items())]

    def _cut(self, opened: _Opened, duration: int, closed: Sequence[Interval]) -> Iterator[Interval]:
        """An opening's slots, one after the other from its start. Slots that reach into closed time are left out; the others
        keep their times."""
        cutting = self._statement.cutting
        before, after = int(cutting.buffer_before.total_seconds()), int(cutting.buffer_after.total_seconds())
        grid, last = int(cutting.grid.total_seconds()), min(opened.end - after, self._until) - duration
        self._steps.spend()
        starts = self._starts(opened.start + before, last, before + duration + after, grid)
        in_part = overlaps(closed, opened.start, max(opened.end, last + duration + after))
        for start in starts:
            self._steps.spend()
            if start >= self._since and not (
                in_part and overlaps(closed, start - before, start + duration + after)
            ):
                yield start, start + duration

    def _starts(self, first: int, last: int, step: int, grid: int) -> Iterable[int]:
        """The starts from `first` to `last`, each at least a step after the one before, on the grid. Without a grid, those
        before the window are left out."""
        if grid:
            return self._aligned_starts(first, last, step, grid)
        return range(first + max(0, -((first - self._since) // step)) * step, last + 1, step)

    def _aligned_starts(self, first: int, last: int, step: int, grid: int) -> Iterator[int]:
        start = self._aligned(first, grid)
        while start <= last:
            yield start
            start = self._aligned(start + step, grid)

    def _aligned(self, start: int, grid: int) -> int:
        """The first moment from `start` on at which the clock shows a multiple of the grid (seconds)."""
        shown = datetime.fromtimestamp(start, self._place.zone)
        since_midnight = shown.hour * 3600 + shown.minute * 60 + shown.second
        return start + -since_midnight % grid

    def _apart(self, found: Iterable[tuple[int, int, int, Kind]]) -> Iterator[Wanted]:
        """Drops each slot that overlaps an earlier one of its kind, or of any kind if the agenda has no exclusive actor."""
        free_from: dict[Kind | None, int] = {}
        for start, end, _, kind in found:
            among = kind if self._statement.of_people else None
            if start >= free_from.get(among, start):
                free_from[among] = end
                yield Wanted(start, end, kind)


def _on(hours: Hours, day: date, zone: tzinfo) -> Period:
    start = datetime.combine(day, hours.start)
    end = datetime.combine(day, hours.end)
    if end <= start:
        end += _DAY
    return Period(_at(start, zone), _at(end, zone), offer=hours.offer)


def _at(wall: datetime, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(first_instant(wall, zone), zone)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Merges intervals that overlap or touch, in order."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def overlaps(intervals: Sequence[Interval], start: int, end: int) -> bool:
    """Whether one of these `merged` intervals reaches into `[start, end)`."""
    place = bisect_left(intervals, (end,)) - 1  # the last that begins before the end
    return place >= 0 and intervals[place][1] > start


def covers(intervals: Sequence[Interval], start: int, end: int) -> bool:
    """Whether one of these `merged` intervals contains `[start, end)`."""
    place = bisect_right(intervals, (start, float("inf"))) - 1
    return place >= 0 and intervals[place][1] >= end


def _without(whole: Interval, closed: Sequence[Interval]) -> list[Interval]:
    """The parts of an interval outside `closed`, which is `merged`."""
    start, end = whole
    left: list[Interval] = []
    begun = max(0, bisect_left(closed, (start,)) - 1)  # the last that begins before the start
    for place in range(begun, len(closed)):
        first, last = closed[place]
        if first >= end:
            break
        if last <= start:
            continue
        if first > start:
            left.append((start, first))
        start = max(start, last)
    return [*left, (start, end)] if start < end else left

"""Time that several agendas have free together: one slot of each agenda, which cover the same time.

One agenda has to answer each requirement; an agenda may answer several. The common time is that of one slot (the
*anchor*), which slots of the other agendas cover.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from creneau_booking.domain.rules import is_usable_part


@dataclass(frozen=True, slots=True)
class FreeTime:
    """A free slot of an agenda (ids). Instants carry their zone."""

    slot: str
    agenda: str
    start: datetime
    end: datetime
    parts: bool | None = None
    """as `SlotFact.parts`"""
    whole: bool = False
    """whether it is a group slot, of which no part is taken"""


Usable = Callable[[FreeTime, datetime, datetime], bool]
"""Whether the period, which the slot covers, may be taken out of it."""


def by_practice(free: FreeTime, start: datetime, end: datetime) -> bool:
    """Whether a practice may take the period: any part of a slot, except of a group's."""
    return (free.start, free.end) == (start, end) or not free.whole


def by_patient(free: FreeTime, start: datetime, end: datetime) -> bool:
    """Whether a patient may take the period: a whole slot, or a usable part of open time (`domain.rules`)."""
    if (free.start, free.end) == (start, end):
        return True
    return not free.whole and is_usable_part(free.start, free.end, free.parts, start, end)


@dataclass(frozen=True, slots=True)
class Requirement:
    """The agendas (ids → rank of preference) of which one has to take part, and the free time of all of them.
    `agendas` None: any. `own`: agendas that may be chosen for this requirement. Others answer it only in addition to their
    own: a doctor's agenda says where the doctor is, but is not the agenda of the place."""

    free: Sequence[FreeTime]
    agendas: Mapping[str, int] | None = None
    own: Collection[str] = ()

    def rank(self, agenda: str) -> int | None:
        """How much an agenda is preferred (0: most); None: it does not answer the requirement."""
        return 0 if self.agendas is None else self.agendas.get(agenda)


@dataclass(frozen=True, slots=True, order=True)
class Together:
    """One period, and the slots that cover it; ordered by time, then by preference."""

    start: datetime
    ranks: tuple[int, ...]
    slots: tuple[str, ...]
    end: datetime = field(compare=False)
    agendas: tuple[str, ...] = field(compare=False)
    """the agendas of `slots`, in the same order"""


def together(requirements: Sequence[Requirement], usable: Usable) -> list[Together]:
    """Every common period that is usable, in order."""
    covers = [_Cover(requirement) for requirement in requirements]
    found: dict[tuple[datetime, datetime, frozenset[str]], Together] = {}
    for anchor in dict.fromkeys(free for requirement in requirements for free in requirement.free):
        one = _around(anchor, covers, usable)
        if one is not None:
            found.setdefault((one.start, one.end, frozenset(one.slots)), one)
    return sorted(found.values())


class _Cover:
    """The free time of a requirement, by start."""

    def __init__(self, requirement: Requirement) -> None:
        self.requirement = requirement
        self._free = sorted(requirement.free, key=lambda free: (free.start, free.slot))
        self._starts = [free.start for free in self._free]
        self._longest = max((free.end - free.start for free in self._free), default=timedelta(0))

    def of(self, start: datetime, end: datetime) -> Iterable[FreeTime]:
        """The free times that cover a period."""
        place = bisect_right(self._starts, start)
        while place and self._starts[place - 1] >= end - self._longest:
            place -= 1
            if self._free[place].end >= end:
                yield self._free[place]


def _around(anchor: FreeTime, covers: Sequence[_Cover], usable: Usable) -> Together | None:
    answered = [cover.requirement for cover in covers if cover.requirement.rank(anchor.agenda) is not None]
    if len(answered) < len(covers) and not any(anchor.agenda in one.own for one in answered):
        return None  # for example another doctor's agenda, which says at which place that doctor is
    chosen = [anchor]
    ranks: list[int] = []
    for cover in covers:
        known = [rank for one in chosen if (rank := cover.requirement.rank(one.agenda)) is not None]
        if known:
            ranks.append(min(known))
            continue
        agendas = {one.agenda for one in chosen}
        fitting = [
            (
                (free.start, free.end) != (anchor.start, anchor.end),
                cover.requirement.rank(free.agenda) or 0,
                free,
            )
            for free in cover.of(anchor.start, anchor.end)
            if free.agenda in cover.requirement.own
            and free.agenda not in agendas
            and usable(free, anchor.start, anchor.end)
        ]
        if not fitting:
            return None
        _, rank, best = min(fitting, key=lambda one: (one[0], one[1], one[2].slot))
        chosen.append(best)
        ranks.append(rank)
    if any(_does_without(one, chosen, covers) for one in chosen):
        return None  # the smaller combination is found from its own anchor
    order = sorted(chosen, key=lambda one: _first_answered(one, covers))
    return Together(
        anchor.start, tuple(ranks), tuple(o.slot for o in order), anchor.end, tuple(o.agenda for o in order)
    )


def _does_without(one: FreeTime, chosen: Sequence[FreeTime], covers: Sequence[_Cover]) -> bool:
    """Whether the other chosen slots answer every requirement without this one."""
    others = [other for other in chosen if other is not one]
    return bool(others) and all(
        any(cover.requirement.rank(other.agenda) is not None for other in others) for cover in covers
    )


def _first_answered(free: FreeTime, covers: Sequence[_Cover]) -> int:
    """Index of the first requirement that a slot's agenda answers: it puts slots in the order of the requirements."""
    return next(
        (n for n, cover in enumerate(covers) if cover.requirement.rank(free.agenda) is not None), len(covers)
    )


def without(found: Iterable[Together], elsewhere: Sequence[tuple[datetime, datetime]]) -> list[Together]:
    """The periods that overlap none of `elsewhere`, when somebody is busy."""
    return [
        one for one in found if not any(one.start < until and one.end > since for since, until in elsewhere)
    ]


@dataclass(frozen=True, slots=True)
class Series:
    """`count` visits, one every `weeks` weeks, at the same local time."""

    count: int
    weeks: int = 1

    @property
    def span(self) -> timedelta:
        """The time from the first visit to the last."""
        return timedelta(weeks=self.weeks * (self.count - 1))


def in_series(
    found: Sequence[Together], series: Series, zones: Mapping[str, ZoneInfo], until: datetime
) -> list[tuple[Together, ...]]:
    """Every series whose first visit begins before `until`. All its visits have the same agendas, duration and local time
    (`zones` of agendas). If a clock change skips that local time on one of the days, there is no such series."""
    by_time: dict[tuple[datetime, tuple[str, ...]], Together] = {}
    for one in found:
        by_time.setdefault((one.start, one.agendas), one)
    whole = []
    for first in found:
        if first.start >= until:
            continue
        visits = [first]
        local = first.start.astimezone(zones[first.agendas[0]])
        for number in range(1, series.count):
            wanted = (local.replace(fold=0) + timedelta(weeks=series.weeks * number)).astimezone(
                first.start.tzinfo
            )
            hour = wanted.astimezone(local.tzinfo).time()
            visit = by_time.get((wanted, first.agendas))
            if hour != local.time() or visit is None or visit.end - visit.start != first.end - first.start:
                break
            visits.append(visit)
        else:
            whole.append(tuple(visits))
    return whole

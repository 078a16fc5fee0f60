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
    `agendas` None: any. `own`: those of them that may be chosen for this requirement. Others answer it only in addition to their
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
    """Every common period that is usable, in order.

    The work is that of the free times, the periods that they are and what covers these: a requirement looks once for what
    covers a period, however many anchors have it.
    """
    covers = [_Cover(requirement, usable) for requirement in requirements]
    found: dict[tuple[datetime, datetime, frozenset[str]], Together] = {}
    for anchor in dict.fromkeys(free for requirement in requirements for free in requirement.free):
        one = _around(anchor, covers)
        if one is not None:
            found.setdefault((one.start, one.end, frozenset(one.slots)), one)
    return sorted(found.values())


class _Cover:
    """What may be chosen for a requirement: the free times of its own agendas, by how long they last."""

    def __init__(self, requirement: Requirement, usable: Usable) -> None:
        self.requirement = requirement
        self._usable = usable
        self._best: dict[tuple[datetime, datetime], FreeTime | None] = {}
        by_length: dict[int, list[FreeTime]] = {}
        for free in requirement.free:
            if free.agenda in requirement.own:
                by_length.setdefault(_length_class(free), []).append(free)
        self._alike = [_Alike(some) for some in by_length.values()]

    def best(self, start: datetime, end: datetime) -> FreeTime | None:
        """The free time out of which the period is best taken: one that is the period, then by preference."""
        if (start, end) not in self._best:
            self._best[start, end] = self._looked_for(start, end)
        return self._best[start, end]

    def _looked_for(self, start: datetime, end: datetime) -> FreeTime | None:
        def order(free: FreeTime) -> tuple[bool, int, str]:
            rank = self.requirement.rank(free.agenda)
            return (free.start, free.end) != (start, end), rank or 0, free.slot

        covering = (free for alike in self._alike for free in alike.covering(start, end))
        return min((free for free in covering if self._usable(free, start, end)), key=order, default=None)


def _length_class(free: FreeTime) -> int:
    """Free times of one class last at most twice as long as each other."""
    return (int((free.end - free.start).total_seconds()) // 60).bit_length()


class _Alike:
    """Free times of about the same length: one long one among many short ones would have all of them looked through."""

    def __init__(self, free: Sequence[FreeTime]) -> None:
        self._free = sorted(free, key=lambda one: (one.start, one.slot))
        self._starts = [one.start for one in self._free]
        self._longest = max(one.end - one.start for one in self._free)

    def covering(self, start: datetime, end: datetime) -> Iterable[FreeTime]:
        """Those that cover a period."""
        place = bisect_right(self._starts, start)
        while place and self._starts[place - 1] >= end - self._longest:
            place -= 1
            if self._free[place].end >= end:
                yield self._free[place]


def _around(anchor: FreeTime, covers: Sequence[_Cover]) -> Together | None:
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
        best = cover.best(anchor.start, anchor.end)
        if best is None:
            return None
        chosen.append(best)
        ranks.append(cover.requirement.rank(best.agenda) or 0)
    if len(_needed(chosen, covers)) < len(chosen):
        return None  # the smaller combination is found from its own anchor
    order = sorted(chosen, key=lambda one: _first_answered(one, covers))
    return Together(
        anchor.start, tuple(ranks), tuple(o.slot for o in order), anchor.end, tuple(o.agenda for o in order)
    )


def _needed(chosen: Sequence[FreeTime], covers: Sequence[_Cover]) -> set[str]:
    """The agendas without which the others would leave a requirement unanswered."""
    needed = set()
    for cover in covers:
        answering = [one.agenda for one in chosen if cover.requirement.rank(one.agenda) is not None]
        if len(answering) == 1:
            needed.add(answering[0])
    return needed


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

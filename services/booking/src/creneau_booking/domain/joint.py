"""Time that several agendas have free together: one slot of each agenda, which cover the same time.

One agenda has to answer each requirement; an agenda may answer several. The common time is that of one slot (the
*anchor*), which slots of the other agendas cover.

A call has thousands of free times of a few agendas. So what is said of agendas alone is worked out once for each group of
them, and what covers a period is looked up by the period where a free time is the period itself, as most are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from creneau_booking.domain.rules import is_usable_part


class FreeTime(NamedTuple):
    """A free slot of an agenda (ids). Instants carry their zone."""

    slot: str
    agenda: str
    start: datetime
    end: datetime


class Cutting(NamedTuple):
    """What may be taken out of an agenda's slots."""

    parts: bool | None = None
    """as `SlotFact.parts`"""
    whole: bool = False
    """whether some are groups', of which no part is taken"""


_AS_ANY = Cutting()


MayCut = Callable[[FreeTime, datetime, datetime], bool]
"""Whether the period, a part of the slot, may be taken out of it. All of a slot always may."""


def by_practice(cutting: Mapping[str, Cutting]) -> MayCut:
    """A practice may take any part, except of a group's slot. `cutting`: by agenda (id)."""
    return lambda free, start, end: not cutting.get(free.agenda, _AS_ANY).whole


def by_patient(cutting: Mapping[str, Cutting]) -> MayCut:
    """A patient may take a usable part of open time (`domain.rules`). `cutting`: by agenda (id)."""

    def may_cut(free: FreeTime, start: datetime, end: datetime) -> bool:
        of_agenda = cutting.get(free.agenda, _AS_ANY)
        return not of_agenda.whole and is_usable_part(free.start, free.end, of_agenda.parts, start, end)

    return may_cut


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


class Together(NamedTuple):
    """One period, and the slots that cover it; ordered by time, then by preference."""

    start: datetime
    ranks: tuple[int, ...]
    slots: tuple[str, ...]
    end: datetime
    agendas: tuple[str, ...]
    """the agendas of `slots`, in the same order"""


def together(requirements: Sequence[Requirement], may_cut: MayCut) -> list[Together]:
    """Every common period that is usable, in order.

    The work is that of the free times, the periods that they are and what covers these: a requirement looks once for what
    covers a period, however many anchors have it.
    """
    covers = [_Cover(requirement, may_cut) for requirement in requirements]
    agendas = _Agendas(requirements)
    found: dict[frozenset[str], Together] = {}
    for anchor in {free.slot: free for requirement in requirements for free in requirement.free}.values():
        one = _around(anchor, covers, agendas)
        if one is not None:
            found.setdefault(frozenset(one.slots), one)  # other anchors of these slots are the same period
    return sorted(found.values())


class _Cover:
    """What may be chosen for a requirement: the free times of its own agendas, by their period and by how long they last."""

    def __init__(self, requirement: Requirement, may_cut: MayCut) -> None:
        self._requirement = requirement
        self._may_cut = may_cut
        self._own = [free for free in requirement.free if free.agenda in requirement.own]
        self._parts: dict[tuple[datetime, datetime], FreeTime | None] = {}
        self._whole: dict[tuple[datetime, datetime], FreeTime] = {}
        for free in self._own:
            known = self._whole.setdefault((free.start, free.end), free)
            if known is not free and self._order(free) < self._order(known):
                self._whole[free.start, free.end] = free

    def best(self, start: datetime, end: datetime) -> FreeTime | None:
        """The free time out of which the period is best taken: one that is the period, then by preference."""
        period = (start, end)
        whole = self._whole.get(period)
        if whole is not None:
            return whole
        if period not in self._parts:
            self._parts[period] = self._part(start, end)
        return self._parts[period]

    def _part(self, start: datetime, end: datetime) -> FreeTime | None:
        covering = (free for alike in self._alike for free in alike.covering(start, end))
        return min(
            (free for free in covering if self._may_cut(free, start, end)), key=self._order, default=None
        )

    def _order(self, free: FreeTime) -> tuple[int, str]:
        return self._requirement.rank(free.agenda) or 0, free.slot

    @cached_property
    def _alike(self) -> Sequence[_Alike]:
        by_length: dict[int, list[FreeTime]] = {}
        for free in self._own:
            by_length.setdefault(_length_class(free), []).append(free)
        return [_Alike(some) for some in by_length.values()]


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


@dataclass(frozen=True, slots=True)
class _Group:
    """Agendas that meet all requirements together: how much each requirement prefers them, and their order (places among the
    agendas as they were chosen): that of the requirements."""

    ranks: tuple[int, ...]
    order: tuple[int, ...]


class _Agendas:
    """What agendas are to the requirements, whatever their slots; worked out once for each that is asked for."""

    def __init__(self, requirements: Sequence[Requirement]) -> None:
        self._requirements = requirements
        self._answered: dict[str, frozenset[int]] = {}
        self._left_open: dict[str, frozenset[int] | None] = {}
        self._groups: dict[tuple[str, ...], _Group | None] = {}

    def answered_by(self, agenda: str) -> frozenset[int]:
        """The requirements (their numbers) that an agenda answers."""
        known = self._answered.get(agenda)
        if known is None:
            known = self._answered[agenda] = frozenset(
                n for n, one in enumerate(self._requirements) if one.rank(agenda) is not None
            )
        return known

    def left_open_by(self, anchor: str) -> frozenset[int] | None:
        """The requirements that others have to answer beside the agenda of an anchor; None: it is no anchor, for example
        another doctor's agenda, which says at which place that doctor is."""
        if anchor not in self._left_open:
            answered = self.answered_by(anchor)
            left = frozenset(range(len(self._requirements))) - answered
            starts = not left or any(anchor in self._requirements[n].own for n in answered)
            self._left_open[anchor] = left if starts else None
        return self._left_open[anchor]

    def group(self, chosen: tuple[str, ...]) -> _Group | None:
        """Returns the agendas, in the order in which they were chosen, as a group; None: some would do."""
        if chosen not in self._groups:
            needed = self._needed(chosen)
            self._groups[chosen] = self._grouped(chosen) if len(needed) == len(chosen) else None
        return self._groups[chosen]

    def _grouped(self, chosen: tuple[str, ...]) -> _Group:
        ranks: list[int] = []
        by_then = 1
        for requirement in self._requirements:
            known = [r for agenda in chosen[:by_then] if (r := requirement.rank(agenda)) is not None]
            if not known:  # the next one was chosen for this requirement
                known = [requirement.rank(chosen[by_then]) or 0]
                by_then += 1
            ranks.append(min(known))
        first = [min(self.answered_by(agenda), default=len(self._requirements)) for agenda in chosen]
        return _Group(tuple(ranks), tuple(sorted(range(len(chosen)), key=first.__getitem__)))

    def _needed(self, chosen: tuple[str, ...]) -> set[str]:
        """Those without which the others would leave a requirement unanswered."""
        answering = [
            [agenda for agenda in chosen if n in self.answered_by(agenda)]
            for n in range(len(self._requirements))
        ]
        return {some[0] for some in answering if len(some) == 1}


def _around(anchor: FreeTime, covers: Sequence[_Cover], agendas: _Agendas) -> Together | None:
    left = agendas.left_open_by(anchor.agenda)
    if left is None:
        return None
    start, end = anchor.start, anchor.end
    chosen = [anchor]
    while left:
        best = covers[min(left)].best(start, end)
        if best is None:
            return None
        chosen.append(best)
        left -= agendas.answered_by(best.agenda)
    group = agendas.group(tuple([one.agenda for one in chosen]))
    if group is None:
        return None  # the smaller combination is found from its own anchor
    ordered = [chosen[place] for place in group.order]
    return Together(
        start, group.ranks, tuple([one.slot for one in ordered]), end, tuple([one.agenda for one in ordered])
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

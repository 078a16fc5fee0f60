"""Common times of several agendas: how much is looked at for them, and that nothing is missed by it. What calls find is tested
over the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from creneau_booking.domain.joint import (
    Cutting,
    FreeTime,
    MayCut,
    Requirement,
    Together,
    by_patient,
    by_practice,
    together,
)

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
TWENTY = timedelta(minutes=20)


def visits(agenda: str, number: int) -> Iterator[FreeTime]:
    """Visits of twenty minutes, one after the other."""
    for n in range(number):
        start = NINE + n * TWENTY
        yield FreeTime(f"{agenda}.{n}", agenda, start, start + TWENTY)


def of(*free: FreeTime) -> Requirement:
    agendas = list(dict.fromkeys(one.agenda for one in free))
    return Requirement(free, {agenda: rank for rank, agenda in enumerate(agendas)}, frozenset(agendas))


def test_what_covers_a_period_is_looked_for_once() -> None:
    """A hundred doctors are free at the same ten times, a hundred rooms all the while: each room is looked at once for each of
    these times, not for each doctor."""
    looked_at = 0
    may_cut = by_practice({})

    def counted(free: FreeTime, start: datetime, end: datetime) -> bool:
        nonlocal looked_at
        looked_at += 1
        return may_cut(free, start, end)

    doctors = of(*(free for n in range(100) for free in visits(f"doctor{n:02}", 10)))
    rooms = of(*(FreeTime(f"room{n:02}", f"room{n:02}", NINE, NINE + 11 * TWENTY) for n in range(100)))
    found = together([doctors, rooms], counted)
    assert len(found) == 10 * 100
    assert found[0].agendas == ("doctor00", "room00")
    assert looked_at == 10 * 100


def test_a_free_time_that_is_the_period_is_looked_up() -> None:
    """As most are: nothing is looked through for it. Each doctor is proposed in the first room, the first doctor in each."""

    def may_cut(free: FreeTime, start: datetime, end: datetime) -> bool:
        raise AssertionError("no part of a free time is needed")

    doctors = of(*(free for n in range(100) for free in visits(f"doctor{n:02}", 10)))
    rooms = of(*(free for n in range(100) for free in visits(f"room{n:02}", 10)))
    found = together([doctors, rooms], may_cut)
    assert len(found) == 10 * (100 + 100 - 1)
    assert found[0].agendas == ("doctor00", "room00")


class Counted(FreeTime):
    """A free time that counts how often somebody looks when one ends."""

    looked_at = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "end":
            Counted.looked_at += 1
        return super().__getattribute__(name)


def test_a_long_time_among_many_short_ones() -> None:
    """If the year that one room is open had all visits looked through for each, it would be as many times as many."""
    Counted.looked_at, number = 0, 500
    doctor = of(*visits("doctor", number))
    minute = timedelta(minutes=1)
    short = [
        Counted(one.slot, one.agenda, one.start - minute, one.end + minute) for one in visits("room", number)
    ]
    rooms = of(*short, FreeTime("open", "hall", NINE - TWENTY, NINE + timedelta(days=366)))
    found = together([doctor, rooms], by_practice({}))
    assert [one.agendas for one in found] == [("doctor", "room")] * number
    assert Counted.looked_at < 20 * number


# -- as looking at everything finds it ---------------------------------------------------------------------------


def looked_through(requirements: Sequence[Requirement], may_cut: MayCut) -> list[Together]:
    """The rule, in as few words as it has and however long it takes: what `together` finds without looking at everything."""
    found: dict[frozenset[str], Together] = {}
    for anchor in [free for requirement in requirements for free in requirement.free]:
        answered = [one for one in requirements if one.rank(anchor.agenda) is not None]
        if len(answered) < len(requirements) and not any(anchor.agenda in one.own for one in answered):
            continue
        chosen, ranks = [anchor], []
        for one in requirements:
            known = [rank for free in chosen if (rank := one.rank(free.agenda)) is not None]
            best = None if known else _best(one, anchor, may_cut)
            if best is not None:
                chosen.append(best)
                known = [one.rank(best.agenda) or 0]
            ranks += [min(known)] if known else []
        if len(ranks) < len(requirements) or any(
            _does_without(free, chosen, requirements) for free in chosen
        ):
            continue
        chosen.sort(key=lambda free: [one.rank(free.agenda) is not None for one in requirements].index(True))
        slots, agendas = tuple(free.slot for free in chosen), tuple(free.agenda for free in chosen)
        found.setdefault(frozenset(slots), Together(anchor.start, tuple(ranks), slots, anchor.end, agendas))
    return sorted(found.values())


def _best(requirement: Requirement, period: FreeTime, may_cut: MayCut) -> FreeTime | None:
    def order(free: FreeTime) -> tuple[bool, int, str]:
        return free[2:] != period[2:], requirement.rank(free.agenda) or 0, free.slot

    own = [free for free in requirement.free if free.agenda in requirement.own]
    covering = [free for free in own if free.start <= period.start and period.end <= free.end]
    fit = [f for f in covering if f[2:] == period[2:] or may_cut(f, period.start, period.end)]
    return min(fit, key=order, default=None)


def _does_without(free: FreeTime, chosen: Sequence[FreeTime], requirements: Sequence[Requirement]) -> bool:
    others = [one for one in chosen if one is not free]
    return all(any(r.rank(one.agenda) is not None for one in others) for r in requirements)


@pytest.mark.parametrize("by", [by_patient, by_practice])
def test_the_same_as_looking_at_everything(by: Callable[[Mapping[str, Cutting]], MayCut]) -> None:
    """Of a few agendas that answer some requirements by chance: visits, open time, groups; own ones and others'."""
    found_in_all = 0
    for seed in range(400):
        requirements, cutting = by_chance(Random(seed))
        found = together(requirements, by(cutting))
        assert found == looked_through(requirements, by(cutting)), seed
        found_in_all += len(found)
    assert found_in_all > 1_000


def by_chance(random: Random) -> tuple[list[Requirement], dict[str, Cutting]]:
    cutting = {f"a{n}": Cutting(random.choice([None, True, False]), random.random() < 0.2) for n in range(5)}
    free = []
    for agenda in cutting:
        for n in range(random.randrange(1, 8)):
            start = NINE + timedelta(minutes=10 * random.randrange(12))
            length = timedelta(minutes=random.choice([10, 20, 20, 30, 60, 180, 400]))
            free.append(FreeTime(f"{agenda}.{n}", agenda, start, start + length))
    requirements = []
    for _ in range(random.randrange(1, 4)):
        agendas = {
            agenda: random.randrange(3) for agenda in random.sample([*cutting], random.randrange(1, 4))
        }
        own = frozenset(random.sample([*agendas], random.randrange(len(agendas) + 1)))
        requirements.append(Requirement([one for one in free if one.agenda in agendas], agendas, own))
    return requirements, cutting

"""What is said of an agenda, and what there is: the difference makes the one of the other, and nothing twice."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from creneau_booking.domain.synchronising import Difference, Known, SaidSlot, Sent, difference

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
LENGTH = timedelta(minutes=20)


def said(number: int, kind: str = "visit", status: str = "free", name: str = "") -> SaidSlot:
    names = frozenset({name}) if name else frozenset[str]()
    return SaidSlot(NINE + number * LENGTH, NINE + (number + 1) * LENGTH, status, kind, name or None, names)


def applied(known: list[Known], sent: list[Sent], found: Difference) -> list[Known]:
    """What there is afterwards, as storage does it."""
    after = {index: one for index, one in enumerate(known) if index not in found.deleted}
    for at, index in found.updated:
        after[at] = replace(known[at], said=sent[index].said)
    made = [Known(sent[index].id or f"new-{index}", sent[index].said) for index in found.created]
    return [*after.values(), *made]


def feed(chance: random.Random) -> list[Sent]:
    """Slots in some order: some named by the software, some by their identifier only, some by nothing."""
    numbers = chance.sample(range(12), chance.randrange(12))
    found = []
    for number in numbers:
        kind, status = chance.choice(("visit", "video")), chance.choice(("free", "free", "busy-unavailable"))
        way = chance.choice(("id", "identifier", "nothing"))
        slot = said(number, kind, status, f"i{chance.randrange(99)}-{number}" if way == "identifier" else "")
        found.append(Sent(slot, f"s{number}-{chance.randrange(3)}" if way == "id" else None))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_afterwards_there_is_what_was_said(seed: int) -> None:
    """Whatever follows on whatever: the same times, statuses and kinds as were sent; the same again changes nothing."""
    chance = random.Random(seed)
    known: list[Known] = []
    for _ in range(4):
        sent = feed(chance)
        known = applied(known, sent, difference(known, sent, whole=True))
        there = sorted((k.said.start, k.said.status, str(k.said.kind)) for k in known)
        assert there == sorted((s.said.start, s.said.status, str(s.said.kind)) for s in sent)
        again = difference(known, sent, whole=True)
        assert (again.created, again.updated, again.deleted, again.conflicts) == ([], [], [], [])
        assert again.unchanged == len(sent)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_taken_stays_as_it_is(seed: int) -> None:
    """It is neither moved nor removed, and whatever contradicts it is told."""
    chance = random.Random(seed)
    before = feed(chance)
    known = [
        Known(s.id or f"k{n}", s.said, taken_by="a" if chance.random() < 0.5 else None)
        for n, s in enumerate(before)
    ]
    sent = feed(chance)
    found = difference(known, sent, whole=True)
    told = {conflict.slot.id for conflict in found.conflicts}
    for index, one in enumerate(known):
        if one.taken_by is None:
            continue
        assert index not in found.deleted
        for at, other in found.updated:
            if at == index:
                assert (sent[other].said.start, sent[other].said.end) == (one.said.start, one.said.end)
        covered = [s for s in sent if s.said.start == one.said.start and s.said.status != "free"]
        assert one.id in told or covered


def test_an_identifier_is_followed_and_another_is_another() -> None:
    known = [Known("k", said(0, name="x"))]
    moved = difference(known, [Sent(said(3, name="x"))], whole=True)
    assert (moved.updated, moved.created, moved.deleted) == ([(0, 0)], [], [])
    named = difference([Known("mine", said(0), named=True)], [Sent(said(0), "other")], whole=True)
    assert (named.created, named.deleted) == ([0], [0])


def test_without_a_window_nothing_goes() -> None:
    assert difference([Known("k", said(0))], [], whole=False) == Difference()
    beyond = difference([Known("k", said(0), in_window=False)], [], whole=True)
    assert beyond == Difference()

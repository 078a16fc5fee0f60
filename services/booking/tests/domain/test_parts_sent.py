"""Open time that is sent whole over what is taken of it: its parts are what there is, and nothing is free twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from creneau_booking.domain.parts_sent import Part, parts_around_taken
from creneau_booking.domain.synchronising import Difference, Known, SaidSlot, Sent, difference

EIGHT = datetime(2026, 12, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def said(start: int, end: int, kind: str = "visit", name: str = "") -> SaidSlot:
    """Open time between these hours, counted from eight."""
    names = frozenset({f"identifier={name}"}) if name else frozenset[str]()
    return SaidSlot(EIGHT + start * HOUR, EIGHT + end * HOUR, "free", kind, name or None, names)


def hours(parts: Sequence[Part]) -> list[tuple[float, float, bool]]:
    return [((p.start - EIGHT) / HOUR, (p.end - EIGHT) / HOUR, p.bears_name) for p in parts]


def as_sent(sent: Sequence[Sent], parts: dict[int, list[Part]]) -> list[Sent]:
    """What storage compares: the parts in place of what is taken apart."""
    found = []
    for index, one in enumerate(sent):
        for part in parts.get(index, [Part(one.said.start, one.said.end, True)]):
            whole = replace(one.said, start=part.start, end=part.end)
            bare = replace(whole, own=None, identifiers=frozenset())
            found.append(Sent(whole, one.id) if part.bears_name else Sent(bare))
    return found


def cut(known: list[Known], at: int, start: datetime, end: datetime, by: str) -> list[Known]:
    """What there is once a part of a known slot is taken, as storage cuts it."""
    whole = known[at]
    bare = replace(whole.said, own=None, identifiers=frozenset())
    rests = [(whole.said.start, start), (end, whole.said.end)]
    return [
        *(one for one in known if one is not whole),
        replace(whole, said=replace(whole.said, start=start, end=end), taken_by=by),
        *(Known(f"rest-{by}-{n}", replace(bare, start=a, end=b)) for n, (a, b) in enumerate(rests) if a < b),
    ]


@pytest.mark.parametrize("way", ["id", "identifier", "nothing"])
@pytest.mark.parametrize("seed", range(25))
def test_sent_again_it_changes_nothing(seed: int, way: str) -> None:
    """However it is known, and whatever was taken of it in which order: each visit is told, the rest is as it was."""
    chance = random.Random(seed)
    sent = [
        Sent(said(day * 24, day * 24 + 8, name=f"n{day}" if way == "identifier" else ""), f"id{day}")
        for day in range(3)
    ]
    sent = sent if way == "id" else [replace(one, id=None) for one in sent]
    known = [Known(one.id or f"k{n}", one.said, named=way == "id") for n, one in enumerate(sent)]
    for number in range(chance.randrange(1, 8)):
        at = chance.choice([n for n, one in enumerate(known) if one.taken_by is None])
        low, high = known[at].said.start, known[at].said.end
        start = low + (high - low) * chance.choice((0, 0.25, 0.5))
        end = start + (high - start) * chance.choice((0.5, 1))
        known = cut(known, at, start, end, f"visit-{number}")
    found = difference(known, as_sent(sent, parts_around_taken(known, sent)), whole=True)
    assert (found.created, found.updated, found.deleted) == ([], [], [])
    taken = {one.taken_by for one in known} - {None}
    assert {(one.slot.taken_by, one.reason) for one in found.conflicts} == {(by, "said-free") for by in taken}
    assert found.unchanged == len(known) - len(taken)


def test_one_part_bears_the_name() -> None:
    """That which has it already, or in which it lies; else the first."""
    sent = [Sent(said(0, 8, name="n"), "id")]
    other = Known("k", said(4, 5), taken_by="a")
    assert hours(parts_around_taken([other], sent)[0]) == [(0, 4, True), (4, 5, False), (5, 8, False)]
    for name in (Known("id", said(5, 6)), Known("x", said(5, 6, name="n"))):
        assert hours(parts_around_taken([other, name], sent)[0]) == [
            (0, 4, False),
            (4, 5, False),
            (5, 8, True),
        ]
    taken = Known("id", said(2, 3), taken_by="b")
    assert hours(parts_around_taken([other, taken], sent)[0]) == [
        (0, 2, False),
        (2, 3, True),
        (3, 4, False),
        (4, 5, False),
        (5, 8, False),
    ]


@pytest.mark.parametrize(
    ("known", "sent"),
    [
        ([Known("k", said(4, 5))], [Sent(said(0, 8))]),
        ([Known("k", said(0, 8), taken_by="a")], [Sent(said(0, 8))]),
        ([Known("k", said(7, 9), taken_by="a")], [Sent(said(0, 8))]),
        ([Known("k", said(4, 5, "video"), taken_by="a")], [Sent(said(0, 8))]),
        ([Known("k", said(4, 5), taken_by="a", is_group=True)], [Sent(said(0, 8))]),
        ([Known("k", said(4, 5), taken_by="a")], [Sent(said(0, 8)), Sent(said(4, 5))]),
        ([Known("k", said(4, 5), taken_by="a"), Known("w", said(0, 8))], [Sent(said(0, 8))]),
        ([Known("k", said(4, 5), taken_by="a")], [Sent(said(0, 8)), Sent(said(9, 10), "k")]),
    ],
    ids=["free", "whole", "beyond", "kind", "group", "sent", "beside the whole", "named elsewhere"],
)
def test_what_stays_whole(known: list[Known], sent: list[Sent]) -> None:
    assert parts_around_taken(known, sent) == {}


def cut_by_software(
    *, visit: str | None, first: SaidSlot | None = None, at: SaidSlot | None = None
) -> list[Sent]:
    """Software that has the visit (a part of what it knew as `n`) itself, and calls the first of what is left that."""
    status = visit or "free"
    return [
        Sent(first or said(0, 4, name="n"), "n"),
        *([Sent(replace(at or said(4, 5, name="m"), status=status), "m")] if visit else []),
        Sent(said(5, 8, name="o"), "o"),
    ]


def taken_from_four_to_five(*, by_id: bool) -> list[Known]:
    whole = Known("n", said(0, 8, name="" if by_id else "n"), named=by_id)
    return cut([whole], 0, EIGHT + 4 * HOUR, EIGHT + 5 * HOUR, "a")


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize(
    ("visit", "reason"),
    [("busy", None), ("busy-unavailable", None), ("free", "said-free"), (None, "missing")],
)
def test_the_name_of_what_is_taken_may_be_that_of_what_is_left(
    by_id: bool, visit: str | None, reason: str | None
) -> None:
    """Its software cuts open time itself: nothing of what is left goes, and no second slot lies over the visit."""
    known = taken_from_four_to_five(by_id=by_id)
    for _ in range(2):
        sent = cut_by_software(visit=visit)
        sent = [replace(one, id=None) for one in sent] if not by_id else sent
        parts = as_sent(sent, parts_around_taken(known, sent))
        found = difference(known, parts, whole=True)
        assert (found.created, found.deleted) == ([], [])
        assert [one.reason for one in found.conflicts] == ([reason] if reason else [])
        for at, index in found.updated:
            known[at] = replace(known[at], said=parts[index].said)


def test_what_is_left_may_be_taken_in_part_as_well() -> None:
    """Software that has heard of the one visit and not of the other."""
    known = taken_from_four_to_five(by_id=True)
    first = next(at for at, one in enumerate(known) if one.said.start == EIGHT)
    known = cut(known, first, EIGHT + HOUR, EIGHT + 2 * HOUR, "b")
    sent = cut_by_software(visit="busy")
    parts = parts_around_taken(known, sent)
    assert hours(parts[0]) == [(0, 1, False), (1, 2, False), (2, 4, False)]
    found = difference(known, as_sent(sent, parts), whole=True)
    assert (found.created, found.deleted) == ([], [])
    assert [(one.slot.taken_by, one.reason) for one in found.conflicts] == [("b", "said-free")]


@pytest.mark.parametrize(
    "sent",
    [
        cut_by_software(visit="busy", first=replace(said(10, 11), status="busy")),
        cut_by_software(visit=None, first=said(10, 11)),
        cut_by_software(visit=None, first=replace(said(3, 5), end=EIGHT + 4.5 * HOUR)),
    ],
    ids=["busy elsewhere", "free where nothing was", "over a part of it"],
)
def test_what_its_software_moves_is_told_as_moved(sent: list[Sent]) -> None:
    known = taken_from_four_to_five(by_id=True)
    found = difference(known, as_sent(sent, parts_around_taken(known, sent)), whole=True)
    assert [(one.slot.id, one.reason) for one in found.conflicts] == [("n", "moved")]


def test_another_line_at_the_time_of_the_visit_is_not_the_visit() -> None:
    """What is sent at that time is what was there beside it: nothing says where the visit is."""
    known = [*taken_from_four_to_five(by_id=True), Known("k", said(4, 5), named=False)]
    sent = cut_by_software(visit="free", first=said(10, 11), at=said(4, 5))
    found = difference(known, as_sent(sent, parts_around_taken(known, sent)), whole=True)
    assert [(one.slot.id, one.reason) for one in found.conflicts] == [("n", "moved")]


def test_what_bears_the_name_is_a_part_whatever_its_kind() -> None:
    """Its practice does something else in that time from now on; the visit stays in it."""
    known = [Known("id", said(4, 5), taken_by="a"), Known("r", said(0, 4))]
    sent = [Sent(said(0, 8, "video"), "id")]
    parts = as_sent(sent, parts_around_taken(known, sent))
    found: Difference = difference(known, parts, whole=True)
    assert (found.created, found.updated, found.deleted) == ([2], [(1, 0), (0, 1)], [])

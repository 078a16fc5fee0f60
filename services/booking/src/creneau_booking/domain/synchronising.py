"""What a practice's software says of its agenda, compared with what there is: the difference, and nothing else.

The software is right about its agenda; Créneau is right about whom it has given a time. So what is booked or held here
stays where it is, whatever is said of it, and is told as a conflict.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Reason = Literal["missing", "moved", "said-free"]
"""Why what is taken here contradicts what is said: it is not there any more, is at another time, or is said to be free."""
ECHOES = frozenset({"busy", "busy-tentative"})
"""What software says of a slot that it knows to be taken."""


@dataclass(frozen=True, slots=True)
class SaidSlot:
    """A slot as it is said, or as it was said last."""

    start: datetime
    end: datetime
    status: str
    kind: Hashable
    """all that repeats over the slots of an agenda"""
    own: str | None = None
    """what this one slot has of its own, as it is kept"""
    identifiers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sent:
    """One of the slots that are sent; `id`, where the software chose one."""

    said: SaidSlot
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A slot that there is. `taken_by`: the appointment (id) that has it, or one of those that have places in it;
    `has_room`: others can still have one; `named`: its id was chosen by software."""

    id: str
    said: SaidSlot
    taken_by: str | None = None
    has_room: bool = False
    named: bool = False
    in_window: bool = True


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A slot that is taken here, against what is said of it."""

    slot: Known
    reason: Reason


@dataclass(slots=True)
class Difference:
    """The edits that turn the known slots into the sent ones; indexes are into the two sequences that were compared."""

    created: list[int] = field(default_factory=list)
    updated: list[tuple[int, int]] = field(default_factory=list)
    """(known, sent)"""
    deleted: list[int] = field(default_factory=list)
    unchanged: int = 0
    conflicts: list[Contradiction] = field(default_factory=list)


def difference(known: Sequence[Known], sent: Sequence[Sent], *, whole: bool) -> Difference:
    """Compare them. `whole`: what is not said does not exist any more, of what stands in the window.

    Each slot that is sent is matched with at most one that there is: by its id, else by one of its identifiers, else by
    start, end and kind, else by start and end, so that a visit that is renamed keeps its booking.
    """
    found = Difference()
    partners = _matched(known, sent)
    matched = set(partners.values())
    for index, one in enumerate(sent):
        if index not in partners:
            found.created.append(index)
        else:
            _compare(found, known, partners[index], one, index)
    for index, there in enumerate(known if whole else ()):
        if index in matched or not there.in_window:
            continue
        if there.taken_by is None:
            found.deleted.append(index)
        else:
            found.conflicts.append(Contradiction(there, "missing"))
    return found


def _compare(found: Difference, known: Sequence[Known], at: int, sent: Sent, index: int) -> None:
    there = known[at]
    if there.taken_by is not None:
        if (there.said.start, there.said.end) != (sent.said.start, sent.said.end):
            found.conflicts.append(Contradiction(there, "moved"))
            return
        if sent.said.status == "free" and not there.has_room:
            found.conflicts.append(Contradiction(there, "said-free"))
    if not _is_said(there, sent.said):
        found.updated.append((at, index))
    elif there.taken_by is None or there.has_room or sent.said.status != "free":
        found.unchanged += 1


def _is_said(there: Known, said: SaidSlot) -> bool:
    """Whether the agenda said exactly this of the slot before; for a full slot, a status of ECHOES is no news."""
    is_full = there.taken_by is not None and not there.has_room
    agreed = there.said.status == said.status or (is_full and said.status in ECHOES)
    before = (there.said.start, there.said.end, there.said.kind, there.said.own)
    return agreed and before == (said.start, said.end, said.kind, said.own)


def _matched(known: Sequence[Known], sent: Sequence[Sent]) -> dict[int, int]:
    """Index in `sent` → index in `known`."""
    partners: dict[int, int] = {}
    used: set[int] = set()
    ways: tuple[tuple[Callable[[Known], Iterable[Hashable]], Callable[[Sent], Iterable[Hashable]]], ...] = (
        (lambda k: (k.id,), lambda s: () if s.id is None else (s.id,)),
        (lambda k: k.said.identifiers, lambda s: s.said.identifiers),
        (_time_and_kind_of_known, _time_and_kind),
        (_time_of_known, lambda s: _time(s.said)),
    )
    for names_of_known, names in ways:
        if len(partners) in (len(sent), len(known)):
            break
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for index, one in enumerate(known):
            if index not in used:
                for name in names_of_known(one):
                    waiting[name].append(index)
        for index, other in enumerate(sent):
            if index in partners:
                continue
            for name in names(other):
                at = _next(waiting.get(name), known, other, used)
                if at is not None:
                    partners[index] = at
                    used.add(at)
                    break
    return partners


def _next(waiting: deque[int] | None, known: Sequence[Known], sent: Sent, used: set[int]) -> int | None:
    """The next that nobody has, and that may be the slot that is sent."""
    while waiting:
        at = waiting[0]
        if at in used:
            waiting.popleft()
            continue
        return at if _may_be(known[at], sent) else None
    return None


def _may_be(known: Known, sent: Sent) -> bool:
    """Software that names its slots names another one, unless that time is taken here, or we named it."""
    return (
        sent.id is None
        or known.id == sent.id
        or not known.named
        or known.taken_by is not None
        or bool(known.said.identifiers & sent.said.identifiers)
    )


def _time_and_kind_of_known(known: Known) -> Iterable[Hashable]:
    return _time_and_kind(Sent(known.said)) if known.in_window else ()


def _time_and_kind(sent: Sent) -> Iterable[Hashable]:
    return ((sent.said.start, sent.said.end, sent.said.kind),)


def _time_of_known(known: Known) -> Iterable[Hashable]:
    return _time(known.said) if known.in_window else ()


def _time(said: SaidSlot) -> Iterable[Hashable]:
    return ((said.start, said.end),)

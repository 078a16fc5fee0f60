"""Compares the slots that a practice's software sends with the stored ones, and returns the difference only.

The software decides about its agenda; Créneau decides about its own bookings. So a slot that is booked or held here stays
where it is, whatever the software sends, and a contradiction is reported as a conflict.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Reason = Literal["missing", "moved", "said-free"]
"""How a slot taken here contradicts what is sent: it is missing, at another time, or sent as free."""
ECHOES = frozenset({"busy", "busy-tentative"})
"""The statuses that software sends for a slot that it knows to be taken."""


@dataclass(frozen=True, slots=True)
class SaidSlot:
    """A slot as the software sends it, or sent it last."""

    start: datetime
    end: datetime
    status: str
    kind: Hashable
    """everything that many slots of an agenda have in common"""
    own: str | None = None
    """the content of this slot alone, as it is stored"""
    identifiers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sent:
    """A slot that is sent, or a part of it; `id`, if the software chose one."""

    said: SaidSlot
    id: str | None = None
    in_absence: bool = False
    """whether it is a part of a longer time in which nobody is there: what is taken in it is missing"""


@dataclass(frozen=True, slots=True)
class Known:
    """A stored slot. `taken_by`: the appointment (id) that has it, or one of those that have places in it; `has_room`:
    there are places left; `named`: its id was chosen by software."""

    id: str
    said: SaidSlot
    taken_by: str | None = None
    has_room: bool = False
    named: bool = False
    in_window: bool = True
    """whether it begins in the period of what is sent: only there is what is not sent deleted, or missing"""
    is_group: bool = False
    """whether its places are taken one by one"""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A slot that is taken here and contradicts what is sent."""

    slot: Known
    reason: Reason


@dataclass(slots=True)
class Difference:
    """The edits that turn the known slots into the sent ones; indexes refer to the two compared sequences."""

    created: list[int] = field(default_factory=list)
    updated: list[tuple[int, int]] = field(default_factory=list)
    """(known, sent)"""
    deleted: list[int] = field(default_factory=list)
    unchanged: int = 0
    conflicts: list[Contradiction] = field(default_factory=list)
    there: dict[int, int] = field(default_factory=dict)
    """sent → known, where that is afterwards when it is sent to be: all but the moved and the created"""


def difference(known: Sequence[Known], sent: Sequence[Sent], *, whole: bool) -> Difference:
    """Compares them. `whole`: known slots in the window that are not sent are deleted.

    Each sent slot is matched with at most one known slot: by id, else by one of its identifiers, else by start, end and
    kind, else by start and end, so that a slot with a new id or kind keeps its booking.
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
    reason = _contradiction(there, sent)
    if reason is not None:
        found.conflicts.append(Contradiction(there, reason))
    if reason == "moved":
        return
    found.there[index] = at
    if not _is_said(there, sent.said):
        found.updated.append((at, index))
    elif reason is None:
        found.unchanged += 1


def _contradiction(there: Known, sent: Sent) -> Reason | None:
    """How what is sent contradicts that the slot is taken here; None: it does not, or it is not taken."""
    if there.taken_by is None:
        return None
    if (there.said.start, there.said.end) != (sent.said.start, sent.said.end):
        return "moved"
    if sent.said.status == "free":
        return None if there.has_room else "said-free"
    return "missing" if sent.in_absence else None


def _is_said(there: Known, said: SaidSlot) -> bool:
    """Whether the software sent exactly this slot before; for a full slot, a status of ECHOES changes nothing."""
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
    """Index of the next unmatched known slot, if it may be the sent one; None otherwise."""
    while waiting:
        at = waiting[0]
        if at in used:
            waiting.popleft()
            continue
        return at if _may_be(known[at], sent) else None
    return None


def _may_be(known: Known, sent: Sent) -> bool:
    """Whether the two can be one slot. Two different ids chosen by software mean two slots, unless an appointment has the
    known one or they share an identifier."""
    return (
        sent.id is None
        or known.id == sent.id
        or not known.named
        or known.taken_by is not None
        or bool(known.said.identifiers & sent.said.identifiers)
    )


def _time_and_kind_of_known(known: Known) -> Iterable[Hashable]:
    return _time_and_kind(Sent(known.said))


def _time_and_kind(sent: Sent) -> Iterable[Hashable]:
    return ((sent.said.start, sent.said.end, sent.said.kind),)


def _time_of_known(known: Known) -> Iterable[Hashable]:
    return _time(known.said)


def _time(said: SaidSlot) -> Iterable[Hashable]:
    return ((said.start, said.end),)

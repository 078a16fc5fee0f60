"""What a change of the rules means for the slots that there are.

Nothing that somebody has or has touched moves: what is booked or held, what the practice has blocked, and what was written
by hand. What the rules still ask for stays as it is. Of the rest, what they ask for no more vanishes, and what they ask for
anew appears, unless something that stays is in its time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from creneau_booking.domain.openings.expansion import Expansion, covers, merged, overlaps
from creneau_booking.domain.openings.rules import Interval, Kind, Wanted


class There(NamedTuple):
    """A slot that there is, from now on; seconds since 1970."""

    id: str
    start: int
    end: int
    kind: Kind | None
    """None: of a kind that the rules do not ask for"""
    generated: bool
    """made from rules, and nobody has written it since"""
    said_free: bool
    taken_by: str | None
    """the appointment (id) that has it"""

    @property
    def movable(self) -> bool:
        return self.generated and self.said_free and self.taken_by is None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rule's change brings about."""

    appear: tuple[Wanted, ...]
    vanish: tuple[There, ...]
    stay: int
    outside: tuple[str, ...]
    """appointments (ids) at times at which the agenda is open no more, in order of time"""


def difference(
    expansion: Expansion, there: Sequence[There], left_out: Collection[Interval] = ()
) -> Difference:
    """How the slots that there are become those that the rules ask for; `left_out`: the times of slots that somebody has
    deleted by hand."""
    asked = {(slot.start, slot.end, slot.kind) for slot in expansion.wanted}
    times = {(slot.start, slot.end) for slot in expansion.wanted}
    blocks = merged(
        (slot.start, slot.end)
        for slot in there
        if not slot.movable and (not slot.said_free or (slot.start, slot.end) not in times)
    )
    vanish: list[There] = []
    met: set[tuple[int, int, Kind]] = set()
    settled = set(left_out)
    for slot in there:
        if slot.kind is not None and (slot.start, slot.end, slot.kind) in asked:
            if slot.movable and overlaps(blocks, slot.start, slot.end):
                vanish.append(slot)
            else:
                met.add((slot.start, slot.end, slot.kind))
        elif slot.movable:
            vanish.append(slot)
        else:
            settled.add((slot.start, slot.end))
    appear = tuple(
        slot
        for slot in expansion.wanted
        if (slot.start, slot.end, slot.kind) not in met
        and (slot.start, slot.end) not in settled
        and not overlaps(blocks, slot.start, slot.end)
    )
    return Difference(appear, tuple(vanish), len(there) - len(vanish), _outside(expansion, there))


def _outside(expansion: Expansion, there: Iterable[There]) -> tuple[str, ...]:
    taken = sorted((slot for slot in there if slot.taken_by), key=lambda slot: (slot.start, slot.id))
    left = [s.taken_by for s in taken if s.taken_by and not covers(expansion.open_time, s.start, s.end)]
    return tuple(dict.fromkeys(left))

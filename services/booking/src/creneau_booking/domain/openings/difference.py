"""What a change of the rules means for the slots that there are.

Nothing that somebody has or has touched moves: what is booked or held, what the practice has closed, and what was written
by hand. What the rules still ask for stays as it is. Of the rest, what they ask for no more vanishes, and what they ask for
anew appears, unless something that stays is in its time. What somebody has beside the rules stays theirs, and is nobody's
to book once they give it back.
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


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rule's change brings about."""

    appear: tuple[Wanted, ...]
    vanish: tuple[There, ...]
    stay: int
    outside: tuple[str, ...]
    """appointments (ids) at times at which the agenda is open no more, in order of time"""
    reopened: tuple[There, ...] = ()
    """of those that stay, what the agenda says is free again"""
    withdrawn: tuple[There, ...] = ()
    """of those that somebody has, what is free no more once they give it back"""


def difference(
    expansion: Expansion,
    there: Sequence[There],
    left_out: Collection[Interval] = (),
    closed: Iterable[Interval] = (),
) -> Difference:
    """How the slots that there are become those that the rules ask for. `left_out`: the times of slots that somebody has
    deleted by hand; `closed`: what the practice has closed, whatever the rules say."""
    asked = set(expansion.wanted)
    times = {slot[:2] for slot in expansion.wanted}
    closures = merged(closed)

    ours = [slot.generated and not (closures and overlaps(closures, slot.start, slot.end)) for slot in there]
    blocks = merged(
        (slot.start, slot.end)
        for slot, is_ours in zip(there, ours, strict=True)
        if not (is_ours and slot.taken_by is None)
        # What the agenda says of a slot that rules made follows from them, and says nothing of other slots.
        and ((slot.start, slot.end) not in times or not (slot.said_free or is_ours))
    )
    vanish: list[There] = []
    reopened: list[There] = []
    withdrawn: list[There] = []
    met: set[tuple[int, int, Kind]] = set()
    settled = set(left_out)
    for slot, is_ours in zip(there, ours, strict=True):
        is_asked = slot.kind is not None and (slot.start, slot.end, slot.kind) in asked
        if is_ours and slot.taken_by is None:
            if not is_asked or (blocks and overlaps(blocks, slot.start, slot.end)):
                vanish.append(slot)
                continue
        elif not is_asked:
            settled.add((slot.start, slot.end))
            if slot.generated and slot.taken_by is not None and slot.said_free:
                withdrawn.append(slot)
            continue
        if slot.kind is not None:
            met.add((slot.start, slot.end, slot.kind))
        if not slot.said_free and is_ours:
            reopened.append(slot)
    appear = tuple(
        slot
        for slot in expansion.wanted
        if slot not in met and slot[:2] not in settled and not overlaps(blocks, slot.start, slot.end)
    )
    return Difference(
        appear,
        tuple(vanish),
        len(there) - len(vanish),
        _outside(expansion, there),
        tuple(reopened),
        tuple(withdrawn),
    )


def _outside(expansion: Expansion, there: Iterable[There]) -> tuple[str, ...]:
    taken = sorted((slot for slot in there if slot.taken_by), key=lambda slot: (slot.start, slot.id))
    left = [s.taken_by for s in taken if s.taken_by and not covers(expansion.open_time, s.start, s.end)]
    return tuple(dict.fromkeys(left))

"""The effect of changed opening rules on the stored slots.

Slots that are booked or held, that the practice has closed, or that were written by hand do not change. Slots that the
rules still ask for stay. Of the others, those that the rules no longer ask for vanish. New ones appear, unless a slot that
stays is in their time. A booked slot outside the rules stays with its appointment, and cannot be booked again once it is
given back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from creneau_booking.domain.openings.expansion import Expansion, covers, merged, overlaps
from creneau_booking.domain.openings.rules import Interval, Kind, Wanted


class There(NamedTuple):
    """A stored slot that is to come; seconds since 1970."""

    id: str
    start: int
    end: int
    kind: Kind | None
    """None: a kind that the rules do not ask for"""
    generated: bool
    """whether it was made from rules, and nobody has written it since"""
    said_free: bool
    taken_by: str | None
    """the appointment (id) that has it"""


@dataclass(frozen=True, slots=True)
class Difference:
    """The effect of changed rules."""

    appear: tuple[Wanted, ...]
    vanish: tuple[There, ...]
    stay: int
    outside: tuple[str, ...]
    """appointments (ids) at times at which the agenda is no longer open, in order of time"""
    reopened: tuple[There, ...] = ()
    """slots that stay and that the agenda states to be free again"""
    withdrawn: tuple[There, ...] = ()
    """taken slots that will not be free once they are given back"""


def difference(
    expansion: Expansion,
    there: Sequence[There],
    left_out: Collection[Interval] = (),
    closed: Iterable[Interval] = (),
) -> Difference:
    """How the stored slots become those that the rules ask for. `left_out`: the times of slots that somebody deleted by
    hand; `closed`: the times that the practice has closed, whatever the rules say."""
    asked = set(expansion.wanted)
    times = {slot[:2] for slot in expansion.wanted}
    closures = merged(closed)

    ours = [slot.generated and not (closures and overlaps(closures, slot.start, slot.end)) for slot in there]
    blocks = merged(
        (slot.start, slot.end)
        for slot, is_ours in zip(there, ours, strict=True)
        if not (is_ours and slot.taken_by is None)
        # At a time that the rules ask for, a slot blocks others only if it is neither stated free nor made from rules.
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

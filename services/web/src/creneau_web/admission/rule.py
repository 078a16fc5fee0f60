"""Who is let in, who waits and who is turned away, by how many requests are in progress. Pure: it counts, and nothing else.

Whoever only looks is let in while fewer than `looking_below` requests are in progress, whosever they are; whoever has
something to finish, while fewer than `finishing_below` are. So who finishes is never turned away before who looks, and
what they ask for takes room from those who look, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["finishing", "looking"]
ORDER: tuple[Kind, ...] = ("finishing", "looking")
"""whose turn it is first"""
Verdict = Literal["in", "wait", "away"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests of one process."""

    looking_below: int
    """those who look are let in while fewer are in progress"""
    finishing_below: int
    """those who finish, while fewer are"""
    waiting_max: int
    """of either kind may wait at once: more would wait in vain"""

    def __post_init__(self) -> None:
        if self.finishing_below < self.looking_below:
            raise ValueError("those who finish are let in for longer than those who look")

    def below(self, kind: Kind) -> int:
        return self.looking_below if kind == "looking" else self.finishing_below


@dataclass(slots=True)
class Room:
    """What is in progress in one process, and who waits to be let in."""

    limits: Limits
    in_progress: int = 0
    waiting: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(ORDER, 0))

    def is_free(self, kind: Kind) -> bool:
        """Whether a request of this kind can be let in: there is room, and nobody waits whose turn it is before."""
        before: Mapping[Kind, tuple[Kind, ...]] = {"finishing": ("finishing",), "looking": ORDER}
        return self.in_progress < self.limits.below(kind) and not any(self.waiting[k] for k in before[kind])

    def ask(self, kind: Kind) -> Verdict:
        """Let one in, or have it wait; either is counted from here on."""
        if self.is_free(kind):
            self.in_progress += 1
            return "in"
        if self.waiting[kind] >= self.limits.waiting_max:
            return "away"
        self.waiting[kind] += 1
        return "wait"

    def give_up(self, kind: Kind) -> None:
        """One that waited is turned away."""
        self.waiting[kind] -= 1

    def leave(self) -> Kind | None:
        """One is done. Of which kind the one is that waited longest and is let in by that; None: of none."""
        self.in_progress -= 1
        for kind in ORDER:
            if self.waiting[kind] and self.in_progress < self.limits.below(kind):
                self.waiting[kind] -= 1
                self.in_progress += 1
                return kind
        return None

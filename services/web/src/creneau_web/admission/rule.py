"""Who is let in, who waits and who is turned away, by how many requests are in progress. Pure: it only counts.

A request that looks is let in while fewer than `looking_below` requests of either kind are in progress; one that finishes
something, while fewer than `finishing_below` are. So one that finishes is never turned away before one that looks. It takes
room from those that look, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["finishing", "looking"]
ORDER: tuple[Kind, ...] = ("finishing", "looking")
"""order in which those that wait are let in"""
Verdict = Literal["in", "wait", "away"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests of one process."""

    looking_below: int
    """requests that look are let in while fewer are in progress"""
    finishing_below: int
    """those that finish, while fewer are"""
    waiting_max: int
    """requests of each kind that may wait at once: more would wait in vain"""

    def __post_init__(self) -> None:
        if self.finishing_below < self.looking_below:
            raise ValueError("those who finish are let in for longer than those who look")

    def below(self, kind: Kind) -> int:
        return self.looking_below if kind == "looking" else self.finishing_below


@dataclass(slots=True)
class Room:
    """The requests in progress in one process, and those that wait."""

    limits: Limits
    in_progress: int = 0
    waiting: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(ORDER, 0))

    def is_free(self, kind: Kind) -> bool:
        """Whether a request of this kind can be let in: there is room, and none waits that goes before it."""
        before: Mapping[Kind, tuple[Kind, ...]] = {"finishing": ("finishing",), "looking": ORDER}
        return self.in_progress < self.limits.below(kind) and not any(self.waiting[k] for k in before[kind])

    def ask(self, kind: Kind) -> Verdict:
        """Lets a request in or has it wait, which counts it; or turns it away."""
        if self.is_free(kind):
            self.in_progress += 1
            return "in"
        if self.waiting[kind] >= self.limits.waiting_max:
            return "away"
        self.waiting[kind] += 1
        return "wait"

    def give_up(self, kind: Kind) -> None:
        """Turns away one that waited."""
        self.waiting[kind] -= 1

    def leave(self) -> Kind | None:
        """Ends one request and lets in one that waits, finishing ones first. Returns the kind let in, or None."""
        self.in_progress -= 1
        for kind in ORDER:
            if self.waiting[kind] and self.in_progress < self.limits.below(kind):
                self.waiting[kind] -= 1
                self.in_progress += 1
                return kind
        return None

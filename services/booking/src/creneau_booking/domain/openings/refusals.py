"""The refusals of an agenda's opening rules, as facts. Their words: `creneau_booking.words.openings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_shared.refusal import Refusal

OpeningFault = Literal[
    "missing",
    "code",
    "duration",
    "order",
    "date",
    "too-long",
    "too-old",
    "too-often",
    "too-many",
    "too-costly",
    "frequency",
    "number",
    "day",
    "not-with",
    "service",
]
"""Why an agenda's opening rules cannot be read."""


@dataclass(frozen=True, slots=True)
class UnreadOpening:
    """An extension of the Schedule (None: all of them) that cannot be read; `element` is the path within it."""

    index: int | None
    fault: OpeningFault
    element: str = ""
    detail: str = ""


@dataclass(eq=False)
class OpeningsUnread(Refusal):
    """A Schedule states opening rules that cannot be read, or are too costly."""

    openings: tuple[UnreadOpening, ...]


@dataclass(eq=False)
class TooManySlots(Refusal):
    """An agenda's rules ask for more slots than `most`."""

    most: int


@dataclass(eq=False)
class ClosureUnclear(Refusal):
    """The closure has no period, or one that is over or ends before it starts."""


@dataclass(eq=False)
class ClosureTooLong(Refusal):
    """More than `days` days would be closed at once."""

    days: int

"""The data that reading a text works on, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from creneau_directory.domain.care.places import Place
from creneau_directory.domain.care.vocabulary import Term

PieceKind = Literal[
    "care",
    "motive",
    "filter",
    "emergency",
    "event",
    "past",
    "after",
    "place",
    "near",
    "nearme",
    "name",
    "title",
    "when",
    "aside",
    "skip",
    "negation",
]


IDLE_PIECES = frozenset({"aside", "skip"})
"""kinds that mean nothing"""


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The pieces of a text that are names in the directory: piece → (names, how sure that is)."""

    names: Mapping[str, tuple[tuple[str, ...], float]] = field(default_factory=dict)

    def of(self, piece: str) -> tuple[tuple[str, ...], float] | None:
        return self.names.get(piece)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of the text that mean one thing."""

    start: int
    end: int
    kind: PieceKind
    worth: float
    meaning: Term | Place | tuple[str, ...] | None = None
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class NameWord:
    """A typed word of a name, and the names in the directory that it may stand for."""

    typed: str
    names: tuple[str, ...]
    sure: float


@dataclass(frozen=True, slots=True)
class Understood:
    """A part of the text, and the meaning that it was given."""

    text: str
    kind: str
    meaning: str
    corrected: bool = False
    keys: tuple[str, ...] = ()
    """keys of cares"""


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody looks for. `cares`: (key of a care, share from 0 to 1), the likeliest first."""

    cares: tuple[tuple[str, float], ...] = ()
    place: Place | None = None
    near: bool = False
    """around the place rather than within it"""
    near_me: bool = False
    names: tuple[NameWord, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    emergencies: tuple[str, ...] = ()
    """numbers to call first"""
    times: tuple[str, ...] = ()
    """when, as the text says it: `night`, `sunday`, `tomorrow` …; the directory has no free times to compare it with"""
    understood: tuple[Understood, ...] = ()
    ignored: tuple[str, ...] = ()
    """words that do not change the answer, in the order of the text: unknown ones, and those aside"""
    unknown: tuple[str, ...] = ()
    """the ignored words that are unknown"""

    @property
    def empty(self) -> bool:
        return not (self.cares or self.place or self.names or self.filters or self.near_me)

    @property
    def lost(self) -> bool:
        """Whether nothing but the place was understood (`licorne rennes`), or the need is no appointment
        (`urgences rennes`)."""
        return bool(self.unknown or self.emergencies) and not (self.cares or self.names or self.filters)

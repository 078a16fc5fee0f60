"""What a reader makes of a file: fragments of resources, lines that are refused, remarks on lines that are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a resource, or the whole: `resource` has its type and id. `gone`: the file says that it is no more."""

    resource: Resource
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a line is not taken: a word for the kind of reason, and what of it."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What is odd about a line that is taken."""

    kind: str
    detail: str


Piece = Fragment | Refused | Remark


@dataclass(frozen=True, slots=True)
class Line:
    """One line or record of a file (the first is 1), and all that it gave."""

    number: int
    pieces: tuple[Piece, ...]


class Source(Protocol):
    """A kind of file."""

    @property
    def name(self) -> str:
        """The word under which what it gave is remembered: `annuaire`, `finess`, `ror`."""
        ...

    @property
    def merges(self) -> bool:
        """Whether several lines make one resource; otherwise the last one is the resource."""
        ...

    def lines(self, path: Path) -> Iterator[Line]:
        """Read the file as a stream: memory does not depend on its length."""
        ...

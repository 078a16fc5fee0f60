"""What a reader makes of a file: fragments of resources, lines that are refused, remarks on lines that are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Resource = dict[str, Any]
Entry = tuple[str, str]
"""type and id of a resource"""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a resource, or the whole: `resource` has its type and id. `gone`: the file says that it is no more.
    `completes`: it adds to what other lines say of the resource, and is none by itself."""

    resource: Resource
    gone: bool = False
    completes: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a line is not taken: a word for the kind of reason, and what of it. `entries`: of which entries it tells, which
    the file therefore has; none when it tells of nothing that the directory holds, None when nobody can know.
    `breaks_off`: what stands behind it was not read."""

    reason: str
    detail: str
    entries: tuple[Entry, ...] | None = None
    breaks_off: bool = False


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

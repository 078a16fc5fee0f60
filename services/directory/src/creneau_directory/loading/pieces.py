"""The results of reading a file: fragments of resources, refused lines, remarks on accepted lines."""

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
    """A resource or a part of it: `resource` has its type and id. `gone`: the file says that it no longer exists.
    `completes`: it only adds to a resource that other lines give."""

    resource: Resource
    gone: bool = False
    completes: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused line: a word for the reason, and details. `entries`: the entries that the line is about, which the file
    therefore has; empty if they are none of the directory's, None if they cannot be known. `breaks_off`: the rest of the
    file was not read."""

    reason: str
    detail: str
    entries: tuple[Entry, ...] | None = None
    breaks_off: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on a line that is accepted."""

    kind: str
    detail: str


Piece = Fragment | Refused | Remark


@dataclass(frozen=True, slots=True)
class Line:
    """One line or record of a file (numbered from 1), and the pieces read from it."""

    number: int
    pieces: tuple[Piece, ...]


class Source(Protocol):
    """A kind of file."""

    @property
    def name(self) -> str:
        """The name under which the given entries are remembered: `annuaire`, `finess`, `ror`."""
        ...

    @property
    def merges(self) -> bool:
        """Whether several lines make one resource; otherwise the last one is the resource."""
        ...

    def lines(self, path: Path) -> Iterator[Line]:
        """Reads the file as a stream: memory does not depend on its length."""
        ...

"""The present values of series."""

from __future__ import annotations

from collections.abc import Callable

from creneau_web.ops.memory import Memory, Seen
from creneau_web.ops.reading import Key


def series(memory: Memory, name: str, of: Callable[[str], bool] = lambda _: True) -> list[tuple[Key, float]]:
    """The present values of a series in all processes that answer; `of`: a condition on their names."""
    return [
        (key, value)
        for process, seen in memory.processes.items()
        if of(process)
        for key, value in seen.now().items()
        if key.name == name
    ]


def numbers(memory: Memory, name: str, of: Callable[[str], bool] = lambda _: True) -> list[float]:
    return [value for _, value in series(memory, name, of)]


def numbers_of(seen: Seen, name: str) -> list[float]:
    return [value for key, value in seen.now().items() if key.name == name]

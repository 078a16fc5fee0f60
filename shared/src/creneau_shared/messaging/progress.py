"""A handler that does many things for one event says that it moves: else its consumer would be taken for stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_hears: ContextVar[Callable[[], None]] = ContextVar("hears", default=lambda: None)


def moved() -> None:
    """A step of what is in hand is done. Nobody hears it where no consumer is at work."""
    _hears.get()()


@contextmanager
def heard_by(hears: Callable[[], None]) -> Iterator[None]:
    """Have each step told to `hears` while the block runs."""
    token = _hears.set(hears)
    try:
        yield
    finally:
        _hears.reset(token)

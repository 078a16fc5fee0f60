"""Lets a handler with many steps for one event report progress, so that its consumer is not taken for stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_hears: ContextVar[Callable[[], None]] = ContextVar("hears", default=lambda: None)


def moved() -> None:
    """Reports a finished step to the consumer; no effect outside a consumer."""
    _hears.get()()


@contextmanager
def heard_by(hears: Callable[[], None]) -> Iterator[None]:
    """Calls `hears` for each reported step while the block runs."""
    token = _hears.set(hears)
    try:
        yield
    finally:
        _hears.reset(token)

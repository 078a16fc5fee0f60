"""Refusals as a caller is told of them, where there is no server between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from creneau_booking.words import told
from creneau_shared.refusal import Refusal


@contextmanager
def in_words() -> Iterator[None]:
    """What is refused within, in the words of the catalogue."""
    try:
        yield
    except Refusal as refusal:
        raise told(refusal) from refusal

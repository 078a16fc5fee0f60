"""How a story ends badly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

SECONDS_BETWEEN_LOOKS = 0.25


class StoryError(Exception):
    """Something did not behave; the message is one clear sentence in French."""


def wait_for(look: Callable[[], Found | None], what: str, within_s: float) -> Found:
    """What `look` finds; it looks again for `within_s` seconds, then a StoryError names `what`."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            raise StoryError(f"{what} : rien après {within_s:.0f} secondes.")
        time.sleep(SECONDS_BETWEEN_LOOKS)

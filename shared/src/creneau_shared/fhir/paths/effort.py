"""How much of a resource the paths of one request may look at: whoever writes a path chooses how often it looks."""

from __future__ import annotations

from typing import Final

ELEMENTS_MAX: Final = 100_000
"""Most elements that the paths of one request look at, each as often as it is looked at.

A resource has some hundred elements, a very large one some ten thousand.
"""


class TooMuchEffortError(Exception):
    """The paths look at more than `ELEMENTS_MAX` elements."""


class Effort:
    """What is left to look at."""

    def __init__(self) -> None:
        self._left = ELEMENTS_MAX

    def spend(self, elements: int) -> None:
        """Counts elements before they are looked at; raises TooMuchEffortError."""
        self._left -= elements
        if self._left < 0:
            raise TooMuchEffortError

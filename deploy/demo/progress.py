"""How far the loading is: one line that redraws itself on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

BAR_CHARACTERS = 24
SECONDS_BETWEEN_REDRAWS = 0.1
SECONDS_BETWEEN_LINES = 2.0


class Progress:
    """Counts what is done out of `total` and says so on `out`. Use as a context manager."""

    def __init__(
        self, label: str, total: int, out: TextIO | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._label = label
        self._total = total
        self._out = out or sys.stdout
        self._now = now
        self._terminal = self._out.isatty()
        self._done = 0
        self._started = now()
        self._shown = self._started

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._show(end="\n")

    def advance(self, by: int) -> None:
        """Count `by` more, and show it when the last time is long enough ago."""
        self._done += by
        pause = SECONDS_BETWEEN_REDRAWS if self._terminal else SECONDS_BETWEEN_LINES
        if self._now() - self._shown >= pause:
            self._show(end="" if self._terminal else "\n")

    def _show(self, *, end: str) -> None:
        self._shown = self._now()
        start = "\r" if self._terminal else ""
        self._out.write(f"{start}{self.line()}{end}")
        self._out.flush()

    def line(self) -> str:
        """`Créneaux   [######------]  1 200 / 24 000   850/s`."""
        filled = BAR_CHARACTERS if self._total == 0 else BAR_CHARACTERS * self._done // self._total
        rate = self._done / max(self._now() - self._started, 0.001)
        bar = "█" * filled + "░" * (BAR_CHARACTERS - filled)
        return f"  {self._label:<34} {bar} {number(self._done):>7} / {number(self._total)}  {number(rate)}/s "


def number(value: float) -> str:
    """A whole number as French writes it: `12 345`, with a narrow no-break space."""
    return f"{round(value):,}".replace(",", "\u202f")

"""Plain, readable output: numbered steps, each with its requests, the answers, and what they mean."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TextIO
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

WIDTH = 100
BOLD, DIM, GREEN, RED, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"


class Narrator:
    """Writes the story on `out`; colours only on a terminal, and not where NO_COLOR asks for none."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._step = 0

    def title(self, text: str) -> None:
        """The first line."""
        self._write(f"\n{self._styled(BOLD, text)}")

    def step(self, text: str) -> None:
        """The next numbered step."""
        self._step += 1
        head = f"━━ {self._step}. {text} "
        self._write(f"\n{self._styled(BOLD, head + '━' * max(3, WIDTH - len(head)))}")

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self._write("\n" + textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  "))

    def request(self, method: str, path: str, query: Sequence[tuple[str, str]] = ()) -> None:
        """A request line, its parameters one below the other as a person reads them."""
        self._write(f"\n  {self._styled(BOLD, f'▸ {method} {path}')}")
        for number, (name, value) in enumerate(query):
            self._write(f"      {'&' if number else '?'}{name}={value}")

    def answer(self, status: int, milliseconds: float) -> None:
        """The status of an answer."""
        style = GREEN if status < 400 else RED
        phrase = HTTPStatus(status).phrase
        self._write(f"    {self._styled(style, f'{status} {phrase}')} · {milliseconds:.0f} ms")

    def fact(self, text: str) -> None:
        """Something that the answer tells."""
        self._write(textwrap.fill(text, WIDTH, initial_indent="    • ", subsequent_indent="      "))

    def block(self, text: str) -> None:
        """Text as it is: a message, an event, a calendar file."""
        for line in text.splitlines():
            self._write(self._styled(DIM, f"      │ {line}"))

    def failure(self, text: str) -> None:
        """Why the story ends here."""
        self._write(f"\n{self._styled(RED, '✗')} {text}")

    def _styled(self, style: str, text: str) -> str:
        return f"{style}{text}{PLAIN}" if self._colour else text

    def _write(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def when(instant: datetime, zone: ZoneInfo) -> str:
    """`mardi 1 décembre 2026 à 9 h 30`, on the clock of the place."""
    return format_datetime(instant, "EEEE d MMMM y 'à' H 'h' mm", tzinfo=zone, locale="fr")

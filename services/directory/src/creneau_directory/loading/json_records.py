"""Reads a long array within a JSON object, element by element: memory does not depend on the length of the array."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from decimal import Decimal
from json import JSONDecodeError, JSONDecoder
from typing import IO, Any

_CHUNK = 1 << 16
_BETWEEN = re.compile(r"[\s,]*")


class BrokenArrayError(ValueError):
    """The array does not end, or contains something that is not JSON."""


class NoArrayError(BrokenArrayError):
    """There is no such array."""


def records(file: IO[bytes], name: str, characters_max: int) -> Iterator[Any]:
    """Yields the elements of the first array called `name`. NoArrayError if there is none, BrokenArrayError if
    it breaks off."""
    text = _Text(file, characters_max)
    start = re.compile(rf'"{re.escape(name)}"\s*:\s*\[')
    text.find(start)
    decoder = JSONDecoder(parse_float=Decimal)  # keeps decimals as they are written
    while True:
        text.skip(_BETWEEN)
        if text.peek() == "]":
            return
        yield text.value(decoder)


class _Text:
    """The text that was read from the file and not yet consumed."""

    def __init__(self, file: IO[bytes], characters_max: int) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._most = characters_max
        self._text, self._at, self._ended = "", 0, False

    def find(self, start: re.Pattern[str]) -> None:
        """Moves to the end of the first match."""
        while (match := start.search(self._text, self._at)) is None:
            if not self._more():
                raise NoArrayError(f"no array {start.pattern}")
            self._text, self._at = self._text[max(0, len(self._text) - 2 * _CHUNK) :], 0
        self._at = match.end()

    def skip(self, what: re.Pattern[str]) -> None:
        while True:
            match = what.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text) or not self._more():
                return

    def peek(self) -> str:
        if self._at >= len(self._text):
            raise BrokenArrayError("the file ends within the array")
        return self._text[self._at]

    def value(self, decoder: JSONDecoder) -> Any:
        """Parses one value. While it is incomplete, reads twice as much more text and parses it again."""
        wanted = _CHUNK
        while True:
            try:
                found, end = decoder.raw_decode(self._text, self._at)
            except JSONDecodeError as error:
                left = len(self._text) - self._at
                if left > self._most or self._ended:
                    raise BrokenArrayError(f"{error.msg} at character {error.pos - self._at}") from error
                while len(self._text) - self._at < left + wanted and self._more():
                    pass
                wanted *= 2
            else:
                self._text, self._at = self._text[end:], 0
                return found

    def _more(self) -> bool:
        """Reads one more chunk; returns whether there was one."""
        if self._ended:
            return False
        chunk = self._file.read(_CHUNK)
        self._ended = not chunk
        try:
            self._text += self._decode.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            raise BrokenArrayError(str(error)) from error
        return not self._ended

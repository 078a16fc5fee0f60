"""Reads lines of text files: plain, gzipped or in a zip; in UTF-8 or Windows-1252; with or without a BOM."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

BOM = b"\xef\xbb\xbf"
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file and unpacks it if it is packed; of a zip, the largest member. ValueError if it is damaged."""
    try:
        with path.open("rb") as file, _unpacked(file) as unpacked:
            yield unpacked
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} breaks off, or is packed wrongly: {error}") from error


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    start = file.read(4)
    file.seek(0)
    if start.startswith(_GZIP):
        with gzip.open(file) as unpacked:
            yield io.BufferedReader(unpacked, 1 << 20)
    elif start.startswith(_ZIP):
        with zipfile.ZipFile(file) as archive:
            member = max(archive.infolist(), key=lambda one: one.file_size)
            with archive.open(member) as unpacked:
                yield unpacked
    else:
        yield file


def raw_lines(file: IO[bytes], bytes_max: int) -> Iterator[bytes]:
    """Yields the lines without line ends and BOM; a line longer than `bytes_max` is cut."""
    first = True
    while line := file.readline(bytes_max):
        if not line.endswith(b"\n") and len(line) >= bytes_max:
            while (rest := file.readline(bytes_max)) and not rest.endswith(b"\n"):
                pass
        if first:
            line, first = line.removeprefix(BOM), False
        yield line.rstrip(b"\r\n")


def decoded(line: bytes) -> tuple[str, bool]:
    """Returns the text, and whether it was not UTF-8 (older files are in Windows-1252)."""
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace"), True

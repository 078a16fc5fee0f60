"""Reads lines of text files: plain, gzipped or in a zip; in UTF-8 or Windows-1252; with or without a BOM."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

BOM = b"\xef\xbb\xbf"
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""control characters other than tabs and line ends, and halves of characters"""


def files_of(path: Path) -> list[Path]:
    """The files of a folder in the order of their names, without its folders; the file itself if it is none."""
    return sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file and unpacks it if it is packed; of a zip, the largest member. ValueError if it is damaged, or a folder."""
    try:
        with path.open("rb") as file, _unpacked(file) as unpacked:
            yield unpacked
    except IsADirectoryError as error:
        raise ValueError(f"{path.name} is a folder") from error
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
    """Returns the text, and whether it was not UTF-8 (older files are in Windows-1252). What no text may have is taken out."""
    try:
        return _NO_TEXT.sub("", line.decode("utf-8")), False
    except UnicodeDecodeError:
        return _NO_TEXT.sub("", line.decode("cp1252", errors="replace")), True


def storable(value: Any) -> Any:
    """A value of JSON, of whose texts what no text may have is taken out: PostgreSQL refuses it."""
    if isinstance(value, str):
        return _NO_TEXT.sub("", value)
    if isinstance(value, dict):
        return {name: storable(one) for name, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list) else value

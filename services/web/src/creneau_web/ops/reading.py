"""Prometheus' text format, as far as it is looked at here: numbers by name and labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)(?: -?\d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_ESCAPED = re.compile(r'\\[\\"n]')


@dataclass(frozen=True, slots=True)
class Key:
    """One series."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, label: str) -> str:
        return next((value for name, value in self.labels if name == label), "")


Numbers = Mapping[Key, float]


def read(text: str, wanted: Collection[str]) -> dict[Key, float]:
    """The series whose names are `wanted`; lines that are not understood are passed over."""
    found: dict[Key, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name = line.partition("{")[0].partition(" ")[0]
        if name not in wanted or (match := _LINE.match(line)) is None:
            continue
        labels = tuple((label, _plain(value)) for label, value in _LABEL.findall(match[2] or ""))
        try:
            found[Key(name, labels)] = float(match[3])
        except ValueError:
            continue
    return found


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda m: _ESCAPES[m[0]], value) if "\\" in value else value

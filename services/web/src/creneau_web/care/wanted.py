"""What is asked for most: the shortcuts of the home page, and what is proposed where nobody was found.

Words are understood by the directory; these are only shown. The table is data (`wanted.csv`).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Wanted:
    """A profession or a speciality, as it is named to people."""

    key: str
    french: str
    english: str

    def label(self, language: str) -> str:
        return self.english if language == "en" else self.french


@cache
def all_wanted() -> tuple[Wanted, ...]:
    """Every row of the table, in its order (the most asked for first)."""
    text = files("creneau_web.care").joinpath("wanted.csv").read_text(encoding="utf-8")
    return tuple(Wanted(**row) for row in csv.DictReader(text.splitlines(), delimiter=";"))

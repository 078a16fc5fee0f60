"""What somebody looks for: words of everyday life to a profession or a speciality of the directory.

The words are data (`wanted.csv`), to be edited and tested without code.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from creneau_web.care.folding import fold

PROFESSION = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
PROFESSION_OF_OTHERS = "https://mos.esante.gouv.fr/NOS/TRE_R95-UsagerTitre/FHIR/TRE-R95-UsagerTitre"
SPECIALTY = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
SYSTEMS = {
    "G15": ("role", PROFESSION),
    "R95": ("role", PROFESSION_OF_OTHERS),
    "R38": ("specialty", SPECIALTY),
}

CLOSE_ENOUGH = 0.8
"""how alike a misspelt word must be (difflib's ratio)"""
LETTERS_MIN = 4
"""shorter words are not guessed at"""

SMALL_WORDS = frozenset(
    {
        "un", "une", "le", "la", "les", "l", "de", "des", "du", "d", "chez", "pour", "je", "cherche", "voir", "besoin",
        "prendre", "rendez", "vous", "rdv", "avec", "mon", "ma", "mes", "docteur", "dr", "medecin",
        "a", "the", "an", "for", "i", "need", "see", "doctor",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A profession or a speciality: how it is named to people, and how the directory is asked for it."""

    key: str
    french: str
    english: str
    codes: tuple[tuple[str, str], ...]
    """(search parameter, token)"""

    def label(self, language: str) -> str:
        return self.english if language == "en" else self.french


@cache
def all_wanted() -> tuple[Wanted, ...]:
    """Every row of the table, in its order (the most asked for first)."""
    return tuple(wanted for wanted, _ in _rows())


@cache
def by_key() -> dict[str, Wanted]:
    return {wanted.key: wanted for wanted in all_wanted()}


def understand(text: str) -> Wanted | None:
    """Who is meant by these words; None when nobody of the table is, so that it may be a name."""
    folded = fold(text)
    words = _words()
    if folded in words:
        return words[folded]
    rest = " ".join(word for word in folded.split() if word not in SMALL_WORDS)
    if rest in words:
        return words[rest]
    phrase = next((known for known in _longest_first() if f" {known} " in f" {folded} "), None)
    if phrase is not None:
        return words[phrase]
    for word in (rest, *rest.split()):
        if len(word) >= LETTERS_MIN:
            close = get_close_matches(word, words, n=1, cutoff=CLOSE_ENOUGH)
            if close:
                return words[close[0]]
    return None


@cache
def _words() -> dict[str, Wanted]:
    found: dict[str, Wanted] = {}
    for wanted, words in _rows():
        for word in (wanted.french, wanted.english, *words):
            found.setdefault(fold(word), wanted)
    return found


@cache
def _longest_first() -> tuple[str, ...]:
    return tuple(sorted(_words(), key=len, reverse=True))


@cache
def _rows() -> tuple[tuple[Wanted, tuple[str, ...]], ...]:
    text = files("creneau_web.care").joinpath("wanted.csv").read_text(encoding="utf-8")
    return tuple(_row(row) for row in csv.DictReader(text.splitlines(), delimiter=";"))


def _row(row: dict[str, str]) -> tuple[Wanted, tuple[str, ...]]:
    codes = []
    for code in row["codes"].split():
        nomenclature, _, value = code.partition(":")
        parameter, system = SYSTEMS[nomenclature]
        codes.append((parameter, f"{system}|{value}"))
    words = tuple(word.strip() for word in row["words"].split(",") if word.strip())
    return Wanted(row["key"], row["french"], row["english"], tuple(codes)), words

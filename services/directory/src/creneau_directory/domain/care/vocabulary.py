"""The vocabulary: everyday words → kinds of care that the directory knows. It is data: `data/cares.csv`, `data/words.csv`.

`cares.csv`: kinds of care (key, French, English, codes such as `R38:SM15`, the care to propose where there is nobody).
`words.csv`: one row a term (term, language, kind, targets, weight, note). The targets of a care or a motive are keys of
cares, each with its share if that is below one (`dermatologie medecine-generale:0.6`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal, get_args

from creneau_directory.domain.care.spelling import Alike, content_of
from creneau_shared.choices import one_of
from creneau_shared.spelling import fold

TermKind = Literal[
    "care", "motive", "mode", "sector", "gender", "language", "accessibility", "new-patient",
    "emergency", "event", "past", "after", "near", "nearme", "title", "negation", "when", "aside", "skip",
]  # fmt: skip
"""`aside`: has a meaning that the directory cannot compare (`tiers payant`, `gentil`, `rouge`), and is reported as ignored;
`skip`: says nothing of whom or how (`je cherche`)"""
KINDS: tuple[TermKind, ...] = get_args(TermKind)
FILTERS = ("mode", "sector", "gender", "language", "accessibility", "new-patient")
NEEDS = ("care", "motive", "event", "past")
"""kinds whose targets are cares"""
IDLE = ("skip", "aside", "when")
"""kinds that tell neither whom nor where: such a word (`Petit`, `Matin`) is a surname only beside a title or a name"""
JOINED_LETTERS_MIN = 7
"""fewest letters of a term of several words that people may write as one: `sagefemme`, `grainsdebeauté`"""


@dataclass(frozen=True, slots=True)
class Care:
    """A kind of care: its names for people, its codes, and the care to propose where there is nobody."""

    key: str
    french: str
    english: str
    codes: tuple[str, ...]
    instead: str | None

    def label(self, language: str) -> str:
        return self.english if language == "en" else self.french


@dataclass(frozen=True, slots=True)
class Term:
    """One row of the table of words."""

    text: str
    language: str
    kind: TermKind
    targets: tuple[tuple[str, float], ...]
    """(key of a care, share) if the kind is in `NEEDS`; otherwise (value, 1)"""
    weight: float
    calls: tuple[str, ...] = ()
    """numbers to call first, of an emergency or an event"""


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV table in `data`."""
    text = files("creneau_directory.domain.care").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter=";"))


@dataclass(frozen=True)
class Vocabulary:
    """All terms that are understood: cares, motives, wishes and the rest."""

    cares: Mapping[str, Care]
    terms: tuple[Term, ...]
    phrases: Mapping[tuple[str, ...], Term] = field(repr=False)
    """the term of each phrase, by its words as they are compared (`content_of`) or all its words"""
    longest: int
    """words of the longest phrase"""

    @cached_property
    def alike(self) -> Alike:
        """Finds single words of the phrases when misspelt; words of cares come first."""
        words: dict[str, None] = {}
        for kinds in (("care",), tuple(kind for kind in KINDS if kind not in ("care", "aside", "skip"))):
            for phrase, term in self.phrases.items():
                if term.kind in kinds:
                    words.update(dict.fromkeys(word for word in phrase if len(word) > 2))
        return Alike(tuple(words))

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(word for phrase in self.phrases for word in phrase)

    @cached_property
    def by_code(self) -> Mapping[str, Care]:
        """The first care that a code denotes."""
        found: dict[str, Care] = {}
        for care in self.cares.values():
            for code in care.codes:
                found.setdefault(code, care)
        return found


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary of the package."""
    cares = {row["key"]: _care(row) for row in read_table("cares.csv")}
    terms = tuple(_term(row) for row in read_table("words.csv"))
    phrases: dict[tuple[str, ...], Term] = {}
    for term in terms:
        phrases.setdefault(content_of(term.text), term)
        phrases.setdefault(tuple(fold(term.text).split()), term)
    for term in terms:
        words = fold(term.text).split()
        if term.kind in ("care", "motive") and len(words) > 1 and len("".join(words)) >= JOINED_LETTERS_MIN:
            phrases.setdefault(content_of("".join(words)), term)
    for care in cares.values():
        for label, language in ((care.french, "fr"), (care.english, "en")):
            term = Term(label, language, "care", ((care.key, 1.0),), 1.0)
            phrases.setdefault(content_of(label), term)
    return Vocabulary(cares, terms, phrases, max(map(len, phrases)))


def _care(row: dict[str, str]) -> Care:
    return Care(
        row["key"], row["french"], row["english"], tuple(row["codes"].split()), row["instead"] or None
    )


def _term(row: dict[str, str]) -> Term:
    kind = one_of(KINDS, row["kind"])
    assert kind is not None, row  # a test holds the column to the kinds
    targets, calls = [], []
    for text in row["targets"].split():
        key, _, value = text.partition(":")
        if key == "emergency":
            calls.append(value)
        elif kind in NEEDS:
            targets.append((key, float(value or 1)))
        else:
            targets.append((value, 1.0))
    return Term(row["term"], row["language"], kind, tuple(targets), float(row["weight"]), tuple(calls))

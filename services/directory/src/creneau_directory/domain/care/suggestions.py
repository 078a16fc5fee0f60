"""Suggests specialities, motives and places that complete the end of a typed text. Pure, in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from creneau_directory.domain.care.places import gazetteer
from creneau_directory.domain.care.spelling import SMALL, as_one
from creneau_directory.domain.care.vocabulary import Term, vocabulary
from creneau_shared.spelling import PARTICLES, fold

Group = Literal["speciality", "motive", "professional", "place"]
GROUPS: tuple[Group, ...] = ("speciality", "motive", "professional", "place")
ENDING_WORDS_MAX = 4
"""most words at the end of a text that one suggestion completes"""


BEGINNINGS_MAX = 3
"""most names of one professional that the end of a text may begin"""
SUGGESTED_FROM = 0.5
"""least weight of a suggested term: one below it is understood, but too coarse or too vague to suggest"""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One suggestion. `text`: the whole text once it is chosen; `code`: its term in the index, or a reference."""

    group: Group
    text: str
    label: str
    code: str | None = None


def suggestions(text: str, most: int) -> list[Suggestion]:
    """Returns at most `most` suggestions of each group, for the longest end of the text that any suggestion completes."""
    typed = text.strip()
    words = typed.split()
    for length in range(min(len(words), ENDING_WORDS_MAX), 0, -1):
        end = fold(" ".join(words[-length:]))
        if not end or (length == 1 and len(end) < 2) or end in SMALL:
            continue
        before = " ".join(words[:-length])
        found = [*_terms(end, before, most), *_places(end, before, most)]
        if found:
            return found
    return []


def endings(text: str) -> Sequence[Sequence[Sequence[str]]]:
    """Readings of the last words of a text as a professional's names (`dr pay`, `le goff j`): one word by word, and one in
    which particles are joined to the word after them. A reading lists beginnings of names, each in its folded spellings."""
    skipped = vocabulary()

    def says_nothing(word: str) -> bool:
        term = skipped.phrases.get((word,))
        return word not in PARTICLES and term is not None and term.kind in ("title", "aside", "skip")

    words = [word for word in fold(text).split() if not says_nothing(word)]
    plain = [as_one(word) for word in words if word not in SMALL][-BEGINNINGS_MAX:]
    led: list[Sequence[str]] = []
    leading: list[str] = []
    for word in words:
        leading.append(word)
        if word not in PARTICLES:
            led.append(as_one(" ".join(leading)))
            leading = []
    readings: list[Sequence[Sequence[str]]] = [plain]
    if not leading and led[-BEGINNINGS_MAX:] != plain:
        readings.append(led[-BEGINNINGS_MAX:])
    return [reading for reading in readings if reading]


def _terms(end: str, before: str, most: int) -> list[Suggestion]:
    keys, terms = _beginnings()
    found: dict[Group, dict[str, Suggestion]] = {"speciality": {}, "motive": {}}
    at = bisect_left(keys, end)
    while at < len(keys) and keys[at].startswith(end):
        term = terms[at]
        group: Group = "speciality" if term.kind == "care" else "motive"
        target = term.targets[0][0]
        care = vocabulary().cares[target]
        label = care.label(term.language) if group == "speciality" else term.text
        key = target if group == "speciality" else fold(term.text)
        found[group].setdefault(key, Suggestion(group, f"{before} {label}".strip(), label, care.codes[0]))
        at += 1
    return [
        one
        for group in ("speciality", "motive")
        for one in sorted(
            found[group].values(), key=lambda s: (not fold(s.label).startswith(end), len(s.label))
        )[:most]
    ]


def _places(end: str, before: str, most: int) -> list[Suggestion]:
    if len(end) < 2:
        return []
    return [
        Suggestion("place", f"{before} {place.name}".strip(), f"{place.name} ({place.department})", place.key)
        for place in gazetteer().beginning(end, most)
    ]


@cache
def _beginnings() -> tuple[list[str], list[Term]]:
    """Sorted texts of the cares and motives, from their beginning and from each of their words; and the term of each."""
    pairs = []
    for term in vocabulary().phrases.values():
        if term.kind in ("care", "motive") and term.weight >= SUGGESTED_FROM:
            words = fold(term.text).split()
            starts = [at for at in range(len(words)) if at == 0 or words[at] not in SMALL]
            pairs += [(" ".join(words[at:]), term) for at in starts]
    pairs.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].language != "fr"))
    return [key for key, _ in pairs], [term for _, term in pairs]

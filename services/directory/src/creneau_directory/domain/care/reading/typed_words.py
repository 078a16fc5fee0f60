"""Splits a text into words, and tells what a word is from its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from creneau_directory.domain.care.places import Gazetteer
from creneau_directory.domain.care.vocabulary import IDLE, Vocabulary
from creneau_shared.spelling import fold

WORDS_MAX = 40
"""most words of a text that are read"""
_GLUED = re.compile(
    r"(?:(?<=\bparis)|(?<=\blyon)|(?<=\bmarseille))(?=[0-9])|(?<=[a-z]{3})(?=[0-9]{5}\b)|(?<=\b[0-9]{5})(?=[a-z]{3})"
)
"""the point between a word and a number typed without a space: `lyon3`, `paris15e`, `dentiste13008`, `69003lyon`"""


def words_of(text: str) -> list[str]:
    return _GLUED.sub(" ", fold(text)).split()[:WORDS_MAX]


def with_postal_codes(words: Sequence[str], places: Gazetteer) -> list[str]:
    """Joins two words that are a postal code together: `35 000`, `97 400`, `35.000`."""
    joined: list[str] = []
    for word in words:
        if joined and _has_digits(joined[-1], 2) and _has_digits(word, 3):
            code = joined[-1] + word
            if places.is_postal_code(code):
                joined[-1] = code
                continue
        joined.append(word)
    return joined


def _has_digits(word: str, count: int) -> bool:
    return len(word) == count and word.isascii() and word.isdigit()


_NUMBER = re.compile(r"[0-9]+(?:er|e|eme|ieme)?")
_UNITS = frozenset(
    [
        *(
            "an",
            "ans",
            "mois",
            "semaine",
            "semaines",
            "jour",
            "jours",
            "trimestre",
            "trimestres",
            "degre",
            "etage",
            "avis",
            "heure",
            "heures",
            "minute",
            "minutes",
        ),
        *(
            "kilo",
            "kilos",
            "kg",
            "cm",
            "km",
            "m",
            "fois",
            "enfants",
            "years",
            "months",
            "weeks",
            "days",
            "hours",
        ),
    ]
)
"""words for what a number counts"""
_FIRST_ONES = re.compile(r"1e?re?|2n?de?|[2-5](?:e|eme|ieme)")
_HAPPENINGS = frozenset(
    [
        *("dose", "doses", "rappel", "injection", "vaccin", "vaccination", "enfant", "bebe", "grossesse"),
        *("rendez", "rdv", "consultation", "visite", "seance", "echographie", "echo", "annee"),
    ]
)
"""words for what happens to somebody a first to a fifth time: `2e dose`, `1er rendez-vous`"""


def is_counted(words: Sequence[str], at: int) -> bool:
    """Whether a number counts the next word and is no place: `12 ans` is not the Aveyron, `9eme mois` no arrondissement."""
    if at + 1 == len(words):
        return False
    word, counted = words[at], words[at + 1]
    return (counted in _UNITS and _NUMBER.fullmatch(word) is not None) or (
        counted in _HAPPENINGS and _FIRST_ONES.fullmatch(word) is not None
    )


def is_title(words: Vocabulary, text: Sequence[str], at: int) -> bool:
    term = words.phrases.get((text[at],))
    return (term is not None and term.kind == "title") or text[at] in ("docteur", "dr")


def says_nothing(vocabulary: Vocabulary, word: str) -> bool:
    """Whether a word is idle (`IDLE`): it says nothing of care, even if a hamlet has this name (`hôpital`, `maison`)."""
    term = vocabulary.phrases.get((word,))
    return term is not None and term.kind in IDLE

"""What stands in an address or a date and is no place: a street that is called after a town, CEDEX, the 12th of December."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from creneau_directory.domain.care.places import Gazetteer
from creneau_directory.domain.care.reading.facts import Piece
from creneau_directory.domain.care.spelling import SMALL

WORD_WORTH = 1.4
"""worth of each of these words: more than that of the town, département or complaint that it would be by itself"""
STREETS = frozenset(
    [
        *("rue", "avenue", "av", "boulevard", "bd", "bld", "quai", "chemin", "impasse", "allee", "allees"),
        *("route", "square", "cours", "passage", "sentier", "faubourg", "fbg", "rond", "esplanade", "ruelle"),
    ]
)
SQUARES = frozenset({"place", "pl"})
"""words for a square, which mean an appointment too: only before `de`"""
_OF = frozenset({"de", "du", "des", "d"})
_MONTHS = frozenset(
    [
        *("janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout", "septembre", "octobre"),
        *("novembre", "decembre", "january", "february", "march", "april", "may", "june", "july", "august"),
        *("september", "october", "november", "december"),
    ]
)
_DAYS = frozenset({*map(str, range(1, 32)), *(f"{day:02}" for day in range(1, 10)), "1er"})
_AFTER_A_HOUSE_NUMBER = frozenset({"bis", "ter", "quater", "b", "t"})
_CEDEX = frozenset({"cedex", "cdx"})


def asides(words: Sequence[str], places: Gazetteer) -> Iterator[Piece]:
    """Yields what of a text is a part of an address, or a date, and names no place where somebody looks for care."""
    for start in range(len(words)):
        for end in (_date(words, start), _cedex(words, start), _street(words, start, places)):
            if end is not None:
                yield Piece(start, end, "aside", WORD_WORTH * (end - start))


def _date(words: Sequence[str], start: int) -> int | None:
    """The end of `12 decembre`, `1er mars 2027`."""
    if words[start] not in _DAYS or _at(words, start + 1) not in _MONTHS:
        return None
    year = _at(words, start + 2)
    return start + 3 if len(year) == 4 and year.startswith("20") and year.isdecimal() else start + 2


def _cedex(words: Sequence[str], start: int) -> int | None:
    """The end of `cedex`, `cedex 03`."""
    if words[start] not in _CEDEX:
        return None
    number = _at(words, start + 1)
    return start + 2 if number.isdecimal() and len(number) <= 2 else start + 1


def _street(words: Sequence[str], start: int, places: Gazetteer) -> int | None:
    """The end of `12 bis rue de paris`, with its number or without; None for a street that is called after no place. Whatever
    follows is not the street's: `rue de nantes 35000 rennes`."""
    at = start
    if words[at].isdecimal() and len(words[at]) <= 4:
        at += 2 if _at(words, at + 1) in _AFTER_A_HOUSE_NUMBER else 1
    way = _at(words, at)
    if way not in STREETS and (way not in SQUARES or _at(words, at + 1) not in _OF):
        return None
    name = at + 1
    while _at(words, name) in SMALL:
        name += 1
    ends = range(name + 1, min(len(words), name + places.longest) + 1)
    called = [end for end in ends if _is_place(words[name:end], places)]
    if called:
        return max(called)
    return at + 1 if at > start else None


def _is_place(words: Sequence[str], places: Gazetteer) -> bool:
    if not all(word.isalpha() for word in words):
        return False
    content = [word for word in words if word not in SMALL]
    return bool(content) and words[-1] not in SMALL and places.named(content) is not None


def _at(words: Sequence[str], index: int) -> str:
    return words[index] if index < len(words) else ""

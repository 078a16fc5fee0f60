"""Makes words comparable, and finds them when they are misspelt. Pure text, no language model: folding, French sounds
and edit distance."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from creneau_shared.spelling import fold, phonetic, ways_of_writing

SMALL = frozenset(
    [
        "a",
        "au",
        "aux",
        "l",
        "la",
        "le",
        "les",
        "de",
        "des",
        "du",
        "d",
        "o",
        "un",
        "une",
        "mon",
        "ma",
        "mes",
        "son",
        "sa",
        "ses",
        "the",
        "my",
        "of",
    ]
)
"""words ignored when phrases are compared: `mal à l'oreille` matches `mal aux oreilles`"""

HEARD_MIN = 3
"""fewest sounds of a word that is recognised by its sound alone"""
EDITS_FROM = ((5, 1), (8, 2))
"""(letters of a word from which, how many may be wrong, missing, added or swapped)"""

HEARD_LETTERS = 0.5
"""part of a word's letters (doubled ones once) that may differ from one of the same sound: `xyzzy` is no French word"""
HEARD_WRONG = 0.5
"""a match by sound alone counts as so many wrong letters"""

# Spellings of everyday words, beside those that `phonetic` knows for names.
_SPELT = (("psych", "psik"), ("tch", "ch"))


@lru_cache(maxsize=16_384)
def sound(text: str) -> str:
    """Roughly how a text sounds to a French speaker: `ofthalmo` as `ophtalmo`, `Lefebvre` nearly as `Lefèvre`."""
    spelt = fold(text)
    for written, heard in _SPELT:
        spelt = spelt.replace(written, heard)
    return phonetic(spelt).replace(" ", "")


def stem(word: str) -> str:
    """A word without the mark of a plural: `genoux`, `dentistes`; short words stay as they are."""
    return word[:-1] if len(word) > 4 and word[-1] in "sx" else word


def content_of(text: str) -> tuple[str, ...]:
    """The words that a phrase is compared by: stems of those that are not small, or all words if all are small."""
    words = fold(text).split()
    return tuple(stem(word) for word in words if word not in SMALL) or tuple(words)


def edits_allowed(length: int) -> int:
    return max((edits for letters, edits in EDITS_FROM if length >= letters), default=0)


def edit_distance(left: str, right: str, most: int) -> int:
    """Counts letters that are wrong, missing, added or swapped with a neighbour; `most` + 1 if there are more."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    left, right = _where_they_differ(left, right)
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        # Further from the diagonal than `most`, there are more edits than that.
        first, last = max(1, i - most), min(len(right), i + most)
        above, row = row, [i, *([most + 1] * len(right))]
        for j in range(first, last + 1):
            b = right[j - 1]
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row[j] = cost
        if min(row[first - 1 : last + 1]) > most:
            return most + 1
        before = above
    return min(row[-1], most + 1)


def _where_they_differ(left: str, right: str) -> tuple[str, str]:
    """Two words without what they begin and end with in common."""
    shorter = min(len(left), len(right))
    begin = next((n for n in range(shorter) if left[n] != right[n]), shorter)
    end = next((n for n in range(shorter - begin) if left[-1 - n] != right[-1 - n]), shorter - begin)
    return left[begin : len(left) - end], right[begin : len(right) - end]


def _marks(word: str) -> tuple[int, int]:
    """The letters of a word, and its pairs of neighbouring letters, as bits: similar words share most of them."""
    letters = pairs = 0
    for a, b in zip(f" {word}", f"{word} ", strict=True):
        letters |= 1 << (ord(b) & 31)
        pairs |= 1 << ((ord(a) * 31 + ord(b)) & 63)
    return letters, pairs


class Alike:
    """Finds words by sound and by spelling; the more important words come first."""

    def __init__(self, words: Sequence[str], *, importance: float = 0.0) -> None:
        """`words`: folded, the most important first. `importance`: the wrong letters that being the last word instead of the
        first counts as."""
        self._words = words
        self._worse = importance / max(1, len(words))
        self._sounds: dict[str, int] = {}
        self._by_length: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for number, word in enumerate(words):
            self._sounds.setdefault(sound(word), number)
            self._by_length[len(word)].append((*_marks(word), number))

    def sounding(self, word: str) -> str | None:
        """The word that sounds the same."""
        heard = sound(word)
        found = self._sounds.get(heard) if len(heard) >= HEARD_MIN else None
        return self._words[found] if found is not None and _looks_alike(word, self._words[found]) else None

    def spelt(self, word: str) -> str | None:
        """The word nearest in spelling, within the edits allowed for the length of `word`."""
        found = self._spelt(word, edits_allowed(len(word)), len(self._words))
        return None if found is None else self._words[found[1]]

    def nearest(self, word: str, most: int, among: int | None = None) -> tuple[str, bool] | None:
        """Returns the likelier of two words, and whether it is the one by sound: the word that sounds the same, and the one
        nearest in spelling (at most `most` letters wrong). Importance counts: a town that sounds the same may be much
        smaller than one spelt nearly so. `among`: matches by spelling come from so many of the most important words."""
        among = len(self._words) if among is None else among
        found = self._spelt(word, most, among)
        heard = sound(word)
        number = self._sounds.get(heard) if len(heard) >= HEARD_MIN else None
        if number is not None:
            rank = (HEARD_WRONG + number * self._worse, number)
            if found is None or rank <= found:
                return self._words[number], True
        return None if found is None else (self._words[found[1]], False)

    def _spelt(self, word: str, most: int, among: int) -> tuple[float, int] | None:
        """The best match by spelling: its wrong letters plus the penalty for low importance, and the number of the word."""
        if not most:
            return None
        letters, pairs = _marks(word)
        # One edit changes at most two letters and six pairs; each further edit is taken for four pairs.
        letters_most, pairs_most = 2 * most, 4 * most + 2
        best: tuple[float, int] | None = None
        for length in range(len(word) - most, len(word) + most + 1):
            near = [
                number
                for own_letters, own_pairs, number in self._by_length.get(length, ())
                if (own_letters ^ letters).bit_count() <= letters_most
                and (own_pairs ^ pairs).bit_count() <= pairs_most
                and number < among
            ]
            for number in near:
                distance = edit_distance(word, self._words[number], most)
                if distance <= most:
                    rank = (distance + number * self._worse, number)
                    best = rank if best is None else min(best, rank)
        return best


def _looks_alike(word: str, other: str) -> bool:
    """Whether two words of the same sound are written alike, too: half of their letters at the least (`HEARD_LETTERS`)."""
    word, other = undoubled(word), undoubled(other)
    most = int(HEARD_LETTERS * max(len(word), len(other)))
    return edit_distance(word, other, most) <= most


def undoubled(text: str) -> str:
    """The text without doubled letters, which nobody hears: `ajaccio` → `ajacio`."""
    return re.sub(r"(.)\1+", r"\1", text)


def joined(words: Iterable[str]) -> str:
    return "".join(words)


def as_one(name: str) -> tuple[str, ...]:
    """Joins a folded name into one word, for each spelling of the particles at its beginning: `le goff` → `legoff`;
    `st martin` → `stmartin`, `saintmartin` …"""
    return tuple(dict.fromkeys(joined(way.split()) for way in ways_of_writing(name)))

"""Words made comparable, and found again however they are spelt. Pure text, no language model: folding, French sounds
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
"""words that phrases are compared without: `mal à l'oreille` meets `mal aux oreilles`"""

HEARD_MIN = 3
"""sounds of a word that is known by them alone"""
EDITS_FROM = ((5, 1), (8, 2))
"""from how many letters on how many of them may be wrong, missing, added or changed about"""

HEARD_WRONG = 0.5
"""as how many wrong letters counts that a word is only heard so"""

# What everyday words need beside what names do.
_SPELT = (("psych", "psik"), ("tch", "ch"))


@lru_cache(maxsize=16_384)
def sound(text: str) -> str:
    """How a French speaker hears a text, roughly: `ofthalmo` as `ophtalmo`, `Lefebvre` nearly as `Lefèvre`."""
    spelt = fold(text)
    for written, heard in _SPELT:
        spelt = spelt.replace(written, heard)
    return phonetic(spelt).replace(" ", "")


def stem(word: str) -> str:
    """A word without the mark of a plural: `genoux`, `dentistes`; short words stay as they are."""
    return word[:-1] if len(word) > 4 and word[-1] in "sx" else word


def content_of(text: str) -> tuple[str, ...]:
    """The words of a phrase by which it is compared; all of them when all are small."""
    words = fold(text).split()
    return tuple(stem(word) for word in words if word not in SMALL) or tuple(words)


def edits_allowed(length: int) -> int:
    return max((edits for letters, edits in EDITS_FROM if length >= letters), default=0)


def edit_distance(left: str, right: str, most: int) -> int:
    """Letters wrong, missing, added or changed about with their neighbour; `most` + 1 when there are more."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row = row, [i, *([0] * len(right))]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row[j] = cost
        if min(row) > most:
            return most + 1
        before = above
    return min(row[-1], most + 1)


def _marks(word: str) -> tuple[int, int]:
    """Which letters a word has, and which pairs of neighbours, as bits: two words that are near share most of them."""
    letters = pairs = 0
    for a, b in zip(f" {word}", f"{word} ", strict=True):
        letters |= 1 << (ord(b) & 31)
        pairs |= 1 << ((ord(a) * 31 + ord(b)) & 63)
    return letters, pairs


class Alike:
    """Words by how they sound and by their letters, the more important ones first."""

    def __init__(self, words: Sequence[str], *, importance: float = 0.0) -> None:
        """`words`: folded, in the order of their importance. `importance`: how many wrong letters the last of them is
        worse than the first."""
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
        return None if found is None else self._words[found]

    def spelt(self, word: str) -> str | None:
        """The word that is nearest in spelling, within the edits that a word of its length may have."""
        found = self._spelt(word, edits_allowed(len(word)), len(self._words))
        return None if found is None else self._words[found[1]]

    def nearest(self, word: str, most: int, among: int | None = None) -> tuple[str, bool] | None:
        """Of the word that sounds the same and the one that is nearest in spelling, `most` letters wrong, the one that is
        meant rather, and whether it is by its sound: a town that sounds so may be so much smaller than one that is written
        nearly so. `among`: what is only spelt so is one of so many, the most important ones."""
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
        """How many letters are wrong, and some for unimportance; the number of the word."""
        if not most:
            return None
        letters, pairs = _marks(word)
        # An edit changes two letters at most, and six pairs.
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


def undoubled(text: str) -> str:
    """Without doubled letters, which nobody hears: `ajaccio` → `ajacio`."""
    return re.sub(r"(.)\1+", r"\1", text)


def joined(words: Iterable[str]) -> str:
    return "".join(words)


def as_one(name: str) -> tuple[str, ...]:
    """A name (folded) as one word, in each spelling of the particles that it begins with: `le goff` → `legoff`;
    `st martin` → `stmartin`, `saintmartin` …"""
    return tuple(dict.fromkeys(joined(way.split()) for way in ways_of_writing(name)))

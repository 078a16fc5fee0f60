"""Finds the words of a text that may name somebody in the directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from creneau_directory.domain.care.places import Gazetteer
from creneau_directory.domain.care.reading.facts import KnownNames, Piece
from creneau_directory.domain.care.reading.typed_words import is_title, says_nothing, words_of
from creneau_directory.domain.care.spelling import SMALL, joined, stem
from creneau_directory.domain.care.vocabulary import Vocabulary
from creneau_shared.spelling import PARTICLES

HEARD_LETTERS_MIN = 4
"""fewest letters of a name that is recognised by its sound alone"""


def name_pieces(text: str) -> list[str]:
    """The parts of a text that could be a name: each word, two neighbours as one (`le goff`, `n diaye`), and a word with two
    particles before it (`de la tour`)."""
    words = words_of(text)
    pairs = [joined(pair) for pair in pairwise(words)]
    led = [
        joined(three)
        for three in zip(words, words[1:], words[2:], strict=False)
        if PARTICLES.issuperset(three[:2])
    ]
    return list(
        dict.fromkeys(word for word in (*words, *pairs, *led) if len(word) > 1 and not word.isdigit())
    )


class NamePieces:
    """Finds names in texts; `vocabulary` and `places` tell what else a word may mean."""

    def __init__(self, vocabulary: Vocabulary, places: Gazetteer) -> None:
        self._vocabulary = vocabulary
        self._places = places

    def of(self, words: Sequence[str], known: KnownNames) -> Iterator[Piece]:
        for start in range(len(words)):
            yield from self._beginning(words, start, known)

    def _beginning(self, words: Sequence[str], start: int, known: KnownNames) -> Iterator[Piece]:
        titled = start > 0 and is_title(self._vocabulary, words, start - 1)
        for length in (1, 2, 3):
            end = start + length
            if end > len(words):
                return
            piece = joined(words[start:end])
            found = known.of(piece)
            if found is None or (length == 1 and (piece in SMALL or self._leads(words, start, known))):
                continue
            names, sure = found
            if sure < 1 and (
                len(piece) < HEARD_LETTERS_MIN or any(w in self._vocabulary.words for w in words[start:end])
            ):
                continue
            worth = 0.8 * sure + (1.0 if titled else 0.0) + 0.25 * (length - 1)
            if start > 0 and sure == 1 and self._is_surely_name(words[start - 1], known):
                worth += (
                    0.5  # `Céline Rivière`: after a word that can only be a name, a name rather than a town
                )
            yield Piece(start, end, "name", worth, names, corrected=sure < 1)

    @staticmethod
    def _leads(words: Sequence[str], at: int, known: KnownNames) -> bool:
        """Whether a particle and the next word are together a name in the directory: `ben` in `ben ali`."""
        one = known.of(joined(words[at : at + 2])) if words[at] in PARTICLES else None
        return one is not None and one[1] == 1

    def is_idle(self, words: Sequence[str], piece: Piece, known: KnownNames) -> bool:
        """Whether a name is also an everyday word (`un bon dentiste`, `demain matin`) with no title or other name beside it
        to show that it is a name (`dr Petit`, `Jean Petit`)."""
        if piece.kind != "name" or not all(
            says_nothing(self._vocabulary, w) for w in words[piece.start : piece.end]
        ):
            return False
        beside = [at for at in (piece.start - 1, piece.end) if 0 <= at < len(words)]
        return not any(
            is_title(self._vocabulary, words, at) or self._is_surely_name(words[at], known) for at in beside
        )

    def _is_surely_name(self, word: str, known: KnownNames) -> bool:
        """Whether a word is spelt exactly as a name in the directory, and neither in the vocabulary nor a place."""
        found = known.of(word)
        return (
            found is not None
            and found[1] == 1
            and stem(word) not in self._vocabulary.words
            and self._places.named([word]) is None
        )

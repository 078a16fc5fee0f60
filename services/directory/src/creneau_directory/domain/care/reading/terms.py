"""Finds terms of the vocabulary in a text: as written, misspelt, or split into several words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

from creneau_directory.domain.care.reading.facts import Piece, PieceKind
from creneau_directory.domain.care.reading.typed_words import is_title, says_nothing
from creneau_directory.domain.care.spelling import SMALL, joined, stem
from creneau_directory.domain.care.vocabulary import FILTERS, JOINED_LETTERS_MIN, Term, Vocabulary

WORDS_REMEMBERED_MAX = 16_384
NEVER_WRONG = frozenset({"saint", "sainte", "saints", "saintes"})
"""beginnings of place names, never taken for misspelt words"""
NAMED_LETTERS_MAX = 8
"""a shorter word after a title is a name, not a misspelt term: `dr Marie` has nothing to do with caries"""

Correction = tuple[str, float]
"""a word of the vocabulary for a misspelt one, and how sure that is"""


class TermPieces:
    """Finds terms in texts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        # Most texts use the same words, and correcting a misspelt one costs as much as all other work.
        self._corrected = lru_cache(WORDS_REMEMBERED_MAX)(self._correction)
        self._heard = lru_cache(WORDS_REMEMBERED_MAX)(vocabulary.alike.sounding)

    def of(self, words: Sequence[str]) -> Iterator[Piece]:
        corrections = [
            None
            if at and len(word) < NAMED_LETTERS_MAX and is_title(self._vocabulary, words, at - 1)
            else self._corrected(word)
            for at, word in enumerate(words)
        ]
        for start in range(len(words)):
            yield from self._terms(words, corrections, start)

    def _correction(self, word: str) -> tuple[str, float] | None:
        """The word of the vocabulary that a misspelt one stands for."""
        stemmed = stem(word)
        vocabulary = self._vocabulary
        if stemmed in vocabulary.words or word in vocabulary.words or len(word) < 4 or word.isdigit():
            return None
        if word in NEVER_WRONG:
            return None
        heard = vocabulary.alike.sounding(stemmed)
        if heard is not None:
            return heard, 0.62
        spelt = vocabulary.alike.spelt(stemmed)
        return (spelt, 0.55) if spelt is not None else None

    def _terms(
        self, words: Sequence[str], corrections: Sequence[tuple[str, float] | None], start: int
    ) -> Iterator[Piece]:
        if words[start] in SMALL:
            exact = self._vocabulary.phrases.get((words[start],))
            if exact is not None and exact.kind == "skip":
                yield Piece(start, start + 1, "skip", 0.05, exact)
        chosen: list[tuple[tuple[str, float], ...]] = []
        for end in range(start + 1, min(len(words), start + 2 * self._vocabulary.longest) + 1):
            word = words[end - 1]
            if word not in SMALL:
                own = (stem(word), 1.0)
                other = corrections[end - 1]
                chosen.append((own, other) if other is not None else (own,))
                if len(chosen) > self._vocabulary.longest:
                    return
                yield from self._phrases(start, end, chosen)
                if len(chosen) in (2, 3):
                    yield from self._split(words, start, end)
            exact = self._vocabulary.phrases.get(tuple(words[start:end]))
            if exact is not None and len(words[start:end]) > 1:
                yield _term_piece(start, end, exact, 1.0, end - start)

    def _phrases(
        self, start: int, end: int, chosen: Sequence[tuple[tuple[str, float], ...]]
    ) -> Iterator[Piece]:
        for spelling in product(*chosen):
            term = self._vocabulary.phrases.get(tuple(word for word, _ in spelling))
            if term is not None:
                yield _term_piece(start, end, term, min(sure for _, sure in spelling), len(spelling))

    def _split(self, words: Sequence[str], start: int, end: int) -> Iterator[Piece]:
        """One word that was written or dictated as two or three: `dermato logue`, `ophtalmo-logue`, `os théo pathe`."""
        one = joined(words[start:end])
        if len(one) < JOINED_LETTERS_MIN:
            return
        term = self._vocabulary.phrases.get((stem(one),))
        sure = 0.9
        if term is None and any(
            len(w) > 1 and not says_nothing(self._vocabulary, w) for w in words[start:end]
        ):
            heard = self._heard(stem(one))
            term, sure = (self._vocabulary.phrases.get((heard,)) if heard else None), 0.7
        if term is not None and (term.kind == "care" or (sure == 0.9 and term.kind == "motive")):
            yield _term_piece(start, end, term, sure, 2)


def _term_piece(start: int, end: int, term: Term, sure: float, content: int) -> Piece:
    kind: PieceKind = "filter" if term.kind in FILTERS else term.kind  # type: ignore[assignment]
    weight = {
        "skip": 0.3,
        "aside": 0.3,
        "title": 0.6,
        "near": 0.7,
        "when": 0.6,
        "past": 0.9,
        "after": 0.5,
    }.get(term.kind, 1.0)
    worth = weight * sure * (content + 0.3 * (content - 1)) * (0.97 if term.kind == "motive" else 1.0)
    return Piece(start, end, kind, worth, term, corrected=sure < 1)

"""Reads what somebody typed."""

from __future__ import annotations

from functools import cache

from creneau_directory.domain.care.places import Gazetteer, gazetteer
from creneau_directory.domain.care.reading.addresses import asides
from creneau_directory.domain.care.reading.cover import best_cover, with_name, with_place, without_guesses
from creneau_directory.domain.care.reading.facts import Intent, KnownNames
from creneau_directory.domain.care.reading.meaning import intent_of
from creneau_directory.domain.care.reading.names import NamePieces
from creneau_directory.domain.care.reading.terms import TermPieces
from creneau_directory.domain.care.reading.towns import PlacePieces
from creneau_directory.domain.care.reading.typed_words import with_postal_codes, words_of
from creneau_directory.domain.care.reading.where import with_ordinals, within_areas
from creneau_directory.domain.care.vocabulary import Vocabulary, vocabulary


class Reader:
    """Reads texts with a vocabulary and places."""

    def __init__(self, words: Vocabulary, places: Gazetteer) -> None:
        self._vocabulary = words
        self._places = places
        self._terms = TermPieces(words)
        self._towns = PlacePieces(places, words)
        self._names = NamePieces(words, places)

    def read(self, text: str, known: KnownNames | None = None) -> Intent:
        """Returns the best reading of a text; `known`: which of its pieces (`name_pieces`) are names in the directory."""
        words, known = with_postal_codes(words_of(text), self._places), known or KnownNames()
        found = (
            *self._terms.of(words),
            *self._towns.of(words),
            *self._names.of(words, known),
            *asides(words, self._places),
        )
        pieces = sorted(without_guesses(found), key=lambda piece: piece.start)
        best = best_cover(words, [piece for piece in pieces if not self._names.is_idle(words, piece, known)])
        if not any(piece.kind in ("care", "motive") for piece in best):
            best = best_cover(words, pieces)
        chosen = with_name(with_place(words, best, pieces), pieces)
        chosen = within_areas(words, with_ordinals(words, chosen, self._places), self._places)
        return intent_of(words, chosen, self._vocabulary, self._places)


@cache
def reader() -> Reader:
    """The one reader with the words and places of the package; it caches what misspelt words stand for."""
    return Reader(vocabulary(), gazetteer())

"""The place that the chosen pieces mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from creneau_directory.domain.care.places import Gazetteer, Place
from creneau_directory.domain.care.reading.facts import Piece
from creneau_directory.domain.care.reading.towns import AFTER_A_NUMBER
from creneau_shared.spelling import fold

NARROWEST_FIRST = {"arrondissement": 0, "postal-code": 1, "commune": 2, "department": 3, "region": 4}


def with_ordinals(words: Sequence[str], pieces: Sequence[Piece], places: Gazetteer) -> Sequence[Piece]:
    """Reads an ordinal that does not name its city beside the other places of the text: as an arrondissement of the city that
    is named (`lyon dentiste 3e arrondissement`), or as no place (`nantes 2e vague`). Only where no place is named, or one
    that Paris lies in, it stays an arrondissement of Paris."""

    def is_ordinal(piece: Piece) -> bool:
        is_word = isinstance(piece.meaning, Place) and piece.end == piece.start + 1
        return is_word and places.arrondissement(None, words[piece.start]) is not None

    named = [p.meaning for p in pieces if isinstance(p.meaning, Place) and not is_ordinal(p)]
    return [
        _of_the_city(piece, words, named, places) if named and is_ordinal(piece) else piece
        for piece in pieces
    ]


def _of_the_city(piece: Piece, words: Sequence[str], named: Sequence[Place], places: Gazetteer) -> Piece:
    paris = piece.meaning
    assert isinstance(paris, Place)
    if all(places.contains(place, paris) for place in named):
        return piece
    if AFTER_A_NUMBER.intersection(words[piece.end : piece.end + 1]):
        for city in named:
            own = places.arrondissement(fold(city.name), words[piece.start])
            if own is not None:
                return replace(piece, meaning=own)
    return replace(piece, kind="aside", meaning=None)


def place_of(pieces: Sequence[Piece]) -> tuple[Place | None, bool]:
    """Returns the narrowest place that is named, and whether the text means around it."""
    found = [piece for piece in pieces if isinstance(piece.meaning, Place)]
    if not found:
        return None, False

    def rank(piece: Piece) -> tuple[int, float, int]:
        assert isinstance(piece.meaning, Place)
        return NARROWEST_FIRST[piece.meaning.kind], -round(piece.worth, 2), -piece.meaning.population

    place = min(found, key=rank).meaning
    assert isinstance(place, Place)
    return place, any(piece.kind == "near" for piece in pieces)


def within_areas(pieces: Sequence[Piece], places: Gazetteer) -> Sequence[Piece]:
    """Reads a commune as the one of its name in the area that is named too: `Saint-Pierre`, `Réunion`. Where there is none,
    it counts only if it is a town that is spelt as such: `nantes bretagne`, but not `chaudron réunion`."""
    areas = [
        piece.meaning
        for piece in pieces
        if isinstance(piece.meaning, Place) and piece.meaning.kind in ("department", "region")
    ]
    return [_within(piece, areas, places) if areas else piece for piece in pieces]


def _within(piece: Piece, areas: Sequence[Place], places: Gazetteer) -> Piece:
    place = piece.meaning
    if not isinstance(place, Place) or place.kind != "commune":
        return piece
    if any(places.contains(area, place) for area in areas):
        return piece
    other = next((found for area in areas if (found := places.within(place, area))), None)
    if other is not None:
        return replace(piece, meaning=other)
    is_sure = places.is_sure(place) and not piece.corrected
    return piece if is_sure else replace(piece, kind="aside", meaning=None)

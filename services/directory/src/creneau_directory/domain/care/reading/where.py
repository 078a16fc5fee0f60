"""The place that the chosen pieces mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from creneau_directory.domain.care.places import Gazetteer, Place
from creneau_directory.domain.care.reading.facts import Piece
from creneau_directory.domain.care.reading.towns import AFTER_A_NUMBER, ARTICLES
from creneau_directory.domain.care.spelling import as_one, joined
from creneau_shared.spelling import fold

NARROWEST_FIRST = {"arrondissement": 0, "postal-code": 1, "commune": 2, "department": 3, "region": 4}
AREAS = frozenset({"department", "region"})
BEFORE_AN_AREA = frozenset({"en", "dans"})
"""words before the name of an area, and never of a town"""


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


def within_areas(words: Sequence[str], pieces: Sequence[Piece], places: Gazetteer) -> Sequence[Piece]:
    """Reads a name as the commune of that name in the area that is named too: `Saint-Pierre`, `Réunion`; `Vienne`, `Isère`.
    Where there is none, a commune counts only if it is surely meant: `nantes bretagne`, `lehavre calvados`, but not `kemper
    réunion`. A town in the next département is rather meant than a village here that is called so in short: `saint etienne 69`.
    """
    return [_within(piece, words, _areas_beside(piece, pieces), places) for piece in pieces]


def _areas_beside(piece: Piece, pieces: Sequence[Piece]) -> Sequence[Place]:
    return [
        other.meaning
        for other in pieces
        if other is not piece and isinstance(other.meaning, Place) and other.meaning.kind in AREAS
    ]


def _within(piece: Piece, words: Sequence[str], areas: Sequence[Place], places: Gazetteer) -> Piece:
    place, typed = piece.meaning, words[piece.start : piece.end]
    if not areas or not isinstance(place, Place):
        return piece
    if place.kind == "department":
        return _namesake(piece, place, words, areas, places)
    if place.kind != "commune" or any(places.contains(area, place) for area in areas):
        return piece
    is_spelt = not piece.corrected or joined(typed) in as_one(fold(place.name))
    other = next((found for area in areas if (found := places.within(place, area))), None)
    if other is not None:
        is_town = is_spelt and places.is_town_beside(place, other)
        return piece if is_town else replace(piece, meaning=other)
    is_sure = is_spelt and all(places.is_sure(place, typed, area) for area in areas)
    return piece if is_sure else replace(piece, kind="aside", meaning=None)


def _namesake(
    piece: Piece, department: Place, words: Sequence[str], areas: Sequence[Place], places: Gazetteer
) -> Piece:
    """The commune of a département's name, unless the département is what the text says: `en Mayenne 53`, `dans le Doubs`."""
    before = [word for word in words[: piece.start] if word not in ARTICLES]
    if before and before[-1] in BEFORE_AN_AREA:
        return piece
    typed = words[piece.start : piece.end]
    other = next((found for area in areas if (found := places.namesake(department, typed, area))), None)
    return piece if other is None else replace(piece, meaning=other)

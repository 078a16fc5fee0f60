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


def place_of(pieces: Sequence[Piece], places: Gazetteer) -> tuple[Place | None, bool]:
    """Returns the narrowest place that is named, and whether the text means around it."""
    found = [piece for piece in pieces if isinstance(piece.meaning, Place)]
    if not found:
        return None, False

    def rank(piece: Piece) -> tuple[int, float, int]:
        assert isinstance(piece.meaning, Place)
        return NARROWEST_FIRST[piece.meaning.kind], -round(piece.worth, 2), -piece.meaning.population

    best = min(found, key=rank)
    place = best.meaning
    assert isinstance(place, Place)
    for other in found:
        wider = other.meaning
        if other is not best and isinstance(wider, Place) and wider.kind in ("department", "region"):
            place = _within(place, wider, places)
    return place, any(piece.kind == "near" for piece in pieces)


def _within(place: Place, wider: Place, places: Gazetteer) -> Place:
    """Among communes of the same name, the one in the area that is named too: `Saint-Pierre`, `Réunion`."""
    same = places.of_name(place.name)
    key = wider.key.partition(":")[2]
    for commune in same:
        area = commune.department if wider.kind == "department" else places.region_of.get(commune.department)
        if area == key:
            return commune.place
    return place

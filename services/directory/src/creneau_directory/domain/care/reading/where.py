"""The place that the chosen pieces mean."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_directory.domain.care.places import Gazetteer, Place
from creneau_directory.domain.care.reading.facts import Piece

NARROWEST_FIRST = {"arrondissement": 0, "postal-code": 1, "commune": 2, "department": 3, "region": 4}


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

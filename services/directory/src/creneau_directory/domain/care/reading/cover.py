"""Chooses the pieces of a text that fit best together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from creneau_directory.domain.care.places import TOWN_FROM, Place
from creneau_directory.domain.care.reading.facts import Piece


def without_guesses(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces without misspelt complaints and wishes that are the exact name of a commune: `Burret` is a village, not a
    beret. A misspelt care stays: more people misspell one than mean a hamlet."""
    found = list(pieces)
    towns = {(p.start, p.end) for p in found if isinstance(p.meaning, Place) and not p.corrected}
    return [
        piece
        for piece in found
        if not piece.corrected
        or piece.kind in ("care", "place", "name")
        or (piece.start, piece.end) not in towns
    ]


def best_cover(words: Sequence[str], pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that do not overlap and are worth most together."""
    by_end: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_end.setdefault(piece.end, []).append(piece)
    best: list[tuple[float, tuple[Piece, ...]]] = [(0.0, ())]
    for end in range(1, len(words) + 1):
        choice = best[end - 1]
        for piece in by_end.get(end, ()):
            worth, before = best[piece.start]
            # Among covers worth the same, prefers the one with fewer pieces.
            if worth + piece.worth - 0.01 > choice[0]:
                choice = (worth + piece.worth - 0.01, (*before, piece))
        best.append(choice)
    return list(best[-1][1])


def with_place(words: Sequence[str], best: Sequence[Piece], pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Reads a misspelt word as a town, not a complaint, if the text names a care but no place: `dermatologue reines`; and
    so the only complaint that is called as a town: `dentiste menton`."""
    complaints = [piece for piece in best if piece.kind == "motive"]
    guessed = [piece for piece in complaints if piece.corrected]
    if not guessed and len(complaints) == 1 and any(_is_town_of(complaints[0], piece) for piece in pieces):
        guessed = complaints
    if not guessed or not any(piece.kind == "care" for piece in best) or _names_a_place(best):
        return best
    other = best_cover(
        words,
        [
            p
            for p in pieces
            if not (p.kind == "motive" and (p.corrected or p in guessed)) and p.kind != "name"
        ],
    )
    return other if _names_a_place(other) else best


def with_name(best: Sequence[Piece], pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Reads one of two towns as a person's name if the directory has that name: `Laval Rennes`."""
    places = [piece for piece in best if isinstance(piece.meaning, Place)]
    towns = [
        piece for piece in places if isinstance(piece.meaning, Place) and piece.meaning.kind == "commune"
    ]
    if len(towns) < 2 or any(piece.kind == "name" for piece in best):
        return best
    names = {(p.start, p.end): p for p in pieces if p.kind == "name" and not p.corrected}
    for town in sorted(towns, key=lambda piece: piece.worth):
        name = names.get((town.start, town.end))
        if name is not None:
            return [name if piece is town else piece for piece in best]
    return best


def _is_town_of(complaint: Piece, piece: Piece) -> bool:
    place = piece.meaning
    return (
        isinstance(place, Place)
        and place.kind == "commune"
        and place.population >= TOWN_FROM
        and not piece.corrected
        and (piece.start, piece.end) == (complaint.start, complaint.end)
    )


def _names_a_place(pieces: Sequence[Piece]) -> bool:
    return any(isinstance(piece.meaning, Place) for piece in pieces)

"""The wishes of a text, those it negates, and the words that do not change the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from creneau_directory.domain.care.reading.facts import Piece
from creneau_directory.domain.care.spelling import SMALL
from creneau_directory.domain.care.vocabulary import Term


def wishes_of(
    pieces: Sequence[Piece], words: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Returns the wishes by kind, and by kind those that have a negation right before them."""
    wanted: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for piece in pieces:
        if piece.kind != "filter" or not isinstance(piece.meaning, Term):
            continue
        target = refused if _negation_of(piece, pieces, words) else wanted
        target.setdefault(piece.meaning.kind, []).extend(value for value, _ in piece.meaning.targets)
    return _unique(wanted), _unique(refused)


def _negation_of(wish: Piece, pieces: Sequence[Piece], words: Sequence[str]) -> Piece | None:
    """The negation right before a wish."""
    before = next((at for at in range(wish.start - 1, -1, -1) if words[at] not in SMALL), -1)
    return next((piece for piece in pieces if piece.kind == "negation" and piece.end == before + 1), None)


def ignored_of(words: Sequence[str], pieces: Sequence[Piece]) -> list[tuple[str, bool]]:
    """Parts of a text that do not change the answer, and whether each is known: words that no piece covers, pieces aside, a
    negation without a wish, and `past` words without targets where the text has no event."""
    used = [_negation_of(piece, pieces, words) for piece in pieces if piece.kind == "filter"]
    happened = any(piece.kind == "event" for piece in pieces)

    def is_ignored(piece: Piece) -> bool:
        if piece.kind == "past":
            return not happened and isinstance(piece.meaning, Term) and not piece.meaning.targets
        return piece.kind == "aside" or (piece.kind == "negation" and piece not in used)

    covered = {at for piece in pieces for at in range(piece.start, piece.end)}
    found = [(at, word, False) for at, word in enumerate(words) if at not in covered and word not in SMALL]
    found += [(p.start, " ".join(words[p.start : p.end]), True) for p in pieces if is_ignored(p)]
    return [(text, known) for _, text, known in sorted(found)]


def _unique(found: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(dict.fromkeys(values)) for kind, values in found.items()}

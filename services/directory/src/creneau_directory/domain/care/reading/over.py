"""Events such as a stroke: a need for care when they are over, an emergency when they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from creneau_directory.domain.care.reading.facts import IDLE_PIECES, Piece
from creneau_directory.domain.care.spelling import SMALL
from creneau_directory.domain.care.vocabulary import Term

_NOW = frozenset({"now", "today", "night"})


def with_what_is_over(words: Sequence[str], said: Sequence[Piece], pieces: Sequence[Piece]) -> list[Piece]:
    """Makes an event a need if the text says that it is over: `séquelles d'avc`, `a fait un infarctus l'an dernier`.
    Otherwise it stays an emergency. The words that say so may be a need themselves (`rééducation`)."""
    between = _between(words, pieces)
    is_now = any(
        piece.kind == "when" and isinstance(piece.meaning, Term) and _NOW & dict(piece.meaning.targets).keys()
        for piece in said
    )
    is_over = not is_now and any(piece.kind == "past" for piece in said)
    ends = () if is_now else [piece.end for piece in said if piece.kind == "after"]

    def is_need(piece: Piece) -> bool:
        if piece.kind != "event":
            return piece.kind == "past"
        return is_over or any(
            end <= piece.start and between.issuperset(range(end, piece.start)) for end in ends
        )

    return [
        replace(piece, kind="motive")
        if isinstance(piece.meaning, Term) and piece.meaning.targets and is_need(piece)
        else piece
        for piece in said
    ]


def _between(words: Sequence[str], pieces: Sequence[Piece]) -> frozenset[int]:
    """Indexes of the words that only connect pieces: small words, and idle pieces (`IDLE_PIECES`)."""
    small = {at for at, word in enumerate(words) if word in SMALL}
    return frozenset(small.union(*(range(p.start, p.end) for p in pieces if p.kind in IDLE_PIECES)))

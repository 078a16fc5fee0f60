"""What the chosen pieces mean together, and how the answer explains each."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_directory.domain.care.places import Gazetteer, Place
from creneau_directory.domain.care.reading.facts import IDLE_PIECES, Intent, NameWord, Piece, Understood
from creneau_directory.domain.care.reading.over import with_what_is_over
from creneau_directory.domain.care.reading.where import place_of
from creneau_directory.domain.care.reading.whom import cares_of
from creneau_directory.domain.care.reading.wishes import ignored_of, wishes_of
from creneau_directory.domain.care.spelling import joined
from creneau_directory.domain.care.vocabulary import Term, Vocabulary

_LEADING = frozenset({"negation", "past", "after"})
"""kinds of pieces that only change the meaning of others"""


def intent_of(
    words: Sequence[str], pieces: Sequence[Piece], vocabulary: Vocabulary, places: Gazetteer
) -> Intent:
    said = [piece for piece in pieces if piece.kind not in IDLE_PIECES]
    names = tuple(
        NameWord(joined(words[p.start : p.end]), p.meaning, 1.0 if not p.corrected else 0.8)
        for p in said
        if p.kind == "name" and isinstance(p.meaning, tuple)
    )
    filters, excluded = wishes_of(said, words)
    place, near = place_of(said)
    ignored = ignored_of(words, pieces)
    said = with_what_is_over(words, said, pieces)
    terms = [(p, p.meaning) for p in said if isinstance(p.meaning, Term)]
    return Intent(
        cares=cares_of(terms, has_names=bool(names)),
        place=place,
        near=near,
        near_me=any(piece.kind == "nearme" for piece in said),
        names=names,
        filters=filters,
        excluded=excluded,
        emergencies=tuple(
            dict.fromkeys(
                number
                for p, term in terms
                if p.kind in ("emergency", "event") or term.kind == "motive"
                for number in term.calls
            )
        ),
        times=tuple(
            dict.fromkeys(value for p, term in terms if p.kind == "when" for value, _ in term.targets)
        ),
        understood=tuple(_told(words, piece, vocabulary) for piece in said if piece.kind not in _LEADING),
        ignored=tuple(text for text, _ in ignored),
        unknown=tuple(text for text, known in ignored if not known),
    )


def _told(words: Sequence[str], piece: Piece, vocabulary: Vocabulary) -> Understood:
    text = " ".join(words[piece.start : piece.end])
    meaning = piece.meaning
    if isinstance(meaning, Term):
        kind = (
            "emergency" if piece.kind == "event" else meaning.kind if piece.kind == "filter" else piece.kind
        )
        cares = vocabulary.cares
        if kind == "emergency":
            return Understood(text, kind, ", ".join(meaning.calls), piece.corrected)
        if kind in ("care", "motive"):
            keys = tuple(key for key, _ in meaning.targets)
            return Understood(text, kind, ", ".join(cares[key].french for key in keys), piece.corrected, keys)
        if kind == "when":
            keys = tuple(value for value, _ in meaning.targets)
            return Understood(text, kind, ", ".join(keys), piece.corrected, keys)
        return Understood(text, kind, ", ".join(value for value, _ in meaning.targets), piece.corrected)
    if isinstance(meaning, Place):
        return Understood(text, meaning.kind, meaning.name, piece.corrected)
    return Understood(text, piece.kind, ", ".join(meaning or ()), piece.corrected)

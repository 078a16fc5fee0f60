"""The cares that the chosen pieces mean, with their shares."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_directory.domain.care.reading.facts import Piece
from creneau_directory.domain.care.vocabulary import Term
from creneau_shared.spelling import fold

GENERAL, CHILDREN = "medecine-generale", "pediatrie"
_GENERIC = frozenset({"medecin", "toubib", "doctor", "physician", "doc", "docteur"})
_TITLES_OF_DOCTORS = frozenset({"dr", "docteur", "docteurs"})


def cares_of(terms: Sequence[tuple[Piece, Term]], *, has_names: bool) -> tuple[tuple[str, float], ...]:
    """Returns the cares that are meant. A named profession comes before its motives; `médecin` alone is any doctor."""
    named = [term for piece, term in terms if piece.kind == "care"]
    motives = [term for piece, term in terms if piece.kind == "motive"]
    titles = [term for piece, term in terms if piece.kind == "title"]
    generic = [term for term in named if [key for key, _ in term.targets] == [GENERAL] and _is_generic(term)]
    if len(generic) == len(named) and motives:
        return _together(motives, with_general=bool(generic))
    specific = [term for term in named if term not in generic] or named
    if specific:
        return _together(specific)
    if motives:
        return _together(motives)
    if titles and not has_names and any(fold(term.text) in _TITLES_OF_DOCTORS for term in titles):
        return ((GENERAL, 1.0),)
    return ()


def _is_generic(term: Term) -> bool:
    return fold(term.text) in _GENERIC


def _together(terms: Sequence[Term], *, with_general: bool = False) -> tuple[tuple[str, float], ...]:
    """Adds up the shares of the terms' cares, relative to the largest; the largest first."""
    sums: dict[str, float] = {}
    for term in terms:
        for key, share in term.targets:
            sums[key] = sums.get(key, 0.0) + share * term.weight
    most = max(sums.values(), default=1.0)
    shares = {key: value / most for key, value in sums.items()}
    first = [term.targets[0][0] for term in terms if term.targets]
    if CHILDREN in first and len(set(first)) > 1:
        # `mon fils a de la fièvre`: whatever the motive is, the patient is a child.
        shares[CHILDREN] = max(shares.get(CHILDREN, 0.0), 0.95)
    if with_general:
        shares[GENERAL] = max(shares.get(GENERAL, 0.0), 0.95)
    return tuple(sorted(shares.items(), key=lambda pair: -pair[1]))

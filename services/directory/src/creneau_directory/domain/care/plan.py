"""Turns what somebody means into questions to the index: first the exact one, then, while nobody is found, ever wider ones.
Each step says how it is wider. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from creneau_directory.domain.care.criteria import Criteria, Near, Order
from creneau_directory.domain.care.places import Place
from creneau_directory.domain.care.reading.facts import Intent
from creneau_directory.domain.care.vocabulary import FILTERS, Vocabulary

AROUND_KM = 15.0
"""radius of `près de` a place, unless a distance is given"""
WIDER_KM = (10.0, 30.0, 100.0)
RINGS_KM = (2.0, 6.0, 15.0, 40.0)
"""circles tried within a wider one, so that in a city the nearest situations are compared, not the first ones read"""
LARGE_FROM = 100_000
"""fewest inhabitants of a commune in which a sample of the situations may stand for all"""
SECTORS: Mapping[str, tuple[str, ...]] = {
    "2": ("2", "3"),
    "nc": ("0",),
    "c1": ("1",),
    "c2": ("2",),
    "c3": ("3",),
}
"""sector as people or deprecated codes say it → the codes of TRE_R282: `secteur 2` has two"""

Widened = Literal[
    "exact", "around", "anywhere", "instead", "wishes", "name-elsewhere", "name-other-care", "without-name"
]

INTERLEAVED_FROM = 0.75
"""least share of a care that is shown in turn with the first: for a backache a doctor, a physiotherapist …"""


@dataclass(frozen=True, slots=True)
class Step:
    """One question to the index; `told`: how it is wider than what was asked; `km`: the radius of its circle."""

    criteria: Criteria
    told: Widened = "exact"
    km: float | None = None
    dropped: tuple[str, ...] = ()
    """kinds of wishes that are left aside"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The request: what was read of the text, together with the other parameters."""

    intent: Intent = field(default_factory=Intent)
    near: Near | None = None
    """the circle that a parameter gives"""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    """professions and specialities that a parameter gives, as terms of the index"""


def steps(wanted: Wanted, words: Vocabulary) -> Iterator[Step]:
    """The questions, in the order in which they are asked until one has an answer."""
    exact = _exact(wanted, words)
    dropped = tuple(wanted.filters)
    bare = replace(exact, some=(), none=())
    yield from _ringed(Step(exact, km=exact.circle.km if exact.circle else None))
    if exact.names and not _is_guessed(wanted):
        if exact.within or exact.circle:
            yield Step(replace(exact, within=None, circle=None), "name-elsewhere")
        if exact.cares:
            yield Step(replace(exact, cares=()), "name-other-care")
            yield Step(replace(exact, cares=(), within=None, circle=None, some=(), none=()), "name-elsewhere")
        if not (exact.cares or exact.within or exact.circle or exact.some):
            return
    if exact.names:
        exact, bare = replace(exact, names=()), replace(bare, names=())
        yield Step(exact, "without-name")
    for km in WIDER_KM[:2]:
        yield from _wider(exact, km, "around")
    if dropped:
        yield Step(bare, "wishes", dropped=dropped)
    yield from _wider(exact, WIDER_KM[2], "around")
    if exact.within or exact.circle:
        yield Step(replace(exact, within=None, circle=None), "anywhere")
    instead = _instead(wanted, words)
    if instead:
        other = replace(bare, cares=instead)
        yield Step(other, "instead", dropped=dropped)
        for km in WIDER_KM:
            yield from _wider(other, km, "instead")
        yield Step(replace(other, within=None, circle=None), "instead", dropped=dropped)
    if dropped:
        yield Step(replace(bare, within=None, circle=None), "wishes", dropped=dropped)


def _is_guessed(wanted: Wanted) -> bool:
    """Whether all names are inexact guesses beside a recognised kind of care: the search may drop them then."""
    return bool(wanted.intent.cares) and all(word.sure < 1 for word in wanted.intent.names)


def order_of(wanted: Wanted, words: Vocabulary, *, by_distance: bool) -> Order:
    """The order of the answer: cares that are nearly as likely as the first one are shown in turn."""
    shares = [share for _, share in wanted.intent.cares if share >= INTERLEAVED_FROM]
    return Order(by_distance=by_distance, in_turn=len(shares) if len(shares) > 1 else 0)


def _exact(wanted: Wanted, words: Vocabulary) -> Criteria:
    intent = wanted.intent
    place, near = intent.place, wanted.near
    origin = (near.latitude, near.longitude) if near else place.position if place else None
    circle = near
    if near is None and place is not None and intent.near and place.position and _is_spot(place):
        circle = Near(*place.position, AROUND_KM)
    return Criteria(
        cares=_cares(intent.cares, wanted.codes, words),
        some=tuple(_terms(kind, values) for kind, values in wanted.filters.items() if kind in FILTERS),
        none=tuple(term for kind, values in intent.excluded.items() for term in _terms(kind, values)),
        names=tuple((tuple(f"n:{name}" for name in word.names), word.sure) for word in intent.names),
        within=place.key if place is not None and (near is None and circle is None) else None,
        large=place is not None and (not _is_spot(place) or place.population >= LARGE_FROM),
        circle=circle,
        origin=origin,
    )


def _is_spot(place: Place) -> bool:
    return place.kind not in ("department", "region")


def _cares(
    cares: Sequence[tuple[str, float]], codes: Sequence[str], words: Vocabulary
) -> tuple[tuple[tuple[str, ...], float], ...]:
    if codes:
        return ((tuple(codes), 1.0),)
    return tuple((words.cares[key].codes, share) for key, share in cares)


def _terms(kind: str, values: Sequence[str]) -> tuple[str, ...]:
    if kind == "sector":
        values = [code for value in values for code in SECTORS.get(value, (value,))]
    return tuple(f"{kind}:{value}" for value in values)


def _instead(wanted: Wanted, words: Vocabulary) -> tuple[tuple[tuple[str, ...], float], ...]:
    named = {key for key, _ in wanted.intent.cares}
    keys = dict.fromkeys(words.cares[key].instead for key, _ in wanted.intent.cares)
    return tuple((words.cares[key].codes, 1.0) for key in keys if key is not None and key not in named)


def _wider(criteria: Criteria, km: float, told: Widened) -> Iterator[Step]:
    """The question within a circle around the named place; nothing if it has no position or the circle is no wider."""
    if criteria.origin is None or not (criteria.within or criteria.circle):
        return
    if criteria.circle is not None and criteria.circle.km >= km:
        return
    yield Step(replace(criteria, within=None, circle=Near(*criteria.origin, km)), told, km)


def _ringed(step: Step) -> Iterator[Step]:
    """Yields the step, and before it the same in smaller circles, which only count if they find `ENOUGH`."""
    circle = step.criteria.circle
    if circle is not None:
        for km in RINGS_KM:
            if km < circle.km:
                yield Step(replace(step.criteria, circle=replace(circle, km=km)), "exact", km, ("ring",))
    yield step

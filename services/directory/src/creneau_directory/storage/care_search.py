"""Asks the index of people's search which situations fit, in which order, and with which facets.

A score lies between 0 and 1: the weighted mean of care (`WHAT`), place (`WHERE`) and name (`WHO`), as far as the question
has them. At most `compared_max` rows are compared; the answer says so when there are more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import cos, radians
from typing import Any

from creneau_directory.domain.care.criteria import Criteria, Order
from creneau_directory.domain.care.places import KM_PER_DEGREE
from creneau_directory.domain.care.situation import (
    FACETS,
    LOTS,
    PLAIN,
    cells_around,
    lot_of,
    small_lot_of,
)
from creneau_directory.storage.care_tables import in_period
from creneau_shared.database.pool import Connection

WHAT, WHERE, WHO = 0.55, 0.25, 0.2
"""weights of care, place and name in a score"""
FAR_KM = 10.0
"""distance at which the part of a place's score that depends on distance has fallen to 37 %"""
WITHIN = 0.7
"""least place score of a situation within the named place"""
OTHERWISE_TRAINED = 0.85
"""factor on the care score of a specialist where only a profession is asked for (an orthodontist for a dentist)"""
CODES_FIRST = 8
"""first terms of a situation that are compared, among which its codes are: all terms would take three times as long"""
SAMPLE_FROM = 250
"""fewest rows of a sample that stand for all; 8 of the 64 lots: of 2,000 altogether; one of the 256 lots: of 64,000"""
_SAMPLE_STEP = 8
"""every how many of the 64 lots one is in the larger sample"""


@dataclass(frozen=True, slots=True)
class Hit:
    """One situation that was found."""

    role: str
    score: float
    what: float
    where: float
    who: float
    distance_km: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits. `total`: all hits that were compared; `whole`: whether every fitting situation was compared."""

    hits: tuple[Hit, ...] = ()
    total: int = 0
    whole: bool = True
    facets: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)


async def find(
    connection: Connection, criteria: Criteria, order: Order, *, compared_max: int, facets: bool = True
) -> Found:
    """Returns the situations that fit. If there are many, a sample of lots stands for all: another one each day, the same on
    every page."""
    for lots in samples(criteria, order.day):
        sampled = (
            replace(criteria, every=(*criteria.every, *lots))
            if len(lots) == 1
            else replace(criteria, some=(*criteria.some, lots))
        )
        sample = await _find(connection, sampled, order, compared_max, facets=facets)
        if sample.total >= SAMPLE_FROM:
            return replace(sample, whole=False)
    return await _find(connection, criteria, order, compared_max, facets=facets)


def samples(criteria: Criteria, day: int) -> Sequence[tuple[str, ...]]:
    """The samples (terms of lots) to try, the smallest first. Over the days every situation is drawn equally often."""
    if criteria.circle is not None or not (criteria.cares or criteria.names):
        return ()
    small_lot, one_lot = (small_lot_of(day),), (lot_of(day),)
    eight_lots = tuple(lot_of(lot) for lot in range(day % _SAMPLE_STEP, LOTS, _SAMPLE_STEP))
    if criteria.within is not None:
        is_area = criteria.within.startswith(("d:", "r:"))
        return () if not criteria.large else (one_lot, eight_lots) if is_area else (eight_lots,)
    return (eight_lots,) if criteria.names else (small_lot, one_lot, eight_lots)


async def _find(
    connection: Connection, criteria: Criteria, order: Order, compared_max: int, *, facets: bool
) -> Found:
    sql, arguments = statement(criteria, order, compared_max, facets=facets)
    rows = await connection.fetch(sql, *arguments)
    if not rows:
        return Found()
    hits = tuple(
        Hit(row["role"], row["score"], row["what"], row["place"], row["who"], row["distance"]) for row in rows
    )
    whole = rows[0]["fitting"] <= compared_max
    return Found(hits, min(rows[0]["total"], compared_max), whole, facet_counts(rows[0]["facets"]))


def statement(
    criteria: Criteria, order: Order, compared_max: int, *, facets: bool = True
) -> tuple[str, list[Any]]:
    """The SQL of one question to the index, and its arguments."""
    arguments: list[Any] = []

    def argument(value: Any, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    drawn = f"hashtextextended(role, {order.day})"
    best = f"score DESC, distance NULLS LAST, {drawn}"
    conditions, scores = _conditions(criteria, argument), _scores(criteria, argument)
    turn = (
        f"CASE WHEN care <= {order.in_turn} THEN row_number() OVER (PARTITION BY care ORDER BY {best})"
        f" ELSE 1000000 END"
        if order.in_turn > 1
        else "0"
    )
    first = (
        "distance NULLS LAST, score DESC" if order.by_distance else "turn, score DESC, distance NULLS LAST"
    )
    # Facets are counted in Python: grouping them costs PostgreSQL as much as all the rest. Only the first row has them, and
    # they are not part of the sorted rows: they are hundreds of kB.
    counted = "(SELECT string_agg(array_to_string(facets, E'\\n'), E'\\n') FROM found)" if facets else "NULL"
    sql = f"""
WITH fitting AS MATERIALIZED (
  SELECT role, terms, facets, latitude, longitude FROM care_situation
  WHERE {" AND ".join((*conditions, in_period(order.day)))} LIMIT {compared_max + 1}
), measured AS MATERIALIZED (
  SELECT role, facets, {scores.care} AS care, {scores.plain} AS plain, {scores.distance} AS distance FROM fitting
), found AS MATERIALIZED (
  SELECT role, facets, care, {scores.what} AS what, {scores.who} AS who, distance, {scores.where} AS place
  FROM measured WHERE {scores.kept}
), scored AS (SELECT *, ({scores.total})::float8 AS score FROM found)
SELECT page.*, (SELECT count(*) FROM found) AS total, (SELECT count(*) FROM fitting) AS fitting,
  CASE WHEN row_number() OVER () = 1 THEN {counted} END AS facets
FROM (
  SELECT role, score, what, place, who, distance FROM (SELECT *, {turn} AS turn FROM scored) AS ordered
  ORDER BY {first}, {drawn}, role OFFSET {order.offset} LIMIT {order.count}
) AS page
"""
    return sql, arguments


def _conditions(criteria: Criteria, argument: Any) -> list[str]:
    every = [*criteria.every, *([criteria.within] if criteria.within else [])]
    conditions = [f"terms @> {argument(every, 'text[]')}"] if every else []
    codes = list(dict.fromkeys(code for own, _ in criteria.cares for code in own))
    groups = [*([codes] if codes else []), *criteria.some, *(names for names, _ in criteria.names)]
    conditions += [f"terms && {argument(list(group), 'text[]')}" for group in groups]
    if criteria.circle is not None:
        circle = criteria.circle
        cells = cells_around(circle.latitude, circle.longitude, circle.km)
        conditions.append(f"terms && {argument(cells, 'text[]')}")
    if criteria.none:
        conditions.append(f"NOT terms && {argument(list(criteria.none), 'text[]')}")
    return conditions


@dataclass(frozen=True, slots=True)
class _Scores:
    """The SQL of the parts of a score."""

    care: str
    plain: str
    what: str
    who: str
    distance: str
    where: str
    kept: str
    total: str


def _scores(criteria: Criteria, argument: Any) -> _Scores:
    matches = [argument(list(codes), "text[]") for codes, _ in criteria.cares[:-1]]
    last = f"{len(criteria.cares)}::int"
    care = _case([(f"terms[1:{CODES_FIRST}] && {m}", str(n)) for n, m in enumerate(matches, 1)], last)
    what = _case(
        [
            (f"care = {n}", f"{share:.3f}" + ("" if _of_speciality(codes) else _UNLESS_PLAIN))
            for n, (codes, share) in enumerate(criteria.cares, 1)
        ],
        "0",
    )
    professions = any(not _of_speciality(codes) for codes, _ in criteria.cares)
    plain = f"terms @> ARRAY['{PLAIN}']" if professions else "true"
    who = " + ".join(f"{sure / len(criteria.names):.3f}" for _, sure in criteria.names) or "0"
    distance = "NULL::float8"
    origin = criteria.origin
    if origin is not None:
        scale = cos(radians(origin[0]))
        distance = (
            f"{KM_PER_DEGREE} * sqrt((latitude - {argument(origin[0], 'float8')}) ^ 2"
            f" + ((longitude - {argument(origin[1], 'float8')}) * {scale:.6f}) ^ 2)"
        )
    decay = f"exp(-coalesce(distance, 100) / {FAR_KM})" if origin is not None else "1"
    asks_where = criteria.within is not None or criteria.circle is not None
    where = "0" if not asks_where else f"{WITHIN} + {1 - WITHIN:.2f} * {decay}" if criteria.within else decay
    parts = [
        (f"{WHAT} * what", WHAT, bool(criteria.cares)),
        (f"{WHERE} * place", WHERE, asks_where),
        (f"{WHO} * who", WHO, bool(criteria.names)),
    ]
    weight = sum(part[1] for part in parts if part[2])
    total = f"({' + '.join(part[0] for part in parts if part[2])}) / {weight}" if weight else "1"
    kept = f"distance <= {criteria.circle.km}" if criteria.circle is not None else "true"
    return _Scores(
        care, plain, f"({what})::float8", f"({who})::float8", distance, f"({where})::float8", kept, total
    )


_UNLESS_PLAIN = f" * CASE WHEN plain THEN 1 ELSE {OTHERWISE_TRAINED} END"


def _of_speciality(codes: Sequence[str]) -> bool:
    return any(code.startswith(("R38:", "R40:", "R43:")) for code in codes)


def _case(choices: Sequence[tuple[str, str]], otherwise: str) -> str:
    if not choices:
        return otherwise
    return f"CASE {' '.join(f'WHEN {condition} THEN {value}' for condition, value in choices)} ELSE {otherwise} END"


def facet_counts(text: str | None) -> dict[str, list[tuple[str, int]]]:
    """Returns facet → (value, count), the most frequent first."""
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in FACETS}
    for facet, count in Counter(text.split("\n") if text else ()).items():
        kind, _, value = facet.partition("|")
        if kind in found:
            found[kind].append((value, count))
    return {name: sorted(values, key=lambda pair: (-pair[1], pair[0])) for name, values in found.items()}

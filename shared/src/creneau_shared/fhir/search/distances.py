"""Distances of search results, when the search is by the place that they name (`location.near=…`). FHIR tells the distance
of each entry: a place's own, and for a resource that names several places, that to the nearest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import And, Chain, Clause, Condition, NearValue, Or, SearchRequest
from creneau_shared.fhir.search.sql import Catalog, Compiler, SearchScope


def near_through(request: SearchRequest) -> tuple[SearchParameter, str, NearValue] | None:
    """The reference, its target type and the point of a search by a place nearby; None for other searches."""
    for chain in _chains(request.conditions):
        for branch in chain.branches:
            for clause in _clauses(branch.condition):
                value = clause.values[0]
                if isinstance(value, NearValue):
                    return chain.parameter, branch.resource_type, value
    return None


async def with_distances(
    connection: Connection,
    catalog: Catalog,
    scope: SearchScope,
    request: SearchRequest,
    matches: Sequence[Row],
    included: Sequence[Row],
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows with their distances, if the search was by the places that they name."""
    through = near_through(request)
    if through is None or not matches:
        return tuple(matches), tuple(included)
    parameter, place_type, near = through
    compiler = Compiler(catalog, scope)
    table, places = catalog.table(request.resource_type), compiler.select(place_type, ())
    start = f"{parameter.index_name}={place_type}/"
    ids = compiler.arguments.add([row.id for row in matches], "text[]")
    place, match = places.table.columns(places.alias), table.columns("m")
    rows = await connection.fetch(
        f"SELECT {match.id} AS match, {place.id} AS place,"
        f" {places.table.distance(near, places.alias, compiler.arguments)} AS metres"
        f" FROM {table.source('m')} CROSS JOIN LATERAL unnest({table.references((parameter,), 'm')}) AS named"
        f" JOIN {places.table.source(places.alias)} ON {place.id} = substr(named, {len(start) + 1})"
        f" AND starts_with(named, '{start}') AND {places.where}"
        f" WHERE {match.id} = ANY({ids})",
        *compiler.arguments.values,
    )
    of_match: dict[str, float] = {}
    of_place: dict[str, float] = {}
    for row in rows:
        if row["metres"] is not None:
            of_match[row["match"]] = min(row["metres"], of_match.get(row["match"], row["metres"]))
            of_place[row["place"]] = row["metres"]
    return (
        tuple(_placed(matches, request.resource_type, of_match)),
        tuple(_placed(included, place_type, of_place)),
    )


def _placed(rows: Sequence[Row], resource_type: str, metres: Mapping[str, float]) -> Iterator[Row]:
    for row in rows:
        distance = metres.get(row.id) if row.type == resource_type else None
        yield row if distance is None else row._replace(distance_m=distance)


def _chains(conditions: Sequence[Condition]) -> Iterator[Chain]:
    for condition in conditions:
        if isinstance(condition, Chain):
            yield condition
        elif isinstance(condition, And | Or):
            yield from _chains(condition.conditions)


def _clauses(condition: Condition) -> Iterator[Clause]:
    if isinstance(condition, Clause):
        yield condition
    elif isinstance(condition, And):
        for part in condition.conditions:
            yield from _clauses(part)

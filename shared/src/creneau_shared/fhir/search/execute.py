"""Running a search: a page of matches, its includes, its total, the cursors to its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.search.cursor import Cursor, CursorCodec, query_digest
from creneau_shared.fhir.search.distances import with_distances
from creneau_shared.fhir.search.includes import Found, Includer, Row, check_includes, reference_parameters
from creneau_shared.fhir.search.pages import MatchQuery, PageRecords, can_walk, compile_matches
from creneau_shared.fhir.search.request import SearchRequest, near_of
from creneau_shared.fhir.search.sql import (
    EVERYTHING,
    FROM_THE_END,
    Catalog,
    RowPlace,
    SearchScope,
    Statement,
    compile_count,
)
from creneau_shared.fhir.search.steps import InSteps, Steps


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page. `total` counts all matches (None: not asked for, or too many to count unasked); `at_least`: its minimum."""

    matches: tuple[Row, ...]
    included: tuple[Row, ...]
    total: int | None
    next_cursor: str | None
    previous_cursor: str | None
    issues: tuple[Issue, ...]
    last_cursor: str | None = None
    """cursor of the page that ends with the last match; None on the last page"""
    at_least: int = 0


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of matches; `more`: there are further ones in the direction that was asked for."""

    found: list[Found]
    first: RowPlace | None
    last: RowPlace | None
    more: bool


async def search(
    connection: Connection,
    catalog: Catalog,
    request: SearchRequest,
    *,
    cursor_codec: CursorCodec,
    scope: SearchScope = EVERYTHING,
) -> SearchResult:
    """Answer `request` from the tables of `catalog`, seeing no more than `scope` allows.

    One statement for the matches (two where rows without a sort value follow), one for each round of includes, one for
    a total that is not known by then; before them one that counts, where a sort is by something in a side table. A table
    may find its matches otherwise (`steps`).
    Raises BadRequest for a foreign cursor, or a chain through a type that is not held here.
    """
    if request.count_only:
        total, at_least = await _total(connection, catalog, scope, request, exact=request.total != "estimate")
        return SearchResult((), (), total, None, None, request.issues, at_least=at_least)
    digest = query_digest(request.resource_type, request.used, scope.required.get(request.resource_type))
    cursor = cursor_codec.decode(request.cursor, digest) if request.cursor else None
    counted = cursor.total if cursor is not None else None
    walking = can_walk(catalog, scope, request)
    if walking is None:
        known = counted is not None or (cursor is not None and request.total == "default")
        most = request.limits.sorted_whole_max
        if not known:
            counted = await _count_up_to(connection, catalog, scope, request, most)
        walking = counted is None or counted > most
    table = catalog.table(request.resource_type)
    steps = await table.steps(connection, catalog, scope, request) if isinstance(table, InSteps) else None
    page = await _page(connection, catalog, scope, request, cursor, steps, walking=walking)
    includer = Includer(catalog, scope, request.includes, request.limits)
    included: Sequence[Row] = await includer.follow(connection, page.found) if request.includes else ()
    matches = [found.row for found in page.found]
    matched, included = await with_distances(connection, catalog, scope, request, matches, included)
    total, at_least = await _page_total(connection, catalog, scope, request, cursor, page, counted, steps)
    backward = cursor is not None and cursor.place.backward
    has_next = (page.more or backward) and not (cursor is not None and cursor.place == FROM_THE_END)
    has_previous = page.more if backward else cursor is not None

    def link(place: RowPlace | None) -> str | None:
        return cursor_codec.encode(Cursor(place, total), digest) if place is not None else None

    return SearchResult(
        matches=matched,
        included=included,
        total=total,
        next_cursor=link(page.last) if has_next else None,
        previous_cursor=link(page.first) if has_previous else None,
        issues=(*request.issues, *check_includes(catalog, request), *includer.issues),
        last_cursor=link(FROM_THE_END) if has_next else None,
        at_least=at_least,
    )


async def _page(
    connection: Connection,
    catalog: Catalog,
    scope: SearchScope,
    request: SearchRequest,
    cursor: Cursor | None,
    steps: Steps | None,
    *,
    walking: bool,
) -> _Page:
    followed = reference_parameters(request.includes, request.resource_type)
    place = cursor.place if cursor else None
    if steps is None:
        queries = compile_matches(catalog, scope, request, place, followed, walking=walking)
        page = await _fetched(connection, queries, request.count)
    else:
        page = await steps.page(connection, place, followed)
    records = page.records[: page.on_page(request.count)]
    more = len(page.records) > len(records)
    if page.backward:
        records.reverse()
    sort_end = 5 + page.sort_count
    near = near_of(request) is not None
    found: list[Found] = []
    for record in records:
        _, logical_id, version, last_updated, content = record[:5]
        distance = record[sort_end] if near else None
        row = Row(request.resource_type, logical_id, version, last_updated, content, distance)
        found.append(Found(row, record[-1] if followed else ()))
    if not records:
        return _Page(found, None, None, more)
    first, last = ((*record[5:sort_end], record[0]) for record in (records[0], records[-1]))
    return _Page(found, RowPlace(first, backward=True), RowPlace(last), more)


async def _fetched(connection: Connection, queries: Sequence[MatchQuery], count: int) -> PageRecords:
    page = PageRecords([], queries[0].sort_count, queries[0].backward)
    for query in queries:
        if not page.is_full(count):
            page.records.extend(await connection.fetch(query.statement.sql, *query.statement.values))
    return page


async def _page_total(
    connection: Connection,
    catalog: Catalog,
    scope: SearchScope,
    request: SearchRequest,
    cursor: Cursor | None,
    page: _Page,
    counted: int | None,
    steps: Steps | None,
) -> tuple[int | None, int]:
    """The total, if it is wanted, and how many matches there are at least."""
    shown = len(page.found)
    if request.total == "none":
        return None, shown
    if cursor is not None and (cursor.total is not None or not request.at_least):
        return cursor.total, cursor.total or shown
    if cursor is None and not page.more:
        return shown, shown
    if counted is not None and counted <= request.limits.sorted_whole_max:
        return counted, counted
    if steps is not None and request.total == "default":
        found = await steps.count(connection, request.limits.total_counted_max)
        return found.number if found.whole else None, max(found.number, shown)
    return await _total(connection, catalog, scope, request, exact=request.total == "accurate")


async def _total(
    connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest, *, exact: bool
) -> tuple[int | None, int]:
    """The total, and how many matches there are at least. Unless `exact`, the total is counted up to a limit; beyond it, it
    is None or, when asked for, the planner's estimate."""
    most = None if exact else request.limits.total_counted_max
    counted = await _count_up_to(connection, catalog, scope, request, most)
    if most is None or counted <= most:
        return counted, counted
    if request.total != "estimate":
        return None, counted
    return max(counted, await _estimate(connection, compile_count(catalog, scope, request, None))), counted


async def _count_up_to(
    connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest, most: int | None
) -> int:
    """The number of matches; with `most`, up to one more than that."""
    statement = compile_count(catalog, scope, request, most)
    total: int = await connection.fetchval(statement.sql, *statement.values)
    return total


async def _estimate(connection: Connection, statement: Statement) -> int:
    """The planner's guess of the rows that would be counted."""
    plan = orjson.loads(
        await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values)
    )
    nodes: Sequence[dict[str, Any]] = plan[0]["Plan"].get("Plans", ())
    return int(max((node["Plan Rows"] for node in nodes), default=0))

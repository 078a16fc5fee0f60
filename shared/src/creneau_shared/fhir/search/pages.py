"""One page of a search as SQL: its order, where it begins, and which rows are read for it.

A search that is sorted by something in a side table can be answered in two ways. *Sorting*: find all matches, look up
what each is sorted by, sort. *Walking*: read the side table in the order of its index and keep what matches until the
page is full (`Walk`). Sorting costs what all matches cost, walking what lies between two of them; so few matches are
sorted, and many are walked to. PostgreSQL is not left the choice, because it cannot guess how many rows bear a term that
is not among the most common ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from creneau_shared.database.conditions import all_of, any_of
from creneau_shared.fhir.search.page_bytes import fitting, within
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import Condition, SearchRequest, near_of
from creneau_shared.fhir.search.sql import (
    Arguments,
    Catalog,
    Compiler,
    KnowsOnePlan,
    RowPlace,
    SearchScope,
    SearchTable,
    SortValue,
    Statement,
    Walk,
)


@dataclass(frozen=True, slots=True)
class MatchQuery:
    """The statement that finds a page of matches, and how its rows are read.

    Columns: key, id, version, last_updated, content, then `sort_count` sort values, `distance` when searched
    near a point, `refs` when references are wanted.
    """

    statement: Statement
    sort_count: int
    backward: bool


@dataclass(frozen=True, slots=True)
class PageRecords:
    """The rows that the statements of a page gave, in their order: they may be more than the page has."""

    records: list[Any]
    sort_count: int
    backward: bool

    def on_page(self, count: int) -> int:
        """How many of the rows are on a page of at most `count`."""
        return fitting(record["content"] for record in self.records[:count])

    def is_full(self, count: int) -> bool:
        """Whether there are rows beyond a page of at most `count`."""
        return len(self.records) > self.on_page(count)


@dataclass(frozen=True, slots=True)
class PageParts:
    """The parts of a page's statement: each is SQL over the row `alias`, except `limit`."""

    alias: str
    selected: str
    source: str
    where: str
    ordered: str
    limit: str


Assemble = Callable[[PageParts, Arguments], str]
"""Makes a statement of the parts."""


def _in_one(parts: PageParts, arguments: Arguments) -> str:
    return (
        f"SELECT {parts.selected} FROM {parts.source} WHERE {parts.where} "
        f"ORDER BY {parts.ordered} LIMIT {parts.limit}"
    )


def _of_named(parts: PageParts, arguments: Arguments) -> str:
    """As `_in_one`, of rows that are named: all are found before the page is cut. With a limit in sight, PostgreSQL walks
    in the order of the page through the rows of everybody to meet them."""
    return (
        f"WITH named AS MATERIALIZED (SELECT {parts.selected} FROM {parts.source} WHERE {parts.where} "
        f"ORDER BY {parts.ordered}) SELECT * FROM named LIMIT {parts.limit}"
    )


def can_walk(catalog: Catalog, scope: SearchScope, request: SearchRequest) -> bool | None:
    """Whether to walk to the matches: False (impossible), True (nothing narrows them), None (only if there are many)."""
    walk = _walk(catalog.table(request.resource_type), request, request.conditions, "r1", Arguments())
    if walk is None:
        return False
    return None if walk.rest or request.resource_type in scope.required else True


def compile_matches(
    catalog: Catalog,
    scope: SearchScope,
    request: SearchRequest,
    place: RowPlace | None = None,
    references: Sequence[SearchParameter] = (),
    *,
    walking: bool = False,
) -> tuple[MatchQuery, ...]:
    """One page of matches after (or before) `place`, and one row more that tells whether there is another. A page ends when
    it has `count` rows or is full (`page_bytes`).

    `walking` only where `can_walk` allows it. The rows of the second statement, when there is one, come after those of
    the first: it is for a page that the first does not fill.
    """
    parts = _parts(catalog, request, place) if walking else ("all",)
    pages = [_Page(catalog, scope, request, place, references, part) for part in parts]
    return tuple(page.query(_of_named if page.planned_once else _in_one) for page in pages)


def compile_page(
    catalog: Catalog,
    scope: SearchScope,
    request: SearchRequest,
    place: RowPlace | None,
    references: Sequence[SearchParameter],
    assemble: Assemble,
) -> MatchQuery:
    """One page as in `compile_matches`; `assemble` makes its statement."""
    return _Page(catalog, scope, request, place, references, "all").query(assemble)


_Part = Literal["all", "walked", "absent"]
"""Which rows a statement gives: all in one order, those that a Walk leads to, those that it does not lead to."""


def _parts(catalog: Catalog, request: SearchRequest, place: RowPlace | None) -> Sequence[_Part]:
    walk = _walk(catalog.table(request.resource_type), request, request.conditions, "r1", Arguments())
    parts: list[_Part] = ["walked"]
    if walk is not None and walk.absent is not None:
        parts.append("absent")
    if place is None:
        return parts
    if place.backward:
        parts.reverse()
    if not place.values:
        return parts
    return parts[parts.index("absent" if place.values[0] is None else "walked") :]


def _walk(
    table: SearchTable,
    request: SearchRequest,
    conditions: Sequence[Condition],
    alias: str,
    arguments: Arguments,
) -> Walk | None:
    keys = request.sort or (() if near_of(request) else table.default_sort)
    return table.walk(keys[0], conditions, alias, arguments) if keys else None


class _Page:
    """Compiles one statement of a page."""

    def __init__(
        self,
        catalog: Catalog,
        scope: SearchScope,
        request: SearchRequest,
        place: RowPlace | None,
        references: Sequence[SearchParameter],
        part: _Part,
    ) -> None:
        table = catalog.table(request.resource_type)
        self.planned_once = isinstance(table, KnowsOnePlan) and table.has_one_plan(request.conditions)
        self._compiler = Compiler(catalog, scope, planned_once=self.planned_once)
        self._request = request
        self._references = references
        self._part = part
        self._backward = place is not None and place.backward
        # The first statement goes on from the place; one that follows it begins at its own beginning.
        self._place = None
        if place is not None and place.values:
            is_here = part == "all" or (place.values[0] is None) == (part == "absent")
            self._place = place if is_here else None

    def query(self, assemble: Assemble) -> MatchQuery:
        request, compiler, arguments = self._request, self._compiler, self._compiler.arguments
        table, alias = compiler.catalog.table(request.resource_type), compiler.alias()
        walk = None
        if self._part != "all":
            walk = _walk(
                table,
                request,
                request.conditions,
                alias,
                arguments if self._part == "walked" else Arguments(),
            )
        conditions = walk.rest if walk is not None and self._part == "walked" else request.conditions
        source, parts = table.source(alias), [compiler.where(table, conditions, alias)]
        if walk is not None and self._part == "walked":
            source, parts = f"{walk.source}, {source}", [walk.where, *parts]
        elif walk is not None and walk.absent is not None:
            parts.append(walk.absent)
        columns = table.columns(alias)
        near = near_of(request)
        distance = table.distance(near, alias, arguments) if near else None
        order = [
            *self._order(table, alias, walk, distance),
            SortValue(columns.key, table.key_type, nullable=False),
        ]
        if self._place is not None:
            parts.append(_beyond(order, self._place, arguments))
        selected = {
            "key": columns.key,
            "id": columns.id,
            "version": columns.version,
            "last_updated": columns.last_updated,
            "content": columns.content,
            **{f"s{n}": value.expression for n, value in enumerate(order[:-1])},
        }
        if distance is not None:
            selected["distance"] = distance
        if self._references:
            selected["refs"] = table.references(self._references, alias)
        ordered = ", ".join(_order_by(v, self._backward) for v in order if v.expression != "NULL")
        limit = arguments.add(request.count + 1, "bigint")
        named = ", ".join(f"{expression} AS {name}" for name, expression in selected.items())
        page = PageParts(alias, named, source, all_of(parts), ordered, limit)
        sql = within(assemble(page, arguments), ", ".join(selected))
        return MatchQuery(compiler.statement(sql), len(order) - 1, self._backward)

    def _order(
        self, table: SearchTable, alias: str, walk: Walk | None, distance: str | None
    ) -> list[SortValue]:
        request, arguments = self._request, self._compiler.arguments
        if not request.sort and distance is not None:
            return [SortValue(distance, "double precision", nullable=False)]
        keys = request.sort or table.default_sort
        if walk is None:
            return [table.sort_value(key, alias, arguments) for key in keys]
        first = (
            walk.value if self._part == "walked" else replace(walk.value, expression="NULL", nullable=True)
        )
        return [first, *(table.sort_value(key, alias, arguments) for key in keys[1:])]


def _order_by(value: SortValue, backward: bool) -> str:
    """Sorts NULLs last in both directions; everything is reversed when going backward."""
    direction = "DESC" if value.descending != backward else "ASC"
    if not value.nullable:
        return f"{value.expression} {direction}"
    return f"{value.expression} {direction} NULLS {'FIRST' if backward else 'LAST'}"


def _beyond(order: Sequence[SortValue], place: RowPlace, arguments: Arguments) -> str:
    """Condition: the row comes after `place` (before it when going backward)."""
    if len(place.values) != len(order):
        raise ValueError("a place has one value for each sort key and the key")
    alternatives: list[str] = []
    equal: list[str] = []
    bounds: list[str] = []
    for value, at in zip(order, place.values, strict=True):
        if value.expression == "NULL":
            continue
        placeholder = None if at is None else arguments.add(at, value.sql_type)
        if not alternatives and not equal and placeholder is not None and not value.nullable:
            # Repeated without OR, so that an index is read from the place on.
            bounds = [
                f"{value.expression} {'<=' if value.descending != place.backward else '>='} {placeholder}"
            ]
        further = _further(value, placeholder, place.backward)
        if further is not None:
            alternatives.append(all_of([*equal, further]))
        same = f"= {placeholder}" if placeholder else "IS NULL"
        equal.append(f"{value.expression} {same}")
    return all_of([*bounds, any_of(alternatives)])


def _further(value: SortValue, placeholder: str | None, backward: bool) -> str | None:
    if placeholder is None:
        return f"{value.expression} IS NOT NULL" if backward else None
    operator = "<" if value.descending != backward else ">"
    further = f"{value.expression} {operator} {placeholder}"
    if value.nullable and not backward:
        return f"({further} OR {value.expression} IS NULL)"
    return further

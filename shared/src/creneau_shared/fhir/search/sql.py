"""From a SearchRequest to SQL text with numbered arguments (asyncpg `$n`).

The compiler knows how conditions combine; what a condition is in a particular table, only that table knows.
So a service may bring a table of quite another shape (`SearchTable`) and search, chain, include, sort and
page over it together with the generic ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import (
    Chain,
    Clause,
    Condition,
    Has,
    NearValue,
    SearchRequest,
    SortKey,
    near_of,
)


class Arguments:
    """The values of a statement; `add` gives the placeholder."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any, sql_type: str) -> str:
        """`$n::type` for `value`."""
        self.values.append(value)
        return f"${len(self.values)}::{sql_type}"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text and the values of its `$n`."""

    sql: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """SQL expressions of one row: bigint-like key, text id, integer version, timestamptz, bytea content."""

    key: str
    id: str
    version: str
    last_updated: str
    content: str


@dataclass(frozen=True, slots=True)
class SortValue:
    """What rows are ordered by: an expression, its SQL type, and whether it may be NULL."""

    expression: str
    sql_type: str
    nullable: bool = True
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a table, under an alias, that fulfil a condition."""

    table: SearchTable
    alias: str
    where: str

    def select(self, expression: str, lateral: str = "") -> str:
        """`SELECT expression FROM …`; `lateral` is a further FROM item that may use the row."""
        source = self.table.source(self.alias) + (f" CROSS JOIN LATERAL {lateral}" if lateral else "")
        return f"SELECT {expression} FROM {source} WHERE {self.where}"


class SearchTable(Protocol):
    """How one resource type is stored. Every method gives SQL for the row named `alias`."""

    @property
    def resource_type(self) -> str:
        """The type whose resources are the rows."""
        ...

    @property
    def key_type(self) -> str:
        """SQL type of the key, which is unique, never changes and orders rows that are otherwise equal."""
        ...

    @property
    def default_sort(self) -> tuple[SortKey, ...]:
        """The order of a search that asks for none, before the key."""
        ...

    def source(self, alias: str) -> str:
        """The FROM items."""
        ...

    def columns(self, alias: str) -> Columns:
        """The columns that every row has."""
        ...

    def live(self, alias: str) -> str:
        """Condition: the resource is not deleted."""
        ...

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        """Condition: the clause holds. Raises BadRequest (not-supported) when it cannot be answered."""
        ...

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        """Condition: the reference `parameter` names one of the selected rows (chaining)."""
        ...

    def referred_ids(self, parameter: SearchParameter, target_type: str, selection: Selection) -> str:
        """SELECT of the ids of `target_type` that this table's selected rows refer to (`_has`)."""
        ...

    def has_id(self, ids: str, alias: str) -> str:
        """Condition: the row's id is among those that the SELECT `ids` gives."""
        ...

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        """Condition: the row bears one of the terms (`patient=Patient/12`, `_id=12`), for a Scope."""
        ...

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        """text[] of `parameter=Type/id`, the references of the row through the parameters."""
        ...

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        """What the row is ordered by for a key of `_sort`."""
        ...

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        """Distance of the row from a point, metres, double precision."""
        ...


class Catalog:
    """The tables that this service's database holds, its own and its replicas of others."""

    def __init__(self, tables: Iterable[SearchTable]) -> None:
        self._tables = {table.resource_type: table for table in tables}

    @property
    def types(self) -> frozenset[str]:
        """The types held here."""
        return frozenset(self._tables)

    def find(self, resource_type: str) -> SearchTable | None:
        """The table of a type, None when it is not held here."""
        return self._tables.get(resource_type)

    def table(self, resource_type: str) -> SearchTable:
        """The table of a type. Raises BadRequest, naming the type, when it is not held here."""
        table = self._tables.get(resource_type)
        if table is None:
            raise BadRequest(
                f"Ce service ne détient pas {resource_type} : la recherche ne peut pas passer par ce type",
                f"This service does not hold {resource_type}: the search cannot go through that type",
                code="not-supported",
                details_code="type-not-held",
            )
        return table


@dataclass(frozen=True, slots=True)
class Scope:
    """What the caller may see: for each restricted type, the terms of which a row must bear one.

    A type that is absent is seen whole; one with no terms, not at all. Holds for matches, for includes and
    within chains, so that nobody learns by `_has` what they may not read.
    """

    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the order: its sort values and last its key. `backward`: look at what is before it."""

    values: tuple[Any, ...]
    backward: bool = False


@dataclass(frozen=True, slots=True)
class MatchQuery:
    """The statement that finds a page of matches, and how its rows are read.

    Columns: key, id, version, last_updated, content, then `sort_count` sort values, `distance` when searched
    near a point, `refs` when references are wanted.
    """

    statement: Statement
    sort_count: int
    backward: bool


class Compiler:
    """Compiles conditions for one statement. Use one per statement: it numbers arguments and aliases."""

    def __init__(self, catalog: Catalog, scope: Scope = EVERYTHING) -> None:
        self.catalog = catalog
        self.scope = scope
        self.arguments = Arguments()
        self._aliases = 0

    def statement(self, sql: str) -> Statement:
        """`sql` with the arguments collected so far."""
        return Statement(sql, tuple(self.arguments.values))

    def alias(self) -> str:
        """A new alias."""
        self._aliases += 1
        return f"r{self._aliases}"

    def select(self, resource_type: str, conditions: Iterable[Condition]) -> Selection:
        """The rows of a type that are not deleted, within the scope, and fulfil the conditions."""
        table = self.catalog.table(resource_type)
        alias = self.alias()
        parts = [table.live(alias)]
        required = self.scope.required.get(resource_type)
        if required is not None:
            parts.append(table.bears(required, alias, self.arguments))
        parts += [self._condition(table, condition, alias) for condition in conditions]
        return Selection(table, alias, " AND ".join(parts))

    def _condition(self, table: SearchTable, condition: Condition, alias: str) -> str:
        if isinstance(condition, Clause):
            return table.predicate(condition, alias, self.arguments)
        if isinstance(condition, Chain):
            return self._chain(table, condition, alias)
        return self._has(table, condition, alias)

    def _chain(self, table: SearchTable, chain: Chain, alias: str) -> str:
        ways = [
            table.refers_to(chain.parameter, self.select(branch.resource_type, (branch.condition,)), alias)
            for branch in chain.branches
        ]
        return "(" + " OR ".join(ways) + ")"

    def _has(self, table: SearchTable, has: Has, alias: str) -> str:
        selection = self.select(has.resource_type, has.conditions)
        ids = selection.table.referred_ids(has.parameter, table.resource_type, selection)
        return table.has_id(ids, alias)


def compile_matches(
    catalog: Catalog,
    scope: Scope,
    request: SearchRequest,
    place: Place | None = None,
    references: Sequence[SearchParameter] = (),
) -> MatchQuery:
    """One page of matches after (or before) `place`, and one row more that tells whether there is another."""
    compiler = Compiler(catalog, scope)
    selection = compiler.select(request.resource_type, request.conditions)
    table, alias, arguments = selection.table, selection.alias, compiler.arguments
    columns = table.columns(alias)
    near = near_of(request)
    distance = table.distance(near, alias, arguments) if near else None
    order = _order(request, table, alias, arguments, distance)
    order.append(SortValue(columns.key, table.key_type, nullable=False))
    backward = place is not None and place.backward
    where = selection.where
    if place is not None:
        where += f" AND ({_beyond(order, place, arguments)})"
    selected = [
        f"{columns.key} AS key",
        f"{columns.id} AS id",
        f"{columns.version} AS version",
        f"{columns.last_updated} AS last_updated",
        f"{columns.content} AS content",
        *(f"{value.expression} AS s{n}" for n, value in enumerate(order[:-1])),
    ]
    if distance is not None:
        selected.append(f"{distance} AS distance")
    if references:
        selected.append(f"{table.references(references, alias)} AS refs")
    sql = (
        f"SELECT {', '.join(selected)} FROM {table.source(alias)} WHERE {where} "
        f"ORDER BY {', '.join(_order_by(value, backward) for value in order)} "
        f"LIMIT {arguments.add(request.count + 1, 'bigint')}"
    )
    return MatchQuery(compiler.statement(sql), len(order) - 1, backward)


def compile_count(catalog: Catalog, scope: Scope, request: SearchRequest, most: int | None) -> Statement:
    """The number of matches, or, with `most`, that number up to `most` + 1."""
    compiler = Compiler(catalog, scope)
    selection = compiler.select(request.resource_type, request.conditions)
    if most is None:
        return compiler.statement(selection.select("count(*)"))
    limit = compiler.arguments.add(most + 1, "bigint")
    return compiler.statement(f"SELECT count(*) FROM ({selection.select('1')} LIMIT {limit}) AS matches")


def _order(
    request: SearchRequest, table: SearchTable, alias: str, arguments: Arguments, distance: str | None
) -> list[SortValue]:
    if not request.sort and distance is not None:
        return [SortValue(distance, "double precision", nullable=False)]
    return [table.sort_value(key, alias, arguments) for key in request.sort or table.default_sort]


def _order_by(value: SortValue, backward: bool) -> str:
    """NULLs last whatever the direction; everything turned round when going backward."""
    direction = "DESC" if value.descending != backward else "ASC"
    if not value.nullable:
        return f"{value.expression} {direction}"
    return f"{value.expression} {direction} NULLS {'FIRST' if backward else 'LAST'}"


def _beyond(order: Sequence[SortValue], place: Place, arguments: Arguments) -> str:
    """Condition: the row comes after `place` (before it when going backward)."""
    if len(place.values) != len(order):
        raise ValueError("a place has one value for each sort key and the key")
    alternatives: list[str] = []
    equal: list[str] = []
    for value, at in zip(order, place.values, strict=True):
        placeholder = None if at is None else arguments.add(at, value.sql_type)
        further = _further(value, placeholder, place.backward)
        if further is not None:
            alternatives.append(" AND ".join([*equal, further]))
        same = f"= {placeholder}" if placeholder else "IS NULL"
        equal.append(f"{value.expression} {same}")
    return " OR ".join(f"({alternative})" for alternative in alternatives) or "false"


def _further(value: SortValue, placeholder: str | None, backward: bool) -> str | None:
    if placeholder is None:
        return f"{value.expression} IS NOT NULL" if backward else None
    operator = "<" if value.descending != backward else ">"
    further = f"{value.expression} {operator} {placeholder}"
    if value.nullable and not backward:
        return f"({further} OR {value.expression} IS NULL)"
    return further

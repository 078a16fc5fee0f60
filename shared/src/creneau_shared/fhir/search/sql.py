"""From a SearchRequest to SQL text with numbered arguments (asyncpg `$n`).

The compiler knows how conditions combine; what a condition is in a particular table, only that table knows.
So a service may bring a table of quite another shape (`SearchTable`) and search, chain, include, sort and
page over it together with the generic ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from creneau_shared.database.conditions import FALSE, all_of, any_of
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import (
    Above,
    And,
    Chain,
    Clause,
    Condition,
    Has,
    NearValue,
    Not,
    Or,
    SearchRequest,
    SortKey,
    Together,
)


class Arguments:
    """The values of a statement; `add` gives the placeholder.

    With `hidden`, the planner does not see the values, so that it makes one plan a connection, and not one for each set of
    values. For statements whose plan is always the same and takes longer to make than to carry out.
    """

    def __init__(self, *, hidden: bool = False) -> None:
        self.values: list[Any] = []
        self._hidden = hidden

    def add(self, value: Any, sql_type: str) -> str:
        """`$n::type` for `value`."""
        self.values.append(value)
        placeholder = f"${len(self.values)}::{sql_type}"
        # With the second cast, ANY takes the value as an array, and not as the rows of a query.
        return f"(SELECT {placeholder})::{sql_type}" if self._hidden else placeholder


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
class Walk:
    """A FROM item with an index in whose order the rows can be read, so that a page costs only what it shows.

    `where` joins it to the row, one to one. `absent` is the condition of the rows that it does not reach, which come last
    (None: they do not fulfil the conditions). `rest` are the conditions that `where` does not answer already.
    """

    source: str
    where: str
    value: SortValue
    absent: str | None
    rest: tuple[Condition, ...]


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
        """Condition: the row bears one of the terms (`patient=Patient/12`, `_id=12`), for a SearchScope."""
        ...

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        """text[] of `parameter=Type/id`, the references of the row through the parameters."""
        ...

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        """What the row is ordered by for a key of `_sort`."""
        ...

    def walk(
        self, key: SortKey, conditions: Sequence[Condition], alias: str, arguments: Arguments
    ) -> Walk | None:
        """How rows are read in the order of `key` by the index of another table; None when that is not possible."""
        ...

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        """Distance of the row from a point, metres, double precision."""
        ...


@runtime_checkable
class HasTerms(Protocol):
    """A SearchTable whose rows keep their terms."""

    def bears_no_other(self, terms: Mapping[str, tuple[str, ...]], alias: str, arguments: Arguments) -> str:
        """Condition: each term of the row that begins with one of the names is one of the terms under that name."""
        ...


@runtime_checkable
class KnowsOnePlan(Protocol):
    """A SearchTable of which some searches have one plan that is best for whatever values."""

    def has_one_plan(self, conditions: Sequence[Condition]) -> bool:
        """Whether a search with these conditions is planned once, its values hidden (`Arguments`)."""
        ...


@runtime_checkable
class HasTrees(Protocol):
    """A SearchTable whose resources have others above them, or elements searched within one occurrence."""

    def fulfils_together(self, together: Together, alias: str, arguments: Arguments) -> str:
        """Condition: one occurrence of an element fulfils all the clauses."""
        ...

    def at_or_below(self, parameter: SearchParameter, top: Selection, child: Selection, alias: str) -> str:
        """Condition: the row is one of `top`, or below one of them through rows that `child` allows."""
        ...


class Catalog:
    """The tables that this service's database holds, its own and its replicas of others."""

    def __init__(self, tables: Iterable[SearchTable]) -> None:
        self._tables = {table.resource_type: table for table in tables}

    def with_table(self, table: SearchTable) -> Catalog:
        """A copy with this table for its type."""
        return Catalog([*self._tables.values(), table])

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
class SeenClause:
    """A clause and the rows to which it may be applied. `whole_with` None: every row. Else only the rows that the caller
    sees whole: of these, each term under one of the names (keys) is one of the terms listed there."""

    clause: Clause
    whole_with: Mapping[str, tuple[str, ...]] | None = None


AsSeen = Callable[[Clause], SeenClause | None]
"""Makes of a clause what it asks of the resources as the caller sees them; None: it holds for none of them."""


@dataclass(frozen=True, slots=True)
class SearchScope:
    """What the caller may see: for each restricted type, the terms of which a row must bear one.

    A type that is absent is seen whole; one with no terms, not at all. Holds for matches, for includes and
    within chains, so that nobody learns by `_has` what they may not read.
    """

    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    as_seen: Mapping[str, AsSeen] = field(default_factory=dict)
    """for each type whose resources the caller sees in part only, how its clauses hold of that part"""


EVERYTHING = SearchScope()


@dataclass(frozen=True, slots=True)
class RowPlace:
    """A row's place in the order: its sort values and last its key. `backward`: look at what is before it.

    Without values: the end of the order (or its beginning).
    """

    values: tuple[Any, ...]
    backward: bool = False


FROM_THE_END = RowPlace((), backward=True)


class Compiler:
    """Compiles conditions for one statement. Use one per statement: it numbers arguments and aliases. `planned_once`: its
    arguments are hidden (`Arguments`). `arguments`: those of a statement of which it compiles a query of its own (WITH)."""

    def __init__(
        self,
        catalog: Catalog,
        scope: SearchScope = EVERYTHING,
        *,
        planned_once: bool = False,
        arguments: Arguments | None = None,
    ) -> None:
        self.catalog = catalog
        self.scope = scope
        self.arguments = Arguments(hidden=planned_once) if arguments is None else arguments
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
        return Selection(table, alias, self.where(table, conditions, alias))

    def where(self, table: SearchTable, conditions: Iterable[Condition], alias: str) -> str:
        """The condition that the row is not deleted, within the scope, and fulfils the conditions."""
        parts = [table.live(alias)]
        terms = self.scope.required.get(table.resource_type)
        if terms is not None:
            parts.append(table.bears(terms, alias, self.arguments))
        parts += [self._condition(table, condition, alias) for condition in conditions]
        return all_of(parts)

    def _condition(self, table: SearchTable, condition: Condition, alias: str) -> str:
        if isinstance(condition, Clause):
            return self._clause(table, condition, alias)
        if isinstance(condition, Chain):
            return self._chain(table, condition, alias)
        if isinstance(condition, Has):
            return self._has(table, condition, alias)
        if isinstance(condition, Not):
            return f"({self._condition(table, condition.condition, alias)}) IS NOT TRUE"
        if isinstance(condition, And):
            return all_of(self._condition(table, part, alias) for part in condition.conditions)
        if isinstance(condition, Together | Above):
            return self._in_tree(table, condition, alias)
        return self._either(table, condition.conditions, alias)

    def _clause(self, table: SearchTable, clause: Clause, alias: str) -> str:
        as_seen = self.scope.as_seen.get(table.resource_type)
        if as_seen is None:
            return table.predicate(clause, alias, self.arguments)
        seen = as_seen(clause)
        if seen is None:
            return FALSE
        asked = table.predicate(seen.clause, alias, self.arguments)
        if seen.whole_with is None:
            return asked
        if not isinstance(table, HasTerms):
            raise TypeError(f"{table.resource_type} keeps no terms")
        return all_of((asked, table.bears_no_other(seen.whole_with, alias, self.arguments)))

    def _either(self, table: SearchTable, conditions: Sequence[Condition], alias: str) -> str:
        """OR; as a union of keys when each way has its own index: no plan joins indexes of several tables by OR."""
        if all(map(_by_terms, conditions)) or any(map(_is_complement, conditions)):
            return any_of(self._condition(table, c, alias) for c in conditions)
        ways: list[str] = []
        for condition in conditions:
            own = self.alias()
            where = self._condition(table, condition, own)
            ways.append(f"SELECT {table.columns(own).key} FROM {table.source(own)} WHERE {where}")
        return f"{table.columns(alias).key} IN ({' UNION ALL '.join(ways)})"

    def _in_tree(self, table: SearchTable, condition: Together | Above, alias: str) -> str:
        if not isinstance(table, HasTrees):
            raise TypeError(f"{table.resource_type} has no {condition!r}")
        if isinstance(condition, Together):
            return table.fulfils_together(condition, alias, self.arguments)
        top = self.select(table.resource_type, (condition.condition,))
        child = self.select(table.resource_type, ())
        return table.at_or_below(condition.parameter, top, child, alias)

    def _chain(self, table: SearchTable, chain: Chain, alias: str) -> str:
        ways = [
            table.refers_to(chain.parameter, self.select(branch.resource_type, (branch.condition,)), alias)
            for branch in chain.branches
        ]
        return any_of(ways)

    def _has(self, table: SearchTable, has: Has, alias: str) -> str:
        selection = self.select(has.resource_type, has.conditions)
        ids = selection.table.referred_ids(has.parameter, table.resource_type, selection)
        return table.has_id(ids, alias)


def _by_terms(condition: Condition) -> bool:
    """Whether one row's terms answer the condition."""
    return isinstance(condition, Clause) and condition.parameter.type in ("token", "reference", "uri")


def _is_complement(condition: Condition) -> bool:
    """Whether most rows fulfil the condition, so that nothing is gained by an index."""
    if isinstance(condition, Clause):
        return condition.modifier == "not"
    if isinstance(condition, (And, Or)):
        return any(map(_is_complement, condition.conditions))
    return isinstance(condition, Not)


def compile_count(
    catalog: Catalog, scope: SearchScope, request: SearchRequest, most: int | None
) -> Statement:
    """The number of matches, or, with `most`, that number up to `most` + 1."""
    compiler = Compiler(catalog, scope)
    selection = compiler.select(request.resource_type, request.conditions)
    if most is None:
        return compiler.statement(selection.select("count(*)"))
    limit = compiler.arguments.add(most + 1, "bigint")
    return compiler.statement(f"SELECT count(*) FROM ({selection.select('1')} LIMIT {limit}) AS matches")

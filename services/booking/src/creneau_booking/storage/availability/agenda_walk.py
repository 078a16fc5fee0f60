"""Free slots in the order of time, found agenda by agenda.

The search first answers what is asked of agendas and kinds (owner, place, specialty), over a few thousand rows. Then it
reads each of those agendas along its own index from the earliest moment on, until it has given what the page can take. So
the cost of a page depends on the agendas that fit, not on the slots that they have.

- If more agendas fit than the page has slots, it first looks for the head of each: a page of `n` slots comes from the `n`
  agendas with the earliest heads, and ends with the last of these heads at the latest.
- If many agendas fit, it looks for heads in a narrow window of time first, since all that is taken stands before them.
- If a tenth of all agendas fits, it first reads slots as they come, of whichever agenda: some of the next few thousand
  nearly always fit.

The texts of the statements are the same whatever the clock and the agendas: each connection plans them once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from creneau_booking.domain.times import later
from creneau_booking.storage.availability.rule import COULD_BE_BOOKED
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.pages import (
    MatchQuery,
    PageParts,
    PageRecords,
    compile_matches,
    compile_page,
)
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import (
    And,
    Chain,
    Clause,
    Condition,
    DateValue,
    Not,
    Or,
    SearchRequest,
    TokenValue,
    clauses_of,
)
from creneau_shared.fhir.search.sql import (
    Arguments,
    Catalog,
    Compiler,
    RowPlace,
    SearchScope,
    SearchTable,
)
from creneau_shared.fhir.search.steps import Counted

KINDS_MAX = 50_000
"""most kinds of slots whose agendas are walked; a search that more of them fit is as any other"""
WINDOWS_FROM = 64
"""number of agendas from which on they are read in windows of time"""
WINDOWS = (timedelta(days=1), timedelta(days=8))
"""widths of the first windows"""
MANY = f"""(SELECT CASE WHEN reltuples < 0 THEN {KINDS_MAX} ELSE least({KINDS_MAX}, greatest({WINDOWS_FROM}, reltuples / 10)) END
  ::bigint FROM pg_class WHERE oid = 'slot_kind'::regclass)"""
"""SQL: number of kinds from which on slots are first read as they come: a tenth of all, by PostgreSQL's estimate"""
READ_AS_THEY_COME = 5_000
"""number of slots read as they come, beside those that begin when the last of them does"""
ROWS_COUNTED_MAX = 5_000
"""most slots that are looked through for a total that nobody has asked for"""

FREE = {"status": frozenset({"free"}), "bookable": COULD_BE_BOOKED}
"""Parameters by which free slots are asked for, with their values"""
_OF_SLOTS = frozenset({"_id", "_lastUpdated", "start", "end", "status", "bookable", "identifier"})
"""Parameters of the slot itself; all others have one value for many slots of an agenda."""
_FROM, _AFTER = frozenset({"eq", "ge", "ap"}), frozenset({"gt", "sa"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A search taken apart: its conditions on agendas and kinds, and those on their slots."""

    of_agendas: tuple[Condition, ...]
    of_slots: tuple[Condition, ...]


def taken_apart(request: SearchRequest) -> Asked | None:
    """Takes a search apart. Returns None if it is not for free slots of some agendas in the order of time, or if it names
    the one agenda itself, whose index gives the answer in one statement."""
    keys = [key.parameter.name for key in request.sort]
    if request.count_only or keys not in ([], ["start"]):
        return None
    of_agendas = tuple(c for c in request.conditions if _is_of_agendas(c))
    if any(map(_names_one_agenda, of_agendas)):
        return None
    of_slots = tuple(c for c in request.conditions if not _is_of_agendas(c))
    if not of_agendas or not any(map(_wants_free, of_slots)) or not all(map(_goes_with_free, of_slots)):
        return None
    return Asked(of_agendas, of_slots)


@dataclass(frozen=True, slots=True)
class Tables:
    """Slot as a search of it is compiled: over the kinds alone, and over slots whose kind is joined."""

    kinds: SearchTable
    slots: SearchTable


@dataclass(frozen=True, slots=True)
class Fitting:
    """The agendas (keys) that fit, and the kinds (keys) that their slots are to be of."""

    agendas: Sequence[int]
    kinds: Sequence[int]


async def steps_of(
    connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest, tables: Tables
) -> AgendaWalk | None:
    """Returns the steps that find the matches of a Slot search; None: those of any other search."""
    asked = taken_apart(request)
    if asked is None:
        return None
    fitting = await _fitting(connection, catalog, scope, asked, tables, MANY)
    return AgendaWalk(catalog, scope, request, asked, tables, fitting)


async def _fitting(
    connection: Connection, catalog: Catalog, scope: SearchScope, asked: Asked, tables: Tables, most: str
) -> Fitting | None:
    """Returns what fits; None: there are `most` (SQL of a number) kinds or more."""
    compiler = Compiler(catalog.with_table(tables.kinds), scope)
    selection = compiler.select("Slot", asked.of_agendas)
    found = selection.select(f"{selection.alias}.schedule_key, {selection.alias}.kind_key")
    statement = compiler.statement(
        f"WITH room AS MATERIALIZED (SELECT {most} AS most)"
        " SELECT array_agg(schedule_key) AS agendas, array_agg(kind_key) AS kinds, (SELECT most FROM room)"
        f" FROM ({found} LIMIT (SELECT most FROM room)) AS fitting"
    )
    row = await connection.fetchrow(statement.sql, *statement.values)
    assert row is not None
    kinds = row["kinds"] or []
    return Fitting(sorted(set(row["agendas"] or ())), kinds) if len(kinds) < row["most"] else None


@dataclass(frozen=True, slots=True)
class AgendaWalk:
    """The `Steps` of a search for free slots of agendas that fit; `fitting` None: many fit."""

    catalog: Catalog
    scope: SearchScope
    request: SearchRequest
    asked: Asked
    tables: Tables
    fitting: Fitting | None

    async def page(
        self, connection: Connection, place: RowPlace | None, references: Sequence[SearchParameter]
    ) -> PageRecords:
        backward = place is not None and place.backward
        records: list[Any] = []
        page = PageRecords(records, 1, backward)
        fitting, start = self.fitting, self._start(place)
        if fitting is None:
            if start is not None:
                records += await self._fetch(connection, self._next_few(place, references, start))
                if page.is_full(self.request.count):
                    return page
            fitting = await _fitting(
                connection, self.catalog, self.scope, self.asked, self.tables, str(KINDS_MAX)
            )
        for window in _windows(start, fitting):
            if records:
                place = RowPlace((records[-1][5], records[-1][0]))
            if fitting is None:
                query = compile_matches(self.catalog, self.scope, self.request, place, references)[0]
            else:
                query = self._walk(place, references, fitting, *window)
            records += await self._fetch(connection, query)
            if page.is_full(self.request.count):
                break
        return page

    async def count(self, connection: Connection, most: int) -> Counted:
        """Counts through a bounded number of the agendas' slots, or, where many agendas fit, of slots as they come."""
        if self.fitting is None or len(self.fitting.agendas) > ROWS_COUNTED_MAX:
            return await self._counted(connection, most, *self._as_they_come())
        compiler = Compiler(self.catalog, self._judged())
        row, arguments, table = compiler.alias(), compiler.arguments, self.catalog.table("Slot")
        in_time = compiler.where(table, filter(_is_of_time, self.asked.of_slots), row)
        matching = compiler.where(table, (c for c in self.asked.of_slots if not _is_of_time(c)), row)
        agendas, of_kind = (
            arguments.add(self.fitting.agendas, "bigint[]"),
            _of_kind(row, self.fitting, arguments),
        )
        walked = _walked(row, in_time, agendas, "", f"({of_kind} AND {matching}) AS fits")
        limit = arguments.add(ROWS_COUNTED_MAX + 1, "bigint")
        return await self._counted(
            connection,
            most,
            compiler,
            f"SELECT count(*) AS walked, count(*) FILTER (WHERE fits) AS matching FROM ({walked} LIMIT {limit}) AS slots",
        )

    def _as_they_come(self) -> tuple[Compiler, str]:
        compiler = Compiler(self.catalog.with_table(self.tables.slots), self.scope)
        table, row = self.catalog.table("Slot"), compiler.alias()
        in_time = " AND ".join(
            table.predicate(clause, row, compiler.arguments)
            for clause in clauses_of(self.asked.of_slots)
            if _is_of_time(clause)
        )
        limit = compiler.arguments.add(ROWS_COUNTED_MAX + 1, "bigint")
        selection = compiler.select("Slot", self.request.conditions)
        matching = selection.select("count(*)").replace(
            f"slot AS {selection.alias} ", f"next AS {selection.alias} ", 1
        )
        return compiler, (
            f"WITH next AS MATERIALIZED (SELECT {row}.* FROM slot AS {row} WHERE {in_time or 'true'}"
            f" ORDER BY {row}.start LIMIT {limit})"
            f" SELECT (SELECT count(*) FROM next) AS walked, ({matching}) AS matching"
        )

    @staticmethod
    async def _counted(connection: Connection, most: int, compiler: Compiler, sql: str) -> Counted:
        """Runs `sql`: how many slots were looked through (`walked`), and how many of them fit (`matching`)."""
        statement = compiler.statement(sql)
        row = await connection.fetchrow(statement.sql, *statement.values)
        assert row is not None
        matching = int(row["matching"])
        return Counted(matching, whole=row["walked"] <= ROWS_COUNTED_MAX and matching <= most)

    # -- the statements of a page ----------------------------------------------------------------------------

    async def _fetch(self, connection: Connection, query: MatchQuery) -> Sequence[Any]:
        rows: Sequence[Any] = await connection.fetch(query.statement.sql, *query.statement.values)
        return rows

    def _judged(self) -> SearchScope:
        """Returns the scope without its conditions on Slot, which the kinds already meet."""
        required = self.scope.required
        return replace(
            self.scope, required={name: terms for name, terms in required.items() if name != "Slot"}
        )

    def _start(self, place: RowPlace | None) -> datetime | None:
        """Returns where a page begins that is read forward in time; None: it is read backward, or has no beginning."""
        if any(key.descending for key in self.request.sort) or (place is not None and place.backward):
            return None
        if place is not None and place.values:
            start: datetime = place.values[0]
            return start
        return _earliest(self.asked.of_slots)

    def _walk(
        self,
        place: RowPlace | None,
        references: Sequence[SearchParameter],
        fitting: Fitting,
        begin: datetime | None,
        end: datetime | None,
    ) -> MatchQuery:
        """Returns the query agenda by agenda, within `[begin, end)`; None: as far as the search goes."""

        def assemble(parts: PageParts, arguments: Arguments) -> str:
            row, agendas = parts.alias, arguments.add(fitting.agendas, "bigint[]")
            where = [_of_kind(row, fitting, arguments), parts.where]
            if begin is not None:
                where.append(f"{row}.start >= {arguments.add(begin, 'timestamptz')}")
            if end is not None:
                where.append(f"{row}.start < {arguments.add(end, 'timestamptz')}")
            condition, heads = " AND ".join(where), ""
            in_order = f"ORDER BY {parts.ordered} LIMIT {parts.limit}"
            if len(fitting.agendas) > self.request.count:
                head = _walked(row, condition, agendas, f"ORDER BY {parts.ordered} LIMIT 1")
                heads = f"WITH heads AS MATERIALIZED (SELECT schedule_key, start FROM ({head}) AS {row} {in_order}) "
                agendas = "ARRAY(SELECT schedule_key FROM heads)"
                condition += f" AND {row}.start {self._up_to_the_last_head(place, parts.limit)}"
            found = _walked(row, condition, agendas, in_order)
            return (
                f"{heads}SELECT {parts.selected} FROM ({found} {in_order}) AS {row}"
                f" JOIN slot_kind AS {row}_kind ON {row}_kind.key = {row}.kind_key ORDER BY {parts.ordered}"
            )

        request = replace(self.request, conditions=self.asked.of_slots)
        return compile_page(self.catalog, self._judged(), request, place, references, assemble)

    def _up_to_the_last_head(self, place: RowPlace | None, limit: str) -> str:
        """SQL of a comparison: the heads that a page takes are a page already, and nothing after them is on it."""
        backward = place is not None and place.backward
        if any(key.descending for key in self.request.sort) != backward:
            compared, last, never = ">=", "min", "-infinity"
        else:
            compared, last, never = "<=", "max", "infinity"
        return f"{compared} (SELECT CASE WHEN count(*) < {limit} THEN '{never}' ELSE {last}(start) END FROM heads)"

    def _next_few(
        self, place: RowPlace | None, references: Sequence[SearchParameter], start: datetime
    ) -> MatchQuery:
        """Returns the query among the next few thousand slots from `start` on, of whichever agenda."""

        def assemble(parts: PageParts, arguments: Arguments) -> str:
            row = parts.alias
            begin = arguments.add(start, "timestamptz")
            end = arguments.add(later(start, WINDOWS[-1]), "timestamptz")
            read = arguments.add(READ_AS_THEY_COME, "bigint")
            # Sorted completely before they are judged, so that no more are judged than the page takes.
            few = (
                f"SELECT * FROM (SELECT * FROM slot WHERE start >= {begin} AND start < {end}"
                f" ORDER BY start FETCH FIRST ({read}) ROWS WITH TIES) AS next ORDER BY start, id"
            )
            source = parts.source.replace(f"slot AS {row} ", f"({few}) AS {row} ", 1)
            return (
                f"SELECT {parts.selected} FROM {source} WHERE {parts.where}"
                f" ORDER BY {parts.ordered} LIMIT {parts.limit}"
            )

        catalog = self.catalog.with_table(self.tables.slots)
        return compile_page(catalog, self.scope, self.request, place, references, assemble)


def _windows(
    start: datetime | None, fitting: Fitting | None
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """Half-open windows of time that follow on each other, narrow ones first where many agendas are looked through."""
    begin: datetime | None = None
    if start is not None and fitting is not None and len(fitting.agendas) >= WINDOWS_FROM:
        for width in WINDOWS:
            end = later(start, width)
            yield begin, end
            begin = end
    if fitting is None or fitting.agendas:
        yield begin, None


def _of_kind(row: str, fitting: Fitting, arguments: Arguments) -> str:
    # IS TRUE: PostgreSQL then checks each slot against a set. It would read a joined table in another order.
    return f"({row}.kind_key IN (SELECT unnest({arguments.add(fitting.kinds, 'bigint[]')}))) IS TRUE"


def _walked(row: str, where: str, agendas: str, of_each: str, columns: str = "") -> str:
    """Returns a SELECT of slots of the agendas; `of_each` (ORDER BY and LIMIT) applies to each agenda."""
    return (
        f"SELECT {row}.* FROM agenda AS {row}_agenda CROSS JOIN LATERAL ("
        f"SELECT {columns or f'{row}.*'} FROM slot AS {row}"
        f" WHERE {row}.schedule_key = {row}_agenda.schedule_key AND {where} {of_each}) AS {row}"
        f" WHERE {row}_agenda.schedule_key = ANY({agendas})"
    )


# -- what is asked -----------------------------------------------------------------------------------------------


def _is_of_agendas(condition: Condition) -> bool:
    """Whether the condition depends on an agenda and a kind alone."""
    if isinstance(condition, Clause):
        return condition.parameter.name not in _OF_SLOTS and not condition.parameter.full_text
    if isinstance(condition, Chain):
        return condition.parameter.name != "bookable-by"
    if isinstance(condition, And | Or):
        return all(map(_is_of_agendas, condition.conditions))
    return isinstance(condition, Not) and _is_of_agendas(condition.condition)


def _names_one_agenda(condition: Condition) -> bool:
    return (
        isinstance(condition, Clause)
        and condition.parameter.name == "schedule"
        and condition.modifier is None
        and len(condition.values) == 1
    )


def _wants_free(condition: Condition) -> bool:
    """Whether the condition is that slots are free."""
    if not isinstance(condition, Clause) or condition.modifier is not None:
        return False
    wanted = FREE.get(condition.parameter.name, ())
    return all(isinstance(value, TokenValue) and value.code in wanted for value in condition.values)


def _is_of_time(condition: Condition) -> bool:
    return isinstance(condition, Clause) and condition.parameter.name in ("start", "end")


def _goes_with_free(condition: Condition) -> bool:
    """Whether many free slots may be expected to fulfil the condition."""
    return _wants_free(condition) or _is_of_time(condition) or isinstance(condition, Chain)


def _earliest(conditions: tuple[Condition, ...]) -> datetime | None:
    """Returns the moment before which no slot begins that fulfils the conditions."""
    values = [
        group[0]
        for clause in clauses_of(conditions)
        if clause.parameter.name == "start" and clause.modifier is None
        for group in clause.groups
        if len(group) == 1
    ]
    dates = [value for value in values if isinstance(value, DateValue)]
    lows = [value.low for value in dates if value.prefix in _FROM]
    lows += [value.high for value in dates if value.prefix in _AFTER]
    return max(lows, default=None)

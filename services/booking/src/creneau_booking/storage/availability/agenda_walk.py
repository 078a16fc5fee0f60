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
from creneau_booking.storage.availability.asked import (
    Asked,
    Tables,
    earliest,
    is_of_time,
    met_by_kinds,
    of_kinds,
    selected_kinds,
    taken_apart,
)
from creneau_booking.storage.availability.one_agenda import OneAgenda
from creneau_booking.storage.availability.rule import agenda_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.pages import (
    MatchQuery,
    PageParts,
    PageRecords,
    compile_matches,
    compile_page,
)
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import SearchRequest, clauses_of
from creneau_shared.fhir.search.sql import (
    Arguments,
    Catalog,
    Compiler,
    RowPlace,
    SearchScope,
)
from creneau_shared.fhir.search.steps import Counted, Steps

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


@dataclass(frozen=True, slots=True)
class Fitting:
    """The agendas (keys) that fit, and the kinds (keys) that their slots are to be of."""

    agendas: Sequence[int]
    kinds: Sequence[int]


async def steps_of(
    connection: Connection, catalog: Catalog, scope: SearchScope, request: SearchRequest, tables: Tables
) -> Steps | None:
    """Returns the steps that find the matches of a Slot search; None: those of any other search."""
    asked = taken_apart(request)
    if asked is None:
        return None
    if asked.names_one_agenda:
        return OneAgenda(catalog, scope, request, asked, tables)
    fitting = await _fitting(connection, catalog, scope, asked, tables, MANY)
    return AgendaWalk(catalog, scope, request, asked, tables, fitting)


async def _fitting(
    connection: Connection, catalog: Catalog, scope: SearchScope, asked: Asked, tables: Tables, most: str
) -> Fitting | None:
    """Returns what fits; None: there are `most` (SQL of a number) kinds or more."""
    arguments = Arguments()
    selected = selected_kinds(catalog, scope, asked, tables, arguments)
    found = selected.select(f"{selected.alias}.schedule_key, {selected.alias}.kind_key")
    row = await connection.fetchrow(
        f"WITH room AS MATERIALIZED (SELECT {most} AS most)"
        " SELECT array_agg(schedule_key) AS agendas, array_agg(kind_key) AS kinds, (SELECT most FROM room)"
        f" FROM ({found} LIMIT (SELECT most FROM room)) AS fitting",
        *arguments.values,
    )
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
        compiler = Compiler(self.catalog, met_by_kinds(self.scope))
        row, arguments, table = compiler.alias(), compiler.arguments, self.catalog.table("Slot")
        in_time = compiler.where(table, filter(is_of_time, self.asked.of_slots), row)
        matching = compiler.where(table, (c for c in self.asked.of_slots if not is_of_time(c)), row)
        agendas, of_kind = (
            arguments.add(self.fitting.agendas, "bigint[]"),
            _of_kind(row, self.fitting, arguments),
        )
        slots = _walked(row, in_time, agendas, "", f"({of_kind} AND {matching}) AS fits")
        limit = arguments.add(ROWS_COUNTED_MAX + 1, "bigint")
        return await self._counted(
            connection,
            most,
            compiler,
            f"SELECT count(*) AS walked, count(*) FILTER (WHERE fits) AS matching FROM ({slots} LIMIT {limit}) AS slots",
        )

    def _as_they_come(self) -> tuple[Compiler, str]:
        compiler = Compiler(self.catalog, met_by_kinds(self.scope))
        arguments, table = compiler.arguments, self.catalog.table("Slot")
        row, judged = compiler.alias(), compiler.alias()
        in_time = " AND ".join(
            table.predicate(clause, row, arguments)
            for clause in clauses_of(self.asked.of_slots)
            if is_of_time(clause)
        )
        limit = arguments.add(ROWS_COUNTED_MAX + 1, "bigint")
        # Each kind is judged once, not with each of its slots.
        kinds = selected_kinds(self.catalog, self.scope, self.asked, self.tables, arguments)
        fitting = kinds.select(f"{kinds.alias}.kind_key")
        matching = compiler.where(table, self.asked.of_slots, judged)
        return compiler, (
            f"WITH next AS MATERIALIZED (SELECT {row}.* FROM slot AS {row} WHERE {in_time or 'true'}"
            f" ORDER BY {row}.start LIMIT {limit}), fitting AS MATERIALIZED ({fitting}"
            f" AND {kinds.alias}.kind_key IN (SELECT kind_key FROM next))"
            " SELECT (SELECT count(*) FROM next) AS walked,"
            f" (SELECT count(*) FROM next AS {judged} {agenda_of(judged)}"
            f" WHERE {of_kinds(judged, 'SELECT kind_key FROM fitting')} AND {matching}) AS matching"
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

    def _start(self, place: RowPlace | None) -> datetime | None:
        """Returns where a page begins that is read forward in time; None: it is read backward, or has no beginning."""
        if any(key.descending for key in self.request.sort) or (place is not None and place.backward):
            return None
        if place is not None and place.values:
            start: datetime = place.values[0]
            return start
        return earliest(self.asked.of_slots)

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
        return compile_page(self.catalog, met_by_kinds(self.scope), request, place, references, assemble)

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
    return of_kinds(row, f"SELECT unnest({arguments.add(fitting.kinds, 'bigint[]')})")


def _walked(row: str, where: str, agendas: str, of_each: str, columns: str = "") -> str:
    """Returns a SELECT of slots of the agendas; `of_each` (ORDER BY and LIMIT) applies to each agenda."""
    return (
        f"SELECT {row}.* FROM agenda AS {row}_agenda CROSS JOIN LATERAL ("
        f"SELECT {columns or f'{row}.*'} FROM slot AS {row}"
        f" WHERE {row}.schedule_key = {row}_agenda.schedule_key AND {where} {of_each}) AS {row}"
        f" WHERE {row}_agenda.schedule_key = ANY({agendas})"
    )

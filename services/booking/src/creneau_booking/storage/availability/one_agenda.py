"""Free slots of the one agenda that a search names, in the order of time: read along the agenda's index, in one statement.

Left to itself, PostgreSQL makes one plan for whatever agenda and time: it takes an agenda for one of a few slots, looks up the
kind of each, and sorts them, for a page of twenty. So what is asked of kinds is answered first, within the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from creneau_booking.storage.availability.asked import (
    Asked,
    Tables,
    met_by_kinds,
    of_kinds,
    selected_kinds,
)
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.pages import PageParts, PageRecords, compile_page
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import Arguments, Catalog, Compiler, RowPlace, SearchScope
from creneau_shared.fhir.search.steps import Counted


@dataclass(frozen=True, slots=True)
class OneAgenda:
    """The `Steps` of a search for free slots of one agenda."""

    catalog: Catalog
    scope: SearchScope
    request: SearchRequest
    asked: Asked
    tables: Tables

    async def page(
        self, connection: Connection, place: RowPlace | None, references: Sequence[SearchParameter]
    ) -> PageRecords:
        def assemble(parts: PageParts, arguments: Arguments) -> str:
            row, in_order = parts.alias, f"ORDER BY {parts.ordered} LIMIT {parts.limit}"
            slots = _walked(row, parts.where, in_order)
            return (
                f"WITH {self._fitting(arguments)} SELECT {parts.selected} FROM ({slots}) AS {row}"
                f" JOIN slot_kind AS {row}_kind ON {row}_kind.key = {row}.kind_key ORDER BY {parts.ordered}"
            )

        request = replace(self.request, conditions=self.asked.of_slots)
        query = compile_page(self.catalog, met_by_kinds(self.scope), request, place, references, assemble)
        rows = await connection.fetch(query.statement.sql, *query.statement.values)
        return PageRecords(list(rows), query.sort_count, query.backward)

    async def count(self, connection: Connection, most: int) -> Counted:
        compiler = Compiler(self.catalog, met_by_kinds(self.scope))
        row, arguments = compiler.alias(), compiler.arguments
        where = compiler.where(self.catalog.table("Slot"), self.asked.of_slots, row)
        limit = arguments.add(most + 1, "bigint")
        slots = _walked(row, where)
        number = await connection.fetchval(
            f"WITH {self._fitting(arguments)} SELECT count(*) FROM ({slots} LIMIT {limit}) AS slots",
            *arguments.values,
        )
        return Counted(number, whole=number <= most)

    def _fitting(self, arguments: Arguments) -> str:
        """The query that a statement begins with: the agenda and its kinds that fit."""
        kinds = selected_kinds(self.catalog, self.scope, self.asked, self.tables, arguments)
        keys = kinds.select(f"{kinds.alias}.schedule_key, {kinds.alias}.kind_key")
        return f"fitting AS MATERIALIZED ({keys})"


def _walked(row: str, where: str, in_order: str = "") -> str:
    """Returns a SELECT of slots of the agenda; `in_order`: ORDER BY and LIMIT."""
    return (
        f"SELECT {row}.* FROM agenda AS {row}_agenda CROSS JOIN LATERAL (SELECT {row}.* FROM slot AS {row}"
        f" WHERE {row}.schedule_key = {row}_agenda.schedule_key"
        f" AND {of_kinds(row, 'SELECT kind_key FROM fitting')} AND {where} {in_order}) AS {row}"
        f" WHERE {row}_agenda.schedule_key = (SELECT min(schedule_key) FROM fitting)"
    )

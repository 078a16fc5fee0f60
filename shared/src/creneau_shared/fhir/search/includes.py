"""_include and _revinclude: rounds from the matches outwards, one statement each; no resource comes twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.search.page_bytes import fitting, within
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Clause,
    Include,
    Limits,
    ReferenceValue,
    SearchRequest,
    TokenValue,
)
from creneau_shared.fhir.search.sql import Catalog, Compiler, SearchScope, Selection, Statement


class Row(NamedTuple):
    """One resource as it is stored: `content` is the JSON that is served; `distance_m` when searched near."""

    type: str
    id: str
    version: int
    last_updated: datetime
    content: bytes
    distance_m: float | None = None


@dataclass(slots=True)
class Found:
    """A row together with its references (`parameter=Type/id`) through the parameters that are included."""

    row: Row
    references: Sequence[str]


@dataclass(slots=True)
class _Wanted:
    """What the next round fetches: ids by type, and referring rows by include."""

    ids: dict[str, dict[str, None]] = field(default_factory=dict)
    referring: list[tuple[Include, list[str]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ids or self.referring)


def reference_parameters(includes: Iterable[Include], resource_type: str) -> list[SearchParameter]:
    """The parameters through which rows of this type are followed forward."""
    return list(
        dict.fromkeys(
            parameter
            for include in includes
            if not include.reverse and include.source == resource_type
            for parameter in include.parameters
        )
    )


@dataclass(slots=True)
class Includer:
    """Follows the includes of one request, within its limits and the caller's scope."""

    catalog: Catalog
    scope: SearchScope
    includes: tuple[Include, ...]
    limits: Limits
    issues: list[Issue] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _missing: set[str] = field(default_factory=set)

    async def follow(self, connection: Connection, matches: Sequence[Found]) -> list[Row]:
        """The included rows, in the order in which they were reached; together no more than a page (`page_bytes`)."""
        self._seen = {(found.row.type, found.row.id) for found in matches}
        included: list[Row] = []
        size = 0
        frontier: Sequence[Found] = matches
        for number in range(self.limits.include_rounds_max):
            wanted = self._wanted(frontier, first=number == 0)
            room = self.limits.included_max - len(included)
            statement = self._statement(wanted, room + 1) if wanted else None
            if statement is None:
                return included
            records = await connection.fetch(statement.sql, *statement.values)
            taken = records[: fitting((record["content"] for record in records), size)]
            frontier = self._new(taken)
            size += sum(len(found.row.content) for found in frontier)
            if len(frontier) > room or len(taken) < len(records):
                self._report_cut()
                return included + [found.row for found in frontier[:room]]
            included += [found.row for found in frontier]
        if self._wanted(frontier, first=False):
            self._report_cut()
        return included

    def _wanted(self, frontier: Sequence[Found], *, first: bool) -> _Wanted:
        wanted = _Wanted()
        by_type: dict[str, list[str]] = {}
        for found in frontier:
            by_type.setdefault(found.row.type, []).append(found.row.id)
        for include in self.includes:
            if not (first or include.iterate):
                continue
            if include.reverse:
                self._want_referring(wanted, include, by_type)
            else:
                self._want_referenced(wanted, include, frontier)
        return wanted

    def _want_referenced(self, wanted: _Wanted, include: Include, frontier: Sequence[Found]) -> None:
        names = {parameter.index_name for parameter in include.parameters}
        for found in frontier:
            if found.row.type != include.source:
                continue
            for term in found.references:
                name, _, reference = term.partition("=")
                kind, slash, logical_id = reference.partition("/")
                if name not in names or not slash or include.target not in (None, kind):
                    continue
                if "/" in logical_id or (kind, logical_id) in self._seen:
                    continue
                if self.catalog.find(kind) is None:
                    self._report_not_held(kind)
                else:
                    wanted.ids.setdefault(kind, {})[logical_id] = None

    def _want_referring(self, wanted: _Wanted, include: Include, by_type: dict[str, list[str]]) -> None:
        if self.catalog.find(include.source) is None:
            self._report_not_held(include.source)
            return
        for kind, ids in by_type.items():
            if include.target not in (None, kind):
                continue
            parameters = tuple(p for p in include.parameters if p.allows_target(kind))
            if parameters:
                narrowed = Include(include.source, parameters, kind, include.iterate, True, include.where)
                wanted.referring.append((narrowed, [f"{kind}/{logical_id}" for logical_id in ids]))

    def _statement(self, wanted: _Wanted, most: int) -> Statement | None:
        compiler = Compiler(self.catalog, self.scope)
        parts = [self._by_id(compiler, kind, list(ids)) for kind, ids in wanted.ids.items()]
        for include, references in wanted.referring:
            parts += self._by_reference(compiler, include, references)
        if not parts:
            return None
        limit = compiler.arguments.add(most, "bigint")
        rows = " UNION ALL ".join(f"({part} LIMIT {limit})" for part in parts)
        return compiler.statement(within(rows, "type, id, version, last_updated, content, refs"))

    def _by_id(self, compiler: Compiler, kind: str, ids: list[str]) -> str:
        tokens = tuple(TokenValue(None, logical_id) for logical_id in ids)
        clause = Clause(parameters_of(kind)["_id"], None, (tokens,))
        return self._select(compiler.select(kind, (clause,)))

    def _by_reference(self, compiler: Compiler, include: Include, references: list[str]) -> list[str]:
        value = ReferenceValue(tuple(references))
        return [
            self._select(
                compiler.select(include.source, (Clause(parameter, None, ((value,),)), *include.where))
            )
            for parameter in include.parameters
        ]

    def _select(self, selection: Selection) -> str:
        table, alias = selection.table, selection.alias
        columns = table.columns(alias)
        followed = reference_parameters(self.includes, table.resource_type)
        references = table.references(followed, alias) if followed else "'{}'::text[]"
        kind = table.resource_type
        return selection.select(
            f"'{kind}'::text AS type, {columns.id} AS id, {columns.version} AS version, "
            f"{columns.last_updated} AS last_updated, {columns.content} AS content, {references} AS refs"
        )

    def _new(self, records: Sequence[Any]) -> list[Found]:
        new: list[Found] = []
        for *columns, references in records:
            row = Row(*columns)
            if (row.type, row.id) not in self._seen:
                self._seen.add((row.type, row.id))
                new.append(Found(row, references))
        return new

    def _report_not_held(self, kind: str) -> None:
        if kind in self._missing:
            return
        self._missing.add(kind)
        self.issues.append(
            Issue(
                "not-supported",
                f"Ce service ne détient pas {kind} : ces ressources ne sont pas incluses",
                f"This service does not hold {kind}: those resources are not included",
                severity="warning",
                details_code="type-not-held",
            )
        )

    def _report_cut(self) -> None:
        self.issues.append(
            Issue(
                "incomplete",
                "Toutes les ressources liées n’ont pas pu être incluses ; réduisez _count ou les inclusions",
                "Not all the related resources could be included; ask for a smaller _count or fewer includes",
                severity="warning",
                details_code="includes-cut",
            )
        )


def check_includes(catalog: Catalog, request: SearchRequest) -> list[Issue]:
    """A warning for each include all of whose targets are types that this service does not hold."""
    issues: list[Issue] = []
    for include in request.includes:
        targets = {include.target} if include.target else {t for p in include.parameters for t in p.targets}
        if (
            include.reverse
            or "Resource" in targets
            or len(include.parameters) != 1
            or targets & catalog.types
        ):
            continue
        names = ", ".join(sorted(target for target in targets if target))
        issues.append(
            Issue(
                "not-supported",
                f"Ce service ne détient pas {names} : ces ressources ne sont pas incluses",
                f"This service does not hold {names}: those resources are not included",
                severity="warning",
                details_code="type-not-held",
            )
        )
    return issues

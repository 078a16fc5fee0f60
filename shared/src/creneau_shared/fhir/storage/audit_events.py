"""The rows of `audit`, served as FHIR AuditEvents: read and searched, never written through FHIR.

An AuditEvent is put together by SQL from its narrow row. It names who (the token's subject, as a logical reference),
what (the resource and its version), when and by which interaction; never what the resource holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NoReturn, cast
from uuid import UUID

from creneau_shared.database.pool import Connection
from creneau_shared.errors import MethodNotAllowed
from creneau_shared.fhir.search.generic import instant_condition, literal, words_condition
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Clause,
    Condition,
    DateValue,
    MissingValue,
    NearValue,
    ReferenceValue,
    SortKey,
    TokenValue,
)
from creneau_shared.fhir.search.sql import Arguments, Columns, Selection, SortValue, Walk
from creneau_shared.fhir.storage.store import HistoryQuery, Resource, Stored, WriteContext

TYPE = "AuditEvent"
EVENT_TYPES = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
ACTIONS = "http://hl7.org/fhir/audit-event-action"
OUTCOMES = "http://hl7.org/fhir/audit-event-outcome"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
LEVELS = "https://creneau.sante.fr/fhir/CodeSystem/access-level"

_INTERACTION = (
    "CASE {a}.action WHEN 'C' THEN 'create' WHEN 'U' THEN 'update' WHEN 'D' THEN 'delete' WHEN 'E' THEN 'operation'"
    " ELSE CASE WHEN {a}.resource_id IS NULL THEN 'search-type' ELSE 'read' END END"
)
_RECORDED = """to_char({a}.recorded AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
_WHAT = (
    "CASE WHEN {a}.resource_id IS NOT NULL THEN json_build_object('reference', {a}.resource_type || '/' ||"
    " {a}.resource_id || coalesce('/_history/' || {a}.version, '')) END"
)
_DETAIL = (
    "CASE WHEN {a}.correlation_id IS NOT NULL THEN json_build_array(json_build_object("
    "'type', 'X-Correlation-Id', 'valueString', {a}.correlation_id)) END"
)

_CODES = {
    "action": ("{a}.action", ACTIONS),
    "agent-role": ("{a}.agent_level", LEVELS),
    "altid": ("{a}.agent", ""),
    "entity-type": ("{a}.resource_type", RESOURCE_TYPES),
    "outcome": ("'0'", OUTCOMES),
    "subtype": (_INTERACTION, INTERACTIONS),
    "type": ("'rest'", EVENT_TYPES),
}
"""Token parameters that every row answers: SQL expression and system."""
_INSTANTS = ("date", "_lastUpdated")
_UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def _content(alias: str, source: str) -> str:
    """The SQL expression (bytea) of the AuditEvent as it is served."""
    a = alias
    recorded = _RECORDED.format(a=a)

    def coding(system: str, code: str) -> str:
        return f"json_build_object('system', {literal(system)}, 'code', {code})"

    agent = (
        f"json_build_object('role', json_build_array(json_build_object('coding', json_build_array("
        f"{coding(LEVELS, f'{a}.agent_level')}))), 'who', json_build_object('identifier', json_build_object("
        f"'value', {a}.agent)), 'altId', {a}.agent, 'requestor', true)"
    )
    entity = (
        f"json_build_object('what', {_WHAT.format(a=a)}, 'type', {coding(RESOURCE_TYPES, f'{a}.resource_type')},"
        f" 'detail', {_DETAIL.format(a=a)})"
    )
    return (
        f"convert_to(json_strip_nulls(json_build_object('resourceType', 'AuditEvent', 'id', {a}.id::text,"
        f" 'meta', json_build_object('versionId', '1', 'lastUpdated', {recorded}),"
        f" 'type', {coding(EVENT_TYPES, literal('rest'))},"
        f" 'subtype', json_build_array({coding(INTERACTIONS, _INTERACTION.format(a=a))}),"
        f" 'action', {a}.action, 'recorded', {recorded}, 'outcome', '0', 'agent', json_build_array({agent}),"
        f" 'source', json_build_object('observer', json_build_object('display', {literal(source)})),"
        f" 'entity', json_build_array({entity})))::text, 'UTF8')"
    )


class AuditEventTable:
    """The `SearchTable` of AuditEvent over `audit`. `source` names the service that observed."""

    resource_type = TYPE
    key_type = "bigint"

    def __init__(self, source: str) -> None:
        self._source = source

    @property
    def default_sort(self) -> tuple[SortKey, ...]:
        """The latest first."""
        return (SortKey(parameters_of(TYPE)["date"], descending=True),)

    def source(self, alias: str) -> str:
        return f"audit AS {alias}"

    def columns(self, alias: str) -> Columns:
        return Columns(
            key=f"{alias}.key",
            id=f"{alias}.id::text",
            version="1",
            last_updated=f"{alias}.recorded",
            content=_content(alias, self._source),
        )

    def live(self, alias: str) -> str:
        return "true"

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        if clause.modifier == "missing":
            return _missing(clause, alias)
        name = clause.parameter.name
        if clause.parameter.full_text:
            # No AuditEvent has a narrative, and what has no position has no weight by which it could be told apart.
            column = f"{alias}.words" if name == "_content" else "''::tsvector"
            return words_condition(clause, column, arguments, in_order=False)
        if name in _INSTANTS:
            return _instants(clause, alias, arguments)
        found = _matches(clause, alias, arguments)
        return f"NOT ({found})" if clause.modifier == "not" else found

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        if parameter.name not in ("entity", "patient"):
            return "false"
        target = selection.table
        ids = selection.select(target.columns(selection.alias).id)
        return f"({alias}.resource_type = {literal(target.resource_type)} AND {alias}.resource_id IN ({ids}))"

    def referred_ids(self, parameter: SearchParameter, target_type: str, selection: Selection) -> str:
        wanted = "true" if parameter.name in ("entity", "patient") else "false"
        of_type = f"{selection.alias}.resource_type = {literal(target_type)}"
        return f"{selection.select(f'{selection.alias}.resource_id')} AND {of_type} AND {wanted}"

    def has_id(self, ids: str, alias: str) -> str:
        keys = f"SELECT CASE WHEN id ~ {literal(_UUID_PATTERN)} THEN id::uuid END FROM ({ids}) AS named (id)"
        return f"{alias}.id IN ({keys})"

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        """AuditEvents are in nobody's compartment."""
        return "false"

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        names = [p.index_name for p in parameters if p.name in ("entity", "patient")]
        parts = [
            f"{literal(name + '=')} || {alias}.resource_type || '/' || {alias}.resource_id" for name in names
        ]
        return f"array_remove(ARRAY[{', '.join(parts)}]::text[], NULL)"

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        if key.parameter.name in _INSTANTS:
            return SortValue(f"{alias}.recorded", "timestamptz", nullable=False, descending=key.descending)
        if key.parameter.name == "_id":
            return SortValue(f"{alias}.id::text", "text", nullable=False, descending=key.descending)
        expression, _ = _CODES.get(key.parameter.name, ("NULL", ""))
        return SortValue(f"({expression.format(a=alias)})::text", "text", descending=key.descending)

    def walk(
        self, key: SortKey, conditions: Sequence[Condition], alias: str, arguments: Arguments
    ) -> Walk | None:
        return None

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        raise TypeError("an AuditEvent has no position")


def _missing(clause: Clause, alias: str) -> str:
    wanted = {cast(MissingValue, value).missing for value in clause.values}
    if len(wanted) == 2:
        return "true"
    name = clause.parameter.name
    present = "false"
    if name in _CODES or name in _INSTANTS or name in ("_id", "agent", "source"):
        present = "true"
    elif name == "entity":
        present = f"{alias}.resource_id IS NOT NULL"
    elif name == "patient":
        present = f"({alias}.resource_id IS NOT NULL AND {alias}.resource_type = 'Patient')"
    return f"NOT {present}" if True in wanted else present


def _instants(clause: Clause, alias: str, arguments: Arguments) -> str:
    groups = [
        " OR ".join(
            instant_condition(cast(DateValue, value), f"{alias}.recorded", arguments) for value in group
        )
        for group in clause.groups
    ]
    return " AND ".join(f"({group})" for group in groups)


def _matches(clause: Clause, alias: str, arguments: Arguments) -> str:
    """A token or reference clause; what no row has matches nothing."""
    name = clause.parameter.name
    tokens = [value for value in clause.values if isinstance(value, TokenValue)]
    if name == "_id":
        ids = [id_ for value in tokens if value.system is None and (id_ := _uuid(value.code or ""))]
        return f"{alias}.id = ANY({arguments.add(ids, 'uuid[]')})"
    if name in ("entity", "patient"):
        references = [r for v in clause.values if isinstance(v, ReferenceValue) for r in v.references]
        return _entities(references, alias, arguments)
    if name == "agent" and clause.modifier == "identifier":
        codes = [value.code for value in tokens if not value.system]
        return f"{alias}.agent = ANY({arguments.add(codes, 'text[]')})"
    if name in _CODES and clause.modifier in (None, "not"):
        expression, system = _CODES[name]
        own = [value for value in tokens if value.system in (None, system)]
        if any(not value.code for value in own):
            return "true"
        return f"({expression.format(a=alias)}) = ANY({arguments.add([v.code for v in own], 'text[]')})"
    return "false"


def _entities(references: Sequence[str], alias: str, arguments: Arguments) -> str:
    by_type: dict[str, list[str]] = {}
    for reference in references:
        kind, _, id_ = reference.partition("/_history/")[0].partition("/")
        by_type.setdefault(kind, []).append(id_)
    ways = [
        f"({alias}.resource_type = {arguments.add(kind, 'text')}"
        f" AND {alias}.resource_id = ANY({arguments.add(ids, 'text[]')}))"
        for kind, ids in by_type.items()
    ]
    return f"({' OR '.join(ways)})" if ways else "false"


def _uuid(text: str) -> UUID | None:
    """The row's id, None for any other spelling of it: FHIR ids are compared character by character."""
    return UUID(text) if re.fullmatch(_UUID_PATTERN, text) else None


class AuditEventStore:
    """The `ResourceStore` of AuditEvent: what has happened is read, and never changed."""

    resource_type = TYPE

    def __init__(self, source: str) -> None:
        self._select = f"SELECT a.id::text, 1, a.recorded, {_content('a', source)} FROM audit AS a"

    async def read(self, connection: Connection, id_: str) -> Stored | None:
        key = _uuid(id_)
        if key is None:
            return None
        row = await connection.fetchrow(f"{self._select} WHERE a.id = $1", key)
        return Stored(TYPE, *row) if row is not None else None

    async def read_version(
        self, connection: Connection, id_: str, version: int, required: Sequence[str] | None = None
    ) -> Stored | None:
        if required is not None and not await self.has_any_term(connection, id_, required):
            return None
        return await self.read(connection, id_) if version == 1 else None

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        return await self.read(connection, id_)

    async def has_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        return False

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        return await self.has_any_term(connection, id_, terms)

    async def history(self, connection: Connection, query: HistoryQuery) -> Sequence[Stored]:
        stored = await self.read(connection, query.id) if query.id is not None else None
        return [stored] if stored is not None else []

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        _refuse()

    async def replace(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Stored:
        _refuse()

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        _refuse()


def _refuse() -> NoReturn:
    raise MethodNotAllowed(
        "La trace des accès ne s'écrit ni ne se change par FHIR.",
        "The trace of accesses is neither written nor changed through FHIR.",
        headers={"Allow": "GET, HEAD"},
    )

"""The rows of `audit`, served as FHIR AuditEvents: read and searched, never written through FHIR.

An AuditEvent is put together by SQL from its narrow row. It names who (the token's subject, the person and the practices
where they are known), what (the resource, whose data came back, what was asked), when, why and with what outcome;
never what the resources hold. Names are looked up when the event is read: the row has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn
from uuid import UUID

from creneau_shared.database.conditions import any_of
from creneau_shared.database.pool import Connection
from creneau_shared.errors import MethodNotAllowed
from creneau_shared.fhir.audit import AGENT, ALTID, ENTITY, PATIENT
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.search.generic import instants_condition, literal
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import (
    Clause,
    Condition,
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
TRANSACTIONS = "urn:ihe:event-type-code"
ACTIONS = "http://hl7.org/fhir/audit-event-action"
OUTCOMES = "http://hl7.org/fhir/audit-event-outcome"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
OBJECT_ROLES = "http://terminology.hl7.org/CodeSystem/object-role"
PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ROLES = "https://creneau.sante.fr/fhir/CodeSystem/access-level"

NameOf = Callable[[str], str]
"""From the SQL of a reference (`Practitioner/12`) to the SQL of the name behind it, NULL where it is not known."""

_RECORDED = """to_char({a}.recorded AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
_TRANSACTION = """(CASE substring({a}.asked from '^[A-Z]+ Appointment/(?:[^/?]+/)?[$]([a-z]+)(?:[?]|$)')
  WHEN 'find' THEN 'ITI-115' WHEN 'hold' THEN 'ITI-116' WHEN 'book' THEN 'ITI-117' ELSE '' END)"""
"""SQL: the transaction of IHE ITI Scheduling that an interaction was, by its address; empty for any other."""
_CODES = {
    "action": (("{a}.action", ACTIONS),),
    "agent-role": (("{a}.role", ROLES),),
    "altid": (("{a}.agent", ""),),
    "entity-type": (("{a}.resource_type", RESOURCE_TYPES),),
    "outcome": (("{a}.outcome", OUTCOMES),),
    "subtype": (("{a}.interaction", INTERACTIONS), (_TRANSACTION, TRANSACTIONS)),
    "type": (("'rest'", EVENT_TYPES),),
}
"""Token parameters that every row answers: SQL expressions, none NULL, and their systems; sorted by the first of them."""
_REFERENCES = {"agent": (AGENT,), "entity": (ENTITY, "patient="), "patient": ("patient=",)}
"""Reference parameter → the beginnings of the terms that answer it: a Patient whose data came with something else stands as
such alone, and is shown as an entity."""
_PATIENT_AGENTS = ("who", "represented")
"""Columns of agents that have no term if they are Patients."""
_INSTANTS = ("date", "_lastUpdated")
_UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def nobody_known(reference: str) -> str:
    """The `NameOf` of a service that knows no names."""
    return "NULL"


def names_in(tables: Mapping[str, str]) -> NameOf:
    """Names from the tables of these resource types (type → table), as their current versions have them."""

    def name_of(reference: str) -> str:
        ways = [
            f"WHEN {literal(kind)} THEN (SELECT {_NAMES.get(kind, _HUMAN)} FROM (SELECT convert_from(n.content, 'UTF8')"
            f"::json AS r FROM {table} AS n WHERE n.id = split_part({reference}, '/', 2) AND NOT n.deleted) AS named)"
            for kind, table in tables.items()
        ]
        return f"(CASE split_part({reference}, '/', 1) {' '.join(ways)} END)"

    return name_of


_HUMAN = (
    "coalesce(r #>> '{name,0,text}', nullif(concat_ws(' ', r #>> '{name,0,prefix,0}', r #>> '{name,0,given,0}',"
    " r #>> '{name,0,family}'), ''))"
)
_NAMES = {"Organization": "r ->> 'name'"}


def _coding(system: str, code: str) -> str:
    return f"json_build_object('system', {literal(system)}, 'code', {code})"


def _concepts(system: str, code: str) -> str:
    return f"json_build_array(json_build_object('coding', json_build_array({_coding(system, code)})))"


def _subtypes(a: str) -> str:
    """SQL: the interaction, and which transaction of IHE it was, if one (IHE demands it of $find, $hold and $book)."""
    interaction, transaction = _coding(INTERACTIONS, f"{a}.interaction"), _TRANSACTION.format(a=a)
    return (
        f"CASE WHEN {transaction} = '' THEN json_build_array({interaction})"
        f" ELSE json_build_array({interaction}, {_coding(TRANSACTIONS, transaction)}) END"
    )


def _agents(a: str, name_of: NameOf) -> str:
    """SQL: the requestor, whom they represent, and the practices for which they spoke."""
    own, practice = name_of(f"{a}.who"), name_of("p.reference")
    identifier = f"json_build_object('system', {a}.issuer, 'value', {a}.agent)"
    requestor = (
        f"json_build_object('role', {_concepts(ROLES, f'{a}.role')}, 'who', json_build_object('reference', {a}.who,"
        f" 'identifier', {identifier}, 'display', {own}), 'altId', {a}.agent, 'name', coalesce({own}, {a}.client),"
        " 'requestor', true)"
    )
    represented = (
        f"json_build_object('role', {_concepts(ROLES, literal('represented'))}, 'who',"
        f" json_build_object('reference', {a}.represented), 'requestor', false)"
    )
    practices = (
        f"json_build_object('role', {_concepts(ROLES, literal('practice'))}, 'who', json_build_object('reference',"
        f" p.reference, 'display', {practice}), 'name', {practice}, 'requestor', false)"
    )
    start = len(AGENT) + 1
    return (
        f"(SELECT json_agg(e.item ORDER BY e.n) FROM (SELECT 0 AS n, {requestor} AS item UNION ALL"
        f" SELECT 1, {represented} WHERE {a}.represented IS NOT NULL UNION ALL"
        f" SELECT 1 + p.n, {practices} FROM (SELECT substr(t.term, {start}) AS reference, t.n FROM unnest({a}.terms)"
        f" WITH ORDINALITY AS t (term, n) WHERE starts_with(t.term, {literal(f'{AGENT}Organization/')})) AS p) AS e)"
    )


def _entities(a: str) -> str:
    """SQL: what was asked for, then whose data came back, then what else came back."""
    main = (
        f"CASE WHEN {a}.resource_id IS NOT NULL THEN {a}.resource_type || '/' || {a}.resource_id ELSE '' END"
    )
    what = (
        f"CASE WHEN {a}.resource_id IS NOT NULL THEN json_build_object('reference', {a}.resource_type || '/' ||"
        f" {a}.resource_id || coalesce('/_history/' || {a}.version, '')) END"
    )
    details = (
        "(SELECT json_agg(json_build_object('type', d.type, 'valueString', d.value) ORDER BY d.n) FROM (VALUES"
        f" (1, 'X-Correlation-Id', {a}.correlation_id), (2, 'client', nullif({a}.client, '')),"
        f" (3, 'mandate', {a}.mandate), (4, 'returned', {a}.returned::text)) AS d (n, type, value) WHERE d.value IS NOT NULL)"
    )
    first = (
        f"json_build_object('what', {what}, 'type', {_coding(RESOURCE_TYPES, f'{a}.resource_type')},"
        f" 'role', CASE WHEN {a}.resource_type = 'Patient' AND {a}.resource_id IS NOT NULL THEN {_AS_PATIENT} END,"
        f" 'query', replace(encode(convert_to({a}.asked, 'UTF8'), 'base64'), E'\\n', ''), 'detail', {details})"
    )
    others = (
        "json_build_object('what', json_build_object('reference', o.reference), 'type',"
        f" {_coding(RESOURCE_TYPES, _TYPE_OF_OTHER)},"
        f" 'role', CASE WHEN starts_with(o.reference, 'Patient/') THEN {_AS_PATIENT} END)"
    )
    return (
        f"(SELECT json_agg(e.item ORDER BY e.n) FROM (SELECT 0 AS n, {first} AS item UNION ALL"
        f" SELECT o.n, {others} FROM (SELECT split_part(t.term, '=', 2) AS reference, min(t.n) AS n FROM"
        f" unnest({a}.terms) WITH ORDINALITY AS t (term, n) WHERE starts_with(t.term, {literal(ENTITY)})"
        f" OR starts_with(t.term, {literal(PATIENT)}) GROUP BY 1) AS o WHERE o.reference <> {main}) AS e)"
    )


_TYPE_OF_OTHER = "split_part(o.reference, '/', 1)"
_AS_PATIENT = _coding(OBJECT_ROLES, literal("1"))


def _content(alias: str, source: str, name_of: NameOf) -> str:
    """The SQL expression (bytea) of the AuditEvent as it is served."""
    a = alias
    recorded = _RECORDED.format(a=a)
    return (
        f"convert_to(json_strip_nulls(json_build_object('resourceType', 'AuditEvent', 'id', {a}.id::text,"
        f" 'meta', json_build_object('versionId', '1', 'lastUpdated', {recorded}),"
        f" 'type', {_coding(EVENT_TYPES, literal('rest'))},"
        f" 'subtype', {_subtypes(a)},"
        f" 'action', {a}.action, 'recorded', {recorded}, 'outcome', {a}.outcome,"
        f" 'purposeOfEvent', CASE WHEN {a}.purpose IS NOT NULL THEN {_concepts(PURPOSES, f'{a}.purpose')} END,"
        f" 'agent', {_agents(a, name_of)},"
        f" 'source', json_build_object('observer', json_build_object('display', {literal(source)})),"
        f" 'entity', {_entities(a)}))::text, 'UTF8')"
    )


def as_seen_by(patients: Collection[str], content: bytes) -> bytes:
    """The AuditEvent as these Patients (ids) may see it: what it says of other people is left out.

    An interaction may have returned the data of several people. What was asked, and what else came back, would tell one
    of them about the others. The caller is shown by name, role and practice, not by the account with which they log in; a
    patient whose own data it was too, as it is of whoever shares a visit, by the role alone, as is who acted for such a one.
    """
    event: dict[str, Any] = loads(content)
    own = frozenset(f"Patient/{id_}" for id_ in patients)
    first, *others = event["entity"]
    about = {_reference(entity) for entity in (first, *others)}
    event["agent"] = _agents_as_seen_by(own, about, event["agent"])
    named = {reference for reference in about if reference.startswith("Patient/")}
    if named <= own:
        return dumps(event)
    kept = {name: value for name, value in first.items() if name not in ("query", "detail")}
    if _reference(first) not in own:
        kept.pop("what", None)
        kept.pop("role", None)
    event["entity"] = [kept, *(entity for entity in others if _reference(entity) in own)]
    return dumps(event)


def _agents_as_seen_by(
    own: frozenset[str], about: Collection[str], agents: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The agents as these Patients see them; `about`: what the interaction was about. Who shares it is not named."""
    represented = {_who(agent) for agent in agents if not agent["requestor"]}
    of_others = {one for one in represented if one.startswith("Patient/")}.difference(own)
    shown = []
    for agent in agents:
        who = _who(agent)
        if who in of_others:
            continue
        shares = who.startswith("Patient/") and who not in own and own.isdisjoint(represented)
        hidden = {"altId", "who", "name"} if shares and (who in about or of_others) else {"altId"}
        seen = {name: value for name, value in agent.items() if name not in hidden}
        if "who" in seen:
            seen["who"] = {name: value for name, value in seen["who"].items() if name != "identifier"}
        shown.append({name: value for name, value in seen.items() if value != {}})
    return shown


def _who(agent: Mapping[str, Any]) -> str:
    return str(agent.get("who", {}).get("reference", ""))


def _reference(entity: Mapping[str, Any]) -> str:
    return str(entity.get("what", {}).get("reference", "")).partition("/_history/")[0]


class AuditEventTable:
    """The `SearchTable` of AuditEvent over `audit`. `source` names the service that observed."""

    resource_type = TYPE
    key_type = "uuid"

    def __init__(self, source: str, name_of: NameOf = nobody_known) -> None:
        self._source = source
        self._name_of = name_of

    @property
    def default_sort(self) -> tuple[SortKey, ...]:
        """The latest first."""
        return (SortKey(parameters_of(TYPE)["date"], descending=True),)

    def source(self, alias: str) -> str:
        return f"audit AS {alias}"

    def columns(self, alias: str) -> Columns:
        return Columns(
            key=f"{alias}.id",
            id=f"{alias}.id::text",
            version="1",
            last_updated=f"{alias}.recorded",
            content=_content(alias, self._source, self._name_of),
        )

    def live(self, alias: str) -> str:
        return "true"

    def predicate(self, clause: Clause, alias: str, arguments: Arguments) -> str:
        if clause.modifier == "missing":
            return _missing(clause, alias)
        name = clause.parameter.name
        if clause.parameter.full_text:
            return "false"  # nobody has written anything in it: it has codes, ids and dates
        if name in _INSTANTS:
            return instants_condition(clause, f"{alias}.recorded", arguments)
        found = _matches(clause, alias, arguments)
        return f"NOT ({found})" if clause.modifier == "not" else found

    def refers_to(self, parameter: SearchParameter, selection: Selection, alias: str) -> str:
        target = selection.table
        id_, kind = target.columns(selection.alias).id, target.resource_type
        terms = (f"{literal(f'{start}{kind}/')} || {id_}" for start in _REFERENCES.get(parameter.name, ()))
        ways = [f"{alias}.terms && ARRAY({selection.select(term)})::text[]" for term in terms]
        if parameter.name == "agent" and kind == "Patient":
            patients = selection.select(f"'Patient/' || {id_}")
            ways += [f"{alias}.{column} IN ({patients})" for column in _PATIENT_AGENTS]
        return any_of(ways)

    def referred_ids(self, parameter: SearchParameter, target_type: str, selection: Selection) -> str:
        named = selection.select(
            "n.reference", f"({_named(parameter.name, selection.alias)}) AS n (reference)"
        )
        return (
            f"SELECT split_part(named.reference, '/', 2) FROM ({named}) AS named (reference)"
            f" WHERE starts_with(named.reference, {literal(f'{target_type}/')})"
        )

    def has_id(self, ids: str, alias: str) -> str:
        keys = f"SELECT CASE WHEN id ~ {literal(_UUID_PATTERN)} THEN id::uuid END FROM ({ids}) AS named (id)"
        return f"{alias}.id IN ({keys})"

    def bears(self, terms: Sequence[str], alias: str, arguments: Arguments) -> str:
        """Condition: a Patient's events are those that concern them, a practice's those of callers who spoke for it."""
        return f"{alias}.terms && {arguments.add(list(terms), 'text[]')}"

    def references(self, parameters: Iterable[SearchParameter], alias: str) -> str:
        terms = [
            f"SELECT {literal(f'{p.name}=')} || n.reference FROM ({_named(p.name, alias)}) AS n (reference)"
            for p in parameters
        ]
        return f"ARRAY({' UNION ALL '.join(terms)})" if terms else "ARRAY[]::text[]"

    def sort_value(self, key: SortKey, alias: str, arguments: Arguments) -> SortValue:
        if key.parameter.name in _INSTANTS:
            return SortValue(f"{alias}.recorded", "timestamptz", nullable=False, descending=key.descending)
        if key.parameter.name == "_id":
            return SortValue(f"{alias}.id::text", "text", nullable=False, descending=key.descending)
        expression, _ = _CODES.get(key.parameter.name, (("NULL", ""),))[0]
        return SortValue(f"({expression.format(a=alias)})::text", "text", descending=key.descending)

    def walk(
        self, key: SortKey, conditions: Sequence[Condition], alias: str, arguments: Arguments
    ) -> Walk | None:
        return None

    def distance(self, near: NearValue, alias: str, arguments: Arguments) -> str:
        raise TypeError("an AuditEvent has no position")


def _missing(clause: Clause, alias: str) -> str:
    wanted = {value.missing for value in clause.values_as(MissingValue)}
    if len(wanted) == 2:
        return "true"
    name = clause.parameter.name
    present = "false"
    if name in _CODES or name in _INSTANTS or name in ("_id", "agent"):
        present = "true"
    elif name == "entity-role":
        present = f"cardinality({_entity_roles(alias)}) > 0"
    elif name in _REFERENCES:
        present = f"EXISTS ({_named(name, alias)})"
    return f"NOT {present}" if True in wanted else present


def _matches(clause: Clause, alias: str, arguments: Arguments) -> str:
    """Condition of a token or reference clause; false for what no row has."""
    name = clause.parameter.name
    tokens = [value for value in clause.values if isinstance(value, TokenValue)]
    if name == "_id":
        ids = [id_ for value in tokens if value.system is None and (id_ := _uuid(value.code or ""))]
        return f"{alias}.id = ANY({arguments.add(ids, 'uuid[]')})"
    if name in _REFERENCES and clause.modifier != "identifier":
        references = [r for v in clause.values if isinstance(v, ReferenceValue) for r in v.references]
        named = [reference.partition("/_history/")[0] for reference in references]
        terms = [f"{start}{reference}" for start in _REFERENCES[name] for reference in named]
        ways = [f"{alias}.terms && {arguments.add(terms, 'text[]')}"]
        patients = [reference for reference in named if reference.startswith("Patient/")]
        if name == "agent" and patients:
            those = arguments.add(patients, "text[]")
            ways += [f"coalesce({alias}.{column} = ANY({those}), false)" for column in _PATIENT_AGENTS]
        return any_of(ways)
    if (name == "agent" and clause.modifier == "identifier") or (name == "altid" and clause.modifier is None):
        # An agent's identifier has the issuer as its system, and the subject as its value.
        subjects = [
            f"{ALTID}{value.code}" for value in tokens if value.code and (name == "agent" or not value.system)
        ]
        found = f"{alias}.terms && {arguments.add(subjects, 'text[]')}"
        issuers = [value.system for value in tokens if value.system]
        return (
            f"{found} AND {alias}.issuer = ANY({arguments.add(issuers, 'text[]')})"
            if issuers and name == "agent"
            else found
        )
    if clause.modifier not in (None, "not"):
        return "false"
    ways = [
        _bears(expression.format(a=alias), [v for v in tokens if v.system in (None, system)], arguments)
        for expression, system in _CODES.get(name, ())
    ]
    if name in _FURTHER:
        codes, system = _FURTHER[name]
        ways.append(_bear(codes(alias), [v for v in tokens if v.system in (None, system)], arguments))
    return any_of(ways)


def _named(parameter: str, alias: str) -> str:
    """SELECT of the references (`Type/id`) that the event shows in the elements of a reference parameter, each once."""
    wanted = any_of(f"starts_with(t.term, {literal(start)})" for start in _REFERENCES.get(parameter, ()))
    parts = [f"SELECT split_part(t.term, '=', 2) FROM unnest({alias}.terms) AS t (term) WHERE {wanted}"]
    if parameter == "agent":
        parts += [f"SELECT {alias}.{c} WHERE {alias}.{c} IS NOT NULL" for c in _PATIENT_AGENTS]
    return " UNION ".join(parts)


def _further_agent_roles(alias: str) -> str:
    """SQL (text[]): the roles of the agents beside the requestor."""
    agents = f"({_named('agent', alias)}) AS n (reference)"
    return (
        f"array_remove(ARRAY[CASE WHEN {alias}.represented IS NOT NULL THEN 'represented' END, CASE WHEN EXISTS"
        f" (SELECT FROM {agents} WHERE starts_with(n.reference, 'Organization/')) THEN 'practice' END], NULL)"
    )


def _entity_roles(alias: str) -> str:
    """SQL (text[]): the roles of the entities. Patients alone have one."""
    entities = f"({_named('entity', alias)}) AS n (reference)"
    return f"ARRAY(SELECT '1' FROM {entities} WHERE starts_with(n.reference, 'Patient/') LIMIT 1)"


def _further_entity_types(alias: str) -> str:
    """SQL (text[]): the types of the entities that are named, the first of which is shown even if it is not."""
    return f"ARRAY(SELECT split_part(n.reference, '/', 1) FROM ({_named('entity', alias)}) AS n (reference))"


_FURTHER: Mapping[str, tuple[Callable[[str], str], str]] = {
    "agent-role": (_further_agent_roles, ROLES),
    "entity-role": (_entity_roles, OBJECT_ROLES),
    "entity-type": (_further_entity_types, RESOURCE_TYPES),
}
"""Token parameters that an event answers by several codes: SQL of them (text[], by the row's alias), and their system."""


def _bear(expression: str, tokens: Sequence[TokenValue], arguments: Arguments) -> str:
    """Condition: one of the codes is one of these; any, where one names the system alone."""
    if any(not value.code for value in tokens):
        return f"cardinality({expression}) > 0"
    return f"{expression} && {arguments.add([value.code for value in tokens], 'text[]')}"


def _bears(expression: str, tokens: Sequence[TokenValue], arguments: Arguments) -> str:
    """Condition: the code is one of these; any, where one names the system alone."""
    if any(not value.code for value in tokens):
        return f"({expression}) <> ''"
    return f"({expression}) = ANY({arguments.add([value.code for value in tokens], 'text[]')})"


def _uuid(text: str) -> UUID | None:
    """The row's id, None for any other spelling of it: FHIR ids are compared character by character."""
    return UUID(text) if re.fullmatch(_UUID_PATTERN, text) else None


class AuditEventStore:
    """The `ResourceStore` of AuditEvent: events are read, and never changed."""

    resource_type = TYPE

    def __init__(self, source: str, name_of: NameOf = nobody_known) -> None:
        self._select = f"SELECT a.id::text, 1, a.recorded, {_content('a', source, name_of)} FROM audit AS a"

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
        key = _uuid(id_)
        if key is None:
            return False
        borne = "SELECT EXISTS (SELECT FROM audit WHERE id = $1 AND terms && $2::text[])"
        return bool(await connection.fetchval(borne, key, list(terms)))

    async def had_any_term(self, connection: Connection, id_: str, terms: Sequence[str]) -> bool:
        return await self.has_any_term(connection, id_, terms)

    async def history(self, connection: Connection, query: HistoryQuery) -> Sequence[Stored]:
        stored = await self.read(connection, query.id) if query.id is not None else None
        return [stored] if stored is not None else []

    async def history_total(self, connection: Connection, query: HistoryQuery, most: int | None) -> int:
        return len(await self.history(connection, query))

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

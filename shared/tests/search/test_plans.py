"""Every parameter of every type is answered by an index: no plan reads a large table from end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import orjson
import pytest
from shared.tests.search.store import KNOWN_TYPES, NOW, catalog, ddl, pairs

from creneau_shared.fhir.search.layout import NARROW, SEPARATOR, is_key, table_name
from creneau_shared.fhir.search.pages import can_walk, compile_matches
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.registry import REGISTRY, parameters_of, storage_needs
from creneau_shared.fhir.search.sql import EVERYTHING, Arguments, RowPlace, Statement, compile_count

ROWS = 20_000
VALUES = {
    "token": "urn:s|77",
    "string": "word 77 ",
    "date": "2020-03-07",
    "reference": "Patient/77",
    "uri": "urn:s:77",
    "number": "77",
    "quantity": "77",
    "special": "48.07|2.07|1|km",
}

BY_NAME = {
    "_id": "id77",
    "near-insee-code": "35238|1|km",
    "_lastUpdated": "2020-02-03",
    "_text": "w77 -autre",
    "_content": '"word w77"',
    "_filter": "_id eq id77 or _content co w77",
}


def _fill(resource_type: str) -> Iterator[str]:
    """INSERTs of ROWS rows in which each value of each parameter belongs to 20 or so."""
    name, needs = table_name(resource_type), storage_needs(resource_type)
    parameters = [
        p
        for p in parameters_of(resource_type).values()
        if p.expression and p.name not in ("_id", "_lastUpdated")
    ]
    terms: list[str] = []
    for parameter in parameters:
        terms.append(f"'{parameter.name}'")
        if parameter.type == "token":
            code = f"'{parameter.name}=' || n % 1000"
            terms += [code, f"'{parameter.name}=urn:s|' || n % 1000", f"'{parameter.name}=urn:s|'"]
        elif parameter.type == "reference":
            terms.append(f"'{parameter.name}={parameter.targets[0]}/' || n % 1000")
            terms.append(f"'{parameter.name}=Patient/' || n % 1000")
        elif parameter.type == "uri":
            terms.append(f"'{parameter.name}=urn:s:' || n % 1000")
    places = (
        (", latitude, longitude", ", 48 + n % 100 * 0.01, 2 + n % 1000 * 0.001")
        if needs.position
        else ("", "")
    )
    narrow = resource_type in NARROW
    keys = [term for term in terms if not narrow or is_key(_literal(term))]
    traits = [term for term in terms if term not in keys]
    if narrow:
        bar = f" || E'\\x{ord(SEPARATOR):02x}' || "
        strings = [
            f"'{p.name}{':text' if p.type == 'token' else ''}'"
            for p in parameters
            if p.type in ("string", "token")
        ]
        traits += [f"{string}{bar}'word ' || n % 1000 || ' more'{bar}'Word'" for string in strings]
    more = (", traits", f", ARRAY[{', '.join(traits)}]") if narrow else ("", "")
    yield f"DROP INDEX ix_{name}_terms, ix_{name}_words"
    yield (
        f"INSERT INTO {name} (id, version, last_updated, content, terms, words{places[0]}{more[0]}) "
        f"SELECT 'id' || n, 1, timestamptz '2020-01-01' + n * interval '1 hour', '{{}}', ARRAY[{', '.join(keys)}], "
        f"format('word:1A w%s:2A %s:3 more:4', n % 1000, n % 1000)::tsvector{places[1]}{more[1]} "
        f"FROM generate_series(1, {ROWS}) AS n"
    )
    yield f"CREATE INDEX ix_{name}_terms ON {name} USING gin (terms)"
    yield f"CREATE INDEX ix_{name}_words ON {name} USING gin (words)"
    days = "timestamptz '2020-01-01' + key % 1000 * interval '1 day'"
    for kind, types, columns in (
        ("string", ("string", "token"), "'word ' || key % 1000 || ' more', 'Word'"),
        ("date", ("date",), f"{days}, {days} + interval '1 microsecond'"),
        ("number", ("number",), "key % 1000"),
    ):
        own = [p for p in parameters if p.type in types and not p.name.startswith("_")]
        if narrow and kind == "string":
            own = []
        for parameter in own:
            suffix = ":text" if parameter.type == "token" else ""
            yield (
                f"INSERT INTO {name}_{kind} SELECT key, '{parameter.name}{suffix}', {columns} "
                f"FROM {name} ORDER BY key LIMIT {max(2_000, ROWS // len(own))}"
            )
        if own:
            yield f"ANALYZE {name}_{kind}"
    yield f"ANALYZE {name}"


def _literal(term: str) -> str:
    """The term of row 77 that an expression of `_fill` makes."""
    text, made, _ = term.partition(" || n %")
    return text.strip("'") + ("77" if made else "")


@pytest.fixture(scope="session")
async def large(postgres_server: Any) -> AsyncIterator[asyncpg.Connection]:
    """Tables of ROWS rows, analysed, for the types that are asked for."""
    connection = await asyncpg.connect(
        postgres_server.create_database("search_plans"), server_settings={"jit": "off"}
    )
    await connection.execute(ddl(sorted(REGISTRY)))
    yield connection
    await connection.close()


_filled: set[str] = set()


async def _ready(connection: asyncpg.Connection, resource_type: str) -> None:
    if resource_type not in _filled:
        _filled.add(resource_type)
        for statement in _fill(resource_type):
            await connection.execute(statement)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def _plan(connection: asyncpg.Connection, statement: Statement) -> dict[str, Any]:
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values)
    plan: dict[str, Any] = orjson.loads(explained)[0]["Plan"]
    return plan


async def _sequential(connection: asyncpg.Connection, statement: Statement) -> list[str]:
    """The tables that the plan reads from end to end."""
    nodes = _nodes(await _plan(connection, statement))
    return [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]


async def _check(connection: asyncpg.Connection, query: str) -> None:
    resource_type, _, rest = query.partition("?")
    request = parse_search(resource_type, pairs(rest), known_types=KNOWN_TYPES, now=NOW)
    tables = catalog(sorted(REGISTRY))
    for statement in (
        compile_count(tables, EVERYTHING, request, None),
        *(query.statement for query in compile_matches(tables, EVERYTHING, request)),
    ):
        assert await _sequential(connection, statement) == [], f"{query}\n{statement.sql}"


@pytest.mark.parametrize("resource_type", sorted(REGISTRY))
async def test_every_parameter_uses_an_index(large: asyncpg.Connection, resource_type: str) -> None:
    """Each registered parameter, with the value and the modifiers that narrow a search."""
    await _ready(large, resource_type)
    for parameter in parameters_of(resource_type).values():
        value = BY_NAME.get(parameter.name, VALUES[parameter.type])
        if parameter.code_system or (parameter.name in ("telecom", "email", "phone", "contact")):
            value = "77"
        if parameter.type == "reference" and "Patient" not in parameter.targets:
            value = f"{parameter.targets[0]}/77"
        await _check(large, f"{resource_type}?{parameter.name}={value}")
        if parameter.type == "string" and "contains" in parameter.modifiers and parameter.name != "phonetic":
            await _check(large, f"{resource_type}?{parameter.name}:contains=ord 77 m")
            await _check(large, f"{resource_type}?{parameter.name}:exact=word 77 more")
        if parameter.type == "token" and "text" in parameter.modifiers and not parameter.name.startswith("_"):
            await _check(large, f"{resource_type}?{parameter.name}:text=word 77 ")
        if parameter.type == "date" and parameter.name != "_lastUpdated":
            name = parameter.name
            await _check(large, f"{resource_type}?{name}=ge2020-03-07&{name}=lt2020-03-09")


@pytest.mark.parametrize(
    "query",
    [
        "Slot?schedule.actor:Practitioner.identifier=urn:s|77",
        "Slot?status=77&start=ge2020-03-07&start=lt2020-03-09&schedule.actor:Practitioner.identifier=urn:s|7,urn:s|8",
        "Appointment?patient.identifier=urn:s|77",
        "PractitionerRole?practitioner.family=word 77 ",
        "PractitionerRole?location.near=48.07|2.07|1|km",
        "Practitioner?_has:PractitionerRole:practitioner:specialty=urn:s|77",
        "Schedule?_has:Slot:schedule:start=2020-03-07",
    ],
)
async def test_chains_use_indexes(large: asyncpg.Connection, query: str) -> None:
    """A chain costs what its ends cost, in every direction."""
    for resource_type in (
        "Slot",
        "Schedule",
        "Practitioner",
        "PractitionerRole",
        "Location",
        "Appointment",
        "Patient",
    ):
        await _ready(large, resource_type)
    await _check(large, query)


SORTED = [
    "Appointment?_sort=date",
    "Appointment?_sort=-date",
    "Appointment?_sort=date,-_lastUpdated",
    "Appointment?_sort=date&date=ge2021-03-07",
    "Appointment?_sort=-date&date=ge2020-03-07&date=lt2021-03-09",
    "Appointment?_sort=priority",
    "Patient?_sort=family",
    "Patient?_sort=-name,birthdate",
    "Patient?_sort=-birthdate",
    "Schedule?_sort=date",
    "Appointment?_sort=_lastUpdated",
    "Appointment?_sort=-_lastUpdated",
    "Appointment?_sort=_id",
    "Appointment?_sort=-_id",
    "Appointment?",
]
MIDDLE = {"text": "word 500 more", "timestamptz": datetime(2021, 6, 1, tzinfo=UTC), "numeric": Decimal(500)}


@pytest.mark.parametrize("query", SORTED)
@pytest.mark.parametrize("place", ["first", "middle", "backward"])
async def test_sorting_everything_sorts_nothing(large: asyncpg.Connection, query: str, place: str) -> None:
    """A page of all rows is read along an index, wherever it begins: never all of them to be sorted."""
    resource_type, _, rest = query.partition("?")
    await _ready(large, resource_type)
    request = parse_search(resource_type, pairs(rest), known_types=KNOWN_TYPES, now=NOW)
    tables = catalog(sorted(REGISTRY))
    walking = can_walk(tables, EVERYTHING, request) is True
    assert walking or request.sort == () or request.sort[0].parameter.name in ("_id", "_lastUpdated")
    at = None
    if place != "first":
        table = tables.table(resource_type)
        values = [table.sort_value(key, "r", Arguments()).sql_type for key in request.sort]
        middle = [MIDDLE[sql_type] for sql_type in values]
        at = RowPlace((*middle, 10_000), backward=place == "backward")
    statement = compile_matches(tables, EVERYTHING, request, at, walking=walking)[0].statement
    plan = await _plan(large, statement)
    nodes = [node["Node Type"] for node in _nodes(plan)]
    assert not {"Seq Scan", "Sort", "Bitmap Heap Scan"} & set(nodes), f"{nodes}\n{statement.sql}"


async def test_a_missing_index_is_noticed(large: asyncpg.Connection) -> None:
    """The check itself can fail: without the index, the plan reads the whole table."""
    await _ready(large, "Endpoint")
    transaction = large.transaction()
    await transaction.start()
    try:
        await large.execute("DROP INDEX ix_endpoint_terms")
        with pytest.raises(AssertionError, match="endpoint"):
            await _check(large, "Endpoint?identifier=urn:s|77")
    finally:
        await transaction.rollback()

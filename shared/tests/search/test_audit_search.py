"""AuditEvents are searched over their narrow rows: by whom, about whom, by `_filter`, and never all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from shared.tests.search.store import CODEC, KNOWN_TYPES, NOW, create_statements, pairs

from creneau_shared.database.metadata import new_metadata
from creneau_shared.database.partitioning import FUNCTIONS
from creneau_shared.fhir.audit import audit_table
from creneau_shared.fhir.search.execute import search
from creneau_shared.fhir.search.pages import compile_matches
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.sql import EVERYTHING, Catalog, RowPlace, Statement
from creneau_shared.fhir.storage.audit_events import AuditEventTable

CATALOG = Catalog([AuditEventTable("booking")])
EMPTY = {"audit_2026_08", "audit_2026_09", "audit_default"}
AGENT = "0199aaaa-1e5b-7ccc-8ddd-00000000000"


@pytest.fixture(scope="session")
async def trail(postgres_server: Any) -> AsyncIterator[asyncpg.Connection]:
    """20,000 accesses of 2,000 agents, from January to July; the number of a row is its correlation id."""
    connection = await asyncpg.connect(
        postgres_server.create_database("search_audit"), server_settings={"jit": "off"}
    )
    metadata = new_metadata()
    audit_table(metadata)
    months = [f"SELECT make_month('audit', '2026-{month:02}-01Z')" for month in range(1, 10)]
    for statement in (*create_statements(metadata), *FUNCTIONS, *months):
        await connection.execute(statement)
    await connection.execute(
        "INSERT INTO audit (id, recorded, action, interaction, agent, role, resource_type, resource_id, version,"
        " correlation_id, terms)"
        " SELECT gen_random_uuid(), timestamptz '2026-01-01' + n * interval '15 min', (ARRAY['C','R','U','D','E'])[1 + n % 5],"
        " 'read',"
        " CASE WHEN n < 5 THEN $1 || n WHEN n = 9 THEN 'Élodie.Œuvre' WHEN n < 14 THEN 'corr' || n ELSE 'agent-' || n % 2000 END,"
        " (ARRAY['user','patient'])[1 + n % 2], (ARRAY['Patient','Appointment'])[1 + n % 2],"
        " CASE WHEN n % 3 > 0 THEN 'p' || n END, 1, 'corr' || n, '{}' FROM generate_series(1, 20000) AS n",
        AGENT,
    )
    await connection.execute(
        "UPDATE audit SET terms = array_remove(ARRAY['altid=' || agent, 'entity=' || resource_type || '/' || resource_id,"
        " CASE WHEN resource_type = 'Patient' THEN 'patient=Patient/' || resource_id END], NULL)"
    )
    await connection.execute("VACUUM ANALYZE audit")
    yield connection
    await connection.close()


async def events(connection: asyncpg.Connection, query: str) -> list[dict[str, Any]]:
    """The AuditEvents that are found."""
    request = parse_search("AuditEvent", pairs(query), known_types=KNOWN_TYPES, now=NOW)
    result = await search(connection, CATALOG, request, cursor_codec=CODEC)
    return [orjson.loads(row.content) for row in result.matches]


async def numbers(connection: asyncpg.Connection, query: str) -> list[int]:
    """The rows that are found, by their number."""
    found = await events(connection, query)
    return sorted(int(event["entity"][0]["detail"][0]["valueString"][4:]) for event in found)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("altid=corr7", [7]),
        (f"altid={AGENT}3", [3]),
        (f"altid={AGENT}", []),
        ("agent:identifier=Élodie.Œuvre", [9]),
        ("entity=Patient/p10", [10]),
        ("entity=Patient/p10,Appointment/p7", [7, 10]),
        ("patient=Patient/p10&action=C", [10]),
        ("patient=Patient/p10&action:not=C", []),
        ("patient:missing=true&altid=corr7", [7]),
        ("patient:missing=true&altid=corr10", []),
        ("_filter=patient re Patient/p2 or altid eq agent-1999 and date lt 2026-01-02", [2]),
        ("_content=corr7", []),
        ("_text=corr7", []),
    ],
)
async def test_terms_and_filters(trail: asyncpg.Connection, query: str, expected: list[int]) -> None:
    """By whom, about whom, about what; nobody has written anything in a trail that words could be looked for in."""
    assert await numbers(trail, query) == expected


async def test_what_an_event_shows_is_found(trail: asyncpg.Connection) -> None:
    """Each code and reference that is served, by the parameter of its element, for an event of every kind of agent and
    entity."""
    columns = {
        "action": "R", "interaction": "operation", "asked": "GET Appointment/$find", "agent": "shown", "role": "user",
        "who": "Patient/mother", "represented": "Patient/child", "resource_type": "Slot", "correlation_id": "corr0",
        "terms": [
            "altid=shown", "agent=Organization/house", "entity=Appointment/a", "entity=Patient/child",
            "patient=Patient/child", "patient=Patient/of-the-appointment",
        ],
    }  # fmt: skip
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    inserted = trail.transaction()
    await inserted.start()
    try:
        await trail.execute(
            f"INSERT INTO audit (id, recorded, {', '.join(columns)})"
            f" VALUES (gen_random_uuid(), '2026-05-05Z', {places})",
            *columns.values(),
        )
        event = (await events(trail, "altid=shown"))[0]
        sought = list(_shown(event))
        assert {name for name, _ in sought} == {n for n in parameters_of("AuditEvent") if n[0] != "_"}
        for name, value in sought:
            assert await numbers(trail, f"altid=shown&{name}={value}") == [0], (name, value)
            assert await numbers(trail, f"altid=shown&{name}:missing=true") == [], name
        for other in (
            "entity=Patient/mother",
            "agent=Patient/stranger",
            "entity-type=Device",
            "entity-role=2",
        ):
            assert await numbers(trail, f"altid=shown&{other}") == [], other
    finally:
        await inserted.rollback()


def _shown(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields what the event shows, as the value of a search parameter (R4 AuditEvent)."""

    def tokens(coding: dict[str, str]) -> tuple[str, str]:
        return coding["code"], f"{coding['system']}|{coding['code']}"

    yield from ((name, event[name]) for name in ("action", "outcome"))
    yield "date", event["recorded"]
    for name, coding in (("type", event["type"]), *(("subtype", coding) for coding in event["subtype"])):
        yield from ((name, token) for token in tokens(coding))
    for agent in event["agent"]:
        yield from (("agent-role", token) for token in tokens(agent["role"][0]["coding"][0]))
        yield "agent", agent["who"]["reference"]
        if "altId" in agent:
            yield "altid", agent["altId"]
    for entity in event["entity"]:
        yield from (("entity-type", token) for token in tokens(entity["type"]))
        if "role" in entity:
            yield from (("entity-role", token) for token in tokens(entity["role"]))
            yield "patient", entity["what"]["reference"]
        if "what" in entity:
            yield "entity", entity["what"]["reference"]


PLANNED = [
    "",
    "_sort=date",
    "_id=0199aaaa-bbbb-7ccc-8ddd-000000000001",
    "date=2026-01-05T10:00:00Z",
    "_lastUpdated=ge2026-01-05&_lastUpdated=lt2026-01-06",
    "altid=agent-7",
    "agent:identifier=agent-7",
    "patient=Patient/p6",
    "entity=Appointment/p7",
    "_filter=altid eq corr7 or altid eq agent-7",
]


@pytest.mark.parametrize("query", PLANNED)
@pytest.mark.parametrize("at", [None, RowPlace((datetime(2026, 1, 3, tzinfo=UTC), UUID(int=5_000)))])
async def test_nothing_reads_the_whole_trail(
    trail: asyncpg.Connection, query: str, at: RowPlace | None
) -> None:
    """The trace of all accesses is the largest table there is."""
    request = parse_search("AuditEvent", pairs(query), known_types=KNOWN_TYPES, now=NOW)
    statement = compile_matches(CATALOG, EVERYTHING, request, at)[0].statement
    plan = await explained(trail, statement)
    read = {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}
    assert read <= EMPTY, f"{read}\n{statement.sql}"


@pytest.mark.parametrize(
    ("query", "months"),
    [
        ("date=2026-03-05", {"audit_2026_03"}),
        ("date=ge2026-04-30&date=lt2026-05-02&_sort=date", {"audit_2026_04", "audit_2026_05"}),
        ("patient=Patient/p6&date=lt2026-02-01", {"audit_2026_01"}),
        ("altid=agent-7&date=ge2027-06-01", set()),
    ],
)
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_months_that_are_not_asked_for_are_not_looked_at(
    trail: asyncpg.Connection, query: str, months: set[str], mode: str
) -> None:
    """Whether the statement is planned for its dates or, prepared, once for all of them."""
    request = parse_search("AuditEvent", pairs(query), known_types=KNOWN_TYPES, now=NOW)
    statement = compile_matches(CATALOG, EVERYTHING, request, None)[0].statement
    values = ", ".join(_literal(value) for value in statement.values)
    async with trail.transaction():
        await trail.execute(f"SET LOCAL plan_cache_mode = {mode}")
        await trail.execute(f"PREPARE asked AS {statement.sql}")
        plan = await trail.fetchval(f"EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) EXECUTE asked({values})")
        await trail.execute("DEALLOCATE asked")
    relations = {node.get("Relation Name") for node in _nodes(orjson.loads(plan)[0]["Plan"])}
    assert relations - {None, "audit_default"} == months


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(_literal(item) for item in value)}]"
    return str(value) if isinstance(value, int) else f"'{value}'"


async def explained(connection: asyncpg.Connection, statement: Statement) -> list[dict[str, Any]]:
    """The nodes of the statement's plan."""
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values)
    return list(_nodes(orjson.loads(plan)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)

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
from creneau_shared.fhir.audit import audit_table
from creneau_shared.fhir.search.execute import search
from creneau_shared.fhir.search.pages import compile_matches
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.sql import EVERYTHING, Catalog, RowPlace
from creneau_shared.fhir.storage.audit_events import AuditEventTable

CATALOG = Catalog([AuditEventTable("booking")])
AGENT = "0199aaaa-1e5b-7ccc-8ddd-00000000000"


@pytest.fixture(scope="session")
async def trail(postgres_server: Any) -> AsyncIterator[asyncpg.Connection]:
    """20,000 accesses of 2,000 agents; the number of a row is its correlation id."""
    connection = await asyncpg.connect(
        postgres_server.create_database("search_audit"), server_settings={"jit": "off"}
    )
    metadata = new_metadata()
    audit_table(metadata)
    for statement in create_statements(metadata):
        await connection.execute(statement)
    await connection.execute(
        "INSERT INTO audit (id, recorded, action, interaction, agent, role, resource_type, resource_id, version,"
        " correlation_id, terms)"
        " SELECT gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 min', (ARRAY['C','R','U','D','E'])[1 + n % 5],"
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


async def numbers(connection: asyncpg.Connection, query: str) -> list[int]:
    """The rows that are found, by their number."""
    request = parse_search("AuditEvent", pairs(query), known_types=KNOWN_TYPES, now=NOW)
    result = await search(connection, CATALOG, request, cursor_codec=CODEC)
    events = [orjson.loads(row.content) for row in result.matches]
    return sorted(int(event["entity"][0]["detail"][0]["valueString"][4:]) for event in events)


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
    explained = await trail.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.values)
    kinds = {node["Node Type"] for node in _nodes(orjson.loads(explained)[0]["Plan"])}
    assert "Seq Scan" not in kinds, f"{kinds}\n{statement.sql}"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)

"""A small database for search tests: the generic tables of some types, filled from plain dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from sqlalchemy import MetaData, create_mock_engine
from sqlalchemy.dialects import postgresql

from creneau_shared.database.metadata import new_metadata
from creneau_shared.database.partitioning import AUDIT, HISTORY
from creneau_shared.fhir.search.cursor import CursorCodec
from creneau_shared.fhir.search.execute import SearchResult, search
from creneau_shared.fhir.search.generic import GenericTable
from creneau_shared.fhir.search.index import IndexEntries, index_resource
from creneau_shared.fhir.search.layout import NARROW, table_name
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.search.sql import EVERYTHING, Catalog, SearchScope
from creneau_shared.fhir.storage.tables import SEARCH_EXTENSIONS, resource_tables

BASE_URL = "https://creneau.example/fhir"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KNOWN_TYPES = frozenset(
    {
        "Organization", "Location", "HealthcareService", "Practitioner", "PractitionerRole", "Endpoint",
        "Schedule", "Slot", "Appointment", "AppointmentResponse", "Patient", "RelatedPerson",
        "Communication", "AuditEvent", "Provenance",
    }
)  # fmt: skip
CODEC = CursorCodec("test secret")


def ddl(types: Iterable[str]) -> str:
    """The SQL that makes the tables of the types."""
    metadata = new_metadata()
    for resource_type in types:
        resource_tables(metadata, resource_type)
    statements = [f"CREATE EXTENSION IF NOT EXISTS {name}" for name in SEARCH_EXTENSIONS]
    statements += create_statements(metadata)
    return ";\n".join(statements)


def create_statements(metadata: MetaData) -> list[str]:
    """The SQL that makes the tables of `metadata`, those by month with a default partition for everything."""
    statements: list[str] = []
    dialect = postgresql.dialect()
    engine = create_mock_engine(
        "postgresql+asyncpg://", lambda sql, *_, **__: statements.append(str(sql.compile(dialect=dialect)))
    )
    metadata.create_all(engine, checkfirst=False)
    return statements + [
        f"CREATE TABLE {table.name}_default PARTITION OF {table.name} (PRIMARY KEY ({table.key})) DEFAULT"
        for table in (AUDIT, HISTORY)
        if table.name in metadata.tables
    ]


async def insert(connection: asyncpg.Connection, resources: Iterable[Mapping[str, Any]]) -> None:
    """Store resources (each with resourceType and id) and their index entries."""
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    for resource in resources:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    for resource_type, rows in by_type.items():
        await _insert(connection, resource_type, rows)


async def _insert(
    connection: asyncpg.Connection, resource_type: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    name = table_name(resource_type)
    entries = [index_resource(resource_type, row, base_url=BASE_URL) for row in rows]
    columns = ["id", "version", "last_updated", "content", "terms"]
    narrow = resource_type in NARROW
    words = [(row["id"], entry.words) for row, entry in zip(rows, entries, strict=True)]
    positioned = any(entry.position for entry in entries)
    records = []
    for row, entry in zip(rows, entries, strict=True):
        updated = row.get("meta", {}).get("lastUpdated")
        record = [
            row["id"],
            1,
            datetime.fromisoformat(updated) if updated else NOW,
            orjson.dumps(row),
            entry.terms,
        ]
        if narrow:
            record.append(entry.traits)
        records.append((*record, *(entry.position or (None, None))) if positioned else tuple(record))
    if narrow:
        columns.append("traits")
    if positioned:
        columns += ["latitude", "longitude"]
    await connection.copy_records_to_table(name, records=records, columns=columns)
    await connection.executemany(f"UPDATE {name} SET words = $2::text::tsvector WHERE id = $1", words)
    sql = f"SELECT id, key FROM {name} WHERE id = ANY($1)"
    keys: dict[str, int] = dict(map(tuple, await connection.fetch(sql, [row["id"] for row in rows])))
    for kind in ("strings", "dates", "numbers"):
        side = [
            (keys[row["id"]], *values)
            for row, entry in zip(rows, entries, strict=True)
            for values in _values(entry, kind)
        ]
        if side:
            await connection.copy_records_to_table(f"{name}_{kind[:-1]}", records=side)


def _values(entry: IndexEntries, kind: str) -> list[tuple[Any, ...]]:
    values: list[tuple[Any, ...]] = getattr(entry, kind)
    return values


def catalog(types: Iterable[str]) -> Catalog:
    """The generic tables of the types."""
    return Catalog(GenericTable.of(resource_type) for resource_type in types)


def pairs(query: str) -> list[tuple[str, str]]:
    """`a=b&c=d`, as it is written, without any decoding."""
    return [(name, text) for name, _, text in (part.partition("=") for part in query.split("&")) if name]


class Store:
    """A connection and the catalog of what stands in its database."""

    def __init__(self, connection: asyncpg.Connection, types: Iterable[str], url: str) -> None:
        self.connection = connection
        self.url = url
        self.catalog = catalog(types)

    async def result(
        self,
        query: str,
        *,
        scope: SearchScope = EVERYTHING,
        cursor: str | None = None,
        strict: bool = False,
        limits: Limits | None = None,
    ) -> SearchResult:
        """Search `Type?query`."""
        resource_type, _, rest = query.partition("?")
        asked = pairs(rest) + ([("_cursor", cursor)] if cursor else [])
        request = parse_search(
            resource_type,
            asked,
            known_types=KNOWN_TYPES,
            now=NOW,
            base_url=BASE_URL,
            strict=strict,
            limits=limits,
        )
        return await search(self.connection, self.catalog, request, scope=scope, cursor_codec=CODEC)

    async def ids(self, query: str, *, scope: SearchScope = EVERYTHING) -> list[str]:
        """The ids of the matches, sorted unless the query sorts."""
        result = await self.result(query, scope=scope)
        found = [row.id for row in result.matches]
        return found if "_sort=" in query or "near=" in query else sorted(found)

    async def included(self, query: str, *, scope: SearchScope = EVERYTHING) -> list[str]:
        """`Type/id` of what was included, sorted."""
        result = await self.result(query, scope=scope)
        return sorted(f"{row.type}/{row.id}" for row in result.included)

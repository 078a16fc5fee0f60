"""Rebuilds the search entries of stored resources, after an upgrade that indexes more. The rows of people's search are
queued for the worker.

Batch by batch, each in a transaction with its rows locked; versions, bytes and events stay as they are. If it breaks off, it
starts again and does no harm. Resources written meanwhile already have their new entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from creneau_directory.storage import care
from creneau_directory.storage.bulk import BulkStore
from creneau_directory.storage.tables import TYPES
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import storage_needs
from creneau_shared.fhir.storage.store import Resource

BATCH = 500


async def reindex(
    database: Database,
    base_url: str,
    indexed: Callable[[Resource], Resource],
    tell: Callable[[str, int], None],
) -> int:
    """Rebuilds the search entries of every resource; returns how many. `tell`: gets each type and how many are done."""
    total = 0
    for resource_type in TYPES:
        store, after, done = BulkStore(resource_type, base_url, indexed), "", 0
        while True:
            async with database.transaction() as connection:
                last, count = await _batch(connection, store, after)
            if last is None:
                break
            after, done = last, done + count
            tell(resource_type, done)
        total += done
    return total


async def _batch(connection: Connection, store: BulkStore, after: str) -> tuple[str | None, int]:
    """Returns the last id of the batch (None if nothing was left), and how many were done."""
    table, needs = table_name(store.resource_type), storage_needs(store.resource_type)
    rows = await connection.fetch(
        f"SELECT id, key, content, terms FROM {table} WHERE id > $1 AND NOT deleted ORDER BY id LIMIT $2 FOR UPDATE",
        after,
        BATCH,
    )
    if not rows:
        return None, 0
    sides: dict[str, list[tuple[object, ...]]] = {"string": [], "date": [], "number": []}
    for row in rows:
        entries = store.entries_of(loads(row["content"]))
        internal = [term for term in row["terms"] if term.startswith("~")]
        assignments = ["terms = $2", "words = $3::text::tsvector"]
        values: list[Any] = [[*entries.terms, *internal], entries.words]
        if needs.occurrences:
            values.append(orjson.dumps(entries.occurrences).decode())
            assignments.append(f"occurrences = ${len(values) + 1}::text::jsonb")
        if needs.position:
            values += entries.position or (None, None)
            assignments.append(f"latitude = ${len(values)}, longitude = ${len(values) + 1}")
        await connection.execute(
            f"UPDATE {table} SET {', '.join(assignments)} WHERE key = $1", row["key"], *values
        )
        for kind, found in sides.items():
            found += [(row["key"], *entry) for entry in getattr(entries, f"{kind}s")]
    if store.resource_type == "PractitionerRole":
        await care.put_off(connection, "PractitionerRole", [row["id"] for row in rows])
    keys = [row["key"] for row in rows]
    for kind, wanted in (("string", needs.strings), ("date", needs.dates), ("number", needs.numbers)):
        if wanted:
            await connection.execute(f"DELETE FROM {table}_{kind} WHERE key = ANY($1::bigint[])", keys)
            await store.copy_side(connection, kind, sides[kind])
    return rows[-1]["id"], len(rows)

"""Removes resources that are past keeping for good, with their versions. Nobody is told."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import storage_needs


async def purge(connection: Connection, resource_type: str, ids: Sequence[str]) -> int:
    """Removes these resources of a generic type, their search entries and superseded versions; returns how many."""
    needs, table = storage_needs(resource_type), table_name(resource_type)
    sides = (("string", needs.strings), ("date", needs.dates), ("number", needs.numbers))
    for kind, wanted in sides:
        if wanted:
            await connection.execute(
                f"DELETE FROM {table}_{kind} AS side USING {table} AS main"
                " WHERE side.key = main.key AND main.id = ANY($1::text[])",
                list(ids),
            )
    status: str = await connection.execute(f"DELETE FROM {table} WHERE id = ANY($1::text[])", list(ids))
    await connection.execute(
        "DELETE FROM resource_history WHERE resource_type = $1 AND id = ANY($2::text[])",
        resource_type,
        list(ids),
    )
    return int(status.rpartition(" ")[2])

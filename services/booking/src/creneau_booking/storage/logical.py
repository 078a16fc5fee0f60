"""Logical references: the known resources that an identifier names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from creneau_booking.storage.tables import OWN_TYPES, REPLICA_TYPES
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import bounded, escape

Identified = Mapping[tuple[str, str], Sequence[str]]
"""type, identifier (`system|value`) → ids"""


async def identified(connection: Connection, wanted: Iterable[tuple[str, str]]) -> Identified:
    """Returns the ids of those who bear these identifiers (type, `system|value`; without a system, of any system)."""
    found: dict[tuple[str, str], Sequence[str]] = {}
    for kind, token in dict.fromkeys(wanted):
        system, _, value = token.rpartition("|")
        if not value or kind not in (*REPLICA_TYPES, *OWN_TYPES):
            continue
        term = f"identifier={system}|{escape(value)}" if system else f"identifier={escape(value)}"
        rows = await connection.fetch(
            f"SELECT id FROM {table_name(kind)} WHERE terms @> ARRAY[$1] AND NOT deleted ORDER BY id",
            bounded(term),
        )
        found[kind, token] = [row["id"] for row in rows]
    return found

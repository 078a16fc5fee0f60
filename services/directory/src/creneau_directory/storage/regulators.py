"""Finds the regulators' accounts that have a number; at most one active account has it."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.terms import bounded, token_term
from creneau_shared.fhir.storage.store import Stored
from creneau_shared.security.rights import OWNER, REGULATION

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('regulator ' || $1, 0))"
_BEARING = """
SELECT id, version, last_updated, content FROM practitioner
WHERE terms @> ARRAY[$1] AND terms && $2::text[] AND id <> $3 AND NOT deleted ORDER BY id FOR UPDATE
"""


async def others_bearing(
    connection: Connection, numbers: Sequence[tuple[str, str]], besides: str
) -> list[Stored]:
    """Returns the accounts other than `besides` (id) that have one of these numbers. Locks the numbers, which every caller
    gives in the same order, until the transaction ends: other writers of such accounts wait."""
    for system, value in numbers:
        await connection.execute(_LOCK, f"{system}|{value}")
    terms = [bounded(token_term("identifier", system, value)) for system, value in numbers]
    rows = await connection.fetch(_BEARING, f"{OWNER}{REGULATION}", terms, besides)
    return [Stored("Practitioner", *row) for row in rows]

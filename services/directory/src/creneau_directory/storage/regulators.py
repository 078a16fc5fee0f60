"""Which accounts of regulators bear a number: an active one alone, whoever else had it before."""

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
    """The accounts (`besides`, an id, left out) that bear one of these numbers, given in one order for all. Whoever
    writes an account with one of them waits until this transaction has ended."""
    for system, value in numbers:
        await connection.execute(_LOCK, f"{system}|{value}")
    terms = [bounded(token_term("identifier", system, value)) for system, value in numbers]
    rows = await connection.fetch(_BEARING, f"{OWNER}{REGULATION}", terms, besides)
    return [Stored("Practitioner", *row) for row in rows]

"""What an entry is a part of, and that again: rooms of a site, units of an establishment."""

from __future__ import annotations

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name

OF_WHOLES = frozenset({"Location", "Organization"})
"""types that may be a part (`partOf`) of their own kind"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('parts of ' || $1, 0))"
_WHOLES = """
WITH RECURSIVE whole (id) AS (
  SELECT $1::text COLLATE "C" UNION SELECT split_part(t, '/', 2)
  FROM whole JOIN {table} AS part ON part.id = whole.id AND NOT part.deleted, unnest(part.terms) AS t
  WHERE starts_with(t, 'partof={kind}/'))
SELECT EXISTS (SELECT FROM whole WHERE id = $2)"""


async def is_within(connection: Connection, kind: str, whole: str, part: str) -> bool:
    """Whether an entry (`whole`, id) is the other (`part`, id), or lies in it by any number of steps. Until the transaction
    ends, others who say what is a part of what wait: two who agree on nothing could close a circle together."""
    await connection.execute(_LOCK, kind)
    statement = _WHOLES.format(table=table_name(kind), kind=kind)
    return bool(await connection.fetchval(statement, whole, part))

"""Logical references: the known resources that an identifier names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from creneau_booking.storage.tables import OWN_TYPES, REPLICA_TYPES
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import bounded, escape

Identified = Mapping[tuple[str, str], Sequence[str]]
"""type, identifier (`system|value`) → ids"""


# The terms stand in a SELECT so that PostgreSQL does not guess, from many of them, that most rows bear one.
_BEARERS = """
SELECT id, ARRAY(SELECT t FROM unnest(terms) AS t WHERE t = ANY($1::text[])) AS terms FROM {table}
WHERE terms && (SELECT $1::text[]) AND NOT deleted ORDER BY id
"""


async def identified(connection: Connection, wanted: Iterable[tuple[str, str]]) -> Identified:
    """Returns the ids of those who bear these identifiers (type, `system|value`; without a system, of any system), by one
    statement a type."""
    asked: dict[str, dict[str, str]] = {}
    for kind, token in wanted:
        if kind in (*REPLICA_TYPES, *OWN_TYPES) and (term := _term(token)):
            asked.setdefault(kind, {})[token] = term
    found: dict[tuple[str, str], list[str]] = {}
    for kind, terms in asked.items():
        bearing: dict[str, list[str]] = {term: [] for term in terms.values()}
        for row in await connection.fetch(_BEARERS.format(table=table_name(kind)), list(bearing)):
            for term in row["terms"]:
                bearing[term].append(row["id"])
        found |= {(kind, token): bearing[term] for token, term in terms.items()}
    return found


def _term(token: str) -> str:
    """Returns the term of an identifier; empty for one without a value."""
    system, _, value = token.rpartition("|")
    if not value:
        return ""
    return bounded(f"identifier={system}|{escape(value)}" if system else f"identifier={escape(value)}")

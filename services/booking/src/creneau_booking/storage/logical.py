"""Logical references: the known resources that an identifier names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from creneau_booking.storage.tables import OWN_TYPES, REPLICA_TYPES
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.bearers import bears
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.terms import identifier_terms

Identified = Mapping[tuple[str, str], Sequence[str]]
"""type, identifier (`system|value`) → ids"""


_BEARERS = f"""
SELECT id, ARRAY(SELECT t FROM unnest(terms) AS t WHERE t = ANY($1::text[])) AS terms FROM {{table}}
WHERE {bears("$1::text[]")} AND NOT deleted ORDER BY id
"""


async def identified(connection: Connection, wanted: Iterable[tuple[str, str]]) -> Identified:
    """Returns the ids of those who bear these identifiers (type, `system|value`; without a system, of any system), in any
    spelling of a national number, by one statement a type."""
    asked: dict[str, dict[str, list[str]]] = {}
    for kind, token in wanted:
        if kind in (*REPLICA_TYPES, *OWN_TYPES) and (terms := _terms(token)):
            asked.setdefault(kind, {})[token] = terms
    found: dict[tuple[str, str], list[str]] = {}
    for kind, tokens in asked.items():
        bearing: dict[str, list[str]] = {term: [] for terms in tokens.values() for term in terms}
        for row in await connection.fetch(_BEARERS.format(table=table_name(kind)), list(bearing)):
            for term in row["terms"]:
                bearing[term].append(row["id"])
        found |= {
            (kind, token): sorted({id_ for term in terms for id_ in bearing[term]})
            for token, terms in tokens.items()
        }
    return found


def _terms(token: str) -> list[str]:
    """Returns the terms of an identifier; none for one without a value."""
    system, _, value = token.rpartition("|")
    return identifier_terms(system or None, value)

"""The Patients whose relatives the RelatedPersons of this base are."""

from __future__ import annotations

from collections.abc import Collection

from creneau_shared.database.pool import Connection


async def relatives_of(
    connection: Connection, patients: Collection[str], named: Collection[str]
) -> frozenset[str]:
    """Returns the named RelatedPersons (references) who are on record as relatives of one of the Patients (ids)."""
    if not named:
        return frozenset()
    rows = await connection.fetch(
        "SELECT id FROM related_person WHERE id = ANY($1) AND NOT deleted AND NOT terms @> ARRAY['active=false']"
        " AND terms && $2",
        [reference.removeprefix("RelatedPerson/") for reference in named],
        [f"patient=Patient/{id_}" for id_ in patients],
    )
    return frozenset(f"RelatedPerson/{row['id']}" for row in rows)

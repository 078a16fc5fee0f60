"""Whose relatives the RelatedPersons of this base are, and who has an agenda here."""

from __future__ import annotations

from collections.abc import Collection

from creneau_shared.database.pool import Connection


async def relatives_of(
    connection: Connection, patients: Collection[str], named: Collection[str]
) -> frozenset[str]:
    """Those of the named RelatedPersons (references) who are on record as relatives of one of the Patients (ids)."""
    if not named:
        return frozenset()
    rows = await connection.fetch(
        "SELECT id FROM related_person WHERE id = ANY($1) AND NOT deleted AND NOT terms @> ARRAY['active=false']"
        " AND terms && $2",
        [reference.removeprefix("RelatedPerson/") for reference in named],
        [f"patient=Patient/{id_}" for id_ in patients],
    )
    return frozenset(f"RelatedPerson/{row['id']}" for row in rows)


async def with_an_agenda(connection: Connection, references: Collection[str]) -> frozenset[str]:
    """Those of these actors (references) who have an agenda here: a request without a slot can be for them."""
    if not references:
        return frozenset()
    rows = await connection.fetch(
        "SELECT substr(term, 7) AS ref FROM schedule, unnest(terms) AS term"
        " WHERE NOT deleted AND terms && $1 AND term = ANY($1)"
        " UNION SELECT actor FROM agenda_actor JOIN schedule ON schedule.key = schedule_key"
        " WHERE 'actor=' || actor = ANY($1) AND NOT deleted"
        " UNION SELECT 'Location/' || place FROM role_place JOIN schedule ON terms @> ARRAY['actor=PractitionerRole/' || role]"
        " WHERE 'actor=Location/' || place = ANY($1) AND NOT deleted",
        [f"actor={reference}" for reference in references],
    )
    return frozenset(row["ref"] for row in rows)

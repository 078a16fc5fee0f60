"""Whom a request names by an identifier alone (a logical reference), as far as the directory has told us of them."""

from __future__ import annotations

from typing import Any

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.storage.store import Resource

TYPES = ("Practitioner", "PractitionerRole", "HealthcareService", "Location", "Device")
"""types of actors by which somebody says for whom they wait"""
_FOUND = " UNION ALL ".join(
    f"(SELECT '{name}/' || id AS reference FROM {table_name(name)} WHERE terms @> ARRAY[$1] AND NOT deleted LIMIT 2)"
    for name in TYPES
)


async def with_known_actors(connection: Connection, resource: Resource) -> Resource:
    """The resource in which each participant who is named by an identifier alone has its reference, too; one whom nobody, or
    several, have stays as they are."""
    people = resource.get("participant", ())
    if not any(map(_token, people)):
        return resource
    known = []
    for one in people:
        token = _token(one)
        rows = await connection.fetch(_FOUND, token) if token else []
        if len(rows) == 1:
            one = {**one, "actor": {"reference": rows[0]["reference"], **one["actor"]}}
        known.append(one)
    return {**resource, "participant": known}


def _token(participant: Any) -> str | None:
    """The search term of an identifier with its system, of whoever is named by nothing else."""
    actor = participant.get("actor", {})
    identifier = actor.get("identifier", {})
    if "reference" in actor or not identifier.get("system") or not identifier.get("value"):
        return None
    return f"identifier={identifier['system']}|{identifier['value']}"

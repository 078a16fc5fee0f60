"""Finds the entries of the directory that refer to an entry."""

from __future__ import annotations

from functools import cache

from creneau_directory.storage.tables import TYPES
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.search.registry import parameters_of

NAMED_MAX = 5
"""most referring entries that a refusal names: enough to begin with"""


async def named_by(connection: Connection, resource_type: str, id_: str) -> list[str]:
    """Returns at most `NAMED_MAX` entries (`PractitionerRole/12`) that refer to this one."""
    statement = _statement(resource_type)
    if statement is None:
        return []
    rows = await connection.fetch(statement, f"{resource_type}/{id_}")
    return [row["reference"] for row in rows]


@cache
def _statement(resource_type: str) -> str | None:
    """The SQL over every type and parameter that may refer to `resource_type`; None if there is none."""
    parts = []
    for name in TYPES:
        named = sorted(
            parameter.index_name
            for parameter in parameters_of(name).values()
            if parameter.type == "reference" and parameter.allows_target(resource_type)
        )
        if named:
            terms = ", ".join(f"'{parameter}=' || $1" for parameter in named)
            parts.append(
                f"SELECT '{name}/' || id AS reference FROM {table_name(name)}"
                f" WHERE terms && ARRAY[{terms}] AND NOT deleted AND '{name}/' || id <> $1"
            )
    if not parts:
        return None
    return f"{' UNION ALL '.join(parts)} ORDER BY reference LIMIT {NAMED_MAX}"

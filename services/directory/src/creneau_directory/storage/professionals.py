"""For whom a professional works, by their roles."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from creneau_shared.database.pool import Connection

_ORGANIZATION = "organization=Organization/"
_WORKS_FOR_OTHERS = f"""
SELECT EXISTS (
  SELECT FROM practitioner_role AS role, unnest(role.terms) AS t
  WHERE role.terms @> ARRAY['practitioner=Practitioner/' || $1] AND starts_with(t, '{_ORGANIZATION}')
  AND substr(t, {len(_ORGANIZATION) + 1}) <> ALL ($2::text[])
  AND NOT role.deleted AND NOT role.terms @> ARRAY['active=false'] AND NOT EXISTS (
    SELECT FROM practitioner_role_date AS period
    WHERE period.key = role.key AND period.parameter = 'date' AND period.high <= $3))"""


async def works_for_others(
    connection: Connection, person: str, organizations: Collection[str], now: datetime
) -> bool:
    """Whether the professional (id) has a role that holds at `now`, or is to, at another organisation than these (ids)."""
    return bool(await connection.fetchval(_WORKS_FOR_OTHERS, person, list(organizations), now))

"""The organisations for which a professional works, by their roles."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from creneau_shared.database.pool import Connection

_ORGANIZATION = "organization=Organization/"
_NOT_OVER = """role.terms @> ARRAY['practitioner=Practitioner/' || $1]
  AND NOT role.deleted AND NOT role.terms @> ARRAY['active=false'] AND NOT EXISTS (
    SELECT FROM practitioner_role_date AS period
    WHERE period.key = role.key AND period.parameter = 'date' AND period.high <= $3)"""
_WORKS_FOR_OTHERS = f"""
SELECT EXISTS (
  SELECT FROM practitioner_role AS role, unnest(role.terms) AS t
  WHERE {_NOT_OVER} AND starts_with(t, '{_ORGANIZATION}')
  AND substr(t, {len(_ORGANIZATION) + 1}) <> ALL ($2::text[]))"""
_IS_OF = f"""
SELECT EXISTS (SELECT FROM practitioner WHERE id = $1 AND terms && $2::text[])
  OR EXISTS (SELECT FROM practitioner_role AS role WHERE {_NOT_OVER} AND role.terms && $2::text[])"""


async def works_for_others(
    connection: Connection, person: str, organizations: Collection[str], now: datetime
) -> bool:
    """Whether the professional (id) has a role, present or future at `now`, at an organisation other than these (ids)."""
    return bool(await connection.fetchval(_WORKS_FOR_OTHERS, person, list(organizations), now))


async def is_of(connection: Connection, person: str, owners: Collection[str], now: datetime) -> bool:
    """Whether one of these owners (internal terms) entered the professional (id), or owns a role of theirs that is present
    or future at `now`."""
    return bool(await connection.fetchval(_IS_OF, person, list(owners), now))

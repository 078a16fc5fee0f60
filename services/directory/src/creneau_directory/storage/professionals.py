"""The organisations for which a professional works, by their roles; which entry bears a national number."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.terms import bounded, token_term
from creneau_shared.national_numbers import spellings
from creneau_shared.security.rights import OWNER, REGULATION

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('professional ' || $1, 0))"
_BEARER = f"""
SELECT id FROM practitioner WHERE terms && $1::text[] AND id <> $2 AND NOT deleted
AND NOT terms @> ARRAY['active=false'] AND NOT terms @> ARRAY['{OWNER}{REGULATION}'] ORDER BY id LIMIT 1"""
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


async def bearer_of(connection: Connection, numbers: Collection[tuple[str, str]], besides: str) -> str | None:
    """Returns an entry in use (id) other than `besides` that bears one of these national numbers, in any spelling; None
    without one. Locks the numbers until the transaction ends, in one order: other writers of them wait. The accounts of
    regulators, who may be professionals, are none."""
    spelled = [sorted(spellings(*number)) for number in numbers]
    for key in sorted({"|".join(every[0]) for every in spelled}):
        await connection.execute(_LOCK, key)
    terms = [bounded(token_term("identifier", *one)) for every in spelled for one in every]
    found: str | None = await connection.fetchval(_BEARER, terms, besides)
    return found


async def works_for_others(
    connection: Connection, person: str, organizations: Collection[str], now: datetime
) -> bool:
    """Whether the professional (id) has a role, present or future at `now`, at an organisation other than these (ids)."""
    return bool(await connection.fetchval(_WORKS_FOR_OTHERS, person, list(organizations), now))


async def is_of(connection: Connection, person: str, owners: Collection[str], now: datetime) -> bool:
    """Whether one of these owners (internal terms) entered the professional (id), or owns a role of theirs that is present
    or future at `now`."""
    return bool(await connection.fetchval(_IS_OF, person, list(owners), now))

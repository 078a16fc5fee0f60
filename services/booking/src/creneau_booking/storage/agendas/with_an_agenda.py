"""Who has an agenda here."""

from __future__ import annotations

from collections.abc import Collection

from creneau_booking.storage.availability.actors import by_kind
from creneau_booking.storage.availability.alone import ROLES_ALONE
from creneau_shared.database.pool import Connection

_WITH_AN_AGENDA = f"""
SELECT substr(term, 7) AS ref FROM schedule, unnest(terms) AS term
WHERE NOT deleted AND terms && $1 AND term = ANY($1)
UNION SELECT actor FROM agenda_actor JOIN schedule ON schedule.key = schedule_key
WHERE 'actor=' || actor = ANY($1) AND NOT deleted
UNION SELECT 'Location/' || place FROM role_place JOIN schedule ON terms @> ARRAY['actor=PractitionerRole/' || role]
WHERE place = ANY($3) AND NOT deleted
UNION SELECT asked.ref FROM (
  SELECT id AS role, 'PractitionerRole/' || id AS ref FROM unnest($2::text[]) AS id
  UNION ALL SELECT role, 'Location/' || place FROM role_place WHERE place = ANY($3)) AS asked
JOIN practitioner_role AS own ON own.id = asked.role CROSS JOIN unnest(own.terms) AS whose
JOIN schedule ON schedule.terms @> ARRAY['actor=' || substr(whose, 14)]
WHERE starts_with(whose, 'practitioner=Practitioner/') AND NOT schedule.deleted
  AND asked.role IN (SELECT alone.id FROM {ROLES_ALONE} AS alone)
"""


async def with_an_agenda(connection: Connection, references: Collection[str]) -> frozenset[str]:
    """Returns which of these actors (references) have an agenda here, so that a request without a slot can be for them. A
    role has the agenda of its person alone, where it is clear that they are received there."""
    if not references:
        return frozenset()
    roles, places = by_kind(sorted(references))
    rows = await connection.fetch(_WITH_AN_AGENDA, [f"actor={one}" for one in references], roles, places)
    return frozenset(row["ref"] for row in rows)

"""Why somebody's agendas show nothing: there is no free slot, no agenda is connected, or none of them is up to date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from creneau_booking.storage.availability.freshness import is_fresh
from creneau_booking.storage.unshown import real_slot
from creneau_shared.database.pool import Connection

AgendaState = Literal["no-free-slot", "agenda-not-connected", "agenda-not-up-to-date"]

CONCERNED = """
WITH roles AS MATERIALIZED (
  SELECT id, terms FROM practitioner_role WHERE terms && (SELECT $2::text[]) AND NOT deleted
  UNION ALL SELECT id, terms FROM practitioner_role WHERE NOT deleted AND id = ANY(ARRAY(
    SELECT role FROM role_place WHERE place = ANY((SELECT $3::text[])::text[])
    UNION SELECT substr(r, 18) FROM unnest((SELECT $1::text[])) AS r WHERE starts_with(r, 'PractitionerRole/')))
)
SELECT schedule_key FROM agenda_named WHERE reference = ANY(ARRAY(
  SELECT unnest((SELECT $1::text[]))
  UNION SELECT 'PractitionerRole/' || id FROM roles
  UNION SELECT substr(t, 14) FROM roles, unnest(roles.terms) AS t WHERE starts_with(t, 'practitioner=Practitioner/')
  UNION SELECT 'Location/' || id FROM location WHERE terms && (SELECT $4::text[]) AND NOT deleted
  UNION SELECT 'HealthcareService/' || id FROM healthcare_service WHERE terms && (SELECT $4::text[]) AND NOT deleted))
UNION SELECT key FROM schedule WHERE id = ANY((SELECT $5::text[])::text[]) AND NOT deleted
"""
"""The agendas that may concern somebody: $1 references, $2 terms of roles, $3 places (ids), $4 organisations (terms),
$5 agendas (ids). Planned once: the planner does not see the values (`Arguments`)."""

# Connected: slots were once published in it, and no Endpoint that the directory gives for it is out of use.
_STATES = f"""
SELECT agenda.schedule_key, NOT {is_fresh("agenda", "$2::timestamptz")} AS stale,
  EXISTS (SELECT FROM slot_kind WHERE slot_kind.schedule_key = agenda.schedule_key) AND NOT EXISTS (
    SELECT FROM agenda_named AS named
    JOIN practitioner_role AS role ON starts_with(named.reference, 'PractitionerRole/')
      AND role.id = substr(named.reference, 18)
    CROSS JOIN LATERAL unnest(role.terms) AS t
    JOIN endpoint ON starts_with(t, 'endpoint=Endpoint/') AND endpoint.id = substr(t, 19)
    WHERE named.schedule_key = agenda.schedule_key
      AND (endpoint.deleted OR endpoint.terms && ARRAY['status=off', 'status=suspended', 'status=error',
        'status=entered-in-error'])) AS connected
FROM agenda WHERE agenda.schedule_key = ANY($1::bigint[]) AND {real_slot("agenda")}
"""


async def agendas_of(connection: Connection, references: Sequence[str]) -> frozenset[int]:
    """Returns the agendas (keys) that may concern one of these: `Practitioner/12`, `Organization/4`, `Schedule/7` …"""
    kinds = {r: r.partition("/")[0] for r in references}
    rows = await connection.fetch(
        CONCERNED,
        [r for r, kind in kinds.items() if kind not in ("Organization", "Schedule")],
        [f"{k.lower()}={r}" for r, k in kinds.items() if k in ("Practitioner", "Organization")],
        [r.removeprefix("Location/") for r, kind in kinds.items() if kind == "Location"],
        [f"organization={r}" for r, kind in kinds.items() if kind == "Organization"],
        [r.removeprefix("Schedule/") for r, kind in kinds.items() if kind == "Schedule"],
    )
    return frozenset(row["schedule_key"] for row in rows)


async def state_of(connection: Connection, agendas: Sequence[int], now: datetime) -> AgendaState:
    """Why nothing of these agendas (keys) is free."""
    rows = await connection.fetch(_STATES, sorted(agendas), now)
    connected = [row for row in rows if row["connected"]]
    if not connected:
        return "agenda-not-connected"
    return "agenda-not-up-to-date" if all(row["stale"] for row in connected) else "no-free-slot"

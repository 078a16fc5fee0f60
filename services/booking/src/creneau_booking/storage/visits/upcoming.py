"""The visits to come of an actor, of an agenda or of a patient."""

from __future__ import annotations

from datetime import datetime

from creneau_booking.domain.status import ENDED, SLOT_STATUS_OF
from creneau_booking.storage.began import BEGAN
from creneau_shared.database.pool import Connection
from creneau_shared.security.rights import AGENDA

_TAKING = [f"status={status}" for status in SLOT_STATUS_OF if status not in ENDED]
_TO_COME = f"""
SELECT id FROM appointment {BEGAN}
WHERE NOT deleted AND terms && $1::text[] AND terms && $2::text[] AND began.low > $3 ORDER BY id
"""


async def visits_with(connection: Connection, reference: str, now: datetime) -> list[str]:
    """The appointments (ids) to come that take time with an actor (`Practitioner/12`), or in an agenda that names it."""
    agendas = await connection.fetch(
        "SELECT id FROM schedule WHERE terms && ARRAY['actor=' || $1]", reference
    )
    terms = [f"actor={reference}", *(f"{AGENDA}{row['id']}" for row in agendas)]
    return await _to_come(connection, terms, now)


async def visits_in(connection: Connection, schedule: str, now: datetime) -> list[str]:
    """The appointments (ids) to come in an agenda (id)."""
    return await _to_come(connection, [f"{AGENDA}{schedule}"], now)


async def visits_of(connection: Connection, patient: str, now: datetime) -> list[str]:
    """The appointments (ids) to come of a Patient (id)."""
    return await _to_come(connection, [f"patient=Patient/{patient}"], now)


async def _to_come(connection: Connection, terms: list[str], now: datetime) -> list[str]:
    rows = await connection.fetch(_TO_COME, terms, _TAKING, now)
    return [row["id"] for row in rows]

"""Whether a patient has been at a practice, or the practice has put them down as its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.security.rights import AGENDA

_CAME = ["status=fulfilled", "status=arrived", "status=checked-in"]
# A request that a patient makes shows them to a practice, and is no visit. What staff state of a Patient is theirs to say.
_KNOWN = """
SELECT EXISTS (
  SELECT FROM appointment JOIN appointment_date AS began ON began.key = appointment.key AND began.parameter = 'date'
  WHERE appointment.terms @> ARRAY['patient=' || $1] AND appointment.terms && $2::text[]
    AND (appointment.terms && $3::text[] OR (appointment.terms @> ARRAY['status=booked'] AND began.low < $4))
) OR EXISTS (
  SELECT FROM patient WHERE id = substr($1, 9) AND terms && $5::text[]
)
"""


async def is_known(
    connection: Connection,
    patient: str,
    agendas: Sequence[str],
    owners: Collection[str],
    actors: Collection[str],
    now: datetime,
) -> bool:
    """Whether a patient (reference) has had a visit in one of the agendas (ids) or of another of their owners
    (Organization ids), or is stated to be a patient of these or of the agendas' `actors` (references)."""
    of_practice = [*(f"{AGENDA}{id_}" for id_ in agendas), *owned_by(owners)]
    stated = [f"organization=Organization/{id_}" for id_ in sorted(owners)]
    stated += [
        f"general-practitioner={who}"
        for who in (*sorted(actors), *(f"Organization/{o}" for o in sorted(owners)))
    ]
    return bool(await connection.fetchval(_KNOWN, patient, of_practice, _CAME, now, stated))

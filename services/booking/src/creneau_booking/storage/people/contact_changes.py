"""When what is told of a Patient's contact changes by itself: an address, a number or a name begins or ends.

A row is a reminder to look, no more: one that a later write has made needless is looked at for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.storage.unshown import real
from creneau_shared.database.pool import Connection


async def expect(connection: Connection, patient_id: str, at: datetime) -> None:
    """The contact of the Patient, whom the caller has locked, is looked at again at `at`."""
    await connection.execute(
        "INSERT INTO contact_change (patient_id, at) VALUES ($1, $2)"
        " ON CONFLICT (patient_id) DO UPDATE SET at = excluded.at",
        patient_id,
        at,
    )


async def take_due(connection: Connection, now: datetime, limit: int) -> Sequence[tuple[str, bytes]]:
    """At most `limit` Patients (id and content) whose contact has changed by `now`, locked as for a write, and expected no
    more. Whom somebody writes at this moment is told of by that write, and looked at another time."""
    rows = await connection.fetch(
        "SELECT patient.id, patient.content FROM contact_change JOIN patient ON patient.id = patient_id"
        f" WHERE at <= $1 AND content IS NOT NULL AND {real('Patient', 'patient')}"
        " ORDER BY at LIMIT $2 FOR NO KEY UPDATE OF patient SKIP LOCKED",
        now,
        limit,
    )
    due = [(row["id"], row["content"]) for row in rows]
    await connection.execute(
        "DELETE FROM contact_change WHERE patient_id = ANY($1::text[]) AND at <= $2",
        [id_ for id_, _ in due],
        now,
    )
    return due

"""When a Patient's contact changes by itself: an address, a number or a name begins or ends.

A row is only a reminder to look. If a later write has made it needless, the look is for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.storage.unshown import real
from creneau_shared.database.pool import Connection


async def expect(connection: Connection, patient_id: str, at: datetime) -> None:
    """Has the contact of the Patient, whom the caller has locked, looked at again at `at`."""
    await connection.execute(
        "INSERT INTO contact_change (patient_id, at) VALUES ($1, $2)"
        " ON CONFLICT (patient_id) DO UPDATE SET at = excluded.at",
        patient_id,
        at,
    )


async def take_due(connection: Connection, now: datetime, limit: int) -> Sequence[tuple[str, bytes]]:
    """Returns at most `limit` Patients (id and content) whose contact has changed by `now`, locked as for a write; deletes
    their reminders. Skips Patients whom somebody writes at this moment: that write tells of them."""
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


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A Patient (id) without a reminder, though the content, written at `at`, has a period."""

    id: str
    at: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some Patients in the order of their last write; `after`: the last one's place (time, key), None on the last page."""

    patients: Sequence[Unexpected]
    after: tuple[datetime, int] | None


async def unexpected(connection: Connection, after: tuple[datetime, int], limit: int) -> Page:
    """Returns which of the next `limit` Patients after a place an older version, without reminders, may have written."""
    rows = await connection.fetch(
        "SELECT id, key, last_updated, content IS NOT NULL AND position('\"period\"'::bytea IN content) > 0 AND"
        " NOT EXISTS (SELECT FROM contact_change WHERE patient_id = id) AS unexpected, content FROM"
        " (SELECT id, key, last_updated, content FROM patient WHERE (last_updated, key) > ($1, $2)"
        " ORDER BY last_updated, key LIMIT $3) AS page",
        *after,
        limit,
    )
    found = [Unexpected(row["id"], row["last_updated"], row["content"]) for row in rows if row["unexpected"]]
    last = max(((row["last_updated"], row["key"]) for row in rows), default=None)
    return Page(found, last if len(rows) == limit else None)


async def expect_missed(connection: Connection, missed: Sequence[tuple[str, datetime]]) -> int:
    """Adds reminders for these Patients at these moments, unless they have one; returns how many it added."""
    status: str = await connection.execute(
        "INSERT INTO contact_change (patient_id, at) SELECT * FROM unnest($1::text[], $2::timestamptz[])"
        " ON CONFLICT DO NOTHING",
        [id_ for id_, _ in missed],
        [at for _, at in missed],
    )
    return int(status.rpartition(" ")[2])

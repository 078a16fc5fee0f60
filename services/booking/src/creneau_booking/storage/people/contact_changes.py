"""When what is told of a Patient's contact changes by itself: an address, a number or a name begins or ends.

A row is a reminder to look, no more: one that a later write has made needless is looked at for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A Patient (id) whom nothing is expected of though a period is in the content, written at `at`."""

    id: str
    at: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some Patients in the order of their last write; `after`: the last one's place (time, key), None behind them all."""

    patients: Sequence[Unexpected]
    after: tuple[datetime, int] | None


async def unexpected(connection: Connection, after: tuple[datetime, int], limit: int) -> Page:
    """Those of the next `limit` Patients that were written after a place whom a process of a version that expected nothing
    may have written."""
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
    """The contacts of these Patients are looked at again at these moments, unless something is expected of them; how many
    are."""
    status: str = await connection.execute(
        "INSERT INTO contact_change (patient_id, at) SELECT * FROM unnest($1::text[], $2::timestamptz[])"
        " ON CONFLICT DO NOTHING",
        [id_ for id_, _ in missed],
        [at for _, at in missed],
    )
    return int(status.rpartition(" ")[2])

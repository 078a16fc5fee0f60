"""Which appointments the SAS platform is to be told of: a row each, written with the appointment, claimed by a worker.

A row says the newest version to tell, the newest version told, and the last report itself: later ones take from it what
cannot be found any more. While one version is being told, nobody tells a later one: so the platform never hears an older
state after a newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.bearers import bears
from creneau_shared.fhir.search.terms import identifier_terms

_DUE = """
INSERT INTO sas_report AS known (appointment_id, version, due_at)
SELECT $1, $2, $3 WHERE $4 OR EXISTS (SELECT FROM sas_report WHERE appointment_id = $1)
ON CONFLICT (appointment_id) DO UPDATE SET version = excluded.version, due_at = excluded.due_at, attempts = 0
"""
_CLAIM = """
UPDATE sas_report SET attempts = attempts + 1, sending_until = $2
WHERE appointment_id = (
  SELECT appointment_id FROM sas_report WHERE due_at <= $1 AND (sending_until IS NULL OR sending_until <= $1)
  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING appointment_id, version, attempts, reported_version IS NOT NULL OR begun, report
"""
_BEGUN = "UPDATE sas_report SET begun = true, report = $2 WHERE appointment_id = $1"
_TOLD = """
UPDATE sas_report SET reported_version = $2, sending_until = NULL, refused = NULL,
  due_at = CASE WHEN version > $2 THEN $3::timestamptz END, attempts = CASE WHEN version > $2 THEN 0 ELSE attempts END
WHERE appointment_id = $1
"""
_AGAIN = "UPDATE sas_report SET sending_until = NULL, due_at = $2 WHERE appointment_id = $1"
_REFUSED = """
UPDATE sas_report SET refused = $3, sending_until = NULL, due_at = CASE WHEN version > $2 THEN $4::timestamptz END
WHERE appointment_id = $1
"""
_APPOINTMENT = """
SELECT coalesce(latest.content, last.content), latest.version, latest.deleted FROM appointment AS latest
LEFT JOIN resource_history AS last ON latest.deleted AND last.resource_type = 'Appointment' AND last.id = latest.id
  AND last.version = latest.version - 1
WHERE latest.id = $1 AND coalesce(latest.content, last.content) IS NOT NULL
"""
_PEOPLE = """
SELECT content FROM practitioner WHERE NOT deleted AND (id = ANY($1::text[]) OR id IN (
  SELECT substr(t, 27) FROM practitioner_role, unnest(terms) AS t
  WHERE id = ANY($2::text[]) AND starts_with(t, 'practitioner=Practitioner/')))
ORDER BY array_position($1::text[], id) NULLS LAST, id
"""
_IDENTIFIED = f"""
SELECT content FROM practitioner WHERE NOT deleted AND (id = ANY($1::text[]) OR {bears("$2::text[]")}) ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class DueReport:
    """An appointment (id) to report to the platform, for the `attempts`th time; `begun`: the platform may know of it, by
    `last` (JSON; None: nothing was sent, or before reports were kept)."""

    appointment: str
    version: int
    attempts: int
    begun: bool
    last: bytes | None


@dataclass(frozen=True, slots=True)
class ToReport:
    """An appointment (JSON) as it is, or as it was when it was deleted, and the version to report."""

    content: bytes
    version: int
    deleted: bool


async def report_due(
    connection: Connection, appointment: str, version: int, now: datetime, *, new: bool
) -> None:
    """Notes a new version to report; `new`: also for an appointment that was never reported."""
    await connection.execute(_DUE, appointment, version, now, new)


async def claim_report(connection: Connection, now: datetime, until: datetime) -> DueReport | None:
    """Claims the next report that is due; nobody else sends it before `until`."""
    row = await connection.fetchrow(_CLAIM, now, until)
    return DueReport(*row) if row is not None else None


async def report_begun(connection: Connection, appointment: str, report: bytes) -> None:
    """Notes that the platform may know of the appointment by this report (JSON) from now on, whatever it answers."""
    await connection.execute(_BEGUN, appointment, report)


async def report_told(connection: Connection, appointment: str, version: int, now: datetime) -> None:
    await connection.execute(_TOLD, appointment, version, now)


async def report_again(connection: Connection, appointment: str, at: datetime) -> None:
    await connection.execute(_AGAIN, appointment, at)


async def report_refused(
    connection: Connection, appointment: str, version: int, why: str, now: datetime
) -> None:
    """Notes a refusal: nothing is reported again until the appointment changes."""
    await connection.execute(_REFUSED, appointment, version, why, now)


async def forget_report(connection: Connection, appointment: str, version: int) -> None:
    """Forgets an appointment that need not be told, unless a version after this one is to be told."""
    await connection.execute(
        "DELETE FROM sas_report WHERE appointment_id = $1 AND version <= $2", appointment, version
    )


async def appointment_to_report(connection: Connection, id_: str) -> ToReport | None:
    """Returns the appointment to report; None: nothing of it is kept any more."""
    row = await connection.fetchrow(_APPOINTMENT, id_)
    return ToReport(*row) if row is not None else None


async def people_named(connection: Connection, practitioners: list[str], roles: list[str]) -> list[bytes]:
    """The Practitioners (JSON) of these ids, and of these roles (ids)."""
    return [row["content"] for row in await connection.fetch(_PEOPLE, practitioners, roles)]


async def people_identified(
    connection: Connection, ids: list[str], identifiers: Sequence[tuple[str, str]]
) -> list[bytes]:
    """The Practitioners (JSON) of these ids, and those that bear one of these identifiers (system, value)."""
    terms = [term for identifier in identifiers for term in identifier_terms(*identifier)]
    return [row["content"] for row in await connection.fetch(_IDENTIFIED, ids, terms)]

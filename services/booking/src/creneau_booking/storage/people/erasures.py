"""Who was erased, which resources name a person, and how booking's other tables forget one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from creneau_booking.storage.mapping.places import forget_person
from creneau_booking.topics import APPOINTMENTS, CONTACTS
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.storage.store import Resource

ANSWER_PAGES = 1_000
"""pages of kept answers that one statement looks through"""


@dataclass(frozen=True, slots=True)
class Named:
    """The resources (ids) in which a person is named, in their current version or an earlier one."""

    appointments: tuple[str, ...]
    related_persons: tuple[str, ...]
    responses: tuple[str, ...]
    provenances: tuple[str, ...]


async def named_in(connection: Connection, patient_id: str) -> Named:
    """Returns the resources that name a Patient, in the order in which they are to be locked."""
    patient = f"Patient/{patient_id}"
    related = await _ids(connection, "RelatedPerson", [f"patient={patient}"])
    people = [patient, *(f"RelatedPerson/{id_}" for id_ in related)]
    appointments = await _ids(
        connection,
        "Appointment",
        [f"{name}={p}" for p in people for name in ("patient", "actor", "supporting-info")],
    )
    of_appointments = [f"Appointment/{id_}" for id_ in appointments]
    responses = await _ids(
        connection,
        "AppointmentResponse",
        [
            f"patient={patient}",
            *(f"actor={p}" for p in people),
            *(f"appointment={a}" for a in of_appointments),
        ],
    )
    changed = [*people, *of_appointments, *(f"AppointmentResponse/{id_}" for id_ in responses)]
    provenances = await _ids(
        connection,
        "Provenance",
        [
            *(f"target={r}" for r in changed),
            *(f"agent={p}" for p in people),
            *(f"entity={r}" for r in changed),
        ],
    )
    return Named(appointments, related, responses, provenances)


async def _ids(connection: Connection, resource_type: str, terms: Sequence[str]) -> tuple[str, ...]:
    """The resources that bear or, in a superseded version, bore one of these terms."""
    rows = await connection.fetch(
        f"SELECT id FROM {table_name(resource_type)} WHERE terms && $1::text[]"
        " UNION SELECT id FROM resource_history WHERE resource_type = $2 AND compartment && $1::text[]"
        " ORDER BY 1",
        list(terms),
        resource_type,
    )
    return tuple(row["id"] for row in rows)


# -- who was erased ------------------------------------------------------------------------------------------


async def keep_erasure(connection: Connection, patient_id: str, at: datetime, receipt: Resource) -> None:
    """Put down that a Patient was erased, and the receipt that was given (it names nobody). An id once erased stays so."""
    await connection.execute(
        "INSERT INTO erased_patient (id, erased_at, receipt) VALUES ($1, $2, $3::jsonb) ON CONFLICT DO NOTHING",
        patient_id,
        at,
        orjson.dumps(receipt).decode(),
    )


async def receipt_of_erasure(connection: Connection, patient_id: str) -> Resource | None:
    """The receipt (Parameters) that was given when a Patient was erased; None when it was not erased."""
    row = await connection.fetchrow("SELECT receipt FROM erased_patient WHERE id = $1", patient_id)
    receipt: Resource | None = None if row is None else orjson.loads(row["receipt"])
    return receipt


async def unswept(
    connection: Connection, before: datetime, limit: int, but: Collection[str] = ()
) -> list[str]:
    """Locks and returns Patients erased before this instant, except `but`, not yet swept from outside of resources."""
    rows = await connection.fetch(
        "SELECT id FROM erased_patient WHERE sealed_at IS NULL AND swept_at IS NULL AND erased_at <= $1"
        " AND id <> ALL($3::text[]) ORDER BY erased_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        before,
        limit,
        list(but),
    )
    return [row["id"] for row in rows]


async def mark_swept(connection: Connection, patient_ids: Collection[str], at: datetime) -> None:
    await connection.execute(
        "UPDATE erased_patient SET swept_at = $2 WHERE id = ANY($1::text[])", list(patient_ids), at
    )


async def unsealed(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Patients erased before this instant whose tombstone has not been repeated yet."""
    rows = await connection.fetch(
        "SELECT id FROM erased_patient WHERE sealed_at IS NULL AND swept_at IS NOT NULL AND erased_at <= $1"
        " ORDER BY erased_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        before,
        limit,
    )
    return [row["id"] for row in rows]


async def mark_sealed(connection: Connection, patient_ids: Sequence[str], at: datetime) -> None:
    await connection.execute(
        "UPDATE erased_patient SET sealed_at = $2 WHERE id = ANY($1::text[])", list(patient_ids), at
    )


async def forget_occupancies(connection: Connection, patient_id: str) -> None:
    """Deletes when the person was where, and which times they were offered."""
    await connection.execute(
        "DELETE FROM occupancy WHERE actor IN ($1, $1 || '#hidden')", f"Patient/{patient_id}"
    )
    await connection.execute(
        "DELETE FROM waiting_offer WHERE patient IN ($1, $1 || '#hidden')", f"Patient/{patient_id}"
    )
    await forget_person(connection, [f"Patient/{patient_id}", f"Patient/{patient_id}#hidden"])


# -- tables that hold no resources ---------------------------------------------------------------------------


async def forget_accounts(
    connection: Connection, patient_id: str, accounts: Collection[tuple[str, str]]
) -> None:
    """Deletes what is kept of the requests of these accounts: answers to repeats, and to asynchronous requests.

    Of an account that still acts for somebody else, deletes only what names this Patient. What is being carried out stays.
    """
    for issuer, subject in accounts:
        others = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient_account WHERE issuer = $1 AND subject = $2)", issuer, subject
        )
        needle = patient_id.encode() if others else b""
        await connection.execute(
            "DELETE FROM idempotency WHERE issuer = $1 AND subject = $2 AND status IS NOT NULL"
            " AND position($3::bytea IN coalesce(content, '')) > 0",
            issuer,
            subject,
            needle,
        )
        await connection.execute(
            "DELETE FROM async_request WHERE issuer = $1 AND subject = $2 AND finished_at IS NOT NULL"
            " AND position($3::bytea IN coalesce(content, '')) > 0",
            issuer,
            subject,
            needle,
        )


async def forget_trail_agents(
    connection: Connection, patient_id: str, accounts: Collection[tuple[str, str]]
) -> None:
    """Replaces these accounts in the trail by the record's id: who they are elsewhere is not kept here.

    An account that still acts for another Patient keeps its name in it.
    """
    for issuer, subject in accounts:
        await connection.execute(
            "UPDATE audit SET agent = $3, terms = array_replace(terms, 'altid=' || $2, 'altid=' || $3)"
            " WHERE terms @> ARRAY['altid=' || $2] AND agent = $2 AND coalesce(issuer, $1) = $1 AND NOT EXISTS"
            " (SELECT FROM patient_account WHERE issuer = $1 AND subject = $2)",
            issuer,
            subject,
            f"Patient/{patient_id}",
        )


async def forget_events(connection: Connection, patient_id: str, appointments: Collection[str]) -> None:
    """Deletes the person's contact events, and the published events of their appointments, from the outbox."""
    await connection.execute(
        "DELETE FROM outbox WHERE topic = $1 AND key = $2 AND data IS NOT NULL",
        CONTACTS.name,
        f"Patient/{patient_id}",
    )
    await connection.execute(
        "DELETE FROM outbox WHERE topic = $1 AND key = ANY($2::text[]) AND published_at IS NOT NULL",
        APPOINTMENTS.name,
        list(appointments),
    )


async def sweep_answers(connection: Connection, patient_ids: Collection[str]) -> int:
    """Deletes the answers kept for anybody's repeats and asynchronous requests that name one of these Patients; returns how
    many.

    No index finds them: it reads both tables from end to end, as many pages at once as a statement reads within its time.
    For a worker, outside a transaction. What is written meanwhile names nobody who was erased.
    """
    needles = [patient_id.encode() for patient_id in patient_ids]
    removed = 0
    for table, answered in (("idempotency", "status"), ("async_request", "finished_at")):
        pages = await connection.fetchval(
            "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::integer", table
        )
        for first in range(0, pages, ANSWER_PAGES):
            status: str = await connection.execute(
                f"DELETE FROM {table} WHERE ctid >= $1 AND ctid < $2 AND {answered} IS NOT NULL"
                " AND EXISTS (SELECT FROM unnest($3::bytea[]) AS n (needle) WHERE position(needle IN content) > 0)",
                (first, 0),
                (first + ANSWER_PAGES, 0),
                needles,
            )
            removed += int(status.rpartition(" ")[2])
    return removed

"""Which Patient holds which INS, and for which addresses of a Patient somebody answers. Digests only."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from creneau_booking.storage.unshown import real
from creneau_shared.database.pool import Connection


async def hold_ins(
    connection: Connection, patient_id: str, digests: Collection[bytes]
) -> Mapping[bytes, str]:
    """Makes these the INS that the Patient holds; returns who holds each of them now.

    The primary key lets one Patient hold it: of two at once, the second waits for the first, and reads its id.
    """
    await connection.execute(
        "DELETE FROM patient_ins WHERE patient_id = $1 AND NOT digest = ANY($2::bytea[])",
        patient_id,
        list(digests),
    )
    # In one order for everybody, so that two writers of the same two INS do not wait for each other.
    rows = await connection.fetch(
        "INSERT INTO patient_ins AS held (digest, patient_id)"
        " SELECT digest, $1 FROM unnest($2::bytea[]) AS digest ORDER BY digest"
        " ON CONFLICT (digest) DO UPDATE SET patient_id = held.patient_id RETURNING digest, patient_id",
        patient_id,
        list(digests),
    )
    return {row["digest"]: row["patient_id"] for row in rows}


async def is_of(connection: Connection, patient_id: str, owners: Collection[str]) -> bool:
    """Whether the Patient belongs to one of these organisations (internal terms)."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient WHERE id = $1 AND terms && $2::text[])",
            patient_id,
            list(owners),
        )
    )


async def vouch(connection: Connection, patient_id: str, digests: Collection[bytes]) -> None:
    """Notes that somebody other than the patient's account answers for these addresses of the Patient."""
    await connection.execute(
        "INSERT INTO vouched_address (patient_id, digest) SELECT $1, unnest($2::bytea[]) ON CONFLICT DO NOTHING",
        patient_id,
        list(digests),
    )


async def vouched(connection: Connection, patient_id: str) -> frozenset[bytes]:
    """The addresses of the Patient that somebody answers for."""
    rows = await connection.fetch("SELECT digest FROM vouched_address WHERE patient_id = $1", patient_id)
    return frozenset(row["digest"] for row in rows)


async def forget(connection: Connection, patient_id: str) -> None:
    """Forgets the INS, the vouched addresses and the contact changes of a Patient who is no more."""
    for table in ("patient_ins", "vouched_address", "contact_change"):
        await connection.execute(f"DELETE FROM {table} WHERE patient_id = $1", patient_id)


async def patients_after(connection: Connection, last: str, limit: int) -> list[tuple[str, bytes]]:
    """Returns at most `limit` Patients (id and content) in the order of their ids, the first after `last`.

    Leaves out the rehearsal's Patient, whom nobody reaches. Locks them against writers, so that what is told of them is not
    older than what a write at the same moment tells.
    """
    rows = await connection.fetch(
        f"SELECT id, content FROM patient WHERE content IS NOT NULL AND id > $1 AND {real('Patient', 'patient')}"
        " ORDER BY id LIMIT $2 FOR SHARE",
        last,
        limit,
    )
    return [(row["id"], row["content"]) for row in rows]

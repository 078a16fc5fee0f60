"""Which Patient holds which INS, and which addresses of a Patient somebody answers for. Digests only."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from creneau_booking.storage.unshown import real
from creneau_shared.database.pool import Connection


async def hold_ins(
    connection: Connection, patient_id: str, digests: Collection[bytes]
) -> Mapping[bytes, str]:
    """Make these the INS that the Patient holds; whose each one is now.

    The primary key lets one Patient hold it: of two at once the second waits for the first, and reads its id.
    """
    await connection.execute(
        "DELETE FROM patient_ins WHERE patient_id = $1 AND NOT digest = ANY($2::bytea[])",
        patient_id,
        list(digests),
    )
    # In one order for everybody, lest two who state the same two INS wait for each other.
    rows = await connection.fetch(
        "INSERT INTO patient_ins AS held (digest, patient_id)"
        " SELECT digest, $1 FROM unnest($2::bytea[]) AS digest ORDER BY digest"
        " ON CONFLICT (digest) DO UPDATE SET patient_id = held.patient_id RETURNING digest, patient_id",
        patient_id,
        list(digests),
    )
    return {row["digest"]: row["patient_id"] for row in rows}


async def is_of(connection: Connection, patient_id: str, owners: Collection[str]) -> bool:
    """Whether the Patient is of one of these organisations (internal terms)."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient WHERE id = $1 AND terms && $2::text[])",
            patient_id,
            list(owners),
        )
    )


async def vouch(connection: Connection, patient_id: str, digests: Collection[bytes]) -> None:
    """Somebody other than the patient's account answers for these addresses of the Patient from now on."""
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
    """The Patient is no more: holds nothing, nobody answers for anything, and no contact changes."""
    for table in ("patient_ins", "vouched_address", "contact_change"):
        await connection.execute(f"DELETE FROM {table} WHERE patient_id = $1", patient_id)


async def patients_after(connection: Connection, last: str, limit: int) -> list[tuple[str, bytes]]:
    """At most `limit` Patients (id and content) in the order of their ids, the first after `last`.

    The rehearsal's, whom nobody reaches, is left out. They are locked against writers: what is told of them is not older
    than what a write at the same moment tells.
    """
    rows = await connection.fetch(
        f"SELECT id, content FROM patient WHERE content IS NOT NULL AND id > $1 AND {real('Patient', 'patient')}"
        " ORDER BY id LIMIT $2 FOR SHARE",
        last,
        limit,
    )
    return [(row["id"], row["content"]) for row in rows]

"""Which Patients a token's holder acts for."""

from __future__ import annotations

from creneau_shared.database.pool import Connection


async def link_account(connection: Connection, issuer: str, subject: str, patient_id: str) -> None:
    """The holder of this account acts for this Patient from now on."""
    await connection.execute(
        "INSERT INTO patient_account (issuer, subject, patient_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        issuer,
        subject,
        patient_id,
    )


async def patients_of(connection: Connection, issuer: str, subject: str) -> frozenset[str]:
    """The ids of the Patients that the account acts for."""
    rows = await connection.fetch(
        "SELECT patient_id FROM patient_account WHERE issuer = $1 AND subject = $2", issuer, subject
    )
    return frozenset(row["patient_id"] for row in rows)


async def unlink_accounts(connection: Connection, patient_id: str) -> list[tuple[str, str]]:
    """Nobody acts for this Patient as themselves any more; the accounts (issuer, subject) that did."""
    rows = await connection.fetch(
        "DELETE FROM patient_account WHERE patient_id = $1 RETURNING issuer, subject", patient_id
    )
    return [(row["issuer"], row["subject"]) for row in rows]

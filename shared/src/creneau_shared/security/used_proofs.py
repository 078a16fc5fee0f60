"""The DPoP proofs that were used: the table `used_proof` of each service's database.

One row for each request with a proof. The table is UNLOGGED: a crash of the database empties it, but a proof is valid
for no longer than `DPOP_PROOF_AGE_MAX_S`.
"""

from __future__ import annotations

import time

from sqlalchemy import Column, DateTime, LargeBinary, MetaData, Table, Text

from creneau_shared.database.pool import Database

FORGET_EVERY_S = 60.0

_CLAIM = """
INSERT INTO used_proof (proof, request, until) VALUES ($1, $2, to_timestamp($3))
ON CONFLICT (proof) DO UPDATE SET request = used_proof.request
RETURNING request, xmax = 0 AS first
"""


def used_proof_table(metadata: MetaData) -> Table:
    """`used_proof`: the digest of a key and a jti, the request that used them, and until when that matters."""
    return Table(
        "used_proof",
        metadata,
        Column("proof", LargeBinary, primary_key=True),
        Column("request", Text, nullable=True),
        Column("until", DateTime(timezone=True), nullable=False),
        prefixes=["UNLOGGED"],
    )


class StoredProofs:
    """Remembers proofs for every process of the service."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forgot_at = float("-inf")

    async def is_first_use(self, proof: bytes, request: str | None, until: float, now: float) -> bool:
        """See `dpop.UsedProofs`."""
        async with self._database.connection() as connection:
            if time.monotonic() - self._forgot_at > FORGET_EVERY_S:
                self._forgot_at = time.monotonic()
                await connection.execute("DELETE FROM used_proof WHERE until < to_timestamp($1)", now)
            row = await connection.fetchrow(_CLAIM, proof, request, until)
        assert row is not None
        return bool(row["first"]) or (request is not None and row["request"] == request)

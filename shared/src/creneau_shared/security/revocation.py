"""Tokens revoked before their expiry: the table `revoked_token` of each service's database.

Access tokens are short-lived, and the issuer is not asked about them (unless `OIDC_INTROSPECTION=always`). If access must
end at once – a stolen telephone, an employee who has left, a software whose secret is known – the operator writes a row
(`creneau-<service> revoke-tokens`). Every process of the service reads the table again within `REVOCATION_REFRESH_S`. A
row is needed only as long as a token from before it could be valid.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, DateTime, MetaData, Table, Text, func

from creneau_shared.database.pool import Connection, Database
from creneau_shared.security.refusal import refused

Kind = Literal["token", "subject", "client"]

CLAIM: Mapping[Kind, str] = {"token": "jti", "subject": "sub", "client": "client_id"}
"""kind of row → the claim that it is compared with; for a client also `azp`"""

_ADD = """
INSERT INTO revoked_token (kind, value, issued_before, needed_until) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, value) DO UPDATE SET
    issued_before = greatest(revoked_token.issued_before, excluded.issued_before),
    needed_until = greatest(revoked_token.needed_until, excluded.needed_until)
"""


def revoked_token_table(metadata: MetaData) -> Table:
    """`revoked_token`: the jti, subject or client whose tokens issued before an instant are revoked."""
    return Table(
        "revoked_token",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("value", Text(collation="C"), primary_key=True),
        Column("issued_before", DateTime(timezone=True), nullable=False),
        Column("needed_until", DateTime(timezone=True), nullable=False),
        Column("recorded", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


_READ = "SELECT kind, value, extract(epoch FROM issued_before)::float8 AS issued_before FROM revoked_token"


async def revoke(
    connection: Connection, kind: Kind, value: str, *, issued_before: datetime, needed_until: datetime
) -> None:
    """Revokes the tokens issued before `issued_before`; deletes rows that are no longer needed."""
    await connection.execute("DELETE FROM revoked_token WHERE needed_until < now()")
    await connection.execute(_ADD, kind, value, issued_before, needed_until)


class Revocations:
    """The content of the table, read again when it is older than `refresh_s`."""

    def __init__(self, database: Database, refresh_s: float) -> None:
        self._database = database
        self._refresh_s = refresh_s
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()
        self._issued_before: dict[tuple[str, str], float] = {}

    async def check(self, claims: Mapping[str, Any]) -> None:
        """Raises Unauthenticated if the token of these claims has been revoked, and the database's failures.

        A token without `iat` counts as issued before any revocation.
        """
        if time.monotonic() - self._read_at > self._refresh_s:
            await self._read()
        if not self._issued_before:
            return
        issued = claims.get("iat", float("-inf"))
        for kind, claim in CLAIM.items():
            value = claims.get(claim) or (claims.get("azp") if kind == "client" else None)
            before = self._issued_before.get((kind, str(value))) if value else None
            if before is not None and issued < before:
                raise refused("revoked", "the token has been taken back")

    async def _read(self) -> None:
        async with self._lock:
            if time.monotonic() - self._read_at <= self._refresh_s:
                return
            async with self._database.connection() as connection:
                rows = await connection.fetch(_READ)
            self._issued_before = {(row["kind"], row["value"]): row["issued_before"] for row in rows}
            self._read_at = time.monotonic()

"""`Idempotency-Key`: a create, or a transaction, that is sent twice happens once, and both callers get the same answer.

The key is kept in the transaction of the write itself, per subject, with a digest of what was sent; a rival with
the same key waits for the first to end. (IETF draft-ietf-httpapi-idempotency-key-header.) An answer is repeated
only once the standbys have the commit that gave it.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, func

from creneau_shared.database.barrier import commit_barrier
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.storage.store import Resource

KEY_LENGTH_MAX = 255


def idempotency_table(metadata: MetaData) -> Table:
    """`idempotency`: what was answered to each key of each account, through each client."""
    return Table(
        "idempotency",
        metadata,
        Column("issuer", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("client", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        Column("status", Integer, nullable=True),
        Column("location", Text, nullable=True),
        Column("etag", Text, nullable=True),
        Column("content", LargeBinary, nullable=True),
        Column("expires", Text, nullable=True),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("ix_idempotency_created_at", "created_at"),
    )


def _digest(request: FhirRequest, resource: Resource) -> bytes:
    """Tells apart what was asked for under one key: by method, path, parameters of the address (the input of many an
    operation), and body."""
    target = "/".join((request.method, *request.path))
    asked = f"?{urlencode(request.query)}" if request.query else ""
    return hashlib.sha256(f"{target}{asked}\n".encode() + dumps(resource)).digest()


def _account(request: FhirRequest) -> tuple[str, str, str]:
    """The account and client whose key it is: two clients of one person may choose the same key."""
    principal = request.principal
    return principal.issuer, principal.subject, principal.client


def check_key(key: str) -> None:
    """BadRequest for a key that cannot be kept."""
    if not 1 <= len(key) <= KEY_LENGTH_MAX:
        raise BadRequest(
            f"Idempotency-Key : de 1 à {KEY_LENGTH_MAX} caractères.",
            f"Idempotency-Key: 1 to {KEY_LENGTH_MAX} characters.",
        )


async def remembered(
    connection: Connection, request: FhirRequest, key: str, resource: Resource
) -> Answer | None:
    """The answer given earlier to the same key, or None when it is new (it is then reserved).

    BadRequest for an unusable key, Unprocessable when the key was used for something else.
    """
    check_key(key)
    account, digest = _account(request), _digest(request, resource)
    reserved = await connection.fetchval(
        "INSERT INTO idempotency (issuer, subject, client, key, digest) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING RETURNING true",
        *account,
        key,
        digest,
    )
    if reserved:
        return None
    row = await connection.fetchrow(
        "SELECT digest, status, location, etag, expires, content FROM idempotency"
        " WHERE issuer = $1 AND subject = $2 AND client = $3 AND key = $4",
        *account,
        key,
    )
    if row is None or row["digest"] != digest:
        raise Unprocessable(
            "Cette clé Idempotency-Key a déjà servi pour une autre demande : prenez-en une nouvelle.",
            "This Idempotency-Key was already used for another request: take a new one.",
            code="duplicate",
        )
    await commit_barrier(connection)
    headers = {
        "Location": row["location"],
        "Content-Location": row["location"],
        "ETag": row["etag"],
        "Expires": row["expires"],
        "Idempotency-Replayed": "true",
    }
    return Answer(row["status"], row["content"], {name: value for name, value in headers.items() if value})


async def remember(
    connection: Connection, request: FhirRequest, key: str, resource: Resource, answer: Answer
) -> None:
    """Keep the answer beside the key, in the same transaction."""
    await connection.execute(
        "UPDATE idempotency SET status = $5, location = $6, etag = $7, content = $8, expires = $9"
        " WHERE issuer = $1 AND subject = $2 AND client = $3 AND key = $4",
        *_account(request),
        key,
        answer.status,
        answer.headers.get("Location"),
        answer.headers.get("ETag"),
        answer.content,
        answer.headers.get("Expires"),
    )

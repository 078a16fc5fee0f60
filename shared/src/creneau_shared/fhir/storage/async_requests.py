"""`async_request`: what was asked with `Prefer: respond-async`, and the answer that is kept for it.

A row is waiting, then being carried out, then finished. The worker holds the row's lock in the very transaction
that has the effect and keeps the answer, so that both are there or neither is. `attempts` and
`lease_until` are committed before that: they count what a process did not survive, and cover the moment between
being leased and being locked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, Uuid, func, text

from creneau_shared.database.closing import announce
from creneau_shared.database.pool import Connection
from creneau_shared.ids import new_uuid
from creneau_shared.security.rights import Rights

CHANNEL = "creneau_async_request"
"""the channel that wakes the workers that carry out requests"""
_OWNED = "issuer = $2 AND subject = $3 AND (asked_with = $4 OR (asked_with IS NULL AND finished_at IS NULL))"
"""Condition: the row is the owner's. A row of an older version is matched by its account alone until it is answered."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asked, and alone may come back for the answer, with the same rights (`asked_with`, a digest of what their token
    says)."""

    issuer: str
    subject: str
    asked_with: bytes


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a caller reaches beyond what their token says: Patients and Organizations (references) with what they may do for
    each, and the Patients that are the caller."""

    may: Mapping[str, Sequence[str]] = field(default_factory=dict)
    oneself: Sequence[str] = ()

    def covers(self, other: Reach) -> bool:
        """Whether this reach includes all of the other."""
        return set(other.oneself) <= set(self.oneself) and all(
            set(allowed) <= set(self.may.get(whom, ())) for whom, allowed in other.may.items()
        )


def reach_of(rights: Rights) -> Reach:
    """The reach that these rights give beyond the token."""
    scopes = (("Patient", rights.people), ("Organization", rights.practices))
    may = {f"{kind}/{id_}": sorted(allowed) for kind, known in scopes for id_, allowed in known.items()}
    return Reach(may, sorted(rights.oneself))


@dataclass(frozen=True, slots=True)
class Leased:
    """A request that one process is about to carry out. `request` and `body` are as they were added."""

    id: UUID
    attempts: int
    request: bytes
    body: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished request's answer, for a caller who comes back for it and still has that reach."""

    status: int
    headers: Mapping[str, str]
    content: bytes | None
    reach: Reach

    def is_for(self, reach: Reach) -> bool:
        """Whether a caller who has this reach now may have the answer."""
        return reach.covers(self.reach)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request is: `answer` once it is finished, else whether it has `begun`."""

    begun: bool
    answer: Kept | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held for one account: requests that are not finished, answers that are kept, and the bytes of these."""

    unfinished: int
    kept: int
    kept_bytes: int


def async_request_table(metadata: MetaData) -> Table:
    """`async_request`: one row a request; its words (`request`, `body`) are erased once it is finished. A row that an
    older version has answered has no `asked_with`, and is given to nobody."""
    return Table(
        "async_request",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("issuer", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("idempotency_key", Text, nullable=True),
        Column("digest", LargeBinary, nullable=False),
        Column("request", LargeBinary, nullable=True),
        Column("body", LargeBinary, nullable=True),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("lease_until", DateTime(timezone=True), nullable=True),
        Column("finished_at", DateTime(timezone=True), nullable=True),
        Column("status", Integer, nullable=True),
        Column("headers", LargeBinary, nullable=True),
        Column("content", LargeBinary, nullable=True),
        Column("asked_with", LargeBinary, nullable=True),
        Column("reach", LargeBinary, nullable=True),
        Index("ix_async_request_waiting", "created_at", "id", postgresql_where=text("finished_at IS NULL")),
        Index(
            "ix_async_request_finished_at",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index("ix_async_request_subject", "issuer", "subject"),
        Index(
            "uq_async_request_idempotency_key",
            "issuer",
            "subject",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )


async def add(
    connection: Connection, owner: Owner, key: str | None, digest: bytes, request: bytes, body: bytes
) -> UUID | None:
    """Record a request; its id, or None when its owner has used this Idempotency-Key before."""
    found: UUID | None = await connection.fetchval(
        "INSERT INTO async_request (id, issuer, subject, idempotency_key, digest, request, body, asked_with)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (issuer, subject, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING id",
        new_uuid(),
        owner.issuer,
        owner.subject,
        key,
        digest,
        request,
        body,
        owner.asked_with,
    )
    announce(connection, CHANNEL)
    return found


async def find_by_key(connection: Connection, owner: Owner, key: str) -> tuple[UUID, bytes] | None:
    """The id and the digest of the owner's request with this Idempotency-Key."""
    row = await connection.fetchrow(
        "SELECT id, digest FROM async_request WHERE issuer = $1 AND subject = $2 AND idempotency_key = $3",
        owner.issuer,
        owner.subject,
        key,
    )
    return (row["id"], row["digest"]) if row is not None else None


async def holdings(connection: Connection, owner: Owner) -> Holdings:
    """What is held here for the owner's account, through whichever client."""
    row = await connection.fetchrow(
        "SELECT count(*) - count(finished_at), count(finished_at), coalesce(sum(octet_length(content)), 0)::bigint"
        " FROM async_request WHERE issuer = $1 AND subject = $2",
        owner.issuer,
        owner.subject,
    )
    assert row is not None
    return Holdings(*row)


async def lease(connection: Connection, lease_s: float) -> Leased | None:
    """Take the oldest request that nobody has in hand, and count the attempt; to be committed at once."""
    row = await connection.fetchrow(
        "UPDATE async_request SET attempts = attempts + 1, lease_until = now() + make_interval(secs => $1)"
        " WHERE id = (SELECT id FROM async_request WHERE finished_at IS NULL"
        " AND (lease_until IS NULL OR lease_until < now())"
        " ORDER BY created_at, id FOR UPDATE SKIP LOCKED LIMIT 1)"
        " RETURNING id, attempts, request, body, created_at",
        lease_s,
    )
    return Leased(*row) if row is not None else None


async def hold(connection: Connection, leased: Leased) -> bool:
    """Lock a leased request until the transaction ends; False when it is another's by now, or was cancelled."""
    held = await connection.fetchval(
        "SELECT true FROM async_request WHERE id = $1 AND attempts = $2 AND finished_at IS NULL"
        " FOR UPDATE SKIP LOCKED",
        leased.id,
        leased.attempts,
    )
    return bool(held)


async def keep(connection: Connection, id_: UUID, asked_with: bytes, answer: Kept) -> None:
    """Finish a held request with its answer; what was asked is erased."""
    await connection.execute(
        "UPDATE async_request SET finished_at = now(), lease_until = NULL, request = NULL, body = NULL,"
        " status = $2, headers = $3, content = $4, asked_with = $5, reach = $6 WHERE id = $1",
        id_,
        answer.status,
        orjson.dumps(dict(answer.headers)),
        answer.content,
        asked_with,
        orjson.dumps(answer.reach),
    )


async def progress(connection: Connection, owner: Owner, id_: UUID) -> Progress | None:
    """How far one of the owner's requests is; None when they have none with this id."""
    row = await connection.fetchrow(
        f"SELECT attempts, status, headers, content, reach FROM async_request WHERE id = $1 AND {_OWNED}",
        id_,
        owner.issuer,
        owner.subject,
        owner.asked_with,
    )
    if row is None:
        return None
    if row["status"] is None:
        return Progress(row["attempts"] > 0, None)
    reach = Reach(**orjson.loads(row["reach"]))
    return Progress(True, Kept(row["status"], orjson.loads(row["headers"]), row["content"], reach))


async def remove(connection: Connection, owner: Owner, id_: UUID) -> bool:
    """Take one of the owner's requests away, unless it is being carried out at this moment (False)."""
    removed = await connection.fetchval(
        "DELETE FROM async_request WHERE id = (SELECT id FROM async_request"
        f" WHERE id = $1 AND {_OWNED} FOR UPDATE SKIP LOCKED) RETURNING true",
        id_,
        owner.issuer,
        owner.subject,
        owner.asked_with,
    )
    return bool(removed)


async def next_lease_s(connection: Connection) -> float | None:
    """In how many seconds the first unfinished request may be leased again (at once: 0 or less); None without any."""
    seconds: float | None = await connection.fetchval(
        "SELECT extract(epoch FROM min(coalesce(lease_until, now())) - now())::float8"
        " FROM async_request WHERE finished_at IS NULL"
    )
    return seconds


async def backlog(connection: Connection) -> tuple[int, float]:
    """How many requests are not finished, and the age of the oldest in seconds (0 without any)."""
    row = await connection.fetchrow(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8"
        " FROM async_request WHERE finished_at IS NULL"
    )
    assert row is not None
    return row[0], row[1]

"""The replica of whose account acts for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from creneau_shared.database.pool import Connection
from creneau_shared.security.access import Known
from creneau_shared.security.accounts import account_digest
from creneau_shared.security.principal import Principal


@dataclass(frozen=True, slots=True)
class Person:
    """A Patient (id) for whom an account acts: what it may do, from when until when (half-open; None: open)."""

    patient: str
    may: tuple[str, ...]
    oneself: bool
    since: datetime | None = None
    until: datetime | None = None


async def save(connection: Connection, account: str, people: Sequence[Person]) -> None:
    """The account acts for these people and for nobody else. In the log's order: what comes later holds."""
    await connection.execute("DELETE FROM account_person WHERE account = $1", account)
    await connection.executemany(
        "INSERT INTO account_person (account, patient, may, oneself, since, until) VALUES ($1, $2, $3, $4, $5, $6)",
        [(account, p.patient, list(p.may), p.oneself, p.since, p.until) for p in people],
    )


async def known(connection: Connection, principal: Principal, now: datetime) -> Known:
    """For whom a patient's account acts at `now`. For other roles nothing is known beyond the token."""
    if principal.role != "patient":
        return Known()
    rows = await connection.fetch(
        "SELECT patient, may, oneself FROM account_person WHERE account = $1"
        " AND (since IS NULL OR since <= $2) AND (until IS NULL OR until > $2)",
        account_digest(principal.issuer, principal.subject),
        now,
    )
    return Known(
        people={row["patient"]: frozenset(row["may"]) for row in rows},
        oneself=frozenset(row["patient"] for row in rows if row["oneself"]),
    )

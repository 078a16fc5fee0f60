"""The Patients for whom a token's holder acts: oneself, or somebody whom they represent for a time.

The other services are told of every change here (`handlers.people.accounts`), so every write returns whose account it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from creneau_booking.domain.proxies import EVERYTHING
from creneau_shared.database.pool import Connection

_COLUMNS = "patient_id, oneself, may, related_person, since, until"


class Account(NamedTuple):
    """The holder of a token."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Link:
    """What an account may do for one Patient (id), and as whom: oneself, or by what a RelatedPerson (id) states."""

    patient: str
    oneself: bool = True
    may: frozenset[str] = EVERYTHING
    related_person: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def links_of(connection: Connection, issuer: str, subject: str, now: datetime) -> list[Link]:
    """The links of an account that hold at `now`."""
    links = await links_to_come(connection, Account(issuer, subject), now)
    return [link for link in links if link.since is None or link.since <= now]


async def links_to_come(connection: Connection, account: Account, now: datetime) -> list[Link]:
    """The links of an account that hold at `now` or will, by patient."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM patient_account WHERE issuer = $1 AND subject = $2"
        " AND (until IS NULL OR until > $3) ORDER BY patient_id",
        *account,
        now,
    )
    return [Link(row[0], row[1], frozenset(row[2]), row[3], row[4], row[5]) for row in rows]


async def keep_link(connection: Connection, account: Account, link: Link) -> list[Account]:
    """Lets the holder of this account act for this Patient in this way and in no other. A link to oneself stays as it is."""
    rows = await connection.fetch(
        f"INSERT INTO patient_account (issuer, subject, {_COLUMNS})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (issuer, subject, patient_id) DO UPDATE SET"
        " (oneself, may, related_person, since, until) = ROW (excluded.oneself, excluded.may,"
        " excluded.related_person, excluded.since, excluded.until) WHERE NOT patient_account.oneself"
        " RETURNING issuer, subject",
        *account,
        link.patient,
        link.oneself,
        sorted(link.may),
        link.related_person,
        link.since,
        link.until,
    )
    return [Account(*row) for row in rows]


async def count_patients(connection: Connection, account: Account) -> int:
    """Returns for how many Patients the account acts, or did until its time was over. What was ended before is not counted."""
    count = await connection.fetchval(
        "SELECT count(*) FROM patient_account WHERE issuer = $1 AND subject = $2", *account
    )
    return int(count)


async def take_turn(connection: Connection, account: Account) -> None:
    """Makes rivals of one account wait for each other, until the transaction ends."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('account ' || $1 || ' ' || $2, 0))", *account
    )


async def has_oneself(connection: Connection, account: Account) -> bool:
    """Whether the account has a Patient who is its holder. Rivals of one account wait for each other here."""
    await take_turn(connection, account)
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient_account WHERE issuer = $1 AND subject = $2 AND oneself)",
            *account,
        )
    )


async def is_somebodys(connection: Connection, patient: str) -> bool:
    """Whether this Patient (id) has an account of their own."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient_account WHERE patient_id = $1 AND oneself)", patient
        )
    )


async def follow(
    connection: Connection,
    related_person: str,
    *,
    may: Iterable[str],
    since: datetime | None,
    until: datetime | None,
) -> list[Account]:
    """Applies a change of a RelatedPerson to the accounts that act by it, at once; returns these."""
    rows = await connection.fetch(
        "UPDATE patient_account SET may = $2, since = $3, until = $4 WHERE related_person = $1"
        " RETURNING issuer, subject",
        related_person,
        sorted(may),
        since,
        until,
    )
    return [Account(*row) for row in rows]


async def end_proxy(connection: Connection, related_person: str) -> list[Account]:
    """Ends the links by this RelatedPerson, and its invitations; returns the accounts that had a link."""
    await connection.execute("DELETE FROM proxy_invitation WHERE related_person = $1", related_person)
    rows = await connection.fetch(
        "DELETE FROM patient_account WHERE related_person = $1 RETURNING issuer, subject", related_person
    )
    return [Account(*row) for row in rows]


async def leave_to(connection: Connection, related_person: str, account: Account) -> list[Account]:
    """Leaves this RelatedPerson to `account` alone; returns the accounts that acted by it until now."""
    rows = await connection.fetch(
        "DELETE FROM patient_account WHERE related_person = $1 AND (issuer, subject) <> ($2, $3)"
        " RETURNING issuer, subject",
        related_person,
        *account,
    )
    return [Account(*row) for row in rows]


async def end_links(connection: Connection, patient: str) -> dict[Account, bool]:
    """Ends the links to this Patient, whose record is gone. Returns the accounts that had one; True: the person's own."""
    rows = await connection.fetch(
        "DELETE FROM patient_account WHERE patient_id = $1 RETURNING issuer, subject, oneself", patient
    )
    return {Account(row["issuer"], row["subject"]): row["oneself"] for row in rows}


async def acts_by(connection: Connection, account: Account, related_person: str) -> bool:
    """Whether the account acts by what this RelatedPerson (id) states."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient_account WHERE issuer = $1 AND subject = $2 AND related_person = $3)",
            *account,
            related_person,
        )
    )

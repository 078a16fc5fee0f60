"""For which Patients a token's holder acts: oneself, or somebody whom they represent for a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from creneau_booking.domain.proxies import EVERYTHING
from creneau_shared.database.pool import Connection


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
    rows = await connection.fetch(
        "SELECT patient_id, oneself, may, related_person, since, until FROM patient_account"
        " WHERE issuer = $1 AND subject = $2"
        " AND (since IS NULL OR since <= $3) AND (until IS NULL OR until > $3)",
        issuer,
        subject,
        now,
    )
    return [
        Link(row[0], row[1], frozenset(row[2]), row["related_person"], row["since"], row["until"])
        for row in rows
    ]


async def keep_link(connection: Connection, issuer: str, subject: str, link: Link) -> None:
    """The holder of this account acts for this Patient from now on, in this way and in no other."""
    await connection.execute(
        "INSERT INTO patient_account (issuer, subject, patient_id, oneself, may, related_person, since, until)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (issuer, subject, patient_id) DO UPDATE SET"
        " (oneself, may, related_person, since, until) = ROW (excluded.oneself, excluded.may,"
        " excluded.related_person, excluded.since, excluded.until) WHERE NOT patient_account.oneself",
        issuer,
        subject,
        link.patient,
        link.oneself,
        sorted(link.may),
        link.related_person,
        link.since,
        link.until,
    )


async def count_patients(connection: Connection, issuer: str, subject: str) -> int:
    """For how many Patients the account acts, or did until they were no longer its to act for."""
    count = await connection.fetchval(
        "SELECT count(*) FROM patient_account WHERE issuer = $1 AND subject = $2", issuer, subject
    )
    return int(count)


async def has_oneself(connection: Connection, issuer: str, subject: str) -> bool:
    """Whether the account has a Patient who its holder is. Rivals of one account wait for each other here."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('account ' || $1 || ' ' || $2, 0))", issuer, subject
    )
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient_account WHERE issuer = $1 AND subject = $2 AND oneself)",
            issuer,
            subject,
        )
    )


async def follow(
    connection: Connection,
    related_person: str,
    *,
    may: Iterable[str],
    since: datetime | None,
    until: datetime | None,
) -> None:
    """What a RelatedPerson states has changed: for whoever acts by it, at once."""
    await connection.execute(
        "UPDATE patient_account SET may = $2, since = $3, until = $4 WHERE related_person = $1",
        related_person,
        sorted(may),
        since,
        until,
    )


async def end_proxy(connection: Connection, related_person: str) -> None:
    """Nobody acts by this RelatedPerson any more, and nobody can come to."""
    await connection.execute("DELETE FROM patient_account WHERE related_person = $1", related_person)
    await connection.execute("DELETE FROM proxy_invitation WHERE related_person = $1", related_person)


async def end_links(connection: Connection, patient: str) -> None:
    """Nobody acts for this Patient any more: the record is gone."""
    await connection.execute("DELETE FROM patient_account WHERE patient_id = $1", patient)

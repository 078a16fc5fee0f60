"""Messages and their attempts: planning, withdrawing, claiming, and what became of each.

A message is due when it is planned and its next attempt is due, or when the lease of whoever was
sending it has run out. Who finishes a claim says which attempt it was: a sender whose lease ran out meanwhile
changes nothing any more. Times come from the caller's clock, never from the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from creneau_notifications.domain.appointment import AppointmentEvent
from creneau_notifications.domain.plan import Kind, PlannedMessage
from creneau_notifications.storage.snapshot import dump_event, load_event
from creneau_shared.database.closing import announce
from creneau_shared.database.pool import Connection

CHANNEL = "creneau_message"
"""on which senders are woken"""
ERROR_CHARS_MAX = 2048


class Status(StrEnum):
    """Where a message stands."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message, with the event that it tells of."""

    id: UUID
    appointment: str
    recipient: str
    kind: Kind
    rule: str
    channel: str
    planned_at: datetime
    due_at: datetime
    expires_at: datetime
    status: Status
    reason: str | None
    event: AppointmentEvent
    attempts: int
    """claims so far, the present one included; the number of a claim, as long as it holds"""
    superseded: bool
    finished_at: datetime | None
    counted_for: bytes | None
    """the letter box (a keyed hash) whose allowance it has been counted against"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A message to be kept, and the event that it tells of."""

    event: AppointmentEvent
    message: PlannedMessage


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `result` is accepted, deferred (worth another try), refused, or interrupted (sender gone)."""

    at: datetime
    result: str
    smtp_code: int | None = None
    error: str | None = None
    message_id: str | None = None
    sent_to: str | None = None
    """the address that was used, and the subject line; of an accepted e-mail"""
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A due message that is to be sent, and the letter box against whose allowance it counts, if it did not yet."""

    message: Message
    mailbox: bytes | None


@dataclass(frozen=True, slots=True)
class Closing:
    """How a message ends; `reason`, unless it was sent."""

    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Postponement:
    """When a message is tried again."""

    at: datetime


_FIELDS = (
    "id",
    "appointment",
    "recipient",
    "kind",
    "rule",
    "channel",
    "planned_at",
    "due_at",
    "expires_at",
    "status",
    "reason",
    "event",
    "attempts",
    "superseded",
    "finished_at",
    "counted_for",
)
_COLUMNS = ", ".join(_FIELDS)
_OF_MESSAGE = ", ".join(f"message.{name}" for name in _FIELDS)
_STILL_CLAIMED = "message.id = given.id AND message.status = 'sending' AND message.attempts = given.attempts"


async def plan(connection: Connection, planned: Sequence[Planned], now: datetime) -> list[Message]:
    """Keep those of the messages that are not kept yet, and return these."""
    if not planned:
        return []
    messages = [one.message for one in planned]
    rows = await connection.fetch(
        "INSERT INTO message"
        " (id, appointment, recipient, kind, rule, channel, planned_at, due_at, expires_at, next_attempt_at,"
        " event) SELECT id, appointment, recipient, kind, rule, channel, $1, due_at, expires_at, due_at, event::jsonb"
        " FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],"
        " $9::timestamptz[], $10::text[])"
        " AS planned (id, appointment, recipient, kind, rule, channel, due_at, expires_at, event)"
        f" ON CONFLICT (id) DO NOTHING RETURNING {_COLUMNS}",
        now,
        [message.id for message in messages],
        [one.event.appointment.id for one in planned],
        [message.recipient for message in messages],
        [message.kind for message in messages],
        [message.rule for message in messages],
        [message.channel for message in messages],
        [message.due_at for message in messages],
        [message.expires_at for message in messages],
        [dump_event(one.event) for one in planned],
    )
    if rows:
        announce(connection, CHANNEL)
    return [_message(row) for row in rows]


async def supersede(connection: Connection, appointments: Sequence[str], now: datetime) -> list[Message]:
    """Withdraw what is pending for these appointments; the messages cancelled.

    What is being sent at this moment cannot be called back; it is marked, so that it is not tried again.
    """
    if not appointments:
        return []
    rows = await connection.fetch(
        "UPDATE message SET superseded = true,"
        " status = CASE status WHEN 'planned' THEN 'cancelled' ELSE status END,"
        " reason = CASE status WHEN 'planned' THEN 'superseded' ELSE reason END,"
        " finished_at = CASE status WHEN 'planned' THEN $2 ELSE finished_at END"
        f" WHERE appointment = ANY($1::text[]) AND status IN ('planned', 'sending') RETURNING {_COLUMNS}",
        list(appointments),
        now,
    )
    return [message for row in rows if (message := _message(row)).status is Status.CANCELLED]


async def cancel_for(
    connection: Connection, recipient: str, reason: str, now: datetime, besides: Collection[Kind] = ()
) -> list[Message]:
    """Withdraw what is planned for a recipient who is no longer known, but for these kinds; the messages cancelled."""
    rows = await connection.fetch(
        "UPDATE message SET status = 'cancelled', reason = $2, finished_at = $3"
        " WHERE recipient = $1 AND status = 'planned' AND NOT kind = ANY($4::text[])"
        f" RETURNING {_COLUMNS}",
        recipient,
        reason,
        now,
        list(besides),
    )
    return [_message(row) for row in rows]


async def look_for_due(
    connection: Connection, now: datetime, limit: int, channels: Collection[str]
) -> list[Message]:
    """Up to `limit` due messages of these channels, locked, each with the number that its next claim will have; no two
    senders get the same one.

    What a newer version of the service planned by a channel that this one does not know is left to that version. An
    attempt of a sender that vanished is put down as interrupted: nobody knows whether it got through.
    """
    rows = await connection.fetch(
        "WITH due AS MATERIALIZED (SELECT * FROM message"
        " WHERE ((status = 'planned' AND next_attempt_at <= $1) OR (status = 'sending' AND lease_until <= $1))"
        " AND channel = ANY($3::text[])"
        " ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED),"
        " interrupted AS (INSERT INTO attempt (message, at, result)"
        " SELECT id, lease_until, 'interrupted' FROM due WHERE status = 'sending')"
        f" SELECT {_COLUMNS.replace('attempts', 'attempts + 1 AS attempts')} FROM due ORDER BY next_attempt_at",
        now,
        limit,
        list(channels),
    )
    return [_message(row) for row in rows]


async def count_overdue(connection: Connection, now: datetime) -> int:
    """How many messages wait, or are being sent, of which it is too late: `expires_at` has passed."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM message WHERE status IN ('planned', 'sending') AND next_attempt_at <= $1"
        " AND expires_at < $1",
        now,
    )
    return count


async def next_due(connection: Connection, channels: Collection[str]) -> datetime | None:
    """When the next message of these channels may be claimed, or might have been; None without any."""
    moment: datetime | None = await connection.fetchval(
        "SELECT least("
        "(SELECT min(next_attempt_at) FROM message WHERE status = 'planned' AND channel = ANY($1::text[])),"
        " (SELECT min(lease_until) FROM message WHERE status = 'sending' AND channel = ANY($1::text[])))",
        list(channels),
    )
    return moment


async def claim(connection: Connection, claimed: Sequence[Claimed], lease_until: datetime) -> None:
    """Take due messages, which are locked, for sending until then."""
    if claimed:
        await connection.execute(
            "UPDATE message SET status = 'sending', lease_until = $1, attempts = attempts + 1,"
            " counted_for = coalesce(given.mailbox, counted_for)"
            " FROM unnest($2::uuid[], $3::bytea[]) AS given (id, mailbox) WHERE message.id = given.id",
            lease_until,
            [one.message.id for one in claimed],
            [one.mailbox for one in claimed],
        )


async def put_off(connection: Connection, put_off: Sequence[tuple[Message, datetime]]) -> None:
    """Leave due messages, which are locked, untried until then."""
    if put_off:
        await connection.execute(
            "UPDATE message SET status = 'planned', lease_until = NULL, next_attempt_at = given.at"
            " FROM unnest($1::uuid[], $2::timestamptz[]) AS given (id, at) WHERE message.id = given.id",
            [message.id for message, _ in put_off],
            [at for _, at in put_off],
        )


async def close(
    connection: Connection, closed: Sequence[tuple[Message, Closing]], now: datetime
) -> list[Message]:
    """Close due messages, which are locked, untried; as they are then."""
    if not closed:
        return []
    rows = await connection.fetch(
        "UPDATE message SET status = given.status, reason = given.reason, finished_at = $1, lease_until = NULL,"
        " attempts = attempts + 1"
        " FROM unnest($2::uuid[], $3::text[], $4::text[]) AS given (id, status, reason)"
        f" WHERE message.id = given.id RETURNING {_OF_MESSAGE}",
        now,
        [message.id for message, _ in closed],
        [closing.status for _, closing in closed],
        [closing.reason for _, closing in closed],
    )
    return [_message(row) for row in rows]


async def is_superseded(connection: Connection, claimed: Message) -> bool | None:
    """Whether a claimed message has been superseded since; None when the claim holds no longer: somebody else has it."""
    superseded: bool | None = await connection.fetchval(
        "SELECT superseded FROM message WHERE id = $1 AND status = 'sending' AND attempts = $2",
        claimed.id,
        claimed.attempts,
    )
    return superseded


async def keep(connection: Connection, claimed: Message, lease_until: datetime) -> bool | None:
    """As `is_superseded`, and hold the message until then."""
    superseded: bool | None = await connection.fetchval(
        "UPDATE message SET lease_until = $3 WHERE id = $1 AND status = 'sending' AND attempts = $2"
        " RETURNING superseded",
        claimed.id,
        claimed.attempts,
        lease_until,
    )
    return superseded


async def release(connection: Connection, claimed: Sequence[Message], next_attempt_at: datetime) -> None:
    """Give claimed messages back untried, for a later look."""
    await connection.execute(
        "UPDATE message SET status = 'planned', lease_until = NULL, attempts = message.attempts - 1,"
        " next_attempt_at = $1 FROM unnest($2::uuid[], $3::integer[]) AS given (id, attempts)"
        f" WHERE {_STILL_CLAIMED}",
        next_attempt_at,
        [message.id for message in claimed],
        [message.attempts for message in claimed],
    )
    announce(connection, CHANNEL)


async def postpone(
    connection: Connection, postponed: Sequence[tuple[Message, Postponement]], now: datetime
) -> list[Message]:
    """Plan another attempt of claimed messages, or cancel those that have been superseded meanwhile; as they are then.
    Those whose claim holds no longer are passed over."""
    if not postponed:
        return []
    rows = await connection.fetch(
        "UPDATE message SET lease_until = NULL, next_attempt_at = given.at,"
        " status = CASE WHEN superseded THEN 'cancelled' ELSE 'planned' END,"
        " reason = CASE WHEN superseded THEN 'superseded' END,"
        " finished_at = CASE WHEN superseded THEN $1::timestamptz END"
        " FROM unnest($2::uuid[], $3::integer[], $4::timestamptz[]) AS given (id, attempts, at)"
        f" WHERE {_STILL_CLAIMED} RETURNING {_OF_MESSAGE}",
        now,
        [message.id for message, _ in postponed],
        [message.attempts for message, _ in postponed],
        [postponement.at for _, postponement in postponed],
    )
    return [_message(row) for row in rows]


async def finish(
    connection: Connection, finished: Sequence[tuple[Message, Closing]], now: datetime
) -> list[Message]:
    """Close claimed messages; as they are then. Those whose claim holds no longer are passed over."""
    if not finished:
        return []
    rows = await connection.fetch(
        "UPDATE message SET status = given.status, reason = given.reason, finished_at = $1, lease_until = NULL"
        " FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::text[]) AS given (id, attempts, status, reason)"
        f" WHERE {_STILL_CLAIMED} RETURNING {_OF_MESSAGE}",
        now,
        [message.id for message, _ in finished],
        [message.attempts for message, _ in finished],
        [closing.status for _, closing in finished],
        [closing.reason for _, closing in finished],
    )
    return [_message(row) for row in rows]


async def add_attempts(connection: Connection, attempts: Sequence[tuple[UUID, Attempt]]) -> None:
    """Put down tries; errors are cut to `ERROR_CHARS_MAX` characters."""
    if not attempts:
        return
    rows = [
        (
            message,
            attempt.at,
            attempt.result,
            attempt.smtp_code,
            attempt.error[:ERROR_CHARS_MAX].replace("\0", "") if attempt.error else None,
            attempt.message_id,
            attempt.sent_to,
            attempt.subject,
        )
        for message, attempt in attempts
    ]
    await connection.execute(
        "INSERT INTO attempt (message, at, result, smtp_code, error, message_id, sent_to, subject)"
        " SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::integer[], $5::text[], $6::text[],"
        " $7::text[], $8::text[])",
        *[list(column) for column in zip(*rows, strict=True)],
    )


async def prune(connection: Connection, before: datetime, limit: int) -> list[UUID]:
    """Delete at most `limit` messages closed before this instant, with their attempts; their ids."""
    rows = await connection.fetch(
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE finished_at < $1 LIMIT $2)"
        " RETURNING id",
        before,
        limit,
    )
    return [row["id"] for row in rows]


def _message(row: asyncpg.Record) -> Message:
    values = dict(row)
    return Message(
        **{
            **values,
            "kind": Kind(str(values["kind"])),
            "status": Status(str(values["status"])),
            "event": load_event(str(values["event"])),
        }
    )

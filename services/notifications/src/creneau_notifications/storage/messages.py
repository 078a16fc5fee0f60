"""Messages and their attempts: planning, withdrawing, claiming, and what became of each.

A message is claimable when it is planned and its next attempt is due, or when the lease of whoever was
sending it has run out. Who finishes a claim says which attempt it was: a sender whose lease ran out meanwhile
changes nothing any more. Times come from the caller's clock, never from the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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


async def plan(
    connection: Connection, event: AppointmentEvent, messages: Sequence[PlannedMessage], now: datetime
) -> list[Message]:
    """Keep those of `messages` that are not kept yet, and return these."""
    rows = await connection.fetch(
        "INSERT INTO message"
        " (id, appointment, recipient, kind, rule, channel, planned_at, due_at, expires_at, next_attempt_at,"
        " event) SELECT id, $2, recipient, kind, rule, channel, $3, due_at, expires_at, due_at, $1::jsonb"
        " FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],"
        " $10::timestamptz[]) AS planned (id, recipient, kind, rule, channel, due_at, expires_at)"
        f" ON CONFLICT (id) DO NOTHING RETURNING {_COLUMNS}",
        dump_event(event),
        event.appointment.id,
        now,
        [message.id for message in messages],
        [message.recipient for message in messages],
        [message.kind for message in messages],
        [message.rule for message in messages],
        [message.channel for message in messages],
        [message.due_at for message in messages],
        [message.expires_at for message in messages],
    )
    if rows:
        announce(connection, CHANNEL)
    return [_message(row) for row in rows]


async def supersede(connection: Connection, appointment: str, now: datetime) -> list[Message]:
    """Withdraw what is pending for the appointment; the messages cancelled.

    What is being sent at this moment cannot be called back; it is marked, so that it is not tried again.
    """
    rows = await connection.fetch(
        "UPDATE message SET superseded = true,"
        " status = CASE status WHEN 'planned' THEN 'cancelled' ELSE status END,"
        " reason = CASE status WHEN 'planned' THEN 'superseded' ELSE reason END,"
        " finished_at = CASE status WHEN 'planned' THEN $2 ELSE finished_at END"
        f" WHERE appointment = $1 AND status IN ('planned', 'sending') RETURNING {_COLUMNS}",
        appointment,
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


async def claim(
    connection: Connection, now: datetime, lease: timedelta, limit: int, channels: Collection[str]
) -> list[Message]:
    """Take up to `limit` due messages of these channels for sending until `now + lease`; no two senders get the same
    one.

    What a newer version of the service planned by a channel that this one does not know is left to that version. An
    attempt of a sender that vanished is put down as interrupted: nobody knows whether it got through.
    """
    rows = await connection.fetch(
        "WITH due AS MATERIALIZED (SELECT id, status, lease_until FROM message"
        " WHERE ((status = 'planned' AND next_attempt_at <= $1) OR (status = 'sending' AND lease_until <= $1))"
        " AND channel = ANY($4::text[])"
        " ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED),"
        " interrupted AS (INSERT INTO attempt (message, at, result)"
        " SELECT id, lease_until, 'interrupted' FROM due WHERE status = 'sending')"
        " UPDATE message SET status = 'sending', lease_until = $2, attempts = attempts + 1 FROM due"
        f" WHERE message.id = due.id RETURNING {', '.join(f'message.{name}' for name in _FIELDS)}",
        now,
        now + lease,
        limit,
        list(channels),
    )
    return [_message(row) for row in rows]


async def next_due(connection: Connection, channels: Collection[str]) -> datetime | None:
    """When the next message of these channels may be claimed, or might have been; None without any."""
    moment: datetime | None = await connection.fetchval(
        "SELECT least("
        "(SELECT min(next_attempt_at) FROM message WHERE status = 'planned' AND channel = ANY($1::text[])),"
        " (SELECT min(lease_until) FROM message WHERE status = 'sending' AND channel = ANY($1::text[])))",
        list(channels),
    )
    return moment


async def keep(connection: Connection, claimed: Message, lease_until: datetime) -> bool | None:
    """Hold a claimed message until `lease_until`; whether it has been superseded since it was claimed.

    None when the claim holds no longer: somebody else has the message. Its row stays locked until the end of the
    transaction, so that whoever withdraws it meanwhile waits.
    """
    superseded: bool | None = await connection.fetchval(
        "UPDATE message SET lease_until = $3 WHERE id = $1 AND status = 'sending' AND attempts = $2"
        " RETURNING superseded",
        claimed.id,
        claimed.attempts,
        lease_until,
    )
    return superseded


async def count_for(connection: Connection, claimed: Message, mailbox: bytes) -> None:
    """Put down that a claimed message has its place in the allowance of this letter box."""
    await connection.execute("UPDATE message SET counted_for = $2 WHERE id = $1", claimed.id, mailbox)


async def release(connection: Connection, claimed: Message, next_attempt_at: datetime) -> None:
    """Give a claimed message back untried, for a later look."""
    await connection.execute(
        "UPDATE message SET status = 'planned', lease_until = NULL, attempts = attempts - 1,"
        " next_attempt_at = $3 WHERE id = $1 AND status = 'sending' AND attempts = $2",
        claimed.id,
        claimed.attempts,
        next_attempt_at,
    )
    announce(connection, CHANNEL)


async def postpone(
    connection: Connection, claimed: Message, next_attempt_at: datetime, now: datetime
) -> Message | None:
    """Plan another attempt of a claimed message, or cancel it when it has been superseded meanwhile.

    None when the claim holds no longer.
    """
    row = await connection.fetchrow(
        "UPDATE message SET lease_until = NULL, next_attempt_at = $3,"
        " status = CASE WHEN superseded THEN 'cancelled' ELSE 'planned' END,"
        " reason = CASE WHEN superseded THEN 'superseded' END,"
        " finished_at = CASE WHEN superseded THEN $4::timestamptz END"
        f" WHERE id = $1 AND status = 'sending' AND attempts = $2 RETURNING {_COLUMNS}",
        claimed.id,
        claimed.attempts,
        next_attempt_at,
        now,
    )
    return None if row is None else _message(row)


async def finish(
    connection: Connection, claimed: Message, status: Status, reason: str | None, now: datetime
) -> Message | None:
    """Close a claimed message with `status` and, unless it was sent, the reason.

    None when the claim holds no longer.
    """
    row = await connection.fetchrow(
        "UPDATE message SET status = $3, reason = $4, finished_at = $5, lease_until = NULL"
        f" WHERE id = $1 AND status = 'sending' AND attempts = $2 RETURNING {_COLUMNS}",
        claimed.id,
        claimed.attempts,
        status,
        reason,
        now,
    )
    return None if row is None else _message(row)


async def add_attempt(connection: Connection, message: UUID, attempt: Attempt) -> None:
    """Put down one try; the error is cut to `ERROR_CHARS_MAX` characters."""
    await connection.execute(
        "INSERT INTO attempt (message, at, result, smtp_code, error, message_id, sent_to, subject)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        message,
        attempt.at,
        attempt.result,
        attempt.smtp_code,
        attempt.error[:ERROR_CHARS_MAX].replace("\0", "") if attempt.error else None,
        attempt.message_id,
        attempt.sent_to,
        attempt.subject,
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

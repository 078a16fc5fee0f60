"""Messages and their attempts: planning, withdrawing, claiming, and what became of each.

A message is due when it is planned and its next attempt is due, or when its sender's lease has run out. Finishing a claim
names its attempt, so a sender whose lease ran out changes nothing. Times come from the caller's clock, never from the
database's.

What a message tells is stored once, with its appointment (`appointments`): all pending messages of an appointment tell of
its last event. What another event withdraws is not sent. A message about several visits of a series has its own event
(`of_several`), which no single visit's event withdraws; it tells of the visits that are still as it says. A row of `message`
is narrow, and a claim changes no indexed column. Statements that change several messages lock them in the order of their
ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from creneau_notifications.domain.appointment import AppointmentEvent, Occurrence
from creneau_notifications.domain.plan import OF_SEVERAL, Kind, PlannedMessage
from creneau_notifications.domain.several import as_they_are
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
    """the channel of planning; once tried or closed, the channel of sending"""
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
    spent: int
    """how much its failed tries count together (`domain.retry`)"""

    @property
    def tells_of(self) -> tuple[Occurrence, ...]:
        """The visits of the series that it tells of, if any."""
        return self.event.together if self.kind in OF_SEVERAL else ()

    def as_it_is(self, known: Mapping[str, AppointmentEvent]) -> Message:
        """The message about the visits of its series still as told; superseded if none is."""
        if not self.tells_of:
            return self
        event = as_they_are(self.event, self.kind, known)
        return replace(self, superseded=True) if event is None else replace(self, event=event)


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
    """the address of an accepted message; `subject`: of an accepted e-mail"""
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A due message to send, and the letter box to count it against, unless counted already."""

    message: Message
    mailbox: bytes | None


@dataclass(frozen=True, slots=True)
class Closing:
    """How a message ends; `reason`, unless it was sent."""

    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Postponement:
    """When a message is tried again; `spends`: how much the try that failed counts."""

    at: datetime
    spends: int = 1


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
    "attempts",
    "superseded",
    "finished_at",
    "counted_for",
    "spent",
)
_COLUMNS = ", ".join(_FIELDS)
_OF_MESSAGE = ", ".join(f"message.{name}" for name in _FIELDS)
_STILL_CLAIMED = "message.id = locked.id AND message.status = 'sending' AND message.attempts = given.attempts"
_GIVEN_UP = "given.again_at IS NOT NULL AND superseded"
_TOLD = (
    "coalesce(message.of_several,"
    " (SELECT told.event FROM appointment_state AS told WHERE told.appointment = message.appointment)) AS event"
)


def _locked(condition: str) -> str:
    """CTE: the ids of the messages that fulfil the condition, locked in order. Otherwise consumers that withdraw and senders
    that finish could deadlock."""
    return f"locked AS MATERIALIZED (SELECT id FROM message WHERE {condition} ORDER BY id FOR NO KEY UPDATE)"


_PENDING_FOR = _locked(
    "appointment = ANY($1::text[] || $4::text[]) AND finished_at IS NULL AND of_several IS NULL"
    " AND ((appointment, kind) IN (SELECT * FROM unnest($1::text[], $3::text[]))"
    " OR (appointment, recipient) IN (SELECT * FROM unnest($4::text[], $5::text[])))"
)
_PENDING_TO = _locked("recipient = $1 AND finished_at IS NULL AND NOT kind = ANY($4::text[])")
_CLAIMED = _locked("id = ANY($2::uuid[])")
_ALL_FOR = _locked("recipient = $1")
_SUPERSEDED = "'superseded'"


def _withdrawing(reason: str, now: str) -> str:
    """SQL that withdraws pending messages. A message being sent cannot be called back; it is marked, so that it is not tried
    again."""
    return (
        "superseded = true,"
        " status = CASE status WHEN 'planned' THEN 'cancelled' ELSE status END,"
        f" reason = CASE status WHEN 'planned' THEN {reason} ELSE reason END,"
        f" finished_at = CASE status WHEN 'planned' THEN {now}::timestamptz ELSE finished_at END"
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """The result of planning: new messages, and withdrawn ones that are planned again."""

    new: Sequence[Message] = ()
    again: Sequence[Message] = ()


async def plan(connection: Connection, planned: Sequence[Planned], now: datetime) -> Kept:
    """Keep the messages that are new, or were withdrawn while the recipient's contact was unknown or the visit was not
    theirs. Their events are the last of their appointments, and saved already."""
    if not planned:
        return Kept()
    wanted = {one.message.id: _as_planned(one, now) for one in planned}
    messages = list(wanted.values())
    rows = await connection.fetch(
        "INSERT INTO message"
        " (id, appointment, recipient, kind, rule, channel, planned_at, due_at, expires_at, next_attempt_at, of_several)"
        " SELECT id, appointment, recipient, kind, rule, channel, $1, due_at, expires_at, due_at, of_several::jsonb"
        " FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],"
        " $9::timestamptz[], $10::text[])"
        " AS planned (id, appointment, recipient, kind, rule, channel, due_at, expires_at, of_several)"
        " ON CONFLICT (id) DO UPDATE SET status = 'planned', reason = NULL, finished_at = NULL, superseded = false,"
        " planned_at = excluded.planned_at, due_at = excluded.due_at, next_attempt_at = excluded.next_attempt_at"
        " WHERE message.status = 'cancelled' AND message.reason IN ('contact-deleted', 'superseded')"
        # A row that has just been inserted was locked by nobody.
        " RETURNING id, xmax = 0 AS is_new",
        now,
        [message.id for message in messages],
        [message.appointment for message in messages],
        [message.recipient for message in messages],
        [message.kind for message in messages],
        [message.rule for message in messages],
        [message.channel for message in messages],
        [message.due_at for message in messages],
        [message.expires_at for message in messages],
        [dump_event(message.event) if message.tells_of else None for message in messages],
    )
    if rows:
        announce(connection, CHANNEL)
    return Kept(
        [wanted[row["id"]] for row in rows if row["is_new"]],
        [wanted[row["id"]] for row in rows if not row["is_new"]],
    )


async def waiting(
    connection: Connection, appointments: Collection[str], kinds: Collection[Kind]
) -> Mapping[str, Mapping[str, Kind]]:
    """The messages of these kinds that wait, or are in a sender's hands, by appointment and recipient; without those on
    several visits of a series."""
    rows = await connection.fetch(
        "SELECT appointment, recipient, kind FROM message WHERE appointment = ANY($1::text[])"
        " AND kind = ANY($2::text[]) AND finished_at IS NULL AND NOT superseded AND of_several IS NULL",
        list(appointments),
        list(kinds),
    )
    found: dict[str, dict[str, Kind]] = {}
    for row in rows:
        found.setdefault(row["appointment"], {})[row["recipient"]] = Kind(row["kind"])
    return found


async def supersede(
    connection: Connection,
    told: Mapping[str, AppointmentEvent],
    withdrawn: Mapping[str, Collection[Kind]],
    left: Mapping[str, Collection[str]],
    now: datetime,
) -> list[Message]:
    """Withdraw the pending messages of these kinds for these appointments (ids), and all those for recipients who `left`
    them. Returns the cancelled messages. `told`: by appointment, the event told so far."""
    if not withdrawn and not left:
        return []
    leavers = [
        (appointment, recipient) for appointment, recipients in left.items() for recipient in recipients
    ]
    pairs = [(appointment, kind) for appointment, kinds in withdrawn.items() for kind in kinds]
    rows = await connection.fetch(
        f"WITH {_PENDING_FOR}"
        f" UPDATE message SET {_withdrawing(_SUPERSEDED, '$2')}"
        f" FROM locked WHERE message.id = locked.id RETURNING {_OF_MESSAGE}",
        [appointment for appointment, _ in pairs],
        now,
        [kind for _, kind in pairs],
        [appointment for appointment, _ in leavers],
        [recipient for _, recipient in leavers],
    )
    found = [_message(row, told[row["appointment"]]) for row in rows]
    return [message for message in found if message.status is Status.CANCELLED]


async def cancel_for(
    connection: Connection, recipient: str, reason: str, now: datetime, besides: Collection[Kind] = ()
) -> list[Message]:
    """Withdraw the pending messages of a recipient no longer known, except these kinds; returns those cancelled."""
    rows = await connection.fetch(
        f"WITH {_PENDING_TO}"
        f" UPDATE message SET {_withdrawing('$2', '$3')}"
        f" FROM locked WHERE message.id = locked.id RETURNING {_OF_MESSAGE}, {_TOLD}",
        recipient,
        reason,
        now,
        list(besides),
    )
    found = [_with_event(row) for row in rows]
    return [message for message in found if message.status is Status.CANCELLED]


async def look_for_due(
    connection: Connection, now: datetime, limit: int, channels: Collection[str]
) -> list[Message]:
    """Up to `limit` due messages of these channels, locked, each with the number of its next claim. No two senders get the
    same message.

    Messages of a channel that only a newer version of the service knows are left to that version. The attempt of a vanished
    sender is recorded as interrupted: nobody knows whether it got through.
    """
    rows = await connection.fetch(
        "WITH due AS MATERIALIZED (SELECT message.*, coalesce(of_several, told.event) AS told"
        " FROM message JOIN appointment_state AS told USING (appointment)"
        " WHERE finished_at IS NULL AND next_attempt_at <= $1 AND (status = 'planned' OR lease_until <= $1)"
        " AND channel = ANY($3::text[])"
        " ORDER BY next_attempt_at LIMIT $2 FOR UPDATE OF message SKIP LOCKED),"
        " interrupted AS (INSERT INTO attempt (message, at, result)"
        " SELECT id, lease_until, 'interrupted' FROM due WHERE status = 'sending')"
        f" SELECT {_COLUMNS.replace('attempts', 'attempts + 1 AS attempts')}, told AS event"
        " FROM due ORDER BY next_attempt_at",
        now,
        limit,
        list(channels),
    )
    return [_with_event(row) for row in rows]


async def beside_others(connection: Connection, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of the messages whose recipient gets the same message by another channel too, whatever became of that one."""
    if not ids:
        return frozenset()
    rows = await connection.fetch(
        "SELECT id FROM message WHERE id = ANY($1::uuid[]) AND EXISTS (SELECT FROM message AS other"
        " WHERE (other.recipient, other.appointment, other.kind, other.due_at)"
        " = (message.recipient, message.appointment, message.kind, message.due_at) AND other.id <> message.id)",
        list(ids),
    )
    return frozenset(row["id"] for row in rows)


async def count_overdue(connection: Connection, now: datetime) -> int:
    """How many messages wait, or are being sent, although `expires_at` has passed."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM message WHERE finished_at IS NULL AND next_attempt_at <= $1 AND expires_at < $1",
        now,
    )
    return count


async def next_due(connection: Connection, now: datetime, channels: Collection[str]) -> datetime | None:
    """When the next message of these channels is due (maybe in the past); None if there is none."""
    moment: datetime | None = await connection.fetchval(
        "SELECT least("
        "(SELECT next_attempt_at FROM message WHERE finished_at IS NULL AND status = 'planned'"
        " AND channel = ANY($2::text[]) ORDER BY next_attempt_at LIMIT 1),"
        # What is being sent was due.
        " (SELECT min(lease_until) FROM message WHERE finished_at IS NULL AND next_attempt_at <= $1"
        " AND status = 'sending' AND channel = ANY($2::text[])))",
        now,
        list(channels),
    )
    return moment


async def claim(connection: Connection, claimed: Sequence[Claimed], lease_until: datetime) -> None:
    """Claim due, locked messages until `lease_until`, by their current channels."""
    if claimed:
        await connection.execute(
            "UPDATE message SET status = 'sending', lease_until = $1, attempts = attempts + 1,"
            " counted_for = coalesce(given.mailbox, counted_for), channel = given.channel"
            " FROM unnest($2::uuid[], $3::bytea[], $4::text[]) AS given (id, mailbox, channel)"
            " WHERE message.id = given.id",
            lease_until,
            [one.message.id for one in claimed],
            [one.mailbox for one in claimed],
            [one.message.channel for one in claimed],
        )


async def put_off(connection: Connection, put_off: Sequence[tuple[Message, datetime]]) -> None:
    """Put due, locked messages off until then, untried."""
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
    """Close due, locked messages untried; returns them as closed."""
    if closed:
        await connection.execute(
            "UPDATE message SET status = given.status, reason = given.reason, finished_at = $1, lease_until = NULL,"
            " attempts = attempts + 1, channel = given.channel"
            " FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS given (id, status, reason, channel)"
            " WHERE message.id = given.id",
            now,
            [message.id for message, _ in closed],
            [closing.status for _, closing in closed],
            [closing.reason for _, closing in closed],
            [message.channel for message, _ in closed],
        )
    return [
        replace(message, status=closing.status, reason=closing.reason, finished_at=now)
        for message, closing in closed
    ]


async def superseded_since(connection: Connection, claimed: Sequence[Message]) -> Mapping[UUID, bool]:
    """Whether each claimed message has been superseded since. Leaves out those whose claim was lost: another sender has
    them."""
    rows = await connection.fetch(
        "SELECT id, superseded FROM message JOIN unnest($1::uuid[], $2::integer[]) AS given (id, number) USING (id)"
        " WHERE status = 'sending' AND attempts = number",
        [message.id for message in claimed],
        [message.attempts for message in claimed],
    )
    return {row["id"]: row["superseded"] for row in rows}


async def keep(
    connection: Connection, claimed: Sequence[Message], lease_until: datetime
) -> Mapping[UUID, bool]:
    """As `superseded_since`, and renew the lease."""
    rows = await connection.fetch(
        f"WITH {_CLAIMED}"
        " UPDATE message SET lease_until = $1"
        " FROM locked JOIN unnest($2::uuid[], $3::integer[]) AS given (id, attempts) USING (id)"
        f" WHERE {_STILL_CLAIMED} RETURNING message.id, superseded",
        lease_until,
        [message.id for message in claimed],
        [message.attempts for message in claimed],
    )
    return {row["id"]: row["superseded"] for row in rows}


async def release(connection: Connection, claimed: Sequence[Message], next_attempt_at: datetime) -> None:
    """Give claimed messages back untried, for a later look."""
    await connection.execute(
        f"WITH {_CLAIMED}"
        " UPDATE message SET status = 'planned', lease_until = NULL, attempts = message.attempts - 1,"
        " next_attempt_at = $1 FROM locked JOIN unnest($2::uuid[], $3::integer[]) AS given (id, attempts) USING (id)"
        f" WHERE {_STILL_CLAIMED}",
        next_attempt_at,
        [message.id for message in claimed],
        [message.attempts for message in claimed],
    )
    announce(connection, CHANNEL)


async def finish(
    connection: Connection, finished: Sequence[tuple[Message, Closing | Postponement]], now: datetime
) -> list[Message]:
    """Close claimed messages or plan another attempt. Cancels a message to be tried again that has been superseded
    meanwhile. Returns the messages as changed, without those whose claim was lost."""
    if not finished:
        return []
    claimed = {message.id: message for message, _ in finished}
    ends = [end for _, end in finished]
    rows = await connection.fetch(
        f"WITH {_CLAIMED}"
        " UPDATE message SET lease_until = NULL, next_attempt_at = coalesce(given.again_at, next_attempt_at),"
        " spent = spent + given.spends,"
        f" status = CASE WHEN {_GIVEN_UP} THEN 'cancelled' ELSE given.status END,"
        f" reason = CASE WHEN {_GIVEN_UP} THEN 'superseded' ELSE given.reason END,"
        f" finished_at = CASE WHEN given.again_at IS NULL OR superseded THEN $1::timestamptz END"
        " FROM locked JOIN unnest($2::uuid[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[],"
        " $7::integer[]) AS given (id, attempts, status, reason, again_at, spends) USING (id)"
        f" WHERE {_STILL_CLAIMED} RETURNING message.id, message.status, message.reason, message.finished_at",
        now,
        [message.id for message, _ in finished],
        [message.attempts for message, _ in finished],
        [end.status if isinstance(end, Closing) else Status.PLANNED for end in ends],
        [end.reason if isinstance(end, Closing) else None for end in ends],
        [None if isinstance(end, Closing) else end.at for end in ends],
        [0 if isinstance(end, Closing) else end.spends for end in ends],
    )
    return [
        replace(
            claimed[row["id"]],
            status=Status(row["status"]),
            reason=row["reason"],
            finished_at=row["finished_at"],
        )
        for row in rows
    ]


async def add_attempts(connection: Connection, attempts: Sequence[tuple[UUID, Attempt]]) -> None:
    """Put down tries of the messages that are still kept; errors are cut to `ERROR_CHARS_MAX` characters."""
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
        " $7::text[], $8::text[]) AS tried (message, at, result, smtp_code, error, message_id, sent_to, subject)"
        " WHERE EXISTS (SELECT FROM message WHERE message.id = tried.message)",
        *[list(column) for column in zip(*rows, strict=True)],
    )


async def forget(connection: Connection, recipient: str) -> list[UUID]:
    """Delete all messages to a recipient, with their attempts; their ids."""
    rows = await connection.fetch(
        f"WITH {_ALL_FOR} DELETE FROM message USING locked WHERE message.id = locked.id RETURNING message.id",
        recipient,
    )
    return [row["id"] for row in rows]


async def prune(connection: Connection, before: datetime, limit: int) -> list[UUID]:
    """Delete at most `limit` messages closed before this instant, with their attempts; their ids."""
    rows = await connection.fetch(
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE finished_at < $1 LIMIT $2)"
        " RETURNING id",
        before,
        limit,
    )
    return [row["id"] for row in rows]


def _as_planned(planned: Planned, now: datetime) -> Message:
    message = planned.message
    return Message(
        id=message.id,
        appointment=message.appointment,
        recipient=message.recipient,
        kind=message.kind,
        rule=message.rule,
        channel=message.channel,
        planned_at=now,
        due_at=message.due_at,
        expires_at=message.expires_at,
        status=Status.PLANNED,
        reason=None,
        event=planned.event,
        attempts=0,
        superseded=False,
        finished_at=None,
        counted_for=None,
        spent=0,
    )


def _with_event(row: asyncpg.Record) -> Message:
    return _message(row, load_event(row["event"]))


def _message(row: asyncpg.Record, event: AppointmentEvent) -> Message:
    values = {name: row[name] for name in _FIELDS}
    return Message(
        **{**values, "kind": Kind(values["kind"]), "status": Status(values["status"]), "event": event}
    )

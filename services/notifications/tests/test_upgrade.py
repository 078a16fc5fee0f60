"""From the version in which each message had its event: what is pending is still sent, and says what it said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from creneau_notifications.domain.appointment import Change
from creneau_notifications.storage.snapshot import dump_event
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.messaging.failures import TRANSIENT

from .conftest import Service
from .factories import BOOKED_AT, PATIENT, START, event
from .mailbox import Mailbox

REVISION = "0018"
APPOINTMENT = "0193a5c0-6f00-7c31-8a55-000000000001"
MOVED = event(Change.MOVED, 2, id=APPOINTMENT, version=2, previous_start=START - timedelta(days=1))
"""what the pending messages tell of"""
LATER = event(Change.MOVED, 2, id=APPOINTMENT, version=3, sequence=1)
"""what the version before kept of the appointment, when something else had changed: not from when it was moved"""
# As the version before wrote them.
_STATE = (
    "INSERT INTO appointment_state (appointment, version, recipient, ends_at, event)"
    " VALUES ($1, $2, $3, $4, $5::text::jsonb)"
)
_MESSAGE = (
    "INSERT INTO message (id, appointment, recipient, kind, rule, channel, planned_at, due_at, expires_at, next_attempt_at,"
    " event) SELECT id, appointment, recipient, kind, rule, channel, $1, due_at, expires_at, due_at, event::jsonb"
    " FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],"
    " $9::timestamptz[], $10::text[])"
    " AS planned (id, appointment, recipient, kind, rule, channel, due_at, expires_at, event)"
    " ON CONFLICT (id) DO NOTHING RETURNING id, status, reason, event, attempts"
)
_WITHDRAW = (
    "UPDATE message SET superseded = true, status = 'cancelled', reason = 'superseded', finished_at = $2"
    " WHERE appointment = ANY($1::text[]) RETURNING id, status, reason, event, attempts"
)
_PUT_DOWN = (
    "UPDATE message SET status = given.status, reason = given.reason, finished_at = $1, lease_until = NULL"
    " FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::text[]) AS given (id, attempts, status, reason)"
    " WHERE message.id = given.id AND message.status = 'sending' AND message.attempts = given.attempts"
    " RETURNING message.id, message.reason, message.event, message.attempts"
)


def config(url: str) -> Config:
    made = Config()
    made.set_main_option("script_location", str(find_migrations("creneau_notifications")))
    made.attributes["url"] = url
    return made


async def plan_as_before(connection: asyncpg.Connection, number: int, kind: str, appointment: str) -> None:
    due = BOOKED_AT if kind == "change" else START - timedelta(days=2)
    await connection.execute(
        _MESSAGE,
        BOOKED_AT,
        [f"00000000-0000-5000-8000-{number:012}"],
        [appointment],
        [PATIENT],
        [kind],
        ["2-days" if kind == "reminder" else ""],
        ["email"],
        [due],
        [START],
        [dump_event(replace(MOVED, appointment=replace(MOVED.appointment, id=appointment)))],
    )


@pytest.fixture
async def template(new_database: Callable[..., str]) -> str:
    """A database brought from the version before to the present one, with two messages to be sent about one appointment, and
    one about another of which nothing is known any more."""
    url = new_database()
    script = ScriptDirectory.from_config(config(url)).get_revision(REVISION)
    assert script is not None
    await asyncio.to_thread(command.upgrade, config(url), str(script.down_revision))
    connection = await asyncpg.connect(url)
    kept = LATER.appointment
    await connection.execute(_STATE, kept.id, kept.version, kept.patient, kept.end, dump_event(LATER))
    await plan_as_before(connection, 1, "change", APPOINTMENT)
    await plan_as_before(connection, 2, "reminder", APPOINTMENT)
    await plan_as_before(connection, 3, "reminder", "known-no-more")
    await connection.close()
    await migrate(find_migrations("creneau_notifications"), url)
    return url.rpartition("/")[2]


async def test_what_was_pending_is_sent_and_says_what_it_said(service: Service, mailbox: Mailbox) -> None:
    await service.learn()
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    [mail] = mailbox.mails
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "lundi 30 novembre" in plain.get_content(), "from when it was moved"
    service.at(START - timedelta(days=2))
    await sender.send_due()
    assert [row["status"] for row in await service.messages() if row["event"]] == ["sent"] * 3


async def test_what_was_pending_is_withdrawn(service: Service) -> None:
    await service.learn()
    await service.hear(event(Change.CANCELLED, 4, id=APPOINTMENT, version=4))
    rows = await service.messages()
    assert {
        row["status"] for row in rows if row["appointment"] == APPOINTMENT and row["kind"] != "cancellation"
    } == {"cancelled"}


async def test_a_worker_of_the_version_before_waits_and_buries_nothing(service: Service) -> None:
    """It could not read what this version has planned. What it had in hand it may still put down."""
    connection = await asyncpg.connect(service.url)
    with pytest.raises(TRANSIENT):
        await plan_as_before(connection, 5, "change", APPOINTMENT)
    with pytest.raises(TRANSIENT):
        await connection.fetch(_WITHDRAW, [APPOINTMENT], BOOKED_AT)
    await connection.execute(
        "UPDATE message SET status = 'sending', lease_until = now(), attempts = 1 WHERE kind = 'change'"
    )
    id_ = UUID("00000000-0000-5000-8000-000000000001")
    [row] = await connection.fetch(_PUT_DOWN, BOOKED_AT, [id_], [1], ["sent"], [None])
    assert row["event"] is not None
    await connection.close()


async def test_there_is_a_way_back(service: Service) -> None:
    await service.learn()
    await service.hear(event())
    await asyncio.to_thread(command.downgrade, config(service.url), f"{REVISION}-1")
    rows = await service.messages()
    assert {json.loads(row["event"])["appointment"]["id"] for row in rows} == {
        APPOINTMENT, event().appointment.id, "known-no-more"
    }  # fmt: skip
    await migrate(find_migrations("creneau_notifications"), service.url)

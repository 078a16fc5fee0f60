"""Somebody leaves: they are told of what was cancelled, then nothing of them is left, whatever arrives late."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.delivery.ledger import Ledger, Outcome
from creneau_notifications.domain.appointment import Change
from creneau_notifications.domain.contact import Contact
from creneau_notifications.jobs import Departures
from creneau_notifications.messaging.consumers import CONTACT_TYPE, CONTACTS, ERASED_TYPE
from creneau_notifications.storage import departures as storage
from creneau_notifications.storage.messages import Attempt, Closing, Status

from .factories import APPOINTMENT, PATIENT, event
from .test_messaging import Bus

CANARY = Contact(PATIENT, "Canari Canariname", "canarimail@example.org", "+33639980077", "fr")
WORDS = ("canari", "39980077", "Patient/")


def example() -> dict[str, Any]:
    events = Path(__file__).parents[3] / "shared" / "contracts" / "events"
    data: dict[str, Any] = json.loads(
        (events / "booking" / "examples" / "patient.erased.v1.json").read_text()
    )
    return data


@pytest.fixture
def departures(service):
    return Departures(service.database, service.clock, interval_s=1)


async def erase(service, data: dict[str, Any] | None = None, *, cancelled: tuple[str, ...] = (APPOINTMENT,)):
    """Both records as booking publishes them: the event, then the tombstone."""
    now = service.clock.now()
    told = {
        **example(),
        "patient": PATIENT,
        "cancelled": list(cancelled),
        "forgetBy": (now + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    bus = Bus(service)
    bus.count = 1000
    await bus.tell(CONTACTS, ERASED_TYPE, PATIENT, told)
    await bus.tell(CONTACTS, ERASED_TYPE, PATIENT, None)


async def left(service) -> list[str]:
    """The rows of any table in which the person can be recognised; the record of their departure names an id."""
    connection = service.database.pool
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    found = []
    for (table,) in tables:
        async with service.database.connection() as open_:
            await open_.execute("SET bytea_output = 'escape'")
            rows = await open_.fetch(f"SELECT t::text FROM {table} AS t")
            await open_.execute("RESET bytea_output")
        for (row,) in rows:
            if any(word in row for word in WORDS) and table not in ("departure", "audit"):
                found.append(f"{table}: {row}")
    return found


async def drain(service, mailbox) -> None:
    sender = service.smtp_sender(mailbox)
    while await sender.send_due():
        pass


async def test_they_are_told_of_the_cancellation_before_they_are_forgotten(service, mailbox, departures):
    await service.learn(contact=CANARY)
    await service.hear(event())
    await drain(service, mailbox)
    await erase(service)
    assert await departures.forget_due() == 0
    await service.hear(event(Change.CANCELLED, 2, version=2, cancelled_by="patient"))
    assert await departures.forget_due() == 0
    await drain(service, mailbox)
    assert str(CANARY.email) in str(mailbox.mails[-1]["To"])
    assert "annulé" in mailbox.mails[-1]["Subject"]
    assert await departures.forget_due() == 1
    assert await left(service) == []
    assert await departures.forget_due() == 0


async def test_only_cancellations_are_still_told(service, mailbox, departures):
    await service.learn(contact=CANARY)
    await service.hear(event())
    await erase(service)
    assert {status for status, _ in (await service.statuses()).values()} == {"cancelled"}
    await drain(service, mailbox)
    assert mailbox.mails == []


async def test_whoever_cannot_be_told_is_forgotten_all_the_same_when_the_time_has_come(
    service, mailbox, departures
):
    """The mail server refuses for now, again and again: the promise to forget holds."""
    await service.learn(contact=CANARY)
    await service.hear(event())
    await erase(service)
    await service.hear(event(Change.CANCELLED, 2, version=2, cancelled_by="patient"))
    mailbox.faults = ["RCPT 451 later"] * 50
    await service.smtp_sender(mailbox).send_due()
    service.clock.advance(timedelta(hours=23))
    assert await departures.forget_due() == 0
    service.clock.advance(timedelta(hours=2))
    assert await departures.forget_due() == 1
    assert await left(service) == []


async def test_whoever_leaves_and_was_never_reached_is_not_kept_for_what_cannot_be_told(
    service, mailbox, departures
):
    """No contact is learnt of somebody who leaves."""
    await erase(service)
    await service.hear(event(Change.CANCELLED, 2, version=2, cancelled_by="patient"))
    await drain(service, mailbox)
    assert await departures.forget_due() == 1
    assert await left(service) == []


async def test_nothing_but_cancellations_is_planned_for_whoever_leaves(service, mailbox, departures):
    """What happened before arrives after the erasure: appointments and people have topics of their own."""
    await service.learn(contact=CANARY)
    await erase(service)
    await service.hear(event())
    await drain(service, mailbox)
    assert mailbox.mails == []
    await service.hear(event(Change.CANCELLED, 2, version=2, cancelled_by="patient"))
    await drain(service, mailbox)
    assert ["annulé" in mail["Subject"] for mail in mailbox.mails] == [True]
    assert await departures.forget_due() == 1


async def test_what_is_being_planned_as_somebody_leaves_is_withdrawn(service, departures):
    """Two consumers, neither of which sees what the other has not committed: the later one waits, then sees it."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory')"
    )
    await service.learn(contact=CANARY)
    async with asyncio.TaskGroup() as rivals, service.database.transaction() as connection:
        await service.notifications.appointments_changed(connection, [event()])
        erasing = rivals.create_task(erase(service))
        while not erasing.done() and not await service.database.pool.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert {status for status, _ in (await service.statuses()).values()} == {"cancelled"}


@pytest.mark.parametrize("erased", [True, False])
async def test_what_is_in_a_sender_s_hands_is_not_tried_again(service, mailbox, erased):
    """Nor once whoever had it in hand is gone."""
    await service.learn(contact=CANARY)
    await service.hear(event())
    await service.database.pool.execute(
        "UPDATE message SET status = 'sending', lease_until = $1 WHERE kind = 'confirmation'",
        service.clock.now() + timedelta(minutes=5),
    )
    if erased:
        await erase(service)
    else:
        await Bus(service).tell(CONTACTS, CONTACT_TYPE, PATIENT, None)
        service.clock.advance(timedelta(seconds=1))
        await service.learn(contact=CANARY)
    service.clock.advance(timedelta(minutes=6))
    await drain(service, mailbox)
    assert mailbox.mails == []
    assert (await service.statuses())["confirmation"] == ("cancelled", "superseded")


async def test_a_sender_that_is_late_puts_nothing_down_of_whoever_was_forgotten(service, departures):
    await service.learn(contact=CANARY)
    await service.hear(event())
    claimed, _ = await service.sender(LoggedEmails())._claim()
    await erase(service, cancelled=())
    service.clock.advance(timedelta(hours=25))
    assert await departures.forget_due() == 1
    tried = Attempt(service.clock.now(), "accepted", sent_to=CANARY.email)
    ledger = Ledger(service.database, service.communications, service.clock)
    await ledger.put_down(Outcome(claimed[0].message, Closing(Status.SENT, None), tried))
    assert await left(service) == []


async def test_a_message_in_a_sender_s_hands_is_waited_for(service, departures):
    await service.learn(contact=CANARY)
    await service.hear(event())
    await erase(service)
    await service.database.pool.execute(
        "UPDATE message SET status = 'sending', finished_at = NULL, lease_until = $1 WHERE kind = 'confirmation'",
        service.clock.now() + timedelta(hours=30),
    )
    service.clock.advance(timedelta(hours=25))
    assert await departures.forget_due() == 0
    service.clock.advance(timedelta(hours=6))
    assert await departures.forget_due() == 1


async def test_a_log_that_is_read_again_brings_nobody_back(service, mailbox, departures):
    """Contacts of before, appointments of before: neither is learnt again, neither before nor after forgetting."""
    await service.learn(contact=CANARY)
    await erase(service, cancelled=())
    await service.learn(contact=replace(CANARY, name="Canari Revenant"))
    assert await departures.forget_due() == 1
    await service.learn(contact=CANARY)
    await service.hear(event())
    await drain(service, mailbox)
    assert mailbox.mails == []
    assert await left(service) == []


async def test_the_tombstone_alone_says_it_too(service, departures):
    """A consumer that was away until the topic was compacted learns of the erasure by the tombstone."""
    await service.learn(contact=CANARY)
    await service.hear(event())
    await Bus(service).tell(CONTACTS, ERASED_TYPE, PATIENT, None)
    assert await departures.forget_due() == 1
    assert await left(service) == []


async def test_where_a_message_went_is_kept_with_it_and_no_longer(service, mailbox, departures):
    await service.learn(contact=CANARY)
    await service.hear(event())
    await drain(service, mailbox)
    [row] = await service.database.pool.fetch("SELECT sent_to, subject FROM attempt")
    assert row["sent_to"] == "canarimail@example.org"
    assert row["subject"] == mailbox.mails[0]["Subject"]
    await erase(service, cancelled=())
    await departures.forget_due()
    assert await service.database.pool.fetchval("SELECT count(*) FROM attempt") == 0


async def test_one_who_cannot_be_forgotten_keeps_nobody_else_from_being_so(service, departures, monkeypatch):
    """A statement that takes too long, for one person, every time; once it no longer does, they are forgotten too."""
    bus = Bus(service)
    for person in ("Patient/long", PATIENT):
        await bus.tell(CONTACTS, ERASED_TYPE, person, None)
        service.clock.advance(timedelta(seconds=1))
    forget = storage.forget

    async def hindered(connection, recipient, now):
        if recipient == "Patient/long":
            await connection.execute("SET LOCAL statement_timeout = 1")
            await connection.execute("SELECT pg_sleep(60)")
        return await forget(connection, recipient, now)

    with monkeypatch.context() as hindrance:
        hindrance.setattr(storage, "forget", hindered)
        assert await departures.forget_due() == 1
    undone = "SELECT recipient FROM departure WHERE done_at IS NULL"
    assert [tuple(row) for row in await service.database.pool.fetch(undone)] == [("Patient/long",)]
    assert await departures.forget_due() == 1


async def test_who_leaves_is_found_in_the_trail_without_reading_it(service):
    """Of three years of months each has an index of what patients asked; those that are made from now on too."""
    async with service.database.connection() as connection:
        await connection.execute("SELECT make_month('audit', '2031-01-01Z')")
        months = await connection.fetchval("SELECT count(*) FROM partitions_of('audit')")
        of_all = await connection.fetchval(
            "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
            " WHERE inhparent = 'ix_audit_own'::regclass AND indisvalid"
        )
        whole = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_audit_own'::regclass"
        assert await connection.fetchval(whole)
    assert of_all == months

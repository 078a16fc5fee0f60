"""Somebody leaves: they are told of what was cancelled, then nothing of them is left, whatever arrives late."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from creneau_notifications.domain.appointment import Change
from creneau_notifications.domain.contact import Contact
from creneau_notifications.jobs import Departures
from creneau_notifications.messaging.consumers import CONTACTS, ERASED_TYPE

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

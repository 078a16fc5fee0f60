"""Hearing of appointments, contacts and facts: what is planned and withdrawn, on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from creneau_notifications.domain.appointment import AppointmentEvent, Change
from creneau_shared.fhir.json import loads

from .conftest import Service
from .factories import CAMILLE, LOCATION, PATIENT, START, event
from .mailbox import Mailbox


async def test_a_booking_is_planned_and_visible_as_communications(service):
    await service.learn()
    await service.hear(event())
    assert await service.statuses() == {
        "confirmation": ("planned", None),
        "7-days": ("planned", None),
        "2-days": ("planned", None),
        "2-hours": ("planned", None),
    }
    for message in await service.messages():
        if message["kind"] == "confirmation":
            continue  # it leaves at once, and is shown once it has
        communication = await service.communication(message["id"])
        assert communication["status"] == "preparation"
        assert communication["recipient"] == [{"reference": PATIENT}]
        assert "sent" not in communication


async def test_an_event_heard_twice_plans_once(service):
    await service.learn()
    await service.hear(event())
    before = await service.messages()
    await service.hear(event())
    await service.hear(event(number=2))
    assert await service.messages() == before


async def test_an_older_version_that_arrives_late_does_no_harm(service):
    await service.learn()
    await service.hear(event(Change.CANCELLED, 2, version=2))
    await service.hear(event(version=1))
    assert await service.statuses() == {"cancellation": ("planned", None)}


async def test_a_move_withdraws_and_plans_anew(service):
    await service.learn()
    await service.hear(event())
    before = {row["id"] for row in await service.messages()}
    moved = event(Change.MOVED, 2, version=2, start=START + timedelta(days=2), previous_start=START)
    await service.hear(moved)
    rows = await service.messages()
    assert {(r["status"], r["reason"]) for r in rows if r["id"] in before} == {("cancelled", "superseded")}
    assert sum(r["status"] == "planned" for r in rows) == 4
    withdrawn = next(r for r in rows if r["status"] == "cancelled")
    communication = await service.communication(withdrawn["id"])
    assert communication["status"] == "not-done"
    assert communication["meta"]["versionId"] == ("1" if withdrawn["kind"] == "confirmation" else "2")


async def test_an_update_that_changes_nothing_told_keeps_the_reminders_and_their_ids(service):
    await service.learn()
    await service.hear(event())
    before = [r["id"] for r in await service.messages()]
    await service.hear(event(Change.UPDATED, 2, version=2))
    rows = await service.messages()
    assert [r["id"] for r in rows] == before
    assert {r["status"] for r in rows} == {"planned"}
    await service.learn(contact=replace(CAMILLE, phone="+33639980009"))
    assert [r["id"] for r in await service.messages()] == before


async def test_a_hold_that_is_let_go_tells_nothing(service):
    await service.learn()
    await service.hear(event(Change.HELD, 1, status="pending"))
    await service.hear(event(Change.CANCELLED, 2, version=2))
    assert await service.messages() == []


async def test_a_telephone_number_added_later_brings_the_text_message(service):
    await service.learn(contact=replace(CAMILLE, phone=None))
    await service.hear(event())
    assert "2-hours" not in await service.statuses()
    await service.learn(contact=CAMILLE)
    assert (await service.statuses())["2-hours"] == ("planned", None)
    assert len(await service.messages()) == 4


async def test_a_forgotten_contact_is_told_nothing_more(service):
    await service.learn()
    await service.hear(event())
    async with service.database.transaction() as connection:
        await service.notifications.contact_deleted(connection, PATIENT, service.clock.now())
    assert set((await service.statuses()).values()) == {("cancelled", "contact-deleted")}
    assert await service.database.pool.fetchval("SELECT count(*) FROM recipient") == 0


async def test_whoever_is_reached_again_is_reminded(service):
    """A record was put out of use by mistake, and its contact is told anew; the visit stands."""
    await service.learn()
    await service.hear(event())
    async with service.database.transaction() as connection:
        await service.notifications.contact_deleted(connection, PATIENT, service.clock.now())
    await service.learn()
    found = await service.statuses()
    assert {name: status for name, (status, _) in found.items()} == {
        "confirmation": "cancelled",
        "7-days": "planned",
        "2-days": "planned",
        "2-hours": "planned",
    }
    for row in await service.messages():
        shown = await status_shown(service, row["id"])
        assert shown == ("not-done" if row["kind"] == "confirmation" else "preparation")


async def test_an_older_contact_read_again_does_not_replace_a_newer_one(service):
    """Nor is anything planned by it."""
    await service.learn(contact=replace(CAMILLE, phone=None))
    await service.hear(event())
    service.clock.advance(-timedelta(days=1))
    await service.learn(contact=replace(CAMILLE, email="old@example.org"))
    assert await service.database.pool.fetchval("SELECT email FROM recipient") == CAMILLE.email
    assert "2-hours" not in await service.statuses()


async def test_no_message_row_holds_personal_data(service):
    await service.learn()
    await service.hear(event())
    for row in await service.messages():
        assert "Camille" not in repr(row)
        assert "@" not in repr(row)


@pytest.mark.parametrize("contact_first", [True, False])
async def test_who_registers_and_books_at_once_is_reminded_by_every_channel(service, contact_first):
    """Two consumers, neither of which sees what the other has not committed: the later one waits, then sees it."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory')"
    )

    async def first(connection):
        if contact_first:
            await service.notifications.contact_changed(connection, CAMILLE, service.clock.now())
        else:
            await service.notifications.appointments_changed(connection, [event()])

    async with asyncio.TaskGroup() as rivals, service.database.transaction() as connection:
        await first(connection)
        second = rivals.create_task(
            service.hear(event()) if contact_first else service.learn(contact=CAMILLE, facts=())
        )
        while not second.done() and not await service.database.pool.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert "2-hours" in await service.statuses()


async def status_shown(service, message: object) -> str | None:
    """The status of the message's Communication, if there is one."""
    content = await service.database.pool.fetchval(
        "SELECT content FROM communication WHERE id = $1", str(message)
    )
    return loads(content)["status"] if content is not None else None


async def test_what_leaves_at_once_is_shown_once_something_has_become_of_it(service, mailbox):
    """Written once: as sent, as waiting for another attempt, or as withdrawn; until then the reminders are there."""
    await service.learn()
    await service.hear(event())
    (confirmation,) = [row for row in await service.messages() if row["kind"] == "confirmation"]
    assert await status_shown(service, confirmation["id"]) is None
    await service.smtp_sender(mailbox).send_due()
    assert await status_shown(service, confirmation["id"]) == "completed"


async def test_events_heard_together_end_as_one_by_one(service):
    """A batch is a matter of speed: twice the same appointment in it, an old version, a move, somebody else's."""
    other = replace(event(number=10).appointment, id="another")
    heard = [
        event(),
        replace(event(number=10), appointment=other),
        event(Change.MOVED, 2, version=2, start=START + timedelta(days=2), previous_start=START),
        event(number=3, version=1),
        event(Change.CANCELLED, 4, version=3, start=START + timedelta(days=2)),
    ]

    async def outcome() -> list[tuple[object, ...]]:
        rows = sorted(await service.messages(), key=lambda row: str(row["id"]))
        shown = [await status_shown(service, row["id"]) for row in rows]
        return [
            (row["id"], row["appointment"], row["status"], row["reason"], state)
            for row, state in zip(rows, shown, strict=True)
        ]

    await service.learn()
    async with service.database.transaction() as connection:
        await service.notifications.appointments_changed(connection, heard)
    together = await outcome()
    await service.database.pool.execute(
        "TRUNCATE message, appointment_state, communication, resource_history CASCADE"
    )
    for one in heard:
        await service.hear(one)
    assert together == await outcome()
    assert {row[1] for row in together} == {event().appointment.id, "another"}
    assert len({row[2] for row in together}) == 2, "some are withdrawn and some are planned"


def moved_to(days: int, before: int, version: int) -> AppointmentEvent:
    """From one day to another, counted from the first."""
    start, previous = START + timedelta(days=days), START + timedelta(days=before)
    return event(
        Change.MOVED, version, version=version, sequence=version - 1, start=start, previous_start=previous
    )


async def said_of_before(service: Service, mailbox: Mailbox) -> str:
    """What the last mail says of when the visit was before."""
    sender = service.smtp_sender(mailbox)
    while await sender.send_due():
        pass
    body = mailbox.mails[-1].get_body(("plain",))
    assert body is not None
    lines = str(body.get_content()).splitlines()
    return next((line for line in lines if "Il était prévu" in line), "")


async def test_a_move_is_told_from_the_time_that_the_patient_was_told(
    service: Service, mailbox: Mailbox
) -> None:
    """Of the first move nothing had left."""
    await service.learn()
    await service.hear(event())
    await said_of_before(service, mailbox)
    await service.hear(moved_to(1, 0, version=2))
    await service.hear(moved_to(2, 1, version=3))
    assert "mardi 1er décembre" in await said_of_before(service, mailbox)
    await service.hear(moved_to(3, 2, version=4))
    assert "jeudi 3 décembre" in await said_of_before(service, mailbox)


async def test_another_professional_is_told_with_the_move_that_had_not_left(
    service: Service, mailbox: Mailbox
) -> None:
    await service.learn()
    await service.hear(event())
    await said_of_before(service, mailbox)
    await service.hear(moved_to(1, 0, version=2))
    other = event(Change.UPDATED, 3, version=3, start=START + timedelta(days=1), actors=(LOCATION.reference,))
    await service.hear(other)
    assert "mardi 1er décembre" in await said_of_before(service, mailbox)


async def test_a_move_back_before_the_first_has_left_names_no_other_time(
    service: Service, mailbox: Mailbox
) -> None:
    await service.learn()
    await service.hear(event())
    await said_of_before(service, mailbox)
    await service.hear(moved_to(1, 0, version=2))
    await service.hear(moved_to(0, 1, version=3))
    assert await said_of_before(service, mailbox) == ""
    await service.hear(moved_to(2, 0, version=4))
    assert "mardi 1er décembre" in await said_of_before(service, mailbox)


async def test_a_cancellation_tells_the_time_that_the_patient_was_told(
    service: Service, mailbox: Mailbox
) -> None:
    """Of the moves nothing had left; the subject is what they know, and what came between is said besides."""
    await service.learn()
    await service.hear(event())
    await said_of_before(service, mailbox)
    await service.hear(moved_to(1, 0, version=2))
    await service.hear(moved_to(2, 1, version=3))
    await service.hear(
        event(Change.CANCELLED, 4, version=4, start=START + timedelta(days=2), cancelled_by="provider")
    )
    await said_of_before(service, mailbox)
    mail = mailbox.mails[-1]
    assert "mardi 1er décembre" in str(mail["Subject"])
    body = mail.get_body(("plain",))
    assert body is not None
    lines = str(body.get_content()).splitlines()
    assert any("déplacé au jeudi 3 décembre" in line for line in lines)
    assert "mardi 1er décembre" in next(line for line in lines if line.startswith("Quand"))


async def test_a_cancellation_tells_the_time_of_a_move_that_was_told(
    service: Service, mailbox: Mailbox
) -> None:
    await service.learn()
    await service.hear(event())
    await service.hear(moved_to(1, 0, version=2))
    await said_of_before(service, mailbox)
    await service.hear(event(Change.CANCELLED, 3, version=3, start=START + timedelta(days=1)))
    await said_of_before(service, mailbox)
    assert "mercredi 2 décembre" in str(mailbox.mails[-1]["Subject"])


async def test_a_move_before_anything_was_told_names_no_time_before(
    service: Service, mailbox: Mailbox
) -> None:
    await service.learn()
    await service.hear(event())
    await service.hear(moved_to(1, 0, version=2))
    await service.hear(moved_to(2, 1, version=3))
    assert await said_of_before(service, mailbox) == ""


async def test_one_who_cannot_be_reached_takes_the_time_before_from_nobody(
    service: Service, mailbox: Mailbox
) -> None:
    """The other patient of the visit has heard of each move."""
    other = "Patient/0193a5c0-0003-7000-8000-000000000002"
    await service.learn()
    await service.hear(event(others=(other,)))
    await said_of_before(service, mailbox)
    first = moved_to(1, 0, version=2)
    await service.hear(replace(first, appointment=replace(first.appointment, others=(other,))))
    await said_of_before(service, mailbox)
    second = moved_to(2, 1, version=3)
    await service.hear(replace(second, appointment=replace(second.appointment, others=(other,))))
    assert "mercredi 2 décembre" in await said_of_before(service, mailbox)

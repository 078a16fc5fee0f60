"""A visit of several patients: each is told by themselves, and nothing of the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from creneau_notifications.domain.appointment import AppointmentEvent, Change
from creneau_notifications.domain.contact import Contact
from creneau_notifications.jobs import Departures
from creneau_notifications.messaging.readers import read_appointment

from .conftest import Service
from .factories import BOOKED_AT, CAMILLE, PATIENT, START, event
from .mailbox import Mailbox
from .test_departures import CANARY, drain, erase, left
from .test_messaging import example

WAITING = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
"""whether a session waits for another"""
DENIS = Contact("Patient/denis", "Denis Exemple", "denis@example.org", "+33639980044", "en", True, True)


def both(change: Change = Change.BOOKED, number: int = 1, **changes: Any) -> AppointmentEvent:
    return event(change, number, others=(DENIS.recipient,), **changes)


async def planned(service: Service, contact: Contact) -> dict[str, tuple[str, Any]]:
    """(status, id) of what is for somebody, by kind or rule."""
    rows = [row for row in await service.messages() if row["recipient"] == contact.recipient]
    return {row["rule"] or row["kind"]: (row["status"], row["id"]) for row in rows}


@pytest.fixture
async def known(service: Service) -> Service:
    await service.learn()
    await service.learn(contact=DENIS)
    return service


async def test_each_is_told_and_none_reads_of_the_other(known: Service, mailbox: Mailbox) -> None:
    await known.hear(both())
    hers, his = await planned(known, CAMILLE), await planned(known, DENIS)
    assert hers.keys() == his.keys() == {"confirmation", "7-days", "2-days", "2-hours"}
    await drain(known, mailbox)
    mails = {str(mail["To"].addresses[0].addr_spec): mail.as_string() for mail in mailbox.mails}
    assert mails.keys() == {CAMILLE.email, DENIS.email}
    assert "denis" not in mails[str(CAMILLE.email)].lower()
    assert "camille" not in mails[str(DENIS.email)].lower()
    await known.hear(both(Change.CANCELLED, 2, version=2))
    for contact in (CAMILLE, DENIS):
        now = await planned(known, contact)
        assert {name: status for name, (status, _) in now.items()} == {
            "confirmation": "sent",
            **dict.fromkeys(("7-days", "2-days", "2-hours"), "cancelled"),
            "cancellation": "planned",
        }


async def test_the_ids_are_those_that_a_visit_of_one_has(known: Service) -> None:
    await known.hear(both())
    told = await planned(known, CAMILLE)
    await known.database.pool.execute(
        "TRUNCATE message, appointment_state, communication, resource_history CASCADE"
    )
    await known.hear(event())
    assert await planned(known, CAMILLE) == told


async def test_whoever_comes_is_told_and_whoever_goes_is_reminded_no_more(known: Service) -> None:
    """To the other it is no news."""
    await known.hear(event())
    hers = await planned(known, CAMILLE)
    await known.hear(both(Change.UPDATED, 2, version=2))
    assert await planned(known, CAMILLE) == hers
    his = await planned(known, DENIS)
    assert his.keys() == {"confirmation", "7-days", "2-days", "2-hours"}
    for contact in (CAMILLE, DENIS):
        known.clock.advance(timedelta(minutes=1))
        await known.learn(contact=contact)
    assert (await planned(known, CAMILLE), await planned(known, DENIS)) == (hers, his), (
        "nobody is reminded twice"
    )
    await known.hear(event(Change.UPDATED, 3, version=3))
    assert await planned(known, CAMILLE) == hers
    assert {status for status, _ in (await planned(known, DENIS)).values()} == {"cancelled"}


async def test_whoever_comes_back_is_reminded(known: Service) -> None:
    """Taken off the visit by mistake, say: what was withdrawn then is planned once more."""
    await known.hear(event())
    await known.hear(both(Change.UPDATED, 2, version=2))
    his = await planned(known, DENIS)
    await known.hear(event(Change.UPDATED, 3, version=3))
    await known.hear(both(Change.UPDATED, 4, version=4))
    back = await planned(known, DENIS)
    reminders = ("7-days", "2-days", "2-hours")
    assert {name: back[name] for name in reminders} == {name: his[name] for name in reminders}
    shown = [(await known.communication(back[name][1]))["status"] for name in reminders]
    assert set(shown) == {"preparation"}


@pytest.mark.parametrize("instead", [DENIS.recipient, None], ids=["another's", "nobody's"])
async def test_of_a_visit_that_becomes_anothers_nobody_is_reminded_whose_number_arrives_at_once(
    known: Service, instead: str | None
) -> None:
    """Their contact is heard of beside it, and must not see the visit as theirs still."""
    without = replace(CAMILLE, phone=None)
    known.clock.advance(timedelta(minutes=1))
    await known.learn(contact=without, facts=())
    await known.hear(event())
    async with asyncio.TaskGroup() as rivals, known.database.transaction() as connection:
        becomes = event(Change.UPDATED, 2, version=2, patient=instead)
        await known.notifications.appointments_changed(connection, [becomes])
        known.clock.advance(timedelta(minutes=1))
        learning = rivals.create_task(known.learn(contact=CAMILLE, facts=()))
        while not learning.done() and not await known.database.pool.fetchval(WAITING):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert {status for status, _ in (await planned(known, CAMILLE)).values()} == {"cancelled"}


async def test_a_move_is_told_to_each_and_whoever_is_reached_later_is_reminded(service: Service) -> None:
    await service.learn()
    await service.hear(both())
    await service.hear(
        both(Change.MOVED, 2, version=2, start=START + timedelta(days=1), previous_start=START)
    )
    assert (await planned(service, DENIS))["change"][0] == "planned"
    await service.learn(contact=DENIS)
    assert (await planned(service, DENIS)).keys() >= {"7-days", "2-days", "2-hours"}


@pytest.mark.parametrize("first", [True, False])
async def test_whoever_is_erased_is_forgotten_and_the_other_still_reminded(
    service: Service, mailbox: Mailbox, first: bool
) -> None:
    await service.learn(contact=CANARY)
    await service.learn(contact=DENIS)
    people = (PATIENT, DENIS.recipient) if first else (DENIS.recipient, PATIENT)
    await service.hear(event(patient=people[0], others=people[1:]))
    await erase(service, cancelled=())
    await drain(service, mailbox)
    assert await Departures(service.database, service.clock, interval_s=1).forget_due() == 1
    assert [row for row in await left(service) if PATIENT in row or "anari" in row] == []
    assert (await planned(service, DENIS))["2-days"][0] == "planned"
    await service.hear(event(Change.CANCELLED, 2, version=2, patient=people[0], others=people[1:]))
    assert (await planned(service, DENIS))["cancellation"][0] == "planned"
    assert await planned(service, CANARY) == {}


def test_all_patients_are_read_from_the_event() -> None:
    data = example("booking/appointment.booked.v1")
    kind = "fr.creneau.booking.appointment.booked.v1"
    assert read_appointment("1", kind, BOOKED_AT, data).appointment.patients == (data["patient"],)
    several = {**data, "patients": [data["patient"], DENIS.recipient]}
    assert read_appointment("1", kind, BOOKED_AT, several).appointment.patients == (PATIENT, DENIS.recipient)

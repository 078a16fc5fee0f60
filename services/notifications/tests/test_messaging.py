"""The example events of the contracts, through the consumers' handlers, onto a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from creneau_notifications.domain.appointment import Mode
from creneau_notifications.domain.visit import Turn
from creneau_notifications.messaging.consumers import (
    ACCOUNT_TYPE,
    ACCOUNTS,
    APPOINTMENTS,
    CONTACT_TYPE,
    CONTACTS,
    RESOURCE_TYPE,
    RESOURCES,
    consumers,
)
from creneau_notifications.messaging.readers import MOMENTS_MAX, read_appointment, read_fact
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.messaging.events import ReceivedEvent

from .factories import BOOKED_AT, START

EVENTS = Path(__file__).parents[3] / "shared" / "contracts" / "events"
SETTINGS = NotificationsSettings(database_url="postgresql://unused/unused")


def example(path: str) -> dict[str, Any]:
    producer, _, name = path.partition("/")
    data: dict[str, Any] = json.loads((EVENTS / producer / "examples" / f"{name}.json").read_text())
    return data


def received(
    number: int,
    topic: str,
    event_type: str,
    key: str,
    data: dict[str, Any] | None,
    apart: timedelta = timedelta(seconds=1),
) -> ReceivedEvent:
    return ReceivedEvent(
        topic=topic,
        key=key,
        type=event_type,
        subject=key,
        source="/creneau/test",
        data=data,
        time=BOOKED_AT + number * apart,
        id=UUID(int=number),
        partition=0,
        offset=number,
        raw=None,
        generation=1,
    )


class Bus:
    """Hands events to the service's own consumers."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.count = 0
        self.apart = timedelta(seconds=1)
        self.by_topic = {
            consumer.topics: consumer
            for consumer in consumers(service.notifications, service.database, SETTINGS, service.clock)
        }

    async def tell(self, topic: str, event_type: str, key: str, data: dict[str, Any] | None) -> ReceivedEvent:
        self.count += 1
        event = received(self.count, topic, event_type, key, data, self.apart)
        await self.hear(event)
        return event

    async def hear(self, event: ReceivedEvent) -> None:
        await self.by_topic[(event.topic,)].effects.apply([event])

    async def read_again(self, event: ReceivedEvent) -> None:
        """As a rebuild does, and the replay of a letter: the inbox does not know it."""
        await self.service.database.pool.execute("DELETE FROM inbox WHERE event_id = $1", event.id)
        await self.hear(event)

    async def appointment(self, change: str, variant: str = "") -> None:
        data = example(f"booking/appointment.{change}.v1{variant}")
        await self.tell(
            APPOINTMENTS, f"fr.creneau.booking.appointment.{change}.v1", data["appointment"], data
        )

    async def contact(self, variant: str = "") -> None:
        data = example(f"booking/contact.changed.v1{variant}")
        await self.tell(CONTACTS, CONTACT_TYPE, data["recipient"], data)

    async def resource(self, name: str) -> None:
        data = example(f"directory/resource.changed.v1.{name}")
        key = f"{data['resource']['resourceType']}/{data['resource']['id']}"
        await self.tell(RESOURCES, RESOURCE_TYPE, key, data)


@pytest.fixture
def bus(service):
    return Bus(service)


@pytest.fixture
def over_days(bus):
    """What is told on one day is read again on another."""
    bus.apart = timedelta(days=1)


async def drain(service, mailbox):
    sender = service.smtp_sender(mailbox)
    while await sender.send_due():
        pass


async def test_the_life_of_an_appointment_from_booking_to_cancellation(service, mailbox, bus):
    await bus.contact()
    await bus.resource("practitioner")
    await bus.resource("location")
    await bus.appointment("held")
    for change in ("booked", "moved", "cancelled"):
        await bus.appointment(change)
        service.clock.advance(timedelta(seconds=10))
        await drain(service, mailbox)
    assert [mail["Subject"] for mail in mailbox.mails] == [
        "Votre rendez-vous du mardi 1er décembre à 10\u00a0h",
        "Votre rendez-vous est modifié\u00a0: jeudi 3 décembre à 15\u00a0h\u00a030",
        "Votre rendez-vous du jeudi 3 décembre à 15\u00a0h\u00a030 est annulé",
    ]
    assert (
        "Il était prévu le mardi 1er décembre à 10\u00a0h."
        in mailbox.mails[1].get_body(("plain",)).get_content()
    )
    assert "planned" not in {status for status, _ in (await service.statuses()).values()}


async def test_events_that_overtake_each_other_end_in_the_same_message(service, mailbox, bus):
    """The appointment before the contact, the contact before the place: the message waits for all of them."""
    await bus.appointment("booked")
    await drain(service, mailbox)
    await bus.contact()
    await bus.resource("location")
    service.clock.advance(timedelta(seconds=2))
    await drain(service, mailbox)
    assert mailbox.mails == []
    await bus.resource("practitioner")
    service.clock.advance(timedelta(seconds=2))
    await drain(service, mailbox)
    [mail] = mailbox.mails
    text = mail.get_body(("plain",)).get_content()
    assert "Dr Agathe Lefèvre" in text
    assert "Cabinet médical du Marais, 12 rue des Exemples, 75004 Paris" in text


async def test_a_role_leads_to_its_person_and_its_place_overseas(service, mailbox, bus):
    await bus.contact()
    for name in ("practitioner-role", "practitioner.overseas", "location.overseas"):
        await bus.resource(name)
    await bus.appointment("booked", ".overseas-video")
    service.clock.advance(timedelta(seconds=10))
    await drain(service, mailbox)
    [mail] = mailbox.mails
    assert mail["Subject"] == "Votre rendez-vous du mardi 1er décembre à 9\u00a0h (heure de La Réunion)"
    text = mail.get_body(("plain",)).get_content()
    assert "Dr Jules Hoarau" in text
    assert "En téléconsultation" in text
    assert "Appelez le 0262 99 00 02." in text


async def test_a_lapsed_hold_leaves_no_trace_for_the_patient(service, mailbox, bus):
    await bus.contact()
    await bus.appointment("held")
    await bus.appointment("hold-expired")
    await drain(service, mailbox)
    assert (mailbox.mails, await service.messages()) == ([], [])


async def test_a_visit_that_took_place_is_not_reminded_of(service, mailbox, bus):
    await bus.contact()
    await bus.appointment("booked")
    await bus.appointment("updated")
    assert set((await service.statuses()).values()) == {("cancelled", "superseded")}


async def test_tombstones_forget(service, bus):
    await bus.contact()
    await bus.resource("practitioner")
    contact, resource = example("booking/contact.changed.v1"), "Practitioner/prat-lefevre"
    await bus.tell(CONTACTS, CONTACT_TYPE, contact["recipient"], None)
    await bus.tell(RESOURCES, RESOURCE_TYPE, resource, None)
    assert await service.database.pool.fetchval("SELECT count(*) FROM recipient") == 0
    in_use = "SELECT count(*) FROM directory_fact WHERE active"
    assert await service.database.pool.fetchval(in_use) == 0, "and the rest once its last messages have left"


def test_names_places_and_zones_are_read_from_the_resources():
    practitioner, _ = read_fact(example("directory/resource.changed.v1.practitioner"), BOOKED_AT)
    location, _ = read_fact(example("directory/resource.changed.v1.location"), BOOKED_AT)
    overseas, _ = read_fact(example("directory/resource.changed.v1.location.overseas"), BOOKED_AT)
    assert practitioner.name == "Dr Agathe Lefèvre"
    assert location.address == ("12 rue des Exemples", "75004 Paris")
    assert (location.phone, location.zone) == ("+33199000001", "Europe/Paris")
    assert overseas.zone == "Indian/Reunion", "by its postal code"
    room = example("directory/resource.changed.v1.location")
    room["resource"]["partOf"] = {"reference": "Location/site"}
    assert read_fact(room, BOOKED_AT)[0].part_of == "Location/site"


@pytest.mark.parametrize(
    ("said", "active"), [({}, True), ({"active": False}, False), ({"status": "suspended"}, False)]
)
def test_whether_it_is_in_use_and_until_when_is_read_from_the_resource(said, active):
    data = example("directory/resource.changed.v1.practitioner")
    period = {"start": "2026-11-01", "end": "2026-11-28"}
    data["resource"] |= {"period": period, "organization": {"reference": "Organization/o"}, **said}
    fact, _ = read_fact(data, BOOKED_AT)
    assert (fact.active, fact.organization) == (active, "Organization/o")
    assert fact.since == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert fact.until == datetime(2026, 11, 28, 23, tzinfo=UTC), "the last day is a day of it"


async def test_a_number_and_a_name_are_told_as_they_are_when_a_message_leaves(service, bus, mailbox):
    """The number until the end of November, and the name of before she married, are known since the summer."""
    practitioner = example("directory/resource.changed.v1.practitioner")
    [name] = practitioner["resource"]["name"]
    later = {**name, "family": "Payet", "period": {"start": "2026-11-29"}}
    practitioner["resource"]["name"] = [{**name, "period": {"end": "2026-11-28"}}, later]
    location = example("directory/resource.changed.v1.location")
    location["resource"]["telecom"] = [
        {"system": "phone", "value": "+33199000001", "period": {"end": "2026-11-28"}},
        {"system": "phone", "value": "+33199000002", "period": {"start": "2026-11-29"}},
    ]
    await bus.contact()
    for told in (practitioner["resource"], location["resource"]):
        await bus.tell(RESOURCES, RESOURCE_TYPE, f"{told['resourceType']}/{told['id']}", {"resource": told})
    await bus.appointment("booked")
    service.clock.advance(timedelta(seconds=10))
    sender = service.smtp_sender(mailbox)
    await sender.send_due()
    service.at(START - timedelta(days=2))
    await sender.send_due()
    first, *after = [mail.get_body(("plain",)).get_content() for mail in mailbox.mails]
    assert "Dr Agathe Lefèvre" in first
    assert "01 99 00 00 01" in first
    assert after
    for text in after:
        assert "Dr Agathe Payet" in text
        assert "01 99 00 00 02" in text
        assert "Lefèvre" not in text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"use": "old"}, False),
        ({"period": {"end": "2026-10-31"}}, False),
        ({"period": {"end": f"{START - timedelta(days=1):%Y-%m-%d}"}}, False),
        ({"period": {"start": f"{START:%Y-%m-%d}"}}, True),
        ({"period": {"start": "2020-01-01", "end": f"{START:%Y-%m-%d}"}}, True),
    ],
    ids=["former", "over", "over before the visit", "begins with the visit", "holds"],
)
async def test_an_address_is_told_if_it_is_one_when_the_visit_takes_place(service, bus, mailbox, said, told):
    """Whoever is told goes there then, however long before the message leaves."""
    location = example("directory/resource.changed.v1.location")
    location["resource"]["address"] |= said
    [line] = location["resource"]["address"]["line"]
    practitioner = example("directory/resource.changed.v1.practitioner")
    await bus.contact()
    for one in (practitioner["resource"], location["resource"]):
        await bus.tell(RESOURCES, RESOURCE_TYPE, f"{one['resourceType']}/{one['id']}", {"resource": one})
    await bus.appointment("booked")
    service.clock.advance(timedelta(seconds=10))
    await service.smtp_sender(mailbox).send_due()
    [mail] = mailbox.mails
    text = mail.get_body(("plain",)).get_content()
    assert (line in text) is told
    assert location["resource"]["name"] in text


def turned(*telecom: dict[str, Any]) -> list[Turn]:
    data = example("directory/resource.changed.v1.practitioner-role")
    data["resource"]["telecom"] = [{"system": "phone", **said} for said in telecom]
    return list(read_fact(data, BOOKED_AT)[0].turns)


def test_a_turn_is_where_another_number_is_told_and_no_other_period():
    """One that is over, one that never comes first, and one that ends as the next begins."""
    december, january = (datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert turned(
        {"value": "1", "rank": 1, "period": {"end": "2026-11-30"}},
        {"value": "2", "rank": 1, "period": {"start": "2026-12-01", "end": "2026-12-31"}},
        {"value": "3", "rank": 1, "period": {"end": "2026-10-31"}},
        {"value": "4", "rank": 2, "period": {"start": "2026-12-10", "end": "2026-12-20"}},
        {"value": "5", "use": "old", "period": {"start": "2027-01-01"}},
    ) == [Turn(december, None, "2", ()), Turn(january, None, None, ())]


def test_of_thousands_of_periods_the_next_are_read():
    """Whoever may write an entry of the directory holds no consumer up."""
    days = (date(2026, 12, 1) + timedelta(days=number) for number in range(4000))
    many = [
        {"value": day.isoformat(), "period": {"start": day.isoformat(), "end": day.isoformat()}}
        for day in days
    ]
    assert [turn.phone for turn in turned(*many)] == [said["value"] for said in many[:MOMENTS_MAX]]


def test_declined_participants_are_not_told_of():
    data = example("booking/appointment.booked.v1")
    data["actors"][0]["status"] = "declined"
    read = read_appointment("1", "fr.creneau.booking.appointment.booked.v1", BOOKED_AT, data)
    assert read.appointment.actors == ("Location/lieu-marais",)
    assert read.appointment.mode is Mode.PRACTICE


@pytest.mark.parametrize(
    "said", [{"reason": "pat-dec"}, {"reason": "other", "recordEnded": True}], ids=["dead", "out of use"]
)
async def test_whoever_has_died_is_told_nothing_of_it(service, bus, said):
    """Their visits may be heard of before their contact ends."""
    await bus.contact()
    await bus.appointment("booked")
    cancelled = example("booking/appointment.cancelled.v1.by-provider")
    cancelled["cancellation"] = {"by": "provider", **said}
    await bus.tell(
        APPOINTMENTS, "fr.creneau.booking.appointment.cancelled.v1", cancelled["appointment"], cancelled
    )
    assert set((await service.statuses()).values()) == {("cancelled", "superseded")}


FAMILY = example("booking/account.changed.v1.parent-and-carer")
ALONE = example("booking/account.changed.v1") | {"account": FAMILY["account"]}
CONTACT = example("booking/contact.changed.v1")
PLACE = example("directory/resource.changed.v1.location")
KEPT = {
    ACCOUNTS: ("account", FAMILY["account"], ACCOUNT_TYPE, FAMILY),
    CONTACTS: ("contact", CONTACT["recipient"], CONTACT_TYPE, CONTACT),
    RESOURCES: ("fact", f"Location/{PLACE['resource']['id']}", RESOURCE_TYPE, PLACE),
}
"""by topic: what is kept of it, its key, and an event that says it is there"""


async def kept(service: Any) -> tuple[int, int, int]:
    """How many people accounts act for, recipients, and what is in use of the directory."""
    row = await service.database.pool.fetchrow(
        "SELECT (SELECT count(*) FROM account_person), (SELECT count(*) FROM recipient),"
        " (SELECT count(*) FROM directory_fact WHERE active)"
    )
    return tuple(row)


@pytest.mark.usefixtures("over_days")
async def test_a_right_that_has_ended_does_not_come_back_with_what_is_read_again(service, bus):
    """A letter that is replayed, or a topic from its beginning: who was represented is so no more, at no moment."""
    before = await bus.tell(ACCOUNTS, ACCOUNT_TYPE, FAMILY["account"], FAMILY)
    after = await bus.tell(ACCOUNTS, ACCOUNT_TYPE, FAMILY["account"], ALONE)
    await bus.read_again(before)
    assert await kept(service) == (1, 0, 0)
    await bus.read_again(after)
    assert await kept(service) == (1, 0, 0)


@pytest.mark.usefixtures("over_days")
@pytest.mark.parametrize("topic", KEPT)
async def test_what_is_gone_does_not_come_back_with_what_is_read_again(service, bus, topic):
    _, key, type_, data = KEPT[topic]
    said = await bus.tell(topic, type_, key, data)
    gone = await bus.tell(topic, type_, key, None)
    await bus.read_again(said)
    assert await kept(service) == (0, 0, 0)
    there = await bus.tell(topic, type_, key, data)
    present = await kept(service)
    assert sum(present) > 0, "it is there once more"
    await bus.read_again(gone)
    assert await kept(service) == present, "and that it was gone is no news"
    await bus.read_again(there)
    assert await kept(service) == present


@pytest.mark.usefixtures("over_days")
@pytest.mark.parametrize("topic", KEPT)
async def test_of_two_machines_whose_clocks_differ_the_later_word_holds(service, bus, topic):
    """In the log they stand in the order in which they were said; a second is no proof of another one."""
    _, key, type_, data = KEPT[topic]
    said = await bus.tell(topic, type_, key, data)
    await bus.hear(replace(said, data=None, id=UUID(int=99), time=said.time - timedelta(seconds=2)))
    assert await kept(service) == (0, 0, 0)


MOVED = CONTACT | {"email": "nouvelle@exemple.fr"}
ELSEWHERE = {
    "resource": PLACE["resource"]
    | {
        "name": "Ailleurs",
        "meta": {"versionId": "9", "lastUpdated": (BOOKED_AT - timedelta(seconds=2)).isoformat()},
    }
}
SAID_AT = {**PLACE["resource"], "meta": {"versionId": "8", "lastUpdated": BOOKED_AT.isoformat()}}


@pytest.mark.parametrize(
    ("topic", "before", "after", "column"),
    [
        (CONTACTS, CONTACT, MOVED, "email FROM recipient"),
        (RESOURCES, {"resource": SAID_AT}, ELSEWHERE, "name FROM directory_fact"),
    ],
    ids=["contact", "fact"],
)
async def test_of_two_states_told_within_seconds_the_later_in_the_log_is_kept(
    service, bus, topic, before, after, column
):
    """The machine that took the second change is two seconds behind: messages go to the address that was given last. What
    is read again from the beginning says the same."""
    _, key, type_, _ = KEPT[topic]
    first = await bus.tell(topic, type_, key, before)
    late = first.time - timedelta(seconds=2)
    second = replace(first, data=after, id=UUID(int=99), time=late)
    await bus.hear(second)
    expected = after.get("email") or after["resource"]["name"]
    assert await service.database.pool.fetchval(f"SELECT {column}") == expected
    for number, event in enumerate((first, second), start=100):
        await bus.hear(replace(event, id=UUID(int=number)))
    assert await service.database.pool.fetchval(f"SELECT {column}") == expected


@pytest.mark.usefixtures("over_days")
@pytest.mark.parametrize("topic", KEPT)
async def test_an_end_that_is_heard_alone_stands_before_what_comes_late(service, bus, topic):
    """What it ended could not be handled then: its letter is replayed days later."""
    _, key, type_, data = KEPT[topic]
    letter = received(1, topic, type_, key, data)
    bus.count = 1
    await bus.tell(topic, type_, key, None)
    await bus.hear(letter)
    assert await kept(service) == (0, 0, 0)


@pytest.mark.usefixtures("over_days")
@pytest.mark.parametrize("topic", KEPT)
async def test_what_a_rebuild_has_swept_comes_back_with_the_same_word(service, bus, topic):
    name, key, type_, data = KEPT[topic]
    said = await bus.tell(topic, type_, key, data)
    present = await kept(service)
    async with service.database.transaction() as connection:
        await getattr(service.notifications, f"{name}_missing")(connection, key)
    assert await kept(service) == (0, 0, 0)
    await bus.read_again(said)
    assert await kept(service) == present


@pytest.mark.usefixtures("over_days")
@pytest.mark.parametrize("topic", KEPT)
async def test_what_was_kept_by_the_version_before_takes_whatever_comes(service, bus, topic):
    """It has no word yet; from then on it has one."""
    _, key, type_, data = KEPT[topic]
    await bus.tell(topic, type_, key, data)
    await service.database.pool.execute("DELETE FROM last_word")
    end = await bus.tell(topic, type_, key, None)
    assert await kept(service) == (0, 0, 0)
    assert await service.database.pool.fetchval("SELECT said_at FROM last_word") == end.time


async def test_for_whom_an_account_acts_is_as_the_last_event_says(service) -> None:
    """The whole of it each time; a tombstone leaves nothing."""
    bus = Bus(service)
    rows = "SELECT patient, oneself, until FROM account_person ORDER BY patient"
    for variant, count in (("", 1), (".parent-and-carer", 3), ("", 1)):
        data = example(f"booking/account.changed.v1{variant}")
        await bus.tell(ACCOUNTS, ACCOUNT_TYPE, data["account"], data)
        assert len(await service.database.pool.fetch(rows)) == count
    await bus.tell(ACCOUNTS, ACCOUNT_TYPE, data["account"], None)
    assert await service.database.pool.fetch(rows) == []

"""Several of a series that changed together are one message, which lists them; reminders stay one a visit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pytest
from icalendar import Calendar

from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.channels.registry import CHANNELS
from creneau_notifications.domain.appointment import AppointmentEvent, Change, Occurrence
from creneau_notifications.domain.plan import Kind, plan
from creneau_notifications.messaging.readers import read_appointment
from creneau_notifications.rendering.calendar import calendar_file
from creneau_notifications.rendering.letter import compose
from creneau_notifications.storage.snapshot import dump_event, load_event

from .conftest import Service
from .factories import BOOKED_AT, CAMILLE, SITE, START, event, occasion, visit
from .mailbox import Mailbox

BOTH = {name: channel.rules for name, channel in CHANNELS.items()}
WEEKS = tuple(
    Occurrence(f"rdv-{n}", START + n * timedelta(days=7), START + n * timedelta(days=7, minutes=20), 0)
    for n in range(3)
)


def booked_together(change: Change = Change.BOOKED) -> AppointmentEvent:
    return replace(event(change, id="rdv-0"), together=WEEKS)


async def hear_all(service: Service, *, known: bool = False) -> None:
    """The three of the series, one of which tells of all; nothing has left yet."""
    if not known:
        await service.learn()
    for number, one in enumerate(WEEKS):
        told = event(number=number + 1, id=one.appointment, start=one.start, end=one.end)
        tells = {"together": WEEKS} if number == 0 else {"told_elsewhere": True}
        await service.hear(replace(told, **tells))


async def sent(service: Service, mailbox: Mailbox) -> list[str]:
    sender = service.smtp_sender(mailbox)
    while await sender.send_due():
        pass
    return [str(mail["Subject"]) for mail in mailbox.mails]


@pytest.mark.parametrize("number", [0, 1])
async def test_one_that_is_moved_before_all_are_confirmed_leaves_the_others(
    service: Service, mailbox: Mailbox, number: int
) -> None:
    """Whether or not it is the one whose event tells of all: the mail server refused for now."""
    await hear_all(service)
    moved = event(Change.MOVED, 9, version=2, id=f"rdv-{number}", start=START + timedelta(days=40))
    await service.hear(moved)
    assert sorted(await sent(service, mailbox)) == [
        f"Vos 2 rendez-vous à partir du mardi {'1er' if number else '8'} décembre à 10\u00a0h",
        "Votre rendez-vous est modifié\u00a0: dimanche 10 janvier à 10\u00a0h",
    ]


async def test_the_last_one_that_is_left_is_told_as_one(service: Service, mailbox: Mailbox) -> None:
    await hear_all(service)
    for number in (0, 1):
        await service.hear(event(Change.CANCELLED, 10 + number, version=2, id=f"rdv-{number}"))
    assert "Votre rendez-vous du mardi 15 décembre à 10\u00a0h" in await sent(service, mailbox)


async def test_what_none_of_them_is_any_more_is_not_told(service: Service, mailbox: Mailbox) -> None:
    await hear_all(service)
    cancelled = tuple(replace(one, sequence=1) for one in WEEKS)
    for number, one in enumerate(WEEKS):
        told = event(Change.CANCELLED, 20 + number, version=2, id=one.appointment, start=one.start)
        tells = {"together": cancelled} if number == 0 else {"told_elsewhere": True}
        await service.hear(replace(told, **tells))
    assert await sent(service, mailbox) == [
        "Vos 3 rendez-vous à partir du mardi 1er décembre à 10\u00a0h sont annulés"
    ]
    assert (await service.statuses())["confirmation"] == ("cancelled", "superseded")


async def test_one_that_is_hidden_is_not_told_with_the_others(service: Service, mailbox: Mailbox) -> None:
    await hear_all(service)
    await service.hear(event(Change.UPDATED, 9, version=2, id="rdv-1", start=WEEKS[1].start, hidden=True))
    later = tuple(replace(one, sequence=2) for one in WEEKS)
    await service.hear(replace(event(Change.CANCELLED, 10, version=3, id="rdv-0"), together=later))
    assert await sent(service, mailbox) == [
        "Votre rendez-vous du mardi 15 décembre à 10\u00a0h",
        "Vos 2 rendez-vous à partir du mardi 1er décembre à 10\u00a0h sont annulés",
    ]


async def test_one_that_is_only_amended_is_still_confirmed_with_the_others(
    service: Service, mailbox: Mailbox
) -> None:
    await hear_all(service)
    await service.hear(event(Change.UPDATED, 9, version=2, id="rdv-0", end=WEEKS[0].end))
    assert await sent(service, mailbox) == ["Vos 3 rendez-vous à partir du mardi 1er décembre à 10\u00a0h"]


@pytest.mark.parametrize(
    ("change", "kind"), [(Change.BOOKED, Kind.CONFIRMATION), (Change.CANCELLED, Kind.CANCELLATION)]
)
def test_one_event_tells_and_the_others_do_not(change: Change, kind: Kind) -> None:
    teller = booked_together(change)
    known = None if change is Change.BOOKED else event().appointment
    for one, told in ((teller, [kind]), (replace(teller, together=(), told_elsewhere=True), [])):
        found = plan(one, known=known, now=BOOKED_AT, zone=visit().zone, channels=BOTH).messages
        assert [m.kind for m in found if m.kind is not Kind.REMINDER] == told
        reminded = {m.kind for m in found} & {Kind.REMINDER}
        assert reminded == ({Kind.REMINDER} if change is Change.BOOKED else set())


def test_it_lists_the_dates() -> None:
    letter = compose(occasion(event=booked_together()))
    assert letter.subject == "Vos 3 rendez-vous à partir du mardi 1er décembre à 10\u00a0h"
    assert letter.lead == ("Vos rendez-vous sont confirmés.",)
    label, dates = letter.details[0]
    assert (label, [date[:20] for date in dates]) == (
        "Quand",
        ["mardi 1er décembre 2", "mardi 8 décembre 202", "mardi 15 décembre 20"],
    )
    reminder = compose(occasion(Kind.REMINDER, event=booked_together()))
    assert reminder.subject.startswith("Rappel\u00a0: votre rendez-vous")
    assert len(reminder.details[0][1]) == 1


def test_the_calendar_file_has_each_under_its_own_uid() -> None:
    """PUBLISH, because REQUEST and CANCEL are about one appointment (RFC 5546)."""
    for kind, status in ((Kind.CONFIRMATION, "CONFIRMED"), (Kind.CANCELLATION, "CANCELLED")):
        content = calendar_file(occasion(kind, event=booked_together()), "rdv@exemple.fr", "Créneau")
        calendar = Calendar.from_ical(content)
        assert calendar["METHOD"] == "PUBLISH"
        events = calendar.walk("VEVENT")
        assert [one["UID"] for one in events] == [f"rdv-{n}@creneau" for n in range(3)]
        assert [one.decoded("DTSTART") for one in events] == [one.start for one in WEEKS]
        assert {one["STATUS"] for one in events} == {status}


def links(file: str) -> dict[str, tuple[bool, bool]]:
    """Of each entry of a calendar file, by its UID, whether its address and its words lead to a visit."""
    return {
        str(one["UID"]): ("/rdv/" in str(one.get("URL")), "/rdv/" in str(one["DESCRIPTION"]))
        for one in Calendar.from_ical(file).walk("VEVENT")
    }


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_a_link_stands_beside_the_visit_that_it_opens_and_no_other(
    service: Service, mailbox: Mailbox
) -> None:
    """It reads, moves and cancels one: that of the event that tells of all."""
    await hear_all(service)
    await sent(service, mailbox)
    [mail] = mailbox.mails
    assert links(next(mail.iter_attachments()).get_content()) == {
        "rdv-0@creneau": (True, True),
        "rdv-1@creneau": (False, False),
        "rdv-2@creneau": (False, False),
    }
    assert f"{SITE}/rdv/" in text_of(mail)


async def test_a_message_that_leaves_out_the_visit_of_its_link_leads_to_the_site(
    service: Service, mailbox: Mailbox
) -> None:
    await hear_all(service)
    await service.hear(event(Change.MOVED, 9, version=2, id="rdv-0", start=START + timedelta(days=40)))
    await sent(service, mailbox)
    mail = next(mail for mail in mailbox.mails if "Vos 2" in str(mail["Subject"]))
    assert set(links(next(mail.iter_attachments()).get_content()).values()) == {(False, False)}
    text = text_of(mail)
    assert SITE in text
    assert "/rdv/" not in text


async def test_a_text_that_leaves_out_the_visit_of_its_link_leads_to_the_site(service: Service) -> None:
    """The last that is left is another than the one whose event told of all."""
    await service.learn(contact=replace(CAMILLE, email=None))
    await hear_all(service, known=True)
    for number in (0, 1):
        await service.hear(event(Change.CANCELLED, 10 + number, version=2, id=f"rdv-{number}"))
    texts: list[str] = []

    class Sms:
        async def send(self, number: str, text: str) -> None:
            texts.append(text)

    sender = service.sender(LoggedEmails(), Sms())
    while await sender.send_due():
        pass
    confirmed = next(text for text in texts if "15" in text and "annul" not in text.split(".")[0])
    assert SITE in confirmed
    assert "/rdv/" not in confirmed


def test_what_the_event_says_is_kept() -> None:
    data = {
        "appointment": "rdv-0",
        "version": 1,
        "status": "booked",
        "start": "2026-12-01T09:00:00Z",
        "end": "2026-12-01T09:20:00Z",
        "actors": [],
        "serviceType": [],
        "sequence": 0,
        "series": {
            "id": "s",
            "occurrences": [
                {
                    "appointment": one.appointment,
                    "start": one.start.isoformat(),
                    "end": one.end.isoformat(),
                    "sequence": 0,
                }
                for one in WEEKS
            ],
        },
    }
    kind = "fr.creneau.booking.appointment.booked.v1"
    read = load_event(dump_event(read_appointment("e", kind, BOOKED_AT, data)))
    assert (read.together, read.told_elsewhere) == (WEEKS, False)
    other = read_appointment("e", kind, BOOKED_AT, {**data, "series": {"id": "s"}})
    assert (other.together, load_event(dump_event(other)).told_elsewhere) == ((), True)

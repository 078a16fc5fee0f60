"""Whoever has no e-mail address that serves is told by text message what others are told by e-mail, and nobody twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from creneau_notifications.channels.channel import DeliveryError
from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.channels.sms.render import SMS_CHARS, build_sms
from creneau_notifications.domain.allowance import Allowance
from creneau_notifications.domain.appointment import Change, Occurrence
from creneau_notifications.domain.plan import Kind

from .factories import BOOKED_AT, CAMILLE, LOCATION, PRACTITIONER, SITE, START, event, occasion

WITH_A_MOBILE = replace(CAMILLE, email=None)
WITH_BOTH = CAMILLE
NIGHT = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
"""two o'clock in Paris, the day before the visit"""
MORNING = datetime(2026, 11, 30, 7, 0, tzinfo=UTC)


@dataclass
class Phone:
    """What comes to telephones: number and text. `faults`: what goes wrong first."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    faults: list[DeliveryError] = field(default_factory=list)

    async def send(self, number: str, text: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.texts.append((number, text))


class Letters(LoggedEmails):
    """How many e-mails left."""

    def __init__(self) -> None:
        self.count = 0

    async def send(self, sender: str, recipient: str, content: bytes) -> None:
        self.count += 1


@pytest.fixture
def phone() -> Phone:
    return Phone()


@pytest.fixture
def letters() -> Letters:
    return Letters()


async def drained(sender) -> None:
    while await sender.send_due():
        pass


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (event(), "Rendez-vous confirmé : mardi 1er décembre à 10 h. Déplacer ou annuler : "),
        (
            event(Change.MOVED, 2, version=2, previous_start=START - timedelta(days=1)),
            "Rendez-vous modifié : mardi 1er décembre à 10 h. Déplacer ou annuler : ",
        ),
        (
            event(Change.CANCELLED, 2, version=2, cancelled_by="provider"),
            "Rendez-vous annulé par le cabinet : mardi 1er décembre à 10 h. Voir : ",
        ),
        (
            event(Change.CANCELLED, 2, version=2, cancelled_by="patient"),
            "Rendez-vous annulé : mardi 1er décembre à 10 h. Voir : ",
        ),
        (
            event(Change.CANCELLED, 2, version=2, cancelled_by="provider", awaited=True),
            "Demande non acceptée par le cabinet : mardi 1er décembre à 10 h. Voir : ",
        ),
        (
            event(Change.CANCELLED, 2, version=2, cancelled_by="system", awaited=True),
            "Demande restée sans réponse : mardi 1er décembre à 10 h. Voir : ",
        ),
    ],
    ids=["booked", "moved", "cancelled", "cancelled by themselves", "refused", "unanswered"],
)
async def test_what_happens_is_told_at_once_in_one_message(service, phone, letters, told, says):
    await service.learn(contact=WITH_A_MOBILE)
    await service.hear(told)
    await drained(service.sender(letters, phone))
    [(number, text)] = phone.texts
    assert number == CAMILLE.phone
    assert text.startswith(f"{says}{SITE}/rdv/")
    assert len(text) <= SMS_CHARS
    assert letters.count == 0
    [row] = [row for row in await service.messages() if row["status"] == "sent"]
    shown = await service.communication(row["id"])
    assert shown["medium"][0]["coding"][0]["code"] == "SMSWRIT", "as it went, not as it was planned"
    assert shown["status"] == "completed"


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", [Kind.CONFIRMATION, Kind.CHANGE, Kind.CANCELLATION])
def test_each_fits_into_one_message_in_each_language(kind, language):
    """On a Wednesday in September, the longest day there is."""
    longest = event(start=datetime(2027, 9, 22, 8, 0, tzinfo=UTC), cancelled_by="provider")
    text = build_sms(occasion(kind, event=longest, contact=replace(WITH_A_MOBILE, language=language)))
    assert len(text) <= SMS_CHARS
    for by in ("provider", "system"):
        ended = replace(longest, change=Change.CANCELLED, cancelled_by=by, awaited=True)
        told = build_sms(
            occasion(Kind.CANCELLATION, event=ended, contact=replace(WITH_A_MOBILE, language=language))
        )
        assert len(told) <= SMS_CHARS
    if kind is Kind.CANCELLATION:
        assert "Déplacer" not in text
        assert "Move" not in text


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Kind.CONFIRMATION, "3 rendez-vous confirmés à partir du mardi 1er décembre à 10 h."),
        (Kind.CHANGE, "3 rendez-vous modifiés, à partir du mardi 1er décembre à 10 h."),
        (
            Kind.CANCELLATION,
            "3 rendez-vous annulés par le cabinet, à partir du mardi 1er décembre à 10 h.",
        ),
    ],
)
def test_a_series_is_one_message(kind, says):
    visits = tuple(
        Occurrence(f"of-{week}", START + timedelta(weeks=week), START + timedelta(weeks=week, minutes=20), 0)
        for week in range(3)
    )
    text = build_sms(occasion(kind, event=replace(event(cancelled_by="provider"), together=visits)))
    assert text.startswith(says)
    assert len(text) <= SMS_CHARS


async def test_whoever_has_both_is_told_by_e_mail_alone(service, phone, letters):
    await service.learn(contact=WITH_BOTH)
    await service.hear(event())
    await service.hear(event(Change.CANCELLED, 2, version=2))
    await drained(service.sender(letters, phone))
    assert (letters.count, phone.texts) == (1, [])


@pytest.mark.parametrize("address", ["not an address", "camille@localhost"])
async def test_an_address_that_does_not_serve_is_none(service, phone, letters, address):
    await service.learn(contact=replace(CAMILLE, email=address))
    await service.hear(event())
    await drained(service.sender(letters, phone))
    assert (letters.count, len(phone.texts)) == (0, 1)


async def test_where_no_text_messages_are_sent_nothing_leaves_by_them(service, phone, letters):
    await service.learn(contact=WITH_A_MOBILE)
    await service.hear(event())
    sender = service.sender(letters, phone, offered=("email",))
    await drained(sender)
    service.clock.advance(timedelta(seconds=60))
    await drained(sender)
    assert phone.texts == []
    assert (await service.statuses())["confirmation"] == ("failed", "no-address")


async def test_a_contact_that_comes_later_is_told_the_way_it_has(service, phone, letters):
    await service.hear(event())
    sender = service.sender(letters, phone)
    await drained(sender)
    service.clock.advance(timedelta(seconds=2))
    await service.learn(contact=WITH_A_MOBILE)
    await drained(sender)
    assert (letters.count, len(phone.texts)) == (0, 1)


async def test_an_address_that_comes_or_goes_between_tries_takes_the_message_with_it(service, phone, letters):
    """It is one message, whichever way it goes in the end."""
    await service.learn(contact=WITH_A_MOBILE)
    await service.hear(event())
    phone.faults = [DeliveryError("busy", permanent=False)] * 2
    sender = service.sender(letters, phone)
    await drained(sender)
    service.clock.advance(timedelta(minutes=5))
    await service.learn(contact=WITH_BOTH, facts=())
    await drained(sender)
    assert (letters.count, phone.texts) == (1, [])
    [row] = [row for row in await service.messages() if row["kind"] == "confirmation"]
    assert (row["channel"], row["status"]) == ("email", "sent")

    await service.hear(event(Change.CANCELLED, 2, version=2))
    service.clock.advance(timedelta(minutes=5))
    await service.learn(contact=WITH_A_MOBILE, facts=())
    phone.faults = []
    await drained(sender)
    assert (letters.count, len(phone.texts)) == (1, 1)


async def test_what_is_heard_again_is_not_told_again(service, phone, letters):
    """Nor once there is an e-mail address: a log is read again from its beginning."""
    await service.learn(contact=WITH_A_MOBILE)
    heard = [event(), event(Change.MOVED, 2, version=2, start=START + timedelta(days=1))]
    sender = service.sender(letters, phone)
    for one in heard:
        await service.hear(one)
        await drained(sender)
    service.clock.advance(timedelta(seconds=1))
    for contact in (WITH_BOTH, WITH_A_MOBILE):
        await service.learn(contact=contact, facts=())
        for one in heard:
            await service.hear(one)
        await drained(sender)
    assert (letters.count, len(phone.texts)) == (0, 2)


@pytest.mark.parametrize(
    ("told", "leaves"),
    [
        (event(time=NIGHT, start=START + timedelta(days=3)), "in the morning"),
        (
            event(Change.CANCELLED, 2, version=2, start=START + timedelta(days=3), time=NIGHT),
            "in the morning",
        ),
        (event(Change.CANCELLED, 2, version=2, start=MORNING + timedelta(minutes=30), time=NIGHT), "at once"),
        (
            event(
                Change.MOVED,
                2,
                version=2,
                start=START + timedelta(days=3),
                previous_start=MORNING + timedelta(hours=2),
                time=NIGHT,
            ),
            "at once",
        ),
        (event(Change.MOVED, 2, version=2, start=MORNING + timedelta(hours=1), time=NIGHT), "at once"),
    ],
    ids=[
        "booked",
        "cancelled",
        "cancelled for this morning",
        "moved from this morning",
        "moved to this morning",
    ],
)
async def test_nobody_is_woken_by_what_can_wait(service, phone, letters, told, leaves):
    """But whoever is to come, or was, before they could read it in the morning."""
    await service.learn(contact=WITH_A_MOBILE)
    service.at(NIGHT)
    await service.hear(told)
    sender = service.sender(letters, phone)
    await drained(sender)
    assert len(phone.texts) == (1 if leaves == "at once" else 0)
    service.at(MORNING)
    await drained(sender)
    assert len(phone.texts) == 1


async def test_what_waits_for_the_morning_and_is_no_more_so_is_not_told(service, phone, letters):
    await service.learn(contact=WITH_A_MOBILE)
    service.at(NIGHT)
    later = START + timedelta(days=3)
    await service.hear(event(time=NIGHT, start=later))
    sender = service.sender(letters, phone)
    await drained(sender)
    await service.hear(event(Change.CANCELLED, 2, version=2, time=NIGHT, start=later))
    service.at(MORNING)
    await drained(sender)
    [(_, text)] = phone.texts
    assert "annulé" in text


async def test_a_number_that_nobody_has_confirmed_gets_its_few_with_the_link(service, phone, letters):
    await service.learn(contact=replace(WITH_A_MOBILE, phone_vouched=False))
    sender = service.sender(letters, phone, allowance=Allowance(unconfirmed_max=2, news_reserve=1))
    for number, change in ((1, Change.BOOKED), (2, Change.MOVED), (3, Change.CANCELLED)):
        await service.hear(event(change, number, version=number, start=START + timedelta(days=number)))
        await drained(sender)
    assert [f"{SITE}/confirmer/" in text for _, text in phone.texts] == [True, True]
    [last] = [row for row in await service.messages() if row["kind"] == "cancellation"]
    assert (last["status"], last["reason"], last["channel"]) == ("cancelled", "address-unconfirmed", "sms")


async def test_each_of_several_patients_is_told_their_own_way(service, phone, letters):
    other = "Patient/0193a5c0-0003-7000-8000-000000000002"
    await service.learn(contact=WITH_A_MOBILE)
    await service.learn(contact=replace(WITH_BOTH, recipient=other), facts=())
    await service.hear(event(others=(other,)))
    await drained(service.sender(letters, phone))
    assert (letters.count, len(phone.texts)) == (1, 1)


UNTIL = BOOKED_AT + timedelta(hours=3)
ASKED = {
    "an offer": replace(event(Change.OFFERED, status="pending"), held_until=UNTIL),
    "another time": event(Change.UPDATED, 2, version=2, proposed=START + timedelta(days=1)),
}
"""what waits for an answer"""


async def ask(service, what: str) -> None:
    """Another time is proposed of a visit that was told of long ago."""
    if what == "another time":
        await service.hear(event())
        await service.database.pool.execute("UPDATE message SET status = 'sent', finished_at = $1", BOOKED_AT)
    await service.hear(ASKED[what])


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("contact", [WITH_A_MOBILE, WITH_BOTH], ids=["a number alone", "both"])
async def test_what_asks_before_the_contact_is_known_is_told_the_way_there_is(
    service, phone, letters, what, contact
):
    """Booking's topics are heard one beside the other: the offer may come first."""
    await ask(service, what)
    sender = service.sender(letters, phone)
    await drained(sender)
    service.clock.advance(timedelta(seconds=2))
    await service.learn(contact=contact)
    await drained(sender)
    assert (letters.count, len(phone.texts)) == ((0, 1) if contact is WITH_A_MOBILE else (1, 0))
    [row] = [row for row in await service.messages() if row["kind"] in ("offer", "proposal")]
    assert (row["status"], row["channel"]) == ("sent", "sms" if contact is WITH_A_MOBILE else "email")


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("known", [True, False], ids=["known before", "known later"])
async def test_what_asks_is_one_message_whichever_address_comes_between_two_tries(
    service, phone, letters, what, known
):
    """A text that could not leave, then an e-mail address: what was planned for both goes by both, what was planned for one
    goes once."""
    if known:
        await service.learn(contact=WITH_A_MOBILE)
    await ask(service, what)
    if not known:
        await service.learn(contact=WITH_A_MOBILE)
    phone.faults = [DeliveryError("busy", permanent=False)]
    sender = service.sender(letters, phone)
    await drained(sender)
    assert phone.texts == []
    service.clock.advance(timedelta(minutes=5))
    await service.learn(contact=WITH_BOTH, facts=())
    await drained(sender)
    assert (letters.count, len(phone.texts)) == ((1, 1) if known else (1, 0))


async def test_what_asks_is_not_told_twice(service, phone, letters):
    """What waits for an answer goes both ways by itself."""
    await service.learn(contact=WITH_A_MOBILE, facts=(PRACTITIONER, LOCATION))
    until = BOOKED_AT + timedelta(hours=3)
    await service.hear(replace(event(Change.OFFERED, status="pending"), held_until=until))
    await drained(service.sender(letters, phone))
    assert len(phone.texts) == 1

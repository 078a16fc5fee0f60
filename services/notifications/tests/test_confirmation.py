"""Addresses that a patient's account gave: a few messages, then nothing until their owner confirms them.

Over a real database and mail server; the pages over HTTP in process.
"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from creneau_notifications.app import create_app
from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.allowance import Allowance
from creneau_notifications.domain.appointment import Change
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage import addresses
from creneau_shared.errors import Unavailable

from .conftest import ADDRESS_KEY, LINK_LIFE
from .factories import CAMILLE, PATIENT, SITE, START, VISIT_TOKEN, event
from .serving import serving
from .test_rendering import GOLDEN, calendar_of, html_of, text_of

OTHER = "Patient/0193a5c0-0003-7000-8000-000000000009"
UNCONFIRMED = replace(CAMILLE, email_vouched=False, phone_vouched=False)
LINK = re.compile(rf"{re.escape(SITE)}(/confirmer/[A-Za-z0-9_-]{{22}})(/en)?\b")


@pytest.fixture
async def web(service) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, at the API process over the service's database."""
    settings = NotificationsSettings(
        database_url=service.url, address_secret=ADDRESS_KEY, public_site_url=SITE
    )
    async with serving(create_app(settings, service.clock), SITE) as opened:
        yield opened


async def book(service, number: int, recipient: str = PATIENT, **changes: Any) -> None:
    await service.hear(event(number=number, id=f"appointment-{number}", patient=recipient, **changes))


async def deliver(service, mailbox, **options: Any) -> None:
    sender = service.smtp_sender(mailbox, **options)
    while await sender.send_due():
        pass


def link_in(mail) -> str:
    found = LINK.search(text_of(mail))
    assert found is not None, text_of(mail)
    return found[1]


async def reasons(service) -> list[str | None]:
    rows = await service.database.pool.fetch(
        "SELECT reason FROM message WHERE kind = 'confirmation' ORDER BY appointment"
    )
    return [row["reason"] for row in rows]


async def test_thirty_nine_mails_to_a_stranger_are_two(service, mailbox):
    """The attack: one account, many Patients and bookings, spellings of one address; two leave, one is in reserve."""
    for number in range(39):
        recipient = f"Patient/p{number}"
        email = f"Camille.Martin+{number}@Example.org" if number % 2 else "camille.martin@example.org"
        await service.learn(contact=replace(UNCONFIRMED, recipient=recipient, email=email))
        await book(service, number, recipient)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 2
    assert sum(reason == "address-unconfirmed" for reason in await reasons(service)) == 37


async def test_senders_of_several_processes_share_one_count(service, mailbox):
    await service.learn(contact=UNCONFIRMED)
    for number in range(40):
        await book(service, number)
    await asyncio.gather(*(deliver(service, mailbox) for _ in range(6)))
    assert len(mailbox.mails) == 2


async def test_the_last_one_is_kept_for_a_cancellation(service, mailbox):
    await service.learn(contact=UNCONFIRMED)
    for number in range(5):
        await book(service, number)
    await deliver(service, mailbox)
    for number in range(5):
        await service.hear(
            event(
                Change.CANCELLED, 100 + number, id=f"appointment-{number}", version=2, cancelled_by="provider"
            )
        )
    await deliver(service, mailbox)
    assert ["annulé" in mail["Subject"] for mail in mailbox.mails] == [False, False, True]


async def test_what_is_withheld_is_seen_as_not_done_with_its_reason(service, mailbox):
    await service.learn(contact=UNCONFIRMED)
    for number in range(3):
        await book(service, number)
    await deliver(service, mailbox)
    withheld = await service.database.pool.fetchrow(
        "SELECT id, status FROM message WHERE reason = 'address-unconfirmed'"
    )
    assert withheld["status"] == "cancelled"
    communication = await service.communication(withheld["id"])
    assert communication["status"] == "not-done"
    assert communication["statusReason"]["text"].startswith("L’adresse n’a pas été confirmée")
    assert await service.attempts() != []


async def test_a_message_to_an_unconfirmed_address_greets_by_name_alone_and_says_how_to_confirm(
    service, mailbox
):
    """Whose visit it is stands in the greeting; a stranger's calendar and address book keep no name."""
    await service.learn(contact=UNCONFIRMED)
    await service.hear(event())
    await deliver(service, mailbox)
    [mail] = mailbox.mails
    shown = re.sub(r"/confirmer/\S+", "/confirmer/…", text_of(mail))
    shown = re.sub(r"/rdv/\S+", f"/rdv/{VISIT_TOKEN}", shown)
    assert f"{mail['Subject']}\n\n{shown}" == (GOLDEN / "confirmation-unconfirmed.fr.txt").read_text()
    link = link_in(mail)
    assert f"{SITE}{link}" in html_of(mail)
    assert [str(a.display_name) for a in mail["To"].addresses] == [""]
    assert "Camille" not in str(calendar_of(mail).to_ical())
    kept = await service.database.pool.fetchval("SELECT token FROM address_link")
    assert kept == addresses.token_hash(link.rpartition("/")[2])


async def test_an_address_that_a_practice_gave_gets_its_messages_as_ever(service, mailbox):
    await service.learn()
    for number in range(5):
        await book(service, number)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 5
    assert LINK.search(text_of(mailbox.mails[0])) is None


async def test_a_changed_address_is_unconfirmed_again(service, mailbox):
    """Vouched, and so much sent; then the account changes it to a stranger's."""
    await service.learn()
    for number in range(4):
        await book(service, number)
    await deliver(service, mailbox)
    service.clock.advance(timedelta(seconds=1))
    await service.learn(contact=replace(CAMILLE, email="stranger@example.org", email_vouched=False), facts=())
    for number in range(4, 9):
        await book(service, number)
    await deliver(service, mailbox)
    assert [mail["To"].addresses[0].addr_spec for mail in mailbox.mails[4:]] == ["stranger@example.org"] * 2


async def test_after_the_owner_confirms_what_is_still_to_come_goes_out(service, mailbox, web):
    await service.learn(contact=UNCONFIRMED)
    for number in range(3):
        await book(service, number)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 2
    answer = await web.post(link_in(mailbox.mails[0]), data={"answer": "confirm"})
    assert answer.status_code == 200
    assert "c’est confirmé" in answer.text
    service.at(START - timedelta(days=7))
    await deliver(service, mailbox)
    reminders = [mail for mail in mailbox.mails if mail["Subject"].startswith("Rappel")]
    assert len(reminders) == 3
    assert LINK.search(text_of(reminders[0])) is None
    assert "Bonjour Camille Martin," in text_of(reminders[0])


async def test_confirming_speaks_for_one_address_and_one_person(service, mailbox, web):
    """Another account that names the same address, and the same account with another address, are not confirmed."""
    await service.learn(contact=UNCONFIRMED)
    await book(service, 0)
    await deliver(service, mailbox)
    await web.post(link_in(mailbox.mails[0]), data={"answer": "confirm"})
    await service.learn(contact=replace(UNCONFIRMED, recipient=OTHER), facts=())
    for number in range(1, 6):
        await book(service, number, OTHER)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 1 + 2
    assert link_in(mailbox.mails[1]) != link_in(mailbox.mails[0])
    service.clock.advance(timedelta(seconds=1))
    await service.learn(contact=replace(UNCONFIRMED, email="other@example.org"), facts=())
    for number in range(6, 11):
        await book(service, number)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 3 + 2


async def test_confirming_again_counts_nothing_anew(service, mailbox, web):
    await service.learn(contact=UNCONFIRMED)
    await service.learn(contact=replace(UNCONFIRMED, recipient=OTHER), facts=())
    await book(service, 0)
    await deliver(service, mailbox)
    link = link_in(mailbox.mails[0])
    for turn in range(4):
        assert (await web.post(link, data={"answer": "confirm"})).status_code == 200
        await book(service, 1 + turn, OTHER)
        await deliver(service, mailbox)
    assert len(mailbox.mails) == 1 + 2


async def test_whose_address_it_is_not_is_left_alone(service, mailbox, web):
    """From any account, a cancellation too; until a practice answers for the address."""
    await service.learn(contact=UNCONFIRMED)
    await book(service, 0)
    await deliver(service, mailbox)
    answer = await web.post(link_in(mailbox.mails[0]), data={"answer": "refuse"})
    assert "Nous n’y écrirons plus" in answer.text
    await service.learn(contact=replace(UNCONFIRMED, recipient=OTHER), facts=())
    await book(service, 1, OTHER)
    await service.hear(event(Change.CANCELLED, 100, id="appointment-0", version=2))
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 1
    service.clock.advance(timedelta(seconds=1))
    await service.learn(contact=replace(CAMILLE, recipient=OTHER), facts=())
    await book(service, 2, OTHER)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 2


async def test_a_refusal_takes_back_what_waits_between_attempts(service, mailbox, web):
    """Counted, deferred by the mail server, refused by its owner meanwhile: it does not leave."""
    await service.learn(contact=UNCONFIRMED)
    await book(service, 0)
    await deliver(service, mailbox)
    mailbox.faults = ["DATA 451 later"]
    await book(service, 1)
    await deliver(service, mailbox)
    await web.post(link_in(mailbox.mails[0]), data={"answer": "refuse"})
    service.clock.advance(timedelta(minutes=1))
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 1
    assert (await reasons(service))[1] == "address-unconfirmed"


async def test_a_refusal_ends_after_its_time_and_can_be_taken_back(service, mailbox, web):
    await service.learn(contact=UNCONFIRMED)
    await book(service, 0)
    await deliver(service, mailbox)
    link = link_in(mailbox.mails[0])
    await web.post(link, data={"answer": "refuse"})
    assert "C’est noté" in (await web.get(link)).text
    await web.post(link, data={"answer": "confirm"})
    assert "Merci" in (await web.get(link)).text
    await book(service, 1)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 2
    await web.post(link, data={"answer": "refuse"})
    service.clock.advance(timedelta(days=365, seconds=1))
    await book(service, 2, time=service.clock.now(), start=service.clock.now() + timedelta(days=1))
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 3


async def test_an_attempt_repeated_is_not_counted_again(service, mailbox):
    await service.learn(contact=UNCONFIRMED)
    mailbox.faults = ["DATA 451 later"] * 3
    await book(service, 0)
    sender = service.smtp_sender(mailbox)
    for _ in range(4):
        await sender.send_due()
        service.clock.advance(timedelta(minutes=5))
    await book(service, 1)
    await deliver(service, mailbox)
    assert len(mailbox.mails) == 2


async def test_a_message_is_the_same_at_every_attempt(service, mailbox):
    """With the same link: nobody gets two, of which one is dead."""
    await service.learn(contact=UNCONFIRMED)
    mailbox.faults = ["drop"]
    await book(service, 0)
    await service.smtp_sender(mailbox).send_due()
    service.clock.advance(timedelta(seconds=15))
    await service.smtp_sender(mailbox).send_due()
    assert len({link_in(mail) for mail in mailbox.mails}) == 1
    assert len(mailbox.mails) == 2


async def test_a_day_has_its_limit(service, mailbox):
    await service.learn()
    for number in range(5):
        await book(service, number)
    await deliver(service, mailbox, allowance=Allowance(day_max=3))
    assert len(mailbox.mails) == 3
    assert (await reasons(service)).count("too-many-messages") == 2
    service.clock.advance(timedelta(days=1))
    await book(service, 5)
    await deliver(service, mailbox, allowance=Allowance(day_max=3))
    assert len(mailbox.mails) == 4


async def test_a_text_message_to_an_unconfirmed_number_carries_the_link_and_counts(service):
    texts = []

    class Sms:
        async def send(self, number, text):
            texts.append((number, text))

    await service.learn(contact=replace(UNCONFIRMED, phone="06 39 98 00 01"))
    for number in range(4):
        await book(service, number)
    service.at(START - timedelta(hours=2))
    sender = service.sender(LoggedEmails(), Sms())
    while await sender.send_due():
        pass
    assert [number for number, _ in texts] == ["+33639980001"] * 2
    assert all(LINK.search(text) for _, text in texts)


async def test_a_number_that_is_none_is_not_handed_on(service):
    await service.learn(contact=replace(CAMILLE, phone="+33 6 appelle-moi"))
    await service.hear(event())
    service.at(START - timedelta(hours=2))
    await service.sender(LoggedEmails()).send_due()
    assert (await service.statuses())["2-hours"] == ("failed", "invalid-address")


# -- the page ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def link(service, mailbox) -> str:
    """The link of a message to an unconfirmed address."""
    await service.learn(contact=UNCONFIRMED)
    await book(service, 0)
    await deliver(service, mailbox)
    return link_in(mailbox.mails[0])


async def confirmations(service) -> int:
    count: int = await service.database.pool.fetchval("SELECT count(*) FROM address_confirmation")
    return count


async def test_reading_the_page_says_nothing_in_its_readers_name(service, web, link):
    """A mail scanner that follows every link confirms nothing."""
    for method in ("GET", "HEAD", "GET"):
        answer = await web.request(method, link)
        assert answer.status_code == 200
    assert await confirmations(service) == 0
    assert answer.text.count("<button") == 2
    assert "Camille" not in answer.text
    assert "example.org/" not in answer.text.replace(SITE, "")


async def test_the_page_is_in_the_readers_language(web, link):
    french, english = await web.get(link), await web.get(link, headers={"Accept-Language": "en-GB,fr;q=0.5"})
    assert french.headers["content-language"] == "fr"
    assert english.headers["content-language"] == "en"
    assert "Is this address or number yours?" in english.text
    assert "Is this address or number yours?" in (await web.get(f"{link}/en")).text
    assert '<html lang="fr"' in (await web.get(f"{link}/fr", headers={"Accept-Language": "en"})).text
    assert (await web.get(f"{link}/de")).status_code == 404


@pytest.mark.parametrize("version", ["fr", "en", "simple"])
async def test_the_page_has_what_every_page_has(web, link, version):
    """X1 and the ways on: the other languages and the simple one, somebody to talk to, home, and how accessible it is."""
    answered = [
        await web.get(f"{link}/{version}"),
        await web.post(f"{link}/{version}", data={"answer": "confirm"}),
    ]
    for answer in answered:
        assert answer.status_code == 200
        text = html.unescape(answer.text)
        assert f'<html lang="{"en" if version == "en" else "fr"}"' in text
        assert f'href="{SITE}/"' in text
        said = "Accessibility: not compliant" if version == "en" else "Accessibilité\u00a0: non conforme"
        assert f'href="{SITE}/accessibilite">{said}<' in text
        assert "France services" in text
        for other in {"fr", "en", "simple"} - {version}:
            assert f'href="{link}/{other}"' in text
    for answer in (await web.get("/confirmer/x"), await web.get(f"{link}/de")):
        assert f'href="{SITE}/"' in answer.text


async def test_the_page_loads_nothing_and_is_kept_nowhere(web, link):
    answer = await web.get(link)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.findall(r"<(?:script|img|link|iframe)", answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/confirmer/AAAAAAAAAAAAAAAAAAAAAA",
        "/confirmer/x",
        "/confirmer/%3Cscript%3E",
        f"/confirmer/{'a' * 4000}",
    ],
)
async def test_an_unknown_link_helps_and_tells_nothing(service, web, path):
    for answer in (await web.get(path), await web.post(path, data={"answer": "confirm"})):
        assert answer.status_code == 404
        assert "ne mène à rien" in answer.text
        assert "<script" not in answer.text
        assert "<button" not in answer.text
    assert await confirmations(service) == 0


async def test_a_link_ends(service, web, link):
    service.clock.advance(LINK_LIFE)
    for answer in (await web.get(link), await web.post(link, data={"answer": "confirm"})):
        assert answer.status_code == 410
        assert "plus valable" in answer.text
    assert await confirmations(service) == 0


@pytest.mark.parametrize(
    "content",
    ["", "answer=", "answer=maybe", "answer=confirm&answer=refuse", "é", "x" * 10_000, "a&b&c&d&e&f"],
)
async def test_an_answer_that_is_none_is_not_guessed(service, web, link, content):
    answer = await web.post(link, content=content.encode())
    assert answer.status_code == 400
    assert await confirmations(service) == 0


@pytest.mark.parametrize(
    "failure",
    [Unavailable("trop", "too many"), asyncpg.CannotConnectNowError("starting"), ConnectionResetError()],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_page_that_can_look_nothing_up_says_when_to_try_again(
    service, web, link, monkeypatch, failure
):
    """A failover, or nobody gives a connection back in time: in the reader's language, with the buttons to answer by."""

    async def fails(*_: Any) -> None:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(addresses, "find_link", fails)
        for answer in (await web.get(link), await web.post(link, data={"answer": "confirm"})):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert "Réessayez dans un instant" in answer.text
            assert answer.text.count("<button") == 2
        assert "Try again" in (await web.get(f"{link}/en")).text
    assert await confirmations(service) == 0
    assert (await web.get(link)).status_code == 200


async def test_what_is_forgotten_leaves_no_link_and_no_confirmation(service, web, link):
    await web.post(link, data={"answer": "confirm"})
    async with service.database.transaction() as connection:
        await service.notifications.contact_deleted(connection, PATIENT, service.clock.now())
    assert await confirmations(service) == 0
    assert (await web.get(link)).status_code == 404


async def test_no_address_stands_in_the_tables_of_addresses(service, web, link):
    await web.post(link, data={"answer": "confirm"})
    for table in ("address_standing", "address_confirmation", "address_link"):
        dump = await service.database.pool.fetchval(f"SELECT string_agg(t::text, ' ') FROM {table} t")
        assert "camille" not in dump.lower()
        assert b"camille".hex() not in dump


async def test_counts_and_links_are_not_kept_for_ever(service, link):
    async with service.database.transaction() as connection:
        await addresses.prune(connection, service.clock.now() + timedelta(days=364), timedelta(days=365))
        assert await connection.fetchval("SELECT count(*) FROM address_standing") == 1
        await addresses.prune(connection, service.clock.now() + timedelta(days=366 + 30), timedelta(days=365))
        for table in ("address_standing", "address_link"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


def test_each_channel_has_its_own_count():
    keyring = addresses.Keyring("a")
    made = {keyring.hashed(Address(channel, "x", "x", "x")).mailbox for channel in ("email", "sms")}
    assert len(made) == 2
    assert keyring.hashed(Address("sms", "x", "x", "x")).mailbox not in {
        addresses.Keyring("b").hashed(Address("sms", "x", "x", "x")).mailbox
    }

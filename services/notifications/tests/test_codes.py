"""One-time codes over the API: who proves a contact gets a patient's token, and nobody else does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import httpx
import pytest
from pydantic import SecretStr

from creneau_notifications.app import create_app
from creneau_notifications.channels.channel import DeliveryError, Reached
from creneau_notifications.channels.email.address import email_address
from creneau_notifications.channels.email.notes import EmailNotes
from creneau_notifications.channels.notes import HandOver, Note, NotePost, code_note
from creneau_notifications.channels.sms.render import gsm
from creneau_notifications.domain.address import Address
from creneau_notifications.domain.codes import Pace
from creneau_notifications.jobs import rules
from creneau_notifications.operations.codes import SendCodeOperation
from creneau_notifications.settings import NotificationsSettings
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.validation import validate
from creneau_shared.retention.settings import RetentionSettings
from creneau_shared.security.contact_accounts import ISSUER, ContactAccounts
from creneau_shared.security.own_tokens import OwnTokens, new_signing_key, public_part
from creneau_shared.security.principal import ANONYMOUS
from creneau_shared.security.tokens import AS_BEARER

from .factories import CAMILLE as CONTACT
from .serving import serving

KEY = new_signing_key()
KEYS = {"keys": [public_part(KEY)]}
SECRET = "names accounts for ever"
CAMILLE = {"system": "email", "value": "camille@exemple.test"}
PHONE = {"system": "phone", "value": "06 39 98 00 01"}


@pytest.fixture
def settings(service, mailbox, monkeypatch) -> NotificationsSettings:
    """With codes on offer by e-mail, to the mailbox, and by text message, to the log."""
    for name, value in {"SMTP_URL": mailbox.url, "SMTP_TLS": "off", "SMS_SENDER": "log"}.items():
        monkeypatch.setenv(name, value)
    return NotificationsSettings(
        database_url=service.url,
        public_base_url="http://test/fhir",
        public_site_url="https://creneau.example",
        address_secret="a key of tests",
        contact_keys=json.dumps(KEYS),
        contact_secret=SECRET,
        contact_signing_key=json.dumps(KEY),
        anonymous_requests_per_s=0,
    )


@pytest.fixture
async def client(service, settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(settings, service.clock), "http://test") as opened:
        yield opened


def parameters(**given: object) -> dict[str, object]:
    named = [
        {"name": "telecom", "valueContactPoint": value} if name == "telecom" else {"name": name, key: value}
        for name, value in given.items()
        for key in ("valueCode" if name == "language" else "valueString",)
    ]
    return {"resourceType": "Parameters", "parameter": named}


async def send(client: httpx.AsyncClient, telecom: object = CAMILLE, **more: str) -> httpx.Response:
    return await client.post("/fhir/$send-code", json=parameters(telecom=telecom, **more))


async def verify(client: httpx.AsyncClient, code: str, telecom: object = CAMILLE) -> httpx.Response:
    return await client.post("/fhir/$verify-code", json=parameters(telecom=telecom, code=code))


def code_in(mail: EmailMessage) -> str:
    return str(re.findall(r"\b\d{6}\b", mail.get_content())[0])


def values(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    assert validate(answer.json(), "Parameters") == []
    return {p["name"]: next(v for k, v in p.items() if k != "name") for p in answer.json()["parameter"]}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]


async def test_the_code_gives_a_patient_s_token_for_an_hour(client, service, mailbox) -> None:
    """P10. The token is a patient's, of an account of its own that the contact alone leads to."""
    expires = values(await send(client))["expires"]
    assert datetime.fromisoformat(expires) == service.clock.now() + timedelta(minutes=10)
    (mail,) = mailbox.mails
    assert mail["To"] == CAMILLE["value"]
    assert not re.search(r"\d{6}", mail["Subject"])
    code = code_in(mail)
    pasted = f" {code[:3]} {code[3:]} "
    said = values(await verify(client, pasted))
    principal = await OwnTokens(KEYS, "creneau", service.clock).verify(said["access-token"], AS_BEARER)
    assert (principal.issuer, principal.role) == (ISSUER, "patient")
    assert principal.subject == ContactAccounts(SECRET).subject("email", "CAMILLE@exemple.test")
    assert principal.level("Appointment", "c") == "patient"
    assert {scope.level for scope in principal.scopes} == {"patient"}
    assert datetime.fromisoformat(said["expires"]) == service.clock.now() + timedelta(hours=1)
    assert "camille" not in said["access-token"]
    # The service itself believes it: there is nothing about this account yet.
    bearer = {"Authorization": f"Bearer {said['access-token']}"}
    assert (await client.get("/fhir/Communication", headers=bearer)).status_code == 200


async def test_the_same_contact_leads_to_the_same_account(client, service, mailbox) -> None:
    """Whatever its spelling; another contact leads to another."""
    subjects = []
    tokens = OwnTokens(KEYS, "creneau", service.clock)
    for value in ("camille@exemple.test", "Camille@Exemple.TEST", "camille.b@exemple.test"):
        telecom = {"system": "email", "value": value}
        values(await send(client, telecom))
        said = values(await verify(client, code_in(mailbox.mails[-1]), telecom))
        subjects.append((await tokens.verify(said["access-token"], AS_BEARER)).subject)
    assert subjects[0] == subjects[1] != subjects[2]


async def test_a_code_works_once_and_only_the_last_one(client, mailbox) -> None:
    await send(client)
    await send(client)
    first, second = (code_in(mail) for mail in mailbox.mails)
    assert refusal(await verify(client, first)) == (422, "code-wrong") or first == second
    assert (await verify(client, second)).status_code == 200
    assert refusal(await verify(client, second)) == (422, "code-wrong")


async def test_a_code_that_has_not_left_is_not_counted(client, service, mailbox) -> None:
    """Greylisting: whoever asks again and again meanwhile has their codes once it is over."""
    mailbox.faults = ["RCPT 451 4.7.1 greylisted"] * 5
    for _ in range(5):
        assert refusal(await send(client)) == (503, "code-not-sent")
    for _ in range(3):
        service.at(service.clock.now() + timedelta(seconds=1))
        values(await send(client))
    assert refusal(await send(client)) == (429, "too-many-codes")
    assert (await verify(client, code_in(mailbox.mails[-1]))).status_code == 200


@pytest.mark.parametrize("fault", ["RCPT 451 4.7.1 greylisted", "RCPT 550 5.1.1 unknown", "DATA 452 full"])
async def test_a_code_that_has_not_left_ends_no_earlier_one(client, mailbox, fault) -> None:
    values(await send(client))
    mailbox.faults = [fault]
    assert (await send(client)).status_code in (422, 503)
    assert (await verify(client, code_in(mailbox.mails[0]))).status_code == 200


async def test_a_code_that_found_no_place_in_time_ends_no_earlier_one(
    client, service, settings, mailbox
) -> None:
    """All places were taken by sendings to a slow server: these codes were handed to nobody."""
    values(await send(client))
    full = settings.model_copy(update={"note_sendings_max": 0, "note_sending_timeout_s": 0})
    async with serving(create_app(full, service.clock), "http://test") as crowded:
        for _ in range(5):
            assert refusal(await send(crowded)) == (503, "code-not-sent")
    assert (await verify(client, code_in(mailbox.mails[0]))).status_code == 200
    values(await send(client))
    assert len(mailbox.mails) == 2


async def endless(address: Address, note: Note) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("places", "reached"), [(0, Reached.NOBODY), (1, Reached.UNKNOWN)])
async def test_it_is_known_whether_a_note_was_being_sent_as_its_time_ended(places, reached) -> None:
    class Endless(EmailNotes):
        @asynccontextmanager
        async def open(self) -> AsyncIterator[HandOver]:
            yield endless

    post = NotePost({}, places, 0)
    with pytest.raises(DeliveryError) as failed:
        await post.send(Endless(), email_address(CAMILLE["value"]), code_note("123456", 10, "fr", ""))
    assert failed.value.reached is reached


async def test_a_code_for_which_no_connection_was_made_in_time_is_not_counted(
    client, service, settings, mailbox, monkeypatch
) -> None:
    """The server accepts connections and says nothing: nobody was handed the code."""
    values(await send(client))
    async with silent_server() as port:
        monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{port}")
        short = settings.model_copy(update={"note_sending_timeout_s": 0.2})
        async with serving(create_app(short, service.clock), "http://test") as unconnected:
            for _ in range(5):
                assert refusal(await send(unconnected)) == (503, "code-not-sent")
        monkeypatch.setenv("SMTP_URL", mailbox.url)
    assert (await verify(client, code_in(mailbox.mails[0]))).status_code == 200
    values(await send(client))


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """The port of a server that greets nobody."""
    ended = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        ended.set()


@pytest.mark.parametrize("typed", [0, 1])
async def test_a_code_that_may_have_left_is_counted_and_works(client, mailbox, typed) -> None:
    """The connection was lost after the message: nobody knows, and the person may read it, or have the earlier one alone.
    One of both is used; it ends the other."""
    values(await send(client))
    mailbox.faults = ["drop"]
    assert refusal(await send(client)) == (503, "code-not-sent")
    codes = [code_in(mail) for mail in mailbox.mails]
    assert (await verify(client, codes[typed])).status_code == 200
    for code in codes:
        assert refusal(await verify(client, code)) == (422, "code-wrong")
    values(await send(client))
    assert refusal(await send(client)) == (429, "too-many-codes")


async def on_their_way(client, mailbox, presses: int) -> list[asyncio.Task[httpx.Response]]:
    """Codes that the mail server has not answered yet, in the order in which they were asked for."""
    asked = []
    mailbox.silent, mailbox.waiting = asyncio.Event(), 0
    for number in range(1, presses + 1):
        asked.append(asyncio.create_task(send(client)))
        while mailbox.waiting < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return asked


async def test_codes_that_fail_beside_each_other_end_no_earlier_one(client, service, mailbox) -> None:
    """Pressed twice while the mail server hesitates, and neither leaves: both turns are given back."""
    values(await send(client))
    asked = await on_their_way(client, mailbox, 2)
    mailbox.faults = ["DATA 451 later"] * 2
    mailbox.silent.set()
    assert [refusal(await one) for one in asked] == [(503, "code-not-sent")] * 2
    mailbox.silent = None
    assert (await verify(client, code_in(mailbox.mails[0]))).status_code == 200
    for _ in range(2):
        values(await send(client))
    assert refusal(await send(client)) == (429, "too-many-codes")


async def test_a_code_works_although_its_process_dies_as_it_is_sent(client, service, mailbox) -> None:
    """Nobody knows whether it has left: the one that was received does, until the new one is typed."""
    values(await send(client))
    [asked] = await on_their_way(client, mailbox, 1)
    asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked
    mailbox.silent.set()
    mailbox.silent = None
    assert (await verify(client, code_in(mailbox.mails[0]))).status_code == 200


async def test_of_two_codes_that_leave_the_last_one_works(client, mailbox) -> None:
    asked = await on_their_way(client, mailbox, 2)
    mailbox.silent.set()
    for one in asked:
        values(await one)
    results = [(await verify(client, code_in(mail))).status_code for mail in mailbox.mails]
    assert results.count(200) == 1


async def test_guesses_are_as_few_where_codes_do_not_leave(client, service, mailbox) -> None:
    """Whoever guesses while a code is on its way has used the turn, and tries of the earlier code."""
    values(await send(client))
    code = code_in(mailbox.mails[0])
    mailbox.silent = asyncio.Event()
    mailbox.faults = ["DATA 451 later"]
    asked = asyncio.create_task(send(client))
    while not mailbox.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for wrong in range(5):
        await verify(client, f"{(int(code) + 1 + wrong) % 10**6:06}")
    mailbox.silent.set()
    assert refusal(await asked) == (503, "code-not-sent")
    assert refusal(await verify(client, code)) == (422, "code-wrong")
    mailbox.silent = None
    values(await send(client))
    assert refusal(await send(client)) == (429, "too-many-codes")


async def test_a_code_ends_after_ten_minutes(client, service, mailbox) -> None:
    await send(client)
    service.at(service.clock.now() + timedelta(minutes=10))
    assert refusal(await verify(client, code_in(mailbox.mails[0]))) == (422, "code-wrong")


async def test_five_wrong_tries_end_a_code(client, mailbox) -> None:
    await send(client)
    code = code_in(mailbox.mails[0])
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for _ in range(5):
        assert refusal(await verify(client, wrong)) == (422, "code-wrong")
    assert refusal(await verify(client, code)) == (422, "code-wrong")


async def test_a_hundred_rivals_have_five_tries_together(client, service, mailbox) -> None:
    """Each try is counted before it is judged: at once or one after the other makes no difference."""
    await send(client)
    code = code_in(mailbox.mails[0])
    wrong = [f"{(int(code) + 1 + n) % 10**6:06}" for n in range(100)]
    answers = await asyncio.gather(*(verify(client, guess) for guess in wrong))
    assert {answer.status_code for answer in answers} <= {422, 503}
    assert await service.database.pool.fetchval("SELECT tries FROM contact_code") == 5
    assert refusal(await verify(client, code)) == (422, "code-wrong")


async def test_of_a_hundred_with_the_right_code_one_is_let_in(client, mailbox) -> None:
    await send(client)
    code = code_in(mailbox.mails[0])
    answers = await asyncio.gather(*(verify(client, code) for _ in range(100)))
    assert [answer.status_code for answer in answers].count(200) == 1


async def test_the_fourth_code_in_ten_minutes_is_refused_with_the_wait_and_another_way(
    client, service, mailbox
) -> None:
    """P10. By letter box: a tag makes no other address."""
    for tag in ("", "+a", "+b"):
        assert (
            await send(client, {"system": "email", "value": f"camille{tag}@exemple.test"})
        ).status_code == 200
        service.at(service.clock.now() + timedelta(minutes=1))
    answer = await send(client)
    assert refusal(answer) == (429, "too-many-codes")
    assert answer.headers["Retry-After"] == str(7 * 60)
    sentence = answer.json()["issue"][0]["details"]["text"]
    assert "dans 7 minutes" in sentence
    assert "téléphon" in sentence
    service.at(service.clock.now() + timedelta(minutes=7))
    assert (await send(client)).status_code == 200
    assert len(mailbox.mails) == 4


async def test_a_hundred_who_ask_at_once_get_three_codes(client, mailbox) -> None:
    answers = await asyncio.gather(*(send(client) for _ in range(100)))
    assert [answer.status_code for answer in answers].count(200) == len(mailbox.mails) == 3


async def test_nobody_is_sent_more_than_ten_codes_a_day(client, service, mailbox) -> None:
    """However patiently somebody else asks for them."""
    statuses = []
    for _ in range(12):
        statuses.append((await send(client)).status_code)
        service.at(service.clock.now() + timedelta(minutes=11))
    assert statuses == [200] * 10 + [429] * 2


async def test_nobody_asks_for_codes_to_everybody(service, settings, mailbox) -> None:
    """So many an hour and a day from one network, to whomever they go; another network asks on."""
    few = settings.model_copy(
        update={
            "codes_per_network_hour_max": 2,
            "codes_per_network_day_max": 3,
            "gateway_secret": SecretStr(SECRET),
        }
    )
    telecoms = [{"system": "email", "value": f"p{n}@exemple.test"} for n in range(9)]

    async def ask(opened: httpx.AsyncClient, n: int, address: str = "2001:db8::1") -> httpx.Response:
        handed = {"X-Gateway-Secret": SECRET, "X-Client-Address": address}
        return await opened.post("/fhir/$send-code", json=parameters(telecom=telecoms[n]), headers=handed)

    async with serving(create_app(few, service.clock), "http://test") as opened:
        first = [await ask(opened, n, f"2001:db8::{n}") for n in range(3)]
        assert [answer.status_code for answer in first] == [200, 200, 429]
        assert refusal(first[2]) == (429, "too-many-codes")
        assert "depuis votre connexion : redemandez dans 60 minutes" in first[2].text
        assert (await ask(opened, 3, "2001:db8:1::1")).status_code == 200
        service.clock.advance(timedelta(hours=2))
        assert [(await ask(opened, n)).status_code for n in (4, 5)] == [200, 429]
    assert len(mailbox.mails) == 4


async def test_whose_network_nobody_knows_is_not_one_network(service, settings, mailbox) -> None:
    """Without the secret of the entrance everybody would share one count."""
    few = settings.model_copy(update={"codes_per_network_hour_max": 1, "gateway_secret": SecretStr("")})
    async with serving(create_app(few, service.clock), "http://test") as opened:
        for n in range(3):
            telecom = {"system": "email", "value": f"p{n}@exemple.test"}
            answer = await opened.post("/fhir/$send-code", json=parameters(telecom=telecom))
            assert answer.status_code == 200, answer.text
    assert len(mailbox.mails) == 3


async def test_a_code_by_text_message_is_offered_to_its_page_alone(client) -> None:
    """The last line is what browsers read (origin-bound one-time codes); the number is one that gets texts."""
    assert (await send(client, PHONE)).status_code == 200
    text = gsm(code_note("123456", 10, "fr", "https://creneau.example").brief)
    assert text.splitlines()[-1] == "@creneau.example #123456"
    assert len(text) <= 160


@pytest.mark.parametrize(
    ("telecom", "status", "code"),
    [
        ({"system": "email", "value": "camille"}, 422, "no-email-address"),
        ({"system": "phone", "value": "12"}, 422, "no-phone-number"),
        ({"system": "phone", "value": "01 99 00 12 34"}, 422, "no-text-messages"),
        ({"system": "phone", "value": "+44 7400 123456"}, 422, "no-texts-abroad"),
        ({"system": "fax", "value": "01 99 00 12 34"}, 400, "contact-required"),
        ({"system": "email"}, 400, "contact-required"),
    ],
)
async def test_what_no_code_can_be_sent_to_is_said(client, telecom, status, code) -> None:
    assert refusal(await send(client, telecom)) == (status, code)


async def test_the_language_is_the_one_that_is_asked_for(client, mailbox) -> None:
    await send(client, language="en")
    assert "is your Créneau code" in mailbox.mails[0].get_content()


async def test_what_the_mail_server_refuses_is_said_and_repeated_nowhere(client, mailbox, capfd) -> None:
    mailbox.faults = ["RCPT 550 no such camille@exemple.test", "DATA 451 later"]
    assert refusal(await send(client)) == (422, "code-undeliverable")
    answer = await send(client)
    assert refusal(answer) == (503, "code-not-sent")
    assert answer.headers["Retry-After"]
    assert "camille" not in "".join(capfd.readouterr())


async def test_contact_and_code_stand_in_no_address(client, mailbox) -> None:
    """In an address they would be kept by whoever logs addresses: there they are not read."""
    answer = await client.post("/fhir/$verify-code?code=123456", json=parameters(telecom=CAMILLE))
    assert refusal(answer) == (400, "code-required")
    assert (await client.get("/fhir/$send-code?telecom=camille@exemple.test")).status_code == 405
    assert not mailbox.mails


async def test_neither_contact_nor_code_is_kept_in_words(client, service, mailbox) -> None:
    await send(client)
    code = code_in(mailbox.mails[0])
    rows = await service.database.pool.fetch(
        "SELECT contact_code::text, contact_code_sent::text AS sent FROM contact_code, contact_code_sent"
    )
    kept = "".join(value for row in rows for value in row.values())
    assert kept
    assert "camille" not in kept
    assert code not in kept
    assert not await service.database.pool.fetchval("SELECT count(*) FROM audit")


async def test_whoever_is_deleted_or_erased_has_no_code(client, service, mailbox) -> None:
    """That one was sent stays counted, for a day, or whoever erases a record could have more sent to somebody."""
    contact = {"system": "email", "value": CONTACT.email}
    await service.learn(contact=CONTACT)
    await send(client, contact)
    async with service.database.transaction() as connection:
        await service.notifications.contact_deleted(connection, CONTACT.recipient, service.clock.now())
    assert refusal(await verify(client, code_in(mailbox.mails[0]), contact)) == (422, "code-wrong")
    assert await service.database.pool.fetchval("SELECT cardinality(sent) FROM contact_code_sent") == 1


async def test_nothing_is_offered_without_a_key(service, settings) -> None:
    without = settings.model_copy(update={"contact_signing_key": type(settings.contact_secret)("")})
    async with serving(create_app(without, service.clock), "http://test") as client:
        assert refusal(await send(client)) == (501, "codes-not-offered")


async def test_ended_codes_and_counts_are_forgotten(client, service, settings) -> None:
    await send(client)
    (rule,) = (
        rule
        for rule in rules(settings, service.communications, RetentionSettings())
        if rule.data_class == "one-time-codes"
    )
    now = service.clock.now()
    for days, left in ((0, 1), (1, 1), (2, 0)):
        async with service.database.transaction() as connection:
            await rule.remove(connection, now + timedelta(days=days) - rule.kept, 100)
        assert await service.database.pool.fetchval("SELECT count(*) FROM contact_code_sent") == left


async def test_a_code_is_not_sent_again_because_a_standby_might_have_failed(
    service, settings, monkeypatch
) -> None:
    """What strangers read is begun anew on the primary when a connection breaks; what sends something is not."""
    begun: list[str] = []

    async def broken(_: SendCodeOperation, call: OperationCall) -> Answer:
        begun.append(call.request.method)
        raise ConnectionResetError

    monkeypatch.setattr(SendCodeOperation, "handle", broken)
    fhir = create_app(settings, service.clock).fhir
    monkeypatch.setattr(fhir.service.database, "standby", object())
    request = FhirRequest(
        "POST", ("$send-code",), [], {}, b"", ANONYMOUS, service.clock.now(), "http://test/fhir"
    )
    with pytest.raises(ConnectionResetError):
        await fhir.handle(request)
    assert begun == ["POST"]


def test_the_longer_wait_is_told() -> None:
    """Of the two limits the one that ends later."""
    limits = Pace(timedelta(minutes=10), 2, 3)
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    sent = [now - timedelta(hours=23), now - timedelta(minutes=5), now - timedelta(minutes=4)]
    assert limits.again_at(sent, now) == now + timedelta(hours=1)
    assert limits.again_at(sent[1:], now) == now + timedelta(minutes=5)
    assert limits.again_at(sent[2:], now) is None

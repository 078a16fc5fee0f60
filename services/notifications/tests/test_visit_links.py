"""The links of messages: what they show, what is asked before they let somebody act, and how they end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import httpx
import pytest

from creneau_notifications.app import create_app
from creneau_notifications.domain.appointment import Change
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage import departures
from creneau_notifications.storage.addresses import Keyring
from creneau_shared.fhir.validation import validate
from creneau_shared.security.answers import Answers
from creneau_shared.security.own_tokens import OwnTokens, new_signing_key, public_part
from creneau_shared.security.tokens import AS_BEARER

from .conftest import ADDRESS_KEY, Service
from .factories import APPOINTMENT, BOOKED_AT, CAMILLE, LOCATION, PATIENT, PRACTITIONER, START, event
from .mailbox import Mailbox
from .serving import serving

KEY = new_signing_key()
KEYS = {"keys": [public_part(KEY)]}
SECRET = "between booking and notifications"
SITE = "https://rdv.example.org"
BORN = {"birthDate": "1984-05-06", "name": [{"use": "official", "family": "Éléonore-Martin"}]}
KNOWN = replace(CAMILLE, answers=tuple(Answers(SECRET).right(BORN, PATIENT)))


@pytest.fixture
def settings(service: Service, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> NotificationsSettings:
    monkeypatch.setenv("SMTP_URL", mailbox.url)
    monkeypatch.setenv("SMTP_TLS", "off")
    return NotificationsSettings(
        database_url=service.url,
        public_base_url="http://test/fhir",
        public_site_url=SITE,
        address_secret=ADDRESS_KEY,
        vouching_secret=SECRET,
        contact_keys=json.dumps(KEYS),
        contact_signing_key=json.dumps(KEY),
        anonymous_requests_per_s=0,
        database_pool_wait_s=20,
    )


@pytest.fixture
async def client(service: Service, settings: NotificationsSettings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(settings, service.clock), "http://test") as opened:
        yield opened


@pytest.fixture
async def token(service: Service, mailbox: Mailbox) -> str:
    """Of the link in the confirmation that Camille was sent."""
    await service.learn(contact=KNOWN)
    await service.hear(event())
    await service.smtp_sender(mailbox).send_due()
    return token_in(mailbox.mails[-1])


def token_in(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(re.findall(rf"{SITE}/rdv/([A-Za-z0-9_-]+)", body.get_content())[0])


async def ask(client: httpx.AsyncClient, operation: str, **given: str) -> httpx.Response:
    named = [{"name": name, "valueString": value} for name, value in given.items()]
    return await client.post(
        f"/fhir/Appointment/${operation}", json={"resourceType": "Parameters", "parameter": named}
    )


async def opened(client: httpx.AsyncClient, token: str, answer: str = "") -> httpx.Response:
    return await ask(client, "open-link", token=token, **({"answer": answer} if answer else {}))


def values(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert validate(answer.json(), "Parameters") == []
    return {p["name"]: next(v for k, v in p.items() if k != "name") for p in answer.json()["parameter"]}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]


async def test_a_link_shows_when_and_where_and_nothing_else(client: httpx.AsyncClient, token: str) -> None:
    """P14: neither a name nor a reason, whoever has found it."""
    answer = await opened(client, token)
    assert values(answer) == {
        "status": "booked",
        "start": "2026-12-01T10:00:00+01:00",
        "end": "2026-12-01T10:20:00+01:00",
        "timezone": "Europe/Paris",
        "place": LOCATION.name,
        "address": "12 rue des Exemples, 75004 Paris",
        "phone": {"system": "phone", "value": LOCATION.phone},
        "tries-left": 5,
    }
    for secret in ("Camille", "Martin", "Lefèvre", PATIENT, APPOINTMENT, str(PRACTITIONER.name)):
        assert secret not in answer.text


@pytest.mark.parametrize(
    "said", ["1984", " 1984 ", "ele", "ÉLÉ", "Éléonore", "e l e", "E-L-É", "eleonore-martin"]
)
async def test_one_known_fact_lets_act_on_this_appointment_alone(
    client: httpx.AsyncClient, service: Service, token: str, said: str
) -> None:
    found = values(await opened(client, token, said))
    assert found["appointment"] == {"reference": f"Appointment/{APPOINTMENT}"}
    assert datetime.fromisoformat(found["expires"]) == service.clock.now() + timedelta(minutes=30)
    principal = await OwnTokens(KEYS, "creneau", service.clock).verify(found["access-token"], AS_BEARER)
    assert (principal.appointment, principal.patient) == (APPOINTMENT, PATIENT.removeprefix("Patient/"))
    assert principal.role == "patient"
    assert principal.level("Patient", "r") is None
    bearer = {"Authorization": f"Bearer {found['access-token']}"}
    assert (await client.get("/fhir/Communication", headers=bearer)).status_code == 403


@pytest.mark.parametrize("said", ["1985", "84", "el", "cam", "06/05/1984", "éla", "19841984", "***"])
async def test_what_is_not_right_is_refused_and_counted(
    client: httpx.AsyncClient, token: str, said: str
) -> None:
    answer = await opened(client, token, said)
    assert refusal(answer) == (422, "link-answer")
    assert "4 essais" in answer.json()["issue"][0]["details"]["text"]
    assert values(await opened(client, token))["tries-left"] == 4


async def test_five_wrong_answers_end_the_link(client: httpx.AsyncClient, token: str) -> None:
    """P14: the right answer comes too late then; right answers in between are not counted."""
    for left in (4, 3, 2, 1):
        assert refusal(await opened(client, token, "1900")) == (422, "link-answer")
        assert values(await opened(client, token, "1984"))["access-token"]
        assert values(await opened(client, token))["tries-left"] == left
    assert refusal(await opened(client, token, "1900")) == (410, "link-blocked")
    assert refusal(await opened(client, token, "1984")) == (410, "link-blocked")
    assert refusal(await opened(client, token)) == (410, "link-blocked")


async def test_a_hundred_rivals_have_five_tries_together(
    client: httpx.AsyncClient, service: Service, token: str
) -> None:
    """Counted before it is judged: of a hundred guesses at once five are heard, and the link is dead."""
    answers = await asyncio.gather(*(opened(client, token, str(1900 + n)) for n in range(80)))
    said = [refusal(answer) for answer in answers]
    assert said.count((422, "link-answer")) == 4
    assert set(said) == {(422, "link-answer"), (410, "link-blocked")}
    assert await service.database.pool.fetchval("SELECT tries FROM visit_link") == 5
    assert refusal(await opened(client, token, "1984")) == (410, "link-blocked")


async def test_each_message_has_a_link_of_its_own(
    client: httpx.AsyncClient, service: Service, mailbox: Mailbox, token: str
) -> None:
    """An ended one ends no other; all lead to the visit as it is now."""
    for _ in range(5):
        await opened(client, token, "1900")
    later = START + timedelta(days=1)
    await service.hear(
        event(Change.MOVED, 2, version=2, start=later, time=BOOKED_AT, previous_start=START, sequence=1)
    )
    await service.smtp_sender(mailbox).send_due()
    second = token_in(mailbox.mails[-1])
    assert second != token
    assert values(await opened(client, second))["start"].startswith("2026-12-02T10:00")


async def test_a_link_works_until_a_day_after_the_visit_began(
    client: httpx.AsyncClient, service: Service, token: str
) -> None:
    service.at(START + timedelta(hours=23, minutes=59))
    assert values(await opened(client, token, "1984"))["access-token"]
    service.at(START + timedelta(hours=24))
    for answer in (await opened(client, token), await opened(client, token, "1984")):
        assert refusal(answer) == (410, "link-ended")
    assert refusal(await ask(client, "renew-link", token=token)) == (410, "link-ended")


async def test_with_the_cancellation_it_only_says_so(
    client: httpx.AsyncClient, service: Service, token: str
) -> None:
    await service.hear(event(Change.CANCELLED, 2, version=2, time=BOOKED_AT, cancelled_by="provider"))
    for answer in (await opened(client, token), await opened(client, token, "1984")):
        found = values(answer)
        assert found["status"] == "cancelled"
        assert not found.keys() & {"access-token", "tries-left", "appointment"}
    assert refusal(await ask(client, "renew-link", token=token)) == (410, "link-cancelled")


@pytest.mark.parametrize("change", [{"patient": "Patient/another"}, {"hidden": True}])
async def test_what_is_no_longer_this_person_s_to_show_is_not_shown(
    client: httpx.AsyncClient, service: Service, token: str, change: dict[str, Any]
) -> None:
    """An appointment that the practice has given to somebody else, or hidden from those who read the mail."""
    await service.hear(event(Change.UPDATED, 2, version=2, time=BOOKED_AT, **change))
    answer = await opened(client, token, "1984")
    assert refusal(answer) == (410, "link-ended")
    assert "n'est plus le vôtre, ou est passé" in answer.text, "which of both is not said"


@pytest.mark.parametrize("place", [0, 20, 42])
async def test_no_other_token_leads_anywhere(client: httpx.AsyncClient, token: str, place: int) -> None:
    """Neither a letter that was changed, nor one made without the key, nor no token at all."""
    other = "B" if token[place] != "B" else "C"
    if place == 42:
        other = "0" if token[place] in "AEIMQUYcgkosw048" else "A"
    changed = token[:place] + other + token[place + 1 :]
    forged = Keyring("another key").visit_token(uuid4())
    for wrong in (changed, forged, token[:-1], f"{token}AA", "0193a5c0", "…"):
        assert refusal(await opened(client, wrong)) == (404, "link-unknown"), wrong
    assert refusal(await ask(client, "open-link", answer="1984")) == (400, "link-required")


async def test_a_new_link_goes_to_where_the_first_went_and_takes_its_place(
    client: httpx.AsyncClient, mailbox: Mailbox, token: str
) -> None:
    for _ in range(5):
        await opened(client, token, "1900")
    assert values(await ask(client, "renew-link", token=token)) == {"channel": "email"}
    mail = mailbox.mails[-1]
    assert mail["To"] == CAMILLE.email
    assert "1 décembre" not in mail.get_content()
    renewed = re.findall(rf"{SITE}/rdv/([A-Za-z0-9_-]+)", mail.get_content())[0]
    assert renewed != token
    assert values(await opened(client, renewed))["tries-left"] == 5
    assert values(await opened(client, renewed, "ele"))["access-token"]
    assert refusal(await opened(client, token)) == (410, "link-replaced")


async def test_a_new_link_that_has_not_left_ends_no_other_and_is_not_counted(
    client: httpx.AsyncClient, mailbox: Mailbox, token: str
) -> None:
    """Greylisting: the message's own link stays, with the wrong answers that it had."""
    await opened(client, token, "1900")
    mailbox.faults = ["RCPT 451 4.7.1 greylisted"] * 5
    for _ in range(5):
        assert refusal(await ask(client, "renew-link", token=token)) == (503, "code-not-sent")
    assert values(await opened(client, token))["tries-left"] == 4
    for _ in range(3):
        assert values(await ask(client, "renew-link", token=token)) == {"channel": "email"}
    assert refusal(await ask(client, "renew-link", token=token)) == (429, "too-many-codes")
    assert refusal(await opened(client, token)) == (410, "link-replaced")


async def test_new_links_that_fail_beside_each_other_end_no_other(
    client: httpx.AsyncClient, mailbox: Mailbox, token: str
) -> None:
    """Pressed twice while the mail server hesitates: no message says of a later link that is nowhere."""
    mailbox.silent, mailbox.waiting = asyncio.Event(), 0
    asked = []
    for number in (1, 2):
        asked.append(asyncio.create_task(ask(client, "renew-link", token=token)))
        while mailbox.waiting < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    mailbox.faults = ["DATA 451 later"] * 2
    mailbox.silent.set()
    assert [refusal(await one) for one in asked] == [(503, "code-not-sent")] * 2
    mailbox.silent = None
    assert values(await opened(client, token))["tries-left"] == 5
    for _ in range(3):
        assert values(await ask(client, "renew-link", token=token)) == {"channel": "email"}


async def test_new_links_are_few(
    client: httpx.AsyncClient, service: Service, mailbox: Mailbox, token: str
) -> None:
    """As codes, and counted with them."""
    answers = await asyncio.gather(*(ask(client, "renew-link", token=token) for _ in range(20)))
    assert [answer.status_code for answer in answers].count(200) == 3
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refusal(refused) == (429, "too-many-codes")
    assert "dans 10 minutes" in refused.json()["issue"][0]["details"]["text"]
    assert refused.headers["Retry-After"] == "600"
    assert len(mailbox.mails) == 4


async def test_no_new_link_goes_to_a_contact_that_is_the_person_s_no_more(
    client: httpx.AsyncClient, service: Service, mailbox: Mailbox, token: str
) -> None:
    """Nor to the new one: whoever has the old message has not the new mailbox."""
    service.at(BOOKED_AT + timedelta(hours=1))
    await service.learn(contact=replace(KNOWN, email="ailleurs@example.org"))
    assert refusal(await ask(client, "renew-link", token=token)) == (422, "link-not-renewable")
    assert len(mailbox.mails) == 1


async def test_somebody_of_whom_nothing_is_known_is_led_to_the_telephone(
    client: httpx.AsyncClient, service: Service, token: str
) -> None:
    service.at(BOOKED_AT + timedelta(hours=1))
    await service.learn(contact=CAMILLE)
    assert refusal(await opened(client, token, "1984")) == (422, "link-no-answer")
    assert values(await opened(client, token))["tries-left"] == 5


async def test_the_calendar_file_has_the_link_too(mailbox: Mailbox, token: str) -> None:
    calendar, _ = [part for part in mailbox.mails[-1].walk() if part.get_filename() == "rendez-vous.ics"]
    unfolded = calendar.get_payload(decode=True).decode().replace("\r\n ", "")  # type: ignore[union-attr]
    assert f"URL:{SITE}/rdv/{token}\r\n" in unfolded


async def test_a_token_is_kept_nowhere(service: Service, client: httpx.AsyncClient, token: str) -> None:
    """Neither it nor a hash of it: it is the message's id and a mark that the key alone makes."""
    await opened(client, token, "1900")
    tables = await service.database.pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    for table in tables:
        rows = await service.database.pool.fetch(f'SELECT t::text AS row FROM "{table["relname"]}" AS t')
        assert not any(token[24:] in row["row"] for row in rows), table


async def test_an_offer_says_until_when_and_has_no_time_once_it_has_ended(
    client: httpx.AsyncClient, service: Service, mailbox: Mailbox
) -> None:
    """P15: who refused waits on, and their link shows no time that is somebody else's meanwhile."""
    until = BOOKED_AT + timedelta(hours=12)
    await service.learn(contact=KNOWN)
    await service.hear(replace(event(Change.OFFERED, status="pending"), held_until=until))
    await service.smtp_sender(mailbox).send_due()
    token = token_in(mailbox.mails[-1])
    shown = values(await opened(client, token))
    assert (shown["status"], shown["start"][:10]) == ("pending", "2026-12-01")
    assert datetime.fromisoformat(shown["until"]) == until
    await service.hear(event(Change.UPDATED, 2, version=2, time=BOOKED_AT, status="waitlist"))
    ended = values(await opened(client, token, "1984"))
    assert ended["status"] == "waitlist"
    assert not ended.keys() & {"start", "end", "until"}
    assert ended["access-token"], "to leave the list"


async def test_whoever_is_erased_has_no_links(
    client: httpx.AsyncClient, service: Service, token: str
) -> None:
    await opened(client, token, "1900")
    now = service.clock.now()
    async with service.database.transaction() as connection:
        await departures.begin(connection, PATIENT, now, now, ())
        await departures.forget(connection, PATIENT, now)
    assert refusal(await opened(client, token, "1984")) == (404, "link-unknown")
    assert await service.database.pool.fetchval("SELECT count(*) FROM visit_link") == 0


async def test_nobody_acts_where_no_key_is_given(
    service: Service, settings: NotificationsSettings, token: str
) -> None:
    without = settings.model_copy(update={"contact_signing_key": type(settings.contact_secret)("")})
    async with serving(create_app(without, service.clock), "http://test") as client:
        assert values(await opened(client, token))["status"] == "booked"
        assert refusal(await opened(client, token, "1984")) == (501, "links-not-offered")

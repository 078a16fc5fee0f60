"""P10 and P14: by a one-time code, and by the link of a message."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from creneau_shared.clock import FixedClock
from creneau_web.pages.sign_in_code import minutes_until

from .conftest import SITE, Asked, FhirBase, Person, running, searchset
from .samples import PLACE, PRACTITIONER, ROLE, appointment
from .test_agreeing import proposed
from .test_visits import booked
from .test_waiting_list import offer, wish

EXPIRES = "2026-11-30T09:00:00Z"
TOKEN = "aVeryLongTokenOfALink-_123"


def parameters(**values: Any) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": n.replace("_", "-"), **v} for n, v in values.items()],
    }


SHOWN: dict[str, Any] = {
    "status": {"valueCode": "booked"},
    "start": {"valueDateTime": "2026-12-01T06:00:00Z"},
    "end": {"valueDateTime": "2026-12-01T06:15:00Z"},
    "timezone": {"valueCode": "Indian/Reunion"},
    "place": {"valueString": "Cabinet du Belvédère"},
    "tries_left": {"valueInteger": 5},
}


async def test_a_code_takes_the_place_of_an_account(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/$send-code", parameters(expires={"valueInstant": "2026-11-30T08:10:00Z"}))
    fhir.on(
        "POST",
        "/$verify-code",
        parameters(access_token={"valueString": "a token"}, expires={"valueInstant": EXPIRES}),
    )
    await person.open("/connexion/code?retour=/mes-rendez-vous")
    typed = await person.follow(
        await person.send("/connexion/code", contact="camille@exemple.fr", retour="/mes-rendez-vous")
    )
    assert 'autocomplete="one-time-code"' in typed.text
    assert "pendant 10 minutes" in typed.text
    mine = await person.follow(await person.send("/connexion/code/saisir", code="123 456"))
    assert mine.url.path == "/mes-rendez-vous"
    assert mine.status_code == 200
    assert fhir.asked[-1].token == "a token"
    told = [a for a in fhir.asked if "code" in a.path]
    assert all(a.token is None and not a.query for a in told), "without a token, and nothing in the address"


async def test_the_session_s_key_changes_with_the_log_in(person: Person, fhir: FhirBase) -> None:
    fhir.on("POST", "/$send-code", parameters(expires={"valueInstant": EXPIRES}))
    fhir.on(
        "POST",
        "/$verify-code",
        parameters(access_token={"valueString": "a token"}, expires={"valueInstant": EXPIRES}),
    )
    await person.open("/connexion/code")
    before = person.client.cookies["__Host-creneau"]
    await person.send("/connexion/code", contact="camille@exemple.fr")
    await person.open("/connexion/code/saisir")
    await person.send("/connexion/code/saisir", code="123456")
    assert person.client.cookies["__Host-creneau"] != before


@pytest.mark.parametrize(
    ("status", "code"), [(422, "no-text-messages"), (429, "too-many-codes"), (501, "codes-not-offered")]
)
async def test_why_no_code_was_sent_stands_beside_the_field(
    person: Person, fhir: FhirBase, status: int, code: str
) -> None:
    """The fourth code within ten minutes is told how long to wait, and what else there is."""
    fhir.refuse("POST", "/$send-code", status, code, "Attendez 7 minutes, ou téléphonez au cabinet.")
    await person.open("/connexion/code")
    answer = await person.send("/connexion/code", contact="02 61 91 00 01")
    assert answer.status_code == status
    assert "Attendez 7 minutes" in answer.text
    assert 'value="02 61 91 00 01"' in answer.text
    assert 'aria-describedby="contact-hint contact-problem"' in answer.text


@pytest.mark.parametrize(("seconds", "minutes"), [(600, 10), (594, 10), (300, 5), (90, 1), (5, 1)])
def test_a_code_is_said_to_work_as_long_as_it_does(seconds: int, minutes: int) -> None:
    """CODE_LIFETIME_S, less what the answer took on its way."""
    now = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert minutes_until(now + timedelta(seconds=seconds), now) == minutes


async def test_where_no_codes_are_sent_none_is_offered(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock
) -> None:
    url = new_database(template=migrated_web)
    async with (
        running(url, httpx.MockTransport(fhir), clock, contact_keys="") as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        person = Person(client, app)
        assert "/connexion/code" not in (await person.open("/connexion")).text
        assert "un code envoyé" not in (await person.open("/aide")).text
        led = await person.open("/connexion/code?retour=/mes-rendez-vous")
        assert led.headers["location"] == "/connexion?retour=%2Fmes-rendez-vous"


def opening(fhir: FhirBase, right: str) -> None:
    """A link whose question has one right answer."""

    def say(asked: Asked) -> httpx.Response | None:
        if asked.path != "/Appointment/$open-link":
            return None
        given = {p["name"]: p.get("valueString") for p in asked.body["parameter"]}
        if "answer" not in given:
            return httpx.Response(200, json=parameters(**SHOWN))
        if given["answer"] != right:
            issue = {"severity": "error", "code": "invalid", "details": {"text": "Ce n'est pas cela."}}
            return httpx.Response(422, json={"resourceType": "OperationOutcome", "issue": [issue]})
        granted = {
            "appointment": {"valueReference": {"reference": "Appointment/a-1"}},
            "access_token": {"valueString": "for one appointment"},
            "expires": {"valueInstant": EXPIRES},
        }
        return httpx.Response(200, json=parameters(**SHOWN, **granted))

    fhir.rules.append(say)


@pytest.mark.parametrize("mark", ["", ")", ".", "%3E"])
async def test_a_link_shows_little_and_one_fact_opens_the_visit(
    person: Person, fhir: FhirBase, mark: str
) -> None:
    opening(fhir, "1984")
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    page = await person.follow(await person.open(f"/rdv/{TOKEN}{mark}"))
    assert page.url.path == "/rdv", "the token has left the address"
    assert TOKEN not in page.text
    assert "10 h" in page.text
    assert "Martin" not in page.text
    wrong = await person.send("/rdv", reponse="1985")
    assert wrong.status_code == 422
    assert "Ce n&#39;est pas cela." in wrong.text
    visit = await person.follow(await person.send("/rdv", reponse="1984"))
    assert visit.url.path == "/rendez-vous/a-1"
    assert visit.status_code == 200


async def test_a_link_leads_first_to_what_waits_for_an_answer(person: Person, fhir: FhirBase) -> None:
    """Every message does, whichever it was: to the practice's question, or to what the waiting list offers."""
    opening(fhir, "1984")
    fhir.on("GET", "/Appointment/a-1", proposed())
    await person.follow(await person.open(f"/rdv/{TOKEN}"))
    asked = await person.send("/rdv", reponse="1984")
    assert asked.headers["location"] == "/rendez-vous/a-1/repondre"
    fhir.on("GET", "/Appointment/a-1", offer())
    await person.follow(await person.open(f"/rdv/{TOKEN}"))
    offered = await person.follow(await person.send("/rdv", reponse="1984"))
    assert offered.url.path == "/liste-attente/a-1"
    fhir.on("PATCH", "/Appointment/a-1", appointment("booked"))
    accepted = await person.send("/liste-attente/a-1/accepter", version='W/"1"')
    assert accepted.headers["location"] == "/rendez-vous/a-1"
    [patched] = [one for one in fhir.asked if one.method == "PATCH"]
    assert patched.headers["authorization"] == "Bearer for one appointment"
    fhir.on("GET", "/Appointment/a-1", wish(id="a-1"))
    assert (await person.open("/rendez-vous/a-1/repondre")).headers["location"] == "/liste-attente/a-1"


@pytest.mark.parametrize(
    ("said", "heading"),
    [
        ({"status": {"valueCode": "pending"}, "until": {"valueInstant": EXPIRES}}, "Une place se libère"),
        ({"status": {"valueCode": "waitlist"}, "start": None, "end": None}, "sur une liste d"),
        ({"status": {"valueCode": "pending"}}, "pas encore pris"),
    ],
)
async def test_the_entry_says_what_the_link_is_about(
    person: Person, fhir: FhirBase, said: dict[str, Any], heading: str
) -> None:
    """An offer, until when it is kept; who waits on, no time that is theirs no more; of a request, that it is one."""
    shown = {name: value for name, value in {**SHOWN, **said}.items() if value is not None}
    fhir.on("POST", "/Appointment/$open-link", parameters(**shown))
    page = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert page.status_code == 200
    assert heading in page.text
    assert ("10 h" in page.text) == ("start" in shown)
    assert "Vous avez un rendez-vous" not in page.text
    assert ("déplacer" in page.text.partition("<main")[2]) is (heading == "pas encore pris")


async def test_a_link_that_was_ended_can_be_renewed(person: Person, fhir: FhirBase) -> None:
    fhir.refuse("POST", "/Appointment/$open-link", 410, "link-blocked", "Trop d'essais.")
    over = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert over.status_code == 410
    fhir.on("POST", "/Appointment/$renew-link", parameters(channel={"valueCode": "email"}))
    sent = await person.send("/rdv/nouveau-lien")
    assert sent.headers["location"] == "/rdv/envoye", "loaded anew, it sends no second link"
    assert "est parti" in (await person.follow(sent)).text


@pytest.mark.parametrize(
    ("status", "code"), [(404, "link-unknown"), (410, "link-ended"), (410, "link-cancelled")]
)
async def test_what_cannot_be_renewed_is_not_offered(
    person: Person, fhir: FhirBase, status: int, code: str
) -> None:
    """The button would lead to the same page again, whatever somebody does."""
    fhir.refuse("POST", "/Appointment/$open-link", status, code, "Ce lien ne fonctionne plus.")
    over = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert over.status_code == status
    assert "Ce lien ne fonctionne plus." in over.text
    assert "/rdv/nouveau-lien" not in over.text


async def test_nobody_s_link_opens_nothing(person: Person) -> None:
    assert (await person.open("/rdv")).status_code == 404


async def test_a_link_says_by_which_clock_the_visit_is(person: Person, fhir: FhirBase) -> None:
    """Where it is not the one that most readers live by; before the question is answered, and on what it leads to."""
    opening(fhir, "1984")
    page = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert "Heures locales (La Réunion)." in page.text
    fhir.on("GET", "/Appointment/a-1", booked())
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    await person.send("/rdv", reponse="1984")
    assert "Heures locales (Saint-Denis)." in (await person.open("/rendez-vous/a-1/annuler")).text


async def test_a_link_to_a_visit_by_the_usual_clock_does_not(person: Person, fhir: FhirBase) -> None:
    shown = {**SHOWN, "timezone": {"valueCode": "Europe/Paris"}}
    fhir.on("POST", "/Appointment/$open-link", parameters(**shown))
    page = await person.follow(await person.open(f"/rdv/{TOKEN}"))
    assert "Les heures sont" not in page.text


async def _code_is_typed(person: Person, fhir: FhirBase) -> None:
    """Camille has chosen a time, and types the code that came; it works once."""
    fhir.on("POST", "/$send-code", parameters(expires={"valueInstant": EXPIRES}))
    used: list[str] = []

    def verify(asked: Asked) -> httpx.Response | None:
        if asked.path != "/$verify-code":
            return None
        [code] = [p["valueString"] for p in asked.body["parameter"] if p["name"] == "code"]
        if code != "123456" or used:
            issue = {"severity": "error", "code": "invalid", "details": {"text": "Ce code ne vaut rien."}}
            return httpx.Response(422, json={"resourceType": "OperationOutcome", "issue": [issue]})
        used.append(code)
        token = {"access_token": {"valueString": "a token"}, "expires": {"valueInstant": EXPIRES}}
        return httpx.Response(200, json=parameters(**token))

    fhir.rules.append(verify)
    await person.open("/connexion/code?retour=/mes-rendez-vous")
    await person.send("/connexion/code", contact="camille@exemple.fr", retour="/mes-rendez-vous")
    await person.open("/connexion/code/saisir")
    session = await person.session()
    await person.app.site.sessions.keep_draft(session, "d", {"slot": "slot-1"})


def _goes_back(person: Person, cookie: str) -> None:
    """As a browser that has not taken what the last answer set."""
    person.client.cookies.clear()
    person.client.cookies.set("__Host-creneau", cookie, domain="creneau.example")


async def test_a_code_sent_twice_lets_in_by_whichever_answer_arrives(person: Person, fhir: FhirBase) -> None:
    """Pressed twice, the browser drops the first answer with its cookie; what was chosen before is there."""
    await _code_is_typed(person, fhir)
    before, form_key = person.client.cookies["__Host-creneau"], person.form_key
    first = await person.send("/connexion/code/saisir", code="123456")
    after = person.client.cookies["__Host-creneau"]
    _goes_back(person, before)
    second = await person.send("/connexion/code/saisir", code="123456")
    assert second.headers["location"] == first.headers["location"] == "/mes-rendez-vous"
    assert person.client.cookies["__Host-creneau"] == after
    assert (await person.open("/mes-rendez-vous")).status_code == 200
    assert await person.app.site.sessions.find_draft(await person.session(), "d") == {"slot": "slot-1"}
    person.form_key = form_key
    third = await person.send("/connexion/code/saisir", code="123456")
    assert third.headers["location"] == "/mes-rendez-vous", "of a browser that took the cookie"


async def test_two_presses_at_once_let_in_both(person: Person, fhir: FhirBase) -> None:
    await _code_is_typed(person, fhir)
    answers = await asyncio.gather(*(person.send("/connexion/code/saisir", code="123456") for _ in range(2)))
    assert [answer.headers.get("location") for answer in answers] == ["/mes-rendez-vous"] * 2
    assert (await person.open("/mes-rendez-vous")).status_code == 200


async def test_what_was_known_before_the_log_in_opens_nothing_without_the_code(
    person: Person, fhir: FhirBase
) -> None:
    """Whoever has put their own cookie into somebody's browser knows its form key too, and not the code."""
    await _code_is_typed(person, fhir)
    before, form_key = person.client.cookies["__Host-creneau"], person.form_key
    await person.send("/connexion/code/saisir", code="123456")
    for page in ("/mes-rendez-vous", "/connexion/code/saisir"):
        _goes_back(person, before)
        assert (await person.open(page)).headers["location"].startswith("/connexion"), page
    assert (await person.app.site.sessions.find(before)) is not None
    for code in ("123457", "123456"):
        _goes_back(person, before)
        person.form_key = form_key
        await person.send("/connexion/code/saisir", code=code)
        _goes_back(person, person.client.cookies.get("__Host-creneau") or before)
        assert (await person.open("/mes-rendez-vous")).headers["location"].startswith("/connexion")


async def test_nor_after_a_moment(person: Person, fhir: FhirBase, clock: FixedClock) -> None:
    await _code_is_typed(person, fhir)
    before = person.client.cookies["__Host-creneau"]
    await person.send("/connexion/code/saisir", code="123456")
    clock.advance(timedelta(minutes=3))
    assert await person.app.site.sessions.find(before) is None


async def test_an_answer_to_a_link_sent_twice_opens_the_visit(person: Person, fhir: FhirBase) -> None:
    opening(fhir, "1984")
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    await person.follow(await person.open(f"/rdv/{TOKEN}"))
    before = person.client.cookies["__Host-creneau"]
    await person.send("/rdv", reponse="1984")
    _goes_back(person, before)
    visit = await person.follow(await person.send("/rdv", reponse="1984"))
    assert visit.url.path == "/rendez-vous/a-1"
    assert visit.status_code == 200

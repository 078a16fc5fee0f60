"""Whom the issuer sends back, where to, and what it says there."""

from __future__ import annotations

import re

import httpx
import pytest
from deploy.local.issuer.people import people
from deploy.local.tokens import Issuer
from tests.deploy.issuer.browser import SITE, Application, returned


async def test_the_page_names_the_test_people_and_needs_no_script(pages: Application) -> None:
    page = await pages.ask()
    assert page.status_code == 200
    assert "<h1>Connexion de démonstration</h1>" in page.text
    for person in people().values():
        assert f'value="{person.key}"' in page.text
        assert person.about_en in page.text
    assert "<script" not in page.text


async def test_its_policy_lets_the_form_lead_back_to_the_application_and_nowhere_else(
    pages: Application,
) -> None:
    headers = (await pages.ask()).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["form-action"] == f"'self' {SITE}"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")


async def test_who_is_chosen_comes_back_with_a_code_the_state_and_the_issuers_name(
    pages: Application, issuer: Issuer
) -> None:
    answer = await pages.choose(await pages.ask(), person="camille-martin")
    said = returned(answer)
    assert answer.status_code == 303
    assert (said["state"], said["iss"]) == ("the-state", issuer.url)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", said["code"]), "a code tells nothing of the person"


async def test_who_does_not_want_to_comes_back_without(pages: Application) -> None:
    said = returned(await pages.choose(await pages.ask(), refuse="yes"))
    assert (said["error"], said["state"]) == ("access_denied", "the-state")


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "somebody"},
        {"redirect_uri": "http://elsewhere.example/auth/retour"},
        {"redirect_uri": f"{SITE}/auth/retour/"},
        {"redirect_uri": f"{SITE}/auth/retour?more=1"},
        {"redirect_uri": "http://127.0.0.1:9/auth/retour"},
        {"redirect_uri": ""},
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(
    pages: Application, wrong: dict[str, str]
) -> None:
    answer = await pages.ask(**wrong)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "Connexion de démonstration" in answer.text


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_what_is_wrong_is_told_to_the_application(
    pages: Application, wrong: dict[str, str], error: str
) -> None:
    said = returned(await pages.ask(**wrong))
    assert (said["error"], said["state"]) == (error, "the-state")
    assert "code" not in said


@pytest.mark.parametrize("wrong", [{"state": ""}, {"nonce": ""}, {"nonce": "short"}, {"acr_values": ""}])
async def test_franceconnect_wants_state_a_long_nonce_and_a_level(
    franceconnect: Application, wrong: dict[str, str]
) -> None:
    assert returned(await franceconnect.ask(**wrong))["error"] == "invalid_request"


async def test_each_dialect_knows_its_own_people(franceconnect: Application, psc: Application) -> None:
    citizens, professionals = (await franceconnect.ask()).text, (await psc.ask()).text
    assert "camille-martin" in citizens
    assert "oceane-payet" not in citizens
    assert "oceane-payet" in professionals
    assert "camille-martin" not in professionals
    refused = await psc.choose(await psc.ask(), person="camille-martin")
    assert refused.status_code == 422


async def test_an_invented_patient_is_the_same_one_each_time_and_nobody_elses(pages: Application) -> None:
    async def subject(given: str) -> str:
        answer = await pages.choose(await pages.ask(), given=given, family="Essai 12", birthdate="2001-02-03")
        tokens = (await pages.redeem(returned(answer)["code"])).json()
        claims = (await pages.userinfo(tokens)).json()
        assert (claims["given_name"], claims["family_name"]) == (given, "ESSAI 12")
        assert (claims["birthdate"], claims["creneau_role"]) == ("2001-02-03", "patient")
        return str(claims["sub"])

    first = await subject("Zoé")
    assert await subject("Zoé") == first
    assert await subject("Léo") != first


@pytest.mark.parametrize("given", ["", "<b>Zoé", "  ", "9", "Zoé" * 40])
async def test_what_cannot_be_a_name_is_shown_again_as_it_was_typed(pages: Application, given: str) -> None:
    answer = await pages.choose(await pages.ask(), given=given, family="Essai")
    assert answer.status_code == 422
    assert 'id="error"' in answer.text
    assert 'value="Essai"' in answer.text
    assert "<b>" not in answer.text
    assert (await pages.choose(answer, person="camille-martin")).status_code == 303, "and one goes on"


async def test_a_page_that_was_open_for_too_long_says_so(pages: Application, http: httpx.AsyncClient) -> None:
    answer = await http.post("/authorize", data={"request": "unknown", "person": "camille-martin"})
    assert answer.status_code == 400
    assert "trop longtemps" in answer.text


async def test_a_frontend_of_this_machine_needs_no_registration(pages: Application) -> None:
    """Whoever builds one tries it here: a public client, any loopback address, never another."""
    answer = await pages.ask(client_id="frontend", redirect_uri="http://localhost:3000/cb")
    assert answer.status_code == 200
    for uri in ("http://example.org/cb", "https://localhost/cb", "http://localhost.example.org/cb"):
        assert (await pages.ask(client_id="frontend", redirect_uri=uri)).status_code == 400

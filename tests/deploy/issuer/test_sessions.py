"""Who somebody is, in each dialect; and how a session ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from deploy.demo.region import population
from deploy.local.issuer.app import Registered, create_app
from deploy.local.issuer.people import Person, people
from deploy.local.issuer.store import Store
from deploy.local.tokens import Issuer
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.deploy.issuer.browser import SECRET, SITE, Application
from tests.deploy.issuer.conftest import RSA

from creneau_shared.clock import FixedClock


async def test_franceconnects_userinfo_is_signed_and_has_the_pivot_identity(
    franceconnect: Application, http: httpx.AsyncClient, issuer: Issuer
) -> None:
    tokens = await franceconnect.log_in(
        "yvonne-lefort", scope="openid identite_pivot preferred_username email"
    )
    answer = await franceconnect.userinfo(tokens)
    assert answer.headers["content-type"] == "application/jwt"
    published = KeySet.import_key_set((await http.get("/franceconnect/jwks")).json())
    said = jwt.decode(answer.text, published, algorithms=["RS256"]).claims
    identity = jwt.decode(tokens["id_token"], published, algorithms=["RS256"]).claims
    assert (said["iss"], said["aud"]) == (f"{issuer.url}/franceconnect", "creneau-web-franceconnect")
    assert said["sub"] == identity["sub"]
    assert len(said["sub"]) == 66
    assert identity["acr"] == "eidas1"
    pivot = {name: said[name] for name in ("given_name", "family_name", "birthdate", "gender")}
    assert pivot == {
        "given_name": "Yvonne Thi Mai",
        "family_name": "NGUYEN",
        "birthdate": "1942-01-01",
        "gender": "female",
    }
    assert (said["birthplace"], said["birthcountry"]) == ("", "99243")
    assert (said["preferred_username"], said["email"]) == ("LEFORT", "yvonne.lefort@exemple.fr")


async def test_only_what_was_asked_for_is_said(franceconnect: Application) -> None:
    tokens = await franceconnect.log_in(scope="openid given_name")
    claims = jwt.decode((await franceconnect.userinfo(tokens)).text, RSA).claims
    assert claims.keys() == {"sub", "given_name", "iss", "aud", "iat", "exp"}


async def test_pro_sante_connects_userinfo_has_the_national_identifier_and_every_place(
    psc: Application,
) -> None:
    claims = (await psc.userinfo(await psc.log_in("ines-bianchi"))).json()
    assert claims["SubjectNameID"] == claims["preferred_username"] == "899000000069"
    assert claims["sub"].startswith("f:")
    assert claims["sub"].endswith(":899000000069")
    exercises = claims["SubjectRefPro"]["exercices"]
    assert [exercise["codeProfession"] for exercise in exercises] == ["10", "10"]
    sites = [exercise["activities"][0]["identifiantTechniqueDeLaStructure"] for exercise in exercises]
    assert len(set(sites)) == 2


def test_the_professionals_are_in_the_demonstration_data() -> None:
    """Whom the page offers must be found where their tokens lead: break an id and this fails."""
    known = {person.id: person for person in population().professionals}
    practices = {practice.id for practice in population().practices}
    professionals = [person for person in people().values() if person.practitioner]
    assert len(professionals) == 2
    for person in professionals:
        assert known[person.practitioner].rpps == person.rpps
        assert {exercise.organization for exercise in person.exercises} <= practices
    assert people()["sophie-garnier"].organizations[0] in practices
    assert [person.role for person in people().values()].count("counsellor") == 1


@pytest.mark.parametrize("person", people().values(), ids=lambda person: person.key)
def test_people_are_kept_whole(person: Person) -> None:
    assert Person.from_dict(person.as_dict()) == person


async def test_logging_out_ends_the_session_and_leads_back(
    pages: Application, http: httpx.AsyncClient
) -> None:
    tokens = await pages.log_in()
    query = {
        "id_token_hint": tokens["id_token"],
        "state": "bye",
        "post_logout_redirect_uri": f"{SITE}/",
    }
    answer = await http.get("/end_session", params=query)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{SITE}/?state=bye"
    assert (await pages.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await pages.userinfo(tokens)).status_code == 401


async def test_an_old_id_token_still_logs_out(
    pages: Application, http: httpx.AsyncClient, clock: FixedClock
) -> None:
    """It lives five minutes, a session twelve hours."""
    tokens = await pages.log_in()
    clock.advance(timedelta(hours=2))
    answer = await http.get("/end_session", params={"id_token_hint": tokens["id_token"]})
    assert answer.status_code == 200
    assert (await pages.refresh(tokens["refresh_token"])).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"id_token_hint": ""},
        {"id_token_hint": "a.b.c"},
        {"post_logout_redirect_uri": "http://elsewhere.example/"},
        {"post_logout_redirect_uri": f"{SITE}/auth/retour"},
    ],
)
async def test_nobody_is_logged_out_or_sent_elsewhere_by_a_strangers_link(
    pages: Application, http: httpx.AsyncClient, wrong: dict[str, str]
) -> None:
    tokens = await pages.log_in()
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": f"{SITE}/"} | wrong
    answer = await http.get("/end_session", params=query)
    assert answer.status_code == 400
    assert (await pages.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("which", ["refresh_token", "access_token"])
async def test_a_token_that_is_given_back_ends_its_session(
    pages: Application, http: httpx.AsyncClient, which: str
) -> None:
    tokens = await pages.log_in()
    stranger = await http.post("/revoke", data={"client_id": "frontend", "token": tokens[which]})
    assert stranger.status_code == 200, "and says nothing of it"
    assert (await pages.userinfo(tokens)).status_code == 200
    form = {"client_id": "creneau-web", "client_secret": SECRET, "token": tokens[which]}
    assert (await http.post("/revoke", data=form)).status_code == 200
    assert (await pages.userinfo(tokens)).status_code == 401
    assert (await pages.refresh(tokens["refresh_token"])).status_code == 400


async def test_a_session_outlives_a_restart_of_the_issuer(
    pages: Application, issuer: Issuer, clock: FixedClock, tmp_path: Path
) -> None:
    tokens = await pages.log_in()
    app = create_app(issuer, RSA, Registered(SITE, SECRET), Store(tmp_path / "issuer.sqlite", clock), clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=issuer.url) as http:
        again = Application(http)
        refreshed = await again.refresh(tokens["refresh_token"])
        assert refreshed.status_code == 200
        assert (await again.userinfo(refreshed.json())).json()["sub"] == "camille-martin"


def test_the_file_says_no_token(tmp_path: Path, clock: FixedClock) -> None:
    """Who reads the file can use nothing of it."""
    path = tmp_path / "kept.sqlite"
    store = Store(path, clock)
    handle = store.keep("refresh", {}, 60.0, "s")
    store.close()
    assert handle.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


async def test_discovery_says_what_holds(http: httpx.AsyncClient, issuer: Issuer) -> None:
    for path in ("", "/franceconnect", "/psc"):
        told = (await http.get(f"{path}/.well-known/openid-configuration")).json()
        assert told["issuer"] == f"{issuer.url}{path}"
        assert told["code_challenge_methods_supported"] == ["S256"]
        for name in ("authorization_endpoint", "end_session_endpoint", "userinfo_endpoint"):
            address = urlsplit(told[name])
            assert parse_qs(address.query) == {}
            assert (await http.get(address.path)).status_code in (400, 401), name

"""What codes, refresh tokens and other issuers' ID tokens are exchanged for, once and by whom they were given to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from deploy.local.issuer.grants import EXCHANGE, ID_TOKEN
from deploy.local.issuer.provider import half_hash
from deploy.local.tokens import SCOPES, Issuer
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.deploy.issuer.browser import NONCE, RETURN, Application

from creneau_shared.clock import FixedClock, SystemClock
from creneau_shared.errors import Unauthenticated
from creneau_shared.security.tokens import TokenVerifier


async def keys(http: httpx.AsyncClient, path: str = "") -> KeySet:
    published = (await http.get(f"{path}/.well-known/openid-configuration")).json()
    return KeySet.import_key_set((await http.get(published["jwks_uri"])).json())


async def test_a_code_gives_tokens_that_the_services_accept(
    pages: Application, http: httpx.AsyncClient, issuer: Issuer
) -> None:
    tokens = await pages.log_in()
    verifier = TokenVerifier(issuer.url, "creneau", SystemClock(), http)
    principal = await verifier.verify(tokens["access_token"])
    assert (principal.role, principal.subject, principal.client) == (
        "patient",
        "camille-martin",
        "creneau-web",
    )
    assert principal.level("Appointment", "c") == "patient"
    with pytest.raises(Unauthenticated):
        await verifier.verify(tokens["id_token"])


async def test_the_id_token_says_who_how_and_in_answer_to_what(
    pages: Application, http: httpx.AsyncClient, issuer: Issuer
) -> None:
    tokens = await pages.log_in(acr_values="eidas2")
    claims = jwt.decode(tokens["id_token"], await keys(http), algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (issuer.url, "creneau-web", "camille-martin")
    assert (claims["nonce"], claims["acr"]) == (NONCE, "eidas2")
    assert claims["at_hash"] == half_hash(tokens["access_token"])


async def test_professionals_are_those_of_the_demonstration(pages: Application, issuer: Issuer) -> None:
    tokens = await pages.log_in("oceane-payet")
    claims = jwt.decode(tokens["access_token"], issuer.key, algorithms=["ES256"]).claims
    assert claims["creneau_practitioner"] == "demo-payet-26"
    assert claims["SubjectNameID"] == "899000000267"
    secretary = jwt.decode((await pages.log_in("sophie-garnier"))["access_token"], issuer.key).claims
    assert secretary["creneau_organizations"] == ["demo-rennes-14"]
    operator = jwt.decode((await pages.log_in("marc-leclerc"))["access_token"], issuer.key).claims
    assert "creneau/operate" in operator["scope"].split()


async def test_a_code_works_once_and_whoever_sends_it_again_ends_the_session(pages: Application) -> None:
    code = await pages.code()
    tokens = (await pages.redeem(code)).json()
    again = await pages.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await pages.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await pages.userinfo(tokens)).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "status", "error"),
    [
        ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
        ({"code_verifier": ""}, 400, "invalid_grant"),
        ({"redirect_uri": f"{RETURN}/"}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "frontend", "client_secret": ""}, 400, "invalid_grant"),
    ],
)
async def test_a_code_is_for_whoever_asked_for_it(
    pages: Application, wrong: dict[str, str], status: int, error: str
) -> None:
    code = await pages.code()
    answer = await pages.redeem(code, **wrong)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_a_code_grows_old_in_a_minute(pages: Application, clock: FixedClock) -> None:
    code = await pages.code()
    clock.advance(timedelta(seconds=61))
    assert (await pages.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_is_rotated_and_an_old_one_ends_the_session(
    pages: Application, clock: FixedClock
) -> None:
    first = await pages.log_in()
    second = (await pages.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    # The answer may have been lost on its way: a moment later the first one is taken again.
    third = await pages.refresh(first["refresh_token"])
    assert third.status_code == 200
    clock.advance(timedelta(seconds=31))
    stolen = await pages.refresh(first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await pages.refresh(second["refresh_token"])).status_code == 400


async def test_a_refresh_token_is_for_its_client(pages: Application) -> None:
    tokens = await pages.log_in()
    other = await pages.refresh(tokens["refresh_token"], client_id="frontend", client_secret="")
    assert other.json()["error"] == "invalid_grant"
    assert (await pages.refresh(tokens["refresh_token"])).status_code == 200


async def test_scopes_are_narrowed_and_never_widened(pages: Application) -> None:
    narrow = await pages.log_in(scope="openid patient/Appointment.rs user/Appointment.cruds system/*.cruds")
    assert narrow["scope"] == "openid patient/Appointment.rs"
    assert (await pages.log_in(scope="openid patient/*.r"))["scope"].startswith("openid patient/")
    everything = (await pages.log_in(scope="openid"))["scope"].split()
    assert set(everything) == set(SCOPES["patient"].split()) - {"fhirUser"}


async def test_franceconnects_token_opens_nothing_but_its_userinfo(
    franceconnect: Application, pages: Application, http: httpx.AsyncClient, issuer: Issuer
) -> None:
    tokens = await franceconnect.log_in()
    assert "refresh_token" not in tokens
    with pytest.raises(Unauthenticated):
        await TokenVerifier(issuer.url, "creneau", SystemClock(), http).verify(tokens["access_token"])
    assert (await pages.userinfo(tokens)).status_code == 401
    assert (await franceconnect.userinfo(tokens)).status_code == 200


@pytest.mark.parametrize(("path", "person", "role"), [
    ("/franceconnect", "camille-martin", "patient"),
    ("/psc", "oceane-payet", "practitioner"),
])  # fmt: skip
async def test_an_id_token_of_theirs_is_exchanged_for_a_token_of_ours(
    http: httpx.AsyncClient, pages: Application, issuer: Issuer, path: str, person: str, role: str
) -> None:
    theirs = await Application(http, path).log_in(person)
    answer = await pages.token(
        grant_type=EXCHANGE, subject_token=theirs["id_token"], subject_token_type=ID_TOKEN
    )
    ours = answer.json()
    assert ours["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    principal = await TokenVerifier(issuer.url, "creneau", SystemClock(), http).verify(ours["access_token"])
    subject = jwt.decode(theirs["id_token"], await keys(http, path), algorithms=["RS256"]).claims["sub"]
    assert (principal.role, principal.subject) == (role, f"{path[1:]}:{subject}")
    assert principal.national_id == ("899000000267" if role == "practitioner" else None)
    again = (await pages.refresh(ours["refresh_token"])).json()
    assert (await pages.userinfo(again)).json()["sub"] == principal.subject


async def test_an_id_token_of_somebody_elses_is_not_exchanged(
    franceconnect: Application, pages: Application, clock: FixedClock, issuer: Issuer
) -> None:
    async def refused(**form: str) -> str:
        answer = await pages.token(grant_type=EXCHANGE, subject_token_type=ID_TOKEN, **form)
        assert answer.status_code == 400
        return str(answer.json()["error"])

    theirs = (await franceconnect.log_in())["id_token"]
    header, body, signature = theirs.split(".")
    assert await refused(subject_token=f"{header}.{body}.{signature[::-1]}") == "invalid_grant"
    assert await refused(subject_token="") == "invalid_grant"
    assert await refused(subject_token=(await pages.log_in())["id_token"]) == "invalid_grant"
    assert await refused(subject_token=issuer.token("patient")) == "invalid_grant"
    for_another = await pages.token(
        client_id="frontend",
        client_secret="",
        grant_type=EXCHANGE,
        subject_token_type=ID_TOKEN,
        subject_token=theirs,
    )
    assert for_another.json()["error"] == "invalid_grant", "it was given to the pages"
    clock.advance(timedelta(minutes=6))
    assert await refused(subject_token=theirs) == "invalid_grant"


async def test_the_dialects_give_no_client_its_own_credentials(franceconnect: Application) -> None:
    answer = await franceconnect.token(
        grant_type="client_credentials", client_id="system", client_secret="development"
    )
    assert answer.json() == {"error": "unsupported_grant_type"}


def test_the_clock_of_these_tests_is_today(clock: FixedClock) -> None:
    """Access tokens are signed by the clock of the machine."""
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)

"""With what people are sent to a provider, and what is kept until they come back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import ValidationError
from services.web.tests.auth.made_up import ISSUER, SITE, MadeUp, settings

from creneau_shared.clock import FixedClock
from creneau_web.auth.failure import LoginError
from creneau_web.auth.login import Login
from creneau_web.login_settings import LoginSettings


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_code_challenge_state_and_nonce(login: Login, clock: FixedClock) -> None:
    url, state, pending = await login.begin("issuer", "/rendez-vous?suite=1")
    asked = query(url)
    assert url.startswith(f"{ISSUER}/authorize?")
    assert (asked["response_type"], asked["client_id"]) == ("code", "creneau-web")
    assert asked["redirect_uri"] == f"{SITE}/auth/retour"
    digest = hashlib.sha256(pending.verifier.encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert asked["code_challenge_method"] == "S256"
    assert (asked["state"], asked["nonce"]) == (state, pending.nonce)
    assert pending.back == "/rendez-vous?suite=1"
    assert pending.until == clock.now() + timedelta(minutes=15)
    assert pending.verifier not in url


async def test_no_two_log_ins_have_a_secret_in_common(login: Login) -> None:
    found = [await login.begin("issuer", "/") for _ in range(20)]
    secrets = [secret for _, state, p in found for secret in (state, p.nonce, p.verifier)]
    assert len(set(secrets)) == 60
    assert min(map(len, secrets)) >= 43


async def test_the_level_is_asked_for_where_the_settings_name_one(login: Login) -> None:
    assert "acr_values" not in query((await login.begin("issuer", "/"))[0])
    asked = query((await login.begin("franceconnect", "/"))[0])
    assert asked["acr_values"] == "eidas1"
    assert set(asked["scope"].split()) == {"openid", "identite_pivot", "preferred_username", "email"}
    assert query((await login.begin("psc", "/"))[0])["scope"] == "openid scope_all"


@pytest.mark.parametrize(("name", "sent"), [("franceconnect", False), ("issuer", True), ("psc", True)])
async def test_franceconnect_gets_no_parameter_that_it_has_not_published(
    login: Login, provider: MadeUp, name: str, sent: bool
) -> None:
    """It refuses what it does not know; the others get the challenge whatever they publish."""
    provider.document = {"code_challenge_methods_supported": None}
    url, _, pending = await login.begin(name, "/")
    assert ("code_challenge" in query(url)) is sent
    assert bool(pending.verifier) is sent


async def test_what_is_published_is_asked_for_once_an_hour(
    login: Login, provider: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await login.begin("issuer", "/")
    assert provider.paths() == ["/.well-known/openid-configuration", "/jwks"]
    provider.silent = True
    monkeypatch.setattr("creneau_web.auth.published.time.monotonic", lambda: 1e9)
    await login.begin("issuer", "/")
    assert len(provider.paths()) == 3, "it was asked, said nothing, and what it said before stands"


async def test_a_provider_that_never_answered_is_said_to_be_silent(login: Login, provider: MadeUp) -> None:
    """However many come at once, each after the wait of one."""
    provider.silent = True
    failed = await asyncio.gather(*(login.begin("issuer", "/") for _ in range(5)), return_exceptions=True)
    assert [one.reason for one in failed if isinstance(one, LoginError)] == ["silent"] * 5
    assert len(provider.asked) == 1


async def test_a_document_of_another_issuer_is_not_believed(login: Login, provider: MadeUp) -> None:
    provider.document = {"issuer": "https://elsewhere.example"}
    with pytest.raises(LoginError):
        await login.begin("issuer", "/")


async def test_only_what_is_offered_can_be_begun(clock: FixedClock, provider: MadeUp) -> None:
    login = Login(settings(login_providers="psc"), clock, httpx.MockTransport(provider))
    assert login.offered == ("psc",)
    with pytest.raises(LoginError):
        await login.begin("issuer", "/")
    nobody = Login(settings(oidc_issuer=None), clock, httpx.MockTransport(provider))  # type: ignore[arg-type]
    assert nobody.offered == ()


def test_what_is_left_empty_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As compose says it of a provider that a deployment has not got."""
    for name in ("OIDC_LEVEL", "FRANCECONNECT_ISSUER", "PSC_ISSUER", "OIDC_ISSUER"):
        monkeypatch.setenv(name, "")
    assert LoginSettings().providers == ()


def test_settings_that_could_let_nobody_in_are_refused() -> None:
    with pytest.raises(ValidationError, match="is none of"):
        settings(login_providers="issuer,google")
    with pytest.raises(ValidationError, match="FRANCECONNECT_ISSUER"):
        settings(franceconnect_client_id="")

"""Tokens are renewed while the session lives, and given back when somebody logs out."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from services.web.tests.auth.made_up import ISSUER, SITE, MadeUp, settings

from creneau_shared.clock import FixedClock
from creneau_web.auth.facts import Tokens
from creneau_web.auth.failure import LoginError
from creneau_web.auth.login import Login


@pytest.fixture
def tokens(clock: FixedClock) -> Tokens:
    return Tokens(
        access_token="first",
        expires_at=clock.now() + timedelta(minutes=15),
        refresh_token="r1",
        id_token="of-the-log-in",
    )


def test_they_are_due_a_minute_before_their_end(login: Login, clock: FixedClock, tokens: Tokens) -> None:
    assert not login.is_due(tokens)
    clock.advance(timedelta(minutes=14))
    assert login.is_due(tokens)


async def test_renewed(login: Login, provider: MadeUp, tokens: Tokens, clock: FixedClock) -> None:
    provider.tokens = {"access_token": "second", "refresh_token": "r2"}
    renewed = await login.renew(tokens)
    assert renewed == Tokens(
        access_token="second",
        expires_at=clock.now() + timedelta(minutes=15),
        refresh_token="r2",
        id_token="of-the-log-in",
    )
    (form,) = provider.forms("/token")
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "r1")


async def test_an_issuer_that_does_not_rotate_keeps_the_refresh_token(
    login: Login, provider: MadeUp, tokens: Tokens
) -> None:
    provider.tokens = {"access_token": "second", "refresh_token": None}
    renewed = await login.renew(tokens)
    assert renewed is not None
    assert renewed.refresh_token == "r1"


async def test_a_session_that_ended_at_the_issuer_is_over(
    login: Login, provider: MadeUp, tokens: Tokens
) -> None:
    provider.refuses = "invalid_grant"
    assert await login.renew(tokens) is None


async def test_while_the_issuer_is_silent_a_token_serves_to_its_end(
    login: Login, provider: MadeUp, tokens: Tokens, clock: FixedClock
) -> None:
    await login.begin("issuer", "/")
    provider.silent = True
    clock.advance(timedelta(minutes=14, seconds=30))
    assert await login.renew(tokens) == tokens
    clock.advance(timedelta(minutes=1))
    with pytest.raises(LoginError) as failed:
        await login.renew(tokens)
    assert failed.value.reason == "silent", "and the person is not logged out for that"


@pytest.mark.parametrize("lifetime", [None, "soon", -5, 10**9])
async def test_a_lifetime_that_is_none_is_taken_for_a_short_one(
    login: Login, provider: MadeUp, tokens: Tokens, clock: FixedClock, lifetime: object
) -> None:
    provider.tokens = {"expires_in": lifetime}
    renewed = await login.renew(tokens)
    assert renewed is not None
    assert renewed.expires_at <= clock.now() + timedelta(days=1)


async def test_logging_out_gives_the_token_back_and_leads_to_the_provider(
    login: Login, provider: MadeUp, tokens: Tokens
) -> None:
    url = await login.end("franceconnect", tokens)
    (form,) = provider.forms("/revoke")
    assert (form["token"], form["client_id"]) == ("r1", "creneau-web")
    assert url is not None
    assert url.startswith(f"{ISSUER}/end_session?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked["id_token_hint"] == "of-the-log-in"
    assert asked["post_logout_redirect_uri"] == f"{SITE}/"
    assert len(asked["state"]) >= 43


async def test_a_silent_issuer_keeps_nobody_logged_in_here(
    login: Login, provider: MadeUp, tokens: Tokens
) -> None:
    provider.silent = True
    assert await login.end("issuer", tokens) is None


async def test_a_provider_that_has_gone_from_the_settings(
    provider: MadeUp, clock: FixedClock, tokens: Tokens
) -> None:
    """Who logged in there before can still log out."""
    login = Login(settings(login_providers="psc"), clock, httpx.MockTransport(provider))
    assert await login.end("franceconnect", tokens) is None
    assert len(provider.forms("/revoke")) == 1

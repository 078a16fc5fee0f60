"""Who is believed when somebody comes back: each check, seen to refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from services.web.tests.auth.made_up import ISSUER, NEW_KEY, OLD_KEY, MadeUp, begun, settings

from creneau_shared.clock import FixedClock
from creneau_web.auth.failure import LoginError
from creneau_web.auth.login import LoggedIn, Login

Change = Callable[[MadeUp], None]


async def complete(login: Login, provider: MadeUp, name: str = "issuer") -> LoggedIn:
    pending, returned = await begun(login, provider, name)
    return await login.complete(pending, returned)


async def refused(login: Login, provider: MadeUp, name: str = "issuer") -> LoginError:
    with pytest.raises(LoginError) as failed:
        await complete(login, provider, name)
    return failed.value


async def test_a_good_log_in_gives_facts_and_tokens(
    login: Login, provider: MadeUp, clock: FixedClock
) -> None:
    provider.userinfo = {
        "creneau_role": "secretary",
        "creneau_organizations": ["cabinet-1"],
        "birthdate": "1988-05-14",
    }
    done = await complete(login, provider)
    assert done.identity.name == "Océane PAYET"
    assert done.identity.given_names == ("Océane", "Marie")
    assert (done.identity.role, done.identity.organizations) == ("secretary", ("cabinet-1",))
    assert str(done.identity.birth_date) == "1988-05-14"
    assert done.tokens.access_token == "an-access-token"
    assert done.tokens.expires_at == clock.now() + timedelta(minutes=15)
    (form,) = provider.forms("/token")
    assert (form["grant_type"], form["code"]) == ("authorization_code", "a-code")
    assert len(form["code_verifier"]) >= 43
    assert (form["client_id"], form["client_secret"]) == ("creneau-web", "s")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "of another issuer": ({"iss": "https://elsewhere.example"}, "iss"),
    "for another client": ({"aud": "somebody"}, "aud"),
    "for no client": ({"aud": None}, "aud"),
    "for several, handed over by another": ({"aud": ["creneau-web", "x"], "azp": "x"}, "azp"),
    "for several, by nobody": ({"aud": ["creneau-web", "x"]}, "azp"),
    "of nobody": ({"sub": ""}, "sub"),
    "of a number": ({"sub": 12}, "sub"),
    "in answer to another log-in": ({"nonce": "another"}, "nonce"),
    "in answer to no log-in": ({"nonce": None}, "nonce"),
    "without an end": ({"exp": None}, "exp"),
    "with an end that is no time": ({"exp": True}, "exp"),
    "old": ({"exp": 1}, "exp"),
    "of tomorrow": ({"iat": 4_000_000_000, "exp": 4_000_000_060}, "iat"),
    "for another access token": ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case)
async def test_an_id_token_that_is_refused(login: Login, provider: MadeUp, case: str) -> None:
    provider.claims, detail = WRONG[case]
    failure = await refused(login, provider)
    assert (failure.reason, failure.detail) == ("untrusted", detail)


async def test_a_few_seconds_between_two_clocks_are_forgiven(
    login: Login, provider: MadeUp, clock: FixedClock
) -> None:
    now = int(clock.now().timestamp())
    provider.claims = {"iat": now + 20, "exp": now - 20}
    assert await complete(login, provider)


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "none"}, claims, OctKey.import_key("k" * 32), algorithms=["none"])


def by_the_public_key(claims: dict[str, Any]) -> str:
    """Signed with HS256 by what everybody can fetch."""
    key = OctKey.import_key(json.dumps(OLD_KEY.as_dict(private=False)))
    return jwt.encode({"alg": "HS256", "kid": OLD_KEY.kid}, claims, key)


def by_a_stranger(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": OLD_KEY.kid}, claims, NEW_KEY)


@pytest.mark.filterwarnings("ignore:JWS algorithm")
@pytest.mark.parametrize("sign", [unsigned, by_the_public_key, by_a_stranger, lambda claims: "no.jwt"])
async def test_a_signature_that_is_not_the_providers(
    login: Login, provider: MadeUp, sign: Callable[[dict[str, Any]], str]
) -> None:
    provider.sign = sign
    assert (await refused(login, provider)).reason == "untrusted"


async def test_keys_that_the_provider_has_changed_are_fetched(
    login: Login, provider: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await complete(login, provider)
    provider.key = provider.published_key = NEW_KEY
    known = provider.paths().count("/jwks")
    monkeypatch.setattr("creneau_web.auth.published.KEYS_PAUSE_S", 0.0)
    assert await complete(login, provider)
    assert provider.paths().count("/jwks") == known + 1


async def test_a_key_of_another_kind_beside_the_providers_shuts_nobody_out(
    login: Login, provider: MadeUp
) -> None:
    provider.published_beside = [{"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA", "use": "sig"}]
    assert (await complete(login, provider)).tokens.access_token == "an-access-token"


async def test_forged_keys_do_not_make_us_ask_at_each_try(login: Login, provider: MadeUp) -> None:
    provider.sign = by_a_stranger
    for _ in range(5):
        await refused(login, provider)
    assert provider.paths().count("/jwks") == 1


@pytest.mark.parametrize(
    ("asked", "given", "holds"),
    [
        ("eidas1", "eidas1", True),
        ("eidas1", "eidas3", True),
        ("eidas2", "eidas1", False),
        ("eidas2", "", False),
        ("eidas1", "eidas9", False),
        ("gold silver", "silver", True),
        ("gold silver", "bronze", False),
        ("", "", True),
    ],
)
async def test_a_level_below_the_one_asked_for_lets_nobody_in(
    provider: MadeUp, clock: FixedClock, asked: str, given: str, holds: bool
) -> None:
    login = Login(settings(oidc_level=asked), clock, httpx.MockTransport(provider))
    provider.claims = {"acr": given or None}
    # What userinfo says of the level is not what the log-in was done by.
    provider.userinfo = {"acr": "eidas3"}
    if holds:
        assert (await complete(login, provider)).identity.level == given
    else:
        assert (await refused(login, provider)).reason == "level"


async def test_userinfo_of_somebody_else_is_not_believed(login: Login, provider: MadeUp) -> None:
    provider.userinfo = {"sub": "somebody"}
    assert (await refused(login, provider)).detail == "sub of userinfo"


async def test_franceconnects_userinfo_counts_when_it_is_signed(login: Login, provider: MadeUp) -> None:
    assert (await refused(login, provider, "franceconnect")).detail == "userinfo is not signed"
    provider.signs_userinfo = True
    assert (await complete(login, provider, "franceconnect")).identity.family_name == "PAYET"


@pytest.mark.parametrize("wrong", [{"aud": "somebody"}, {"iss": "https://elsewhere.example"}, {"exp": 1}])
async def test_signed_userinfo_for_somebody_else_or_of_yesterday(
    login: Login, provider: MadeUp, wrong: dict[str, Any]
) -> None:
    provider.signs_userinfo, provider.userinfo = True, wrong
    assert (await refused(login, provider, "franceconnect")).reason == "untrusted"


async def test_an_answer_in_the_name_of_another_provider(login: Login, provider: MadeUp) -> None:
    """Mix-up (RFC 9207): a code of one provider must not be sent to another."""
    pending, returned = await begun(login, provider)
    with pytest.raises(LoginError, match="iss beside"):
        await login.complete(pending, returned | {"iss": "https://elsewhere.example"})
    assert provider.forms("/token") == [], "the code stays here"
    assert await login.complete(pending, returned | {"iss": ISSUER})
    provider.document = {"authorization_response_iss_parameter_supported": True}
    other = Login(settings(), provider.clock, httpx.MockTransport(provider))
    pending, returned = await begun(other, provider)
    with pytest.raises(LoginError, match="iss beside"):
        await other.complete(pending, returned)


async def test_who_took_too_long_begins_again(login: Login, provider: MadeUp, clock: FixedClock) -> None:
    pending, returned = await begun(login, provider)
    clock.advance(timedelta(minutes=15))
    with pytest.raises(LoginError) as failed:
        await login.complete(pending, returned)
    assert failed.value.reason == "stale"


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ({"error": "access_denied"}, "declined"),
        ({"error": "server_error"}, "untrusted"),
        ({}, "untrusted"),
    ],
)
async def test_coming_back_without_a_code(
    login: Login, provider: MadeUp, returned: dict[str, str], reason: str
) -> None:
    pending, _ = await begun(login, provider)
    with pytest.raises(LoginError) as failed:
        await login.complete(pending, returned)
    assert failed.value.reason == reason


async def test_a_code_that_the_provider_refuses(login: Login, provider: MadeUp) -> None:
    provider.refuses = "invalid_grant"
    assert (await refused(login, provider)).detail == "the provider refuses: invalid_grant"


async def test_others_id_tokens_are_exchanged_and_their_access_token_is_kept_nowhere(
    login: Login, provider: MadeUp
) -> None:
    done = await complete(login, provider, "psc")
    code, exchange = provider.forms("/token")
    assert code["grant_type"] == "authorization_code"
    assert exchange["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert exchange["subject_token"] == done.tokens.id_token
    assert exchange["subject_token_type"] == "urn:ietf:params:oauth:token-type:id_token"


@pytest.mark.parametrize("wrong", [{"SubjectNameID": None}, {"SubjectNameID": "899000000119"}])
async def test_a_professional_is_who_their_subject_says(
    login: Login, provider: MadeUp, wrong: dict[str, Any]
) -> None:
    provider.userinfo = wrong
    assert (await refused(login, provider, "psc")).detail == "SubjectNameID"


async def test_a_failure_tells_the_log_nothing_of_the_person(login: Login, provider: MadeUp) -> None:
    provider.userinfo = {"sub": "somebody"}
    failure = await refused(login, provider)
    for word in ("PAYET", "899000000267", "an-access-token", "a-code"):
        assert word not in str(failure)

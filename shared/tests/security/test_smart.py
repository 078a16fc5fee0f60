"""`.well-known/smart-configuration`: what the issuer publishes, in SMART's words, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from creneau_shared.errors import NotFound, Unavailable
from creneau_shared.security import smart
from creneau_shared.security.smart import SmartConfiguration, oauth_uris, smart_configuration

ISSUER = "https://issuer.example/realms/sante"
PUBLISHED: dict[str, Any] = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/jwks",
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "grant_types_supported": ["authorization_code", "client_credentials"],
    "code_challenge_methods_supported": ["plain", "S256"],
    "token_endpoint_auth_methods_supported": [
        "client_secret_post",
        "private_key_jwt",
        "none",
        "tls_client_auth",
    ],
    "scopes_supported": ["openid", "fhirUser", "launch/patient", "offline_access", "patient/*.rs"],
}
HONOURED = {"permission-patient", "permission-user", "permission-v1", "permission-v2"}


def test_what_an_issuer_of_applications_publishes_is_told() -> None:
    told = smart_configuration(PUBLISHED)
    for name in ("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "scopes_supported"):
        assert told[name] == PUBLISHED[name]
    assert "userinfo_endpoint" not in told, "no element of SMART's"
    assert told["code_challenge_methods_supported"] == ["S256"], "`plain` may not be named"
    assert told["grant_types_supported"] == ["authorization_code", "client_credentials"]
    assert set(told["capabilities"]) == HONOURED | {
        "launch-standalone",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
        "context-standalone-patient",
        "permission-offline",
        "sso-openid-connect",
    }


def test_clients_of_smart_1_are_told_the_same_addresses() -> None:
    (extension,) = oauth_uris(smart_configuration(PUBLISHED))
    told = {part["url"]: part["valueUri"] for part in extension["extension"]}
    assert told["authorize"] == PUBLISHED["authorization_endpoint"]
    assert told["token"] == PUBLISHED["token_endpoint"]
    assert oauth_uris({}) == []


def test_an_issuer_that_lets_nobody_log_in_is_not_said_to() -> None:
    """Client credentials alone, as the development issuer."""
    services_only = {**PUBLISHED, "grant_types_supported": ["client_credentials"]}
    del services_only["code_challenge_methods_supported"]
    told = smart_configuration(services_only)
    assert "authorization_endpoint" not in told
    assert told["code_challenge_methods_supported"] == []
    assert not {"launch-standalone", "sso-openid-connect", "permission-offline"} & set(told["capabilities"])


def test_what_is_not_said_means_what_openid_connect_says() -> None:
    told = smart_configuration({"issuer": ISSUER, "authorization_endpoint": "a", "token_endpoint": "t"})
    assert told["grant_types_supported"] == ["authorization_code", "implicit"]
    assert set(told["capabilities"]) == HONOURED | {"launch-standalone", "client-confidential-symmetric"}


class Issuer:
    """Answers with its document, or with what it is told to."""

    def __init__(self) -> None:
        self.answer: httpx.Response | None = httpx.Response(200, json=PUBLISHED)
        self.asked = 0

    def configuration(self, name: str = ISSUER) -> SmartConfiguration:
        return SmartConfiguration(name, httpx.AsyncClient(transport=httpx.MockTransport(self._handle)))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert str(request.url) == f"{ISSUER}/.well-known/openid-configuration"
        if self.answer is None:
            raise httpx.ConnectError("refused", request=request)
        return self.answer


async def test_the_issuer_is_asked_once_in_a_while_and_believed_while_it_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = Issuer()
    configuration = issuer.configuration(f"{ISSUER}/")
    first = await configuration.document()
    assert await configuration.document() == first
    assert issuer.asked == 1
    monkeypatch.setattr(smart, "KEPT_S", -1.0)
    again = Issuer()
    silent = again.configuration()
    assert await silent.document() == first
    again.answer = None
    assert await silent.document() == first, "what it said last"
    assert again.asked == 2


async def test_an_issuer_that_never_answered_is_waited_for_once() -> None:
    issuer = Issuer()
    issuer.answer = None
    configuration = issuer.configuration()
    answers = await asyncio.gather(*(configuration.document() for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 5
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        httpx.Response(500),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={**PUBLISHED, "issuer": "https://another.example"}),
    ],
)
async def test_an_issuer_that_does_not_answer_as_itself_is_away(answer: httpx.Response | None) -> None:
    issuer = Issuer()
    issuer.answer = answer
    with pytest.raises(Unavailable):
        await issuer.configuration().document()


async def test_without_an_issuer_there_is_nothing_to_tell() -> None:
    with pytest.raises(NotFound):
        await SmartConfiguration(None).document()

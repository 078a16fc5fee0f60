"""A provider made up for one test: it answers as it should, except where the test says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from creneau_shared.clock import FixedClock
from creneau_web.auth.checks import half_hash
from creneau_web.auth.facts import Pending
from creneau_web.auth.login import Login
from creneau_web.login_settings import LoginSettings

ISSUER = "https://provider.example/realm"
SITE = "https://site.example"
OLD_KEY, NEW_KEY = (
    RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True) for _ in range(2)
)


def settings(**other: str) -> LoginSettings:
    """The made-up provider as each of the three, at its own address."""
    known = {
        "public_site_url": SITE,
        "login_providers": "issuer,franceconnect,psc",
        "oidc_issuer": ISSUER,
        "oidc_client_secret": "s",
        "franceconnect_issuer": ISSUER,
        "franceconnect_client_id": "creneau-web",
        "franceconnect_client_secret": "s",
        "psc_issuer": ISSUER,
        "psc_client_id": "creneau-web",
        "psc_client_secret": "s",
    }
    return LoginSettings(**(known | other))  # type: ignore[arg-type]


@dataclass
class MadeUp:
    """What it says, and what it was asked. None in `claims` leaves one out."""

    clock: FixedClock
    document: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: OLD_KEY)
    published_key: RSAKey = field(default_factory=lambda: OLD_KEY)
    published_beside: list[dict[str, Any]] = field(default_factory=list)
    signs_userinfo: bool = False
    refuses: str = ""
    silent: bool = False
    nonce: str = ""
    sign: Callable[[dict[str, Any]], str] | None = None
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.silent:
            raise httpx.ConnectError("nobody there")
        match request.url.path.removeprefix("/realm"):
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self._document())
            case "/jwks":
                keys = [*self.published_beside, self.published_key.as_dict(private=False)]
                return httpx.Response(200, json={"keys": keys})
            case "/token":
                return self._token()
            case "/userinfo":
                return self._userinfo()
            case "/revoke":
                return httpx.Response(200)
        return httpx.Response(404)

    def paths(self) -> list[str]:
        return [request.url.path.removeprefix("/realm") for request in self.asked]

    def forms(self, path: str) -> list[dict[str, str]]:
        """The fields of what was posted to an endpoint."""
        found = [r for r in self.asked if r.url.path.endswith(path) and r.method == "POST"]
        return [{k: v[0] for k, v in parse_qs(r.content.decode()).items()} for r in found]

    def _document(self) -> dict[str, Any]:
        names = ("authorization", "token", "userinfo", "end_session", "revocation")
        paths = {"authorization": "authorize", "revocation": "revoke"}
        known = {f"{name}_endpoint": f"{ISSUER}/{paths.get(name, name)}" for name in names}
        more = {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/jwks",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        return {name: value for name, value in (known | more | self.document).items() if value is not None}

    def _token(self) -> httpx.Response:
        if self.refuses:
            return httpx.Response(400, json={"error": self.refuses})
        known = {
            "access_token": "an-access-token",
            "token_type": "Bearer",
            "expires_in": 900,
            "refresh_token": "a-refresh-token",
            "id_token": self.id_token(),
        }
        return httpx.Response(
            200, json={name: value for name, value in (known | self.tokens).items() if value is not None}
        )

    def id_token(self) -> str:
        now = int(self.clock.now().timestamp())
        known = {
            "iss": ISSUER,
            "aud": "creneau-web",
            "sub": "f:realm:899000000267",
            "iat": now,
            "exp": now + 60,
            "nonce": self.nonce,
            "acr": "eidas1",
            "at_hash": half_hash("an-access-token", "RS256"),
        }
        said = {name: value for name, value in (known | self.claims).items() if value is not None}
        return self.sign(said) if self.sign else self._signed(said)

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def _userinfo(self) -> httpx.Response:
        known = {
            "sub": "f:realm:899000000267",
            "given_name": "Océane Marie",
            "family_name": "PAYET",
            "SubjectNameID": "899000000267",
        }
        said = {name: value for name, value in (known | self.userinfo).items() if value is not None}
        if not self.signs_userinfo:
            return httpx.Response(200, json=said)
        whose = {"iss": ISSUER, "aud": "creneau-web"}
        text = self._signed(whose | said)
        return httpx.Response(200, text=text, headers={"content-type": "application/jwt; charset=utf-8"})


async def begun(login: Login, provider: MadeUp, name: str = "issuer") -> tuple[Pending, dict[str, str]]:
    """A log-in on its way, and what will come back with the person."""
    url, state, pending = await login.begin(name, "/rendez-vous")
    asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
    assert asked["state"] == state
    provider.nonce = asked["nonce"]
    return pending, {"code": "a-code", "state": state}

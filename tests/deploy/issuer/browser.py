"""A browser and an application at the development issuer, in one process."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

SITE = "http://site.example"
RETURN = f"{SITE}/auth/retour"
SECRET = "of-the-pages"
NONCE = "the-nonce-of-these-tests"
VERIFIER = "v" * 43


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Application:
    """The pages as they are known in one dialect (`path`: `""`, `/franceconnect`, `/psc`)."""

    http: httpx.AsyncClient
    path: str = ""

    @property
    def client_id(self) -> str:
        return f"creneau-web{self.path.replace('/', '-')}"

    def asked(self, **other: str) -> dict[str, str]:
        """The parameters of a good request, with some of them otherwise; an empty one is left out."""
        known = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": RETURN,
            "scope": "openid profile email birth scope_all",
            "state": "the-state",
            "nonce": NONCE,
            "acr_values": "eidas1",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (known | other).items() if value}

    async def ask(self, **other: str) -> httpx.Response:
        return await self.http.get(f"{self.path}/authorize", params=self.asked(**other))

    async def choose(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Press a button of the page: `person=…`, `refuse=…`, or the invented one's `given` and `family`."""
        found = re.search(r'name="request" value="([^"]+)"', page.text)
        assert found, page.text
        form = {"request": unescape(found[1]), **fields}
        return await self.http.post(f"{self.path}/authorize", data=form)

    async def code(self, person: str = "camille-martin", **other: str) -> str:
        answer = await self.choose(await self.ask(**other), person=person)
        assert answer.status_code == 303, answer.text
        return returned(answer)["code"]

    async def token(self, **form: str) -> httpx.Response:
        known = {"client_id": self.client_id, "client_secret": SECRET}
        given = {name: value for name, value in (known | form).items() if value}
        return await self.http.post(f"{self.path}/token", data=given)

    async def redeem(self, code: str, **other: str) -> httpx.Response:
        known = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": RETURN,
            "code_verifier": VERIFIER,
        }
        return await self.token(**(known | other))

    async def log_in(self, person: str = "camille-martin", **other: str) -> dict[str, Any]:
        """The tokens of somebody who has just logged in."""
        answer = await self.redeem(await self.code(person, **other))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, token: str, **other: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=token, **other)

    async def userinfo(self, tokens: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return await self.http.get(f"{self.path}/userinfo", headers=headers)


def returned(answer: httpx.Response) -> dict[str, str]:
    """What the application was told at its own address."""
    location = answer.headers["location"]
    assert location.startswith(f"{RETURN}?"), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

"""The pages' side of logging in, the development issuer, and a browser between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
from deploy.local.issuer.app import Registered, create_app
from deploy.local.issuer.store import Store
from deploy.local.tokens import Issuer
from joserfc.jwk import RSAKey
from starlette.applications import Starlette

from creneau_shared.clock import FixedClock
from creneau_web.auth.facts import Pending
from creneau_web.auth.login import LoggedIn, Login

SITE = "https://site.example"
SECRET = "of-the-pages"
RSA = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
NAMES = ("issuer", "franceconnect", "psc")
WHO = {"issuer": "camille-martin", "franceconnect": "yvonne-lefort", "psc": "ines-bianchi"}


def issuer_app(issuer: Issuer, clock: FixedClock) -> Starlette:
    """The development issuer, with the pages registered."""
    return create_app(issuer, RSA, Registered(SITE, SECRET), Store(":memory:", clock), clock)


def login_settings(issuer: Issuer, **other: str) -> dict[str, str]:
    """What the pages are told of the three providers."""
    known = {
        "public_site_url": SITE,
        "login_providers": ",".join(NAMES),
        "oidc_issuer": issuer.url,
        "oidc_client_secret": SECRET,
        "oidc_level": "eidas1",
        "franceconnect_issuer": f"{issuer.url}/franceconnect",
        "franceconnect_client_id": "creneau-web-franceconnect",
        "franceconnect_client_secret": SECRET,
        "psc_issuer": f"{issuer.url}/psc",
        "psc_client_id": "creneau-web-psc",
        "psc_client_secret": SECRET,
    }
    return known | other


async def choose(http: httpx.AsyncClient, url: str, **fields: str) -> str:
    """Press a button of the issuer's page (`person=…`, `refuse=…`): where it leads."""
    page = await http.get(url)
    found = re.search(r'name="request" value="([^"]+)"', page.text)
    assert found, page.text
    form = {"request": unescape(found[1]), **fields}
    answer = await http.post(url.partition("?")[0], data=form)
    return str(answer.headers["location"])


def said(location: str) -> dict[str, str]:
    """The query of an address."""
    return {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}


@dataclass
class Both:
    """The issuer, a browser at it, and the pages' side of logging in."""

    issuer: Issuer
    http: httpx.AsyncClient
    login: Login
    clock: FixedClock
    transport: httpx.AsyncBaseTransport

    async def go(self, name: str, person: str | None = None) -> tuple[Pending, dict[str, str]]:
        """To the issuer and back: what was kept, and what the address says."""
        url, state, pending = await self.login.begin(name, "/")
        location = await choose(self.http, url, person=person or WHO[name])
        assert location.startswith(f"{SITE}/auth/retour?")
        returned = said(location)
        assert returned["state"] == state
        return pending, returned

    async def log_in(self, name: str, person: str | None = None) -> LoggedIn:
        return await self.login.complete(*await self.go(name, person))

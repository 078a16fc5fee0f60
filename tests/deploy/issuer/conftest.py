"""The development issuer in this process, and the pages as its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from deploy.local.folder import Folder
from deploy.local.issuer.app import Registered, create_app
from deploy.local.issuer.store import Store
from deploy.local.tokens import Issuer
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from tests.deploy.issuer.browser import SECRET, SITE, Application

from creneau_shared.clock import FixedClock

RSA = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer.of(Folder(tmp_path))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime.now(UTC))


@pytest.fixture
def app(issuer: Issuer, clock: FixedClock, tmp_path: Path) -> Starlette:
    return create_app(issuer, RSA, Registered(SITE, SECRET), Store(tmp_path / "issuer.sqlite", clock), clock)


@pytest.fixture
async def http(issuer: Issuer, app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=issuer.url) as client:
        yield client


@pytest.fixture
def pages(http: httpx.AsyncClient) -> Application:
    return Application(http)


@pytest.fixture
def franceconnect(http: httpx.AsyncClient) -> Application:
    return Application(http, "/franceconnect")


@pytest.fixture
def psc(http: httpx.AsyncClient) -> Application:
    return Application(http, "/psc")

"""The directory's API over a database of its own, called over HTTP in process by software with a real token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from creneau_directory.app import create_app
from creneau_directory.settings import DirectorySettings
from creneau_shared.app import ServiceApplication
from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_shared.database.pool import Database
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.security.issuers import Issuers
from creneau_shared.security.tokens import TokenVerifier

NOW = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
BASE = "http://127.0.0.1:8080/fhir"
ISSUER = "https://issuer.example"


@dataclass
class Directory:
    """The API, and the database behind it."""

    client: httpx.AsyncClient
    database: Database
    key: ECKey
    fhir: FhirServer | None = None

    async def put(self, resource: dict[str, Any], token: str | None = None) -> httpx.Response:
        """PUT by the deployment itself, or by the holder of `token`."""
        path = f"/fhir/{resource['resourceType']}/{resource['id']}"
        headers = {"Authorization": f"Bearer {token}"} if token else None
        return await self.client.put(path, json=resource, headers=headers)

    def staff(self, *organizations: str, **claims: Any) -> str:
        """A token of software that speaks for these Organizations (ids)."""
        said = {"creneau_role": "software", "creneau_organizations": list(organizations), **claims}
        return _token(self.key, **said)

    async def ids(self, resource_type: str, **query: Any) -> list[str]:
        """The matches of a search, in their order."""
        answer = await self.client.get(f"/fhir/{resource_type}", params=query)
        assert answer.status_code == 200, answer.text
        entries = answer.json().get("entry", ())
        return [e["resource"]["id"] for e in entries if e["search"]["mode"] == "match"]

    async def told(self, key: str) -> list[bytes | None]:
        """The data of the events of a resource, in order."""
        rows = await self.database.pool.fetch("SELECT data FROM outbox WHERE key = $1 ORDER BY position", key)
        return [row["data"] for row in rows]


@pytest.fixture(scope="session")
async def directory(postgres_server: Any) -> AsyncIterator[Directory]:
    """One directory for the session; tests stay apart by ids of their own."""
    url = postgres_server.create_database("directory_shared")
    await migrate(find_migrations("creneau_directory"), url)
    async with opened(url, export_file_resources=10) as running:
        yield running


@asynccontextmanager
async def opened(url: str, **changed: Any) -> AsyncIterator[Directory]:
    """The API over a migrated database, with some of its settings changed."""
    settings = DirectorySettings(database_url=url, public_base_url=BASE, oidc_issuer=ISSUER, **changed)
    clock = FixedClock(NOW)
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    fhir = create_app(settings, clock).fhir
    verifier = TokenVerifier(ISSUER, "creneau", clock, _publishing(key))
    async with _serving(
        ServiceApplication(settings, fhir, fhir.service.database, Issuers(verifier, None))
    ) as client:
        client.headers = httpx.Headers(
            {"Authorization": f"Bearer {_token(key)}", "Content-Type": "application/fhir+json"}
        )
        yield Directory(client, fhir.service.database, key, fhir)


def _publishing(key: ECKey) -> httpx.AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/jwks":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False)]})
        return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"})

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def _token(key: ECKey, **said: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": "creneau",
        "sub": "annuaire",
        "exp": int(NOW.timestamp()) + 3600,
        "scope": "system/*.cruds",
        "creneau_role": "system",
        **said,
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)


@asynccontextmanager
async def _serving(app: ServiceApplication) -> AsyncIterator[httpx.AsyncClient]:
    """The application, started and in the end stopped as a server would do it."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE.removesuffix("/fhir")) as client:
        yield client
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await running

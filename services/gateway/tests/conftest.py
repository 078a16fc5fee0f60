"""The gateway over services that are stood in for: what each was asked, and what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from creneau_gateway.app import create_app
from creneau_gateway.settings import GatewaySettings
from creneau_shared.clock import FixedClock
from creneau_shared.type_table import SERVICE_NAMES

BASE = "https://creneau.example/fhir"
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
FHIR = {"content-type": "application/fhir+json; charset=utf-8"}

Says = Callable[["Asked"], httpx.Response]


@dataclass(frozen=True)
class Asked:
    """One request that a service got."""

    service: str
    method: str
    path: str
    query: dict[str, str]
    """of the address, and of a search form"""
    headers: httpx.Headers
    content: bytes


@dataclass
class Services:
    """The three services."""

    says: dict[tuple[str, str], Says] = field(default_factory=dict)
    """(service, path) → its answer; 404 for what is not there"""
    asked: list[Asked] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    """hosts that accept no connection"""

    def answer(self, service: str, path: str, content: Any, status: int = 200, **headers: str) -> None:
        """What a service says at an address: a resource, or bytes as they are."""
        kept = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"content": content} if isinstance(content, bytes) else {"json": content}
        self.says[service, path] = lambda _: httpx.Response(status, headers={**FHIR, **kept}, **given)

    def of(self, service: str) -> list[Asked]:
        return [one for one in self.asked if one.service == service]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.host in self.down:
            raise httpx.ConnectError("refused", request=request)
        service = request.url.host.partition("-")[0]
        content = await request.aread()
        query = dict(request.url.params)
        if request.headers.get("content-type") == "application/x-www-form-urlencoded":
            query |= dict(parse_qsl(content.decode()))
        asked = Asked(service, request.method, request.url.path, query, request.headers, content)
        self.asked.append(asked)
        says = self.says.get((service, asked.path))
        return says(asked) if says else httpx.Response(404, headers=FHIR, json=outcome("not-found"))


def outcome(code: str, text: str = "Non.", details: str | None = None) -> dict[str, Any]:
    """An OperationOutcome as the services make them."""
    coded = {"coding": [{"code": details}]} if details else {}
    issue = {"severity": "error", "code": code, "details": {**coded, "text": text}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def bundle(
    kind: str, *entries: dict[str, Any], following: str | None = None, total: int | None = None
) -> Any:
    """A Bundle as a service gives it, with the cursor of its next page."""
    found: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": kind,
        "link": [{"relation": "self", "url": BASE}],
    }
    if following is not None:
        found["link"].append({"relation": "next", "url": f"{BASE}/x?_cursor={following}"})
    if total is not None:
        found["total"] = total
    return {**found, "entry": list(entries)} if entries else found


def match(resource: dict[str, Any], mode: str = "match") -> dict[str, Any]:
    """An entry of a searchset."""
    url = f"{BASE}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def settings(**given: Any) -> GatewaySettings:
    upstreams = {f"upstreams_{name}": f"http://{name}-1" for name in SERVICE_NAMES}
    return GatewaySettings(**{"public_base_url": BASE, "cursor_secret": "of tests", **upstreams, **given})


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """The FHIR base through the gateway, with a token that the services would check."""
    app = create_app(settings(), FixedClock(NOW), httpx.MockTransport(services.handle))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway/fhir",
        headers={"Authorization": "Bearer someone's"},
    ) as opened:
        yield opened

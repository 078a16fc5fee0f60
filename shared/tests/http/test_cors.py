"""Pages of any origin may call, with whatever headers their libraries add, and read what is answered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from creneau_shared.http.edge import EdgeMiddleware
from creneau_shared.http.health import respond

ORIGIN = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}


async def api(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await respond(send, 405, b"{}", "application/json")


async def preflight(**asked: str) -> httpx.Headers:
    edge: Any = EdgeMiddleware(api, frozenset())
    transport = httpx.ASGITransport(edge)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        headers = {**ORIGIN, **{name.replace("_", "-"): value for name, value in asked.items()}}
        answer = await client.options("/fhir/Slot", headers=headers)
    assert answer.status_code == 204
    return answer.headers


def allowed(headers: httpx.Headers) -> set[str]:
    return {name.strip().lower() for name in headers["access-control-allow-headers"].split(",")}


@pytest.mark.parametrize(
    "asked", ["authorization,x-medplum", "traceparent, baggage,sentry-trace", "cache-control"]
)
async def test_a_header_that_means_nothing_here_stops_no_request(asked: str) -> None:
    """MedplumClient, OpenTelemetry and Sentry send some with every request."""
    found = allowed(await preflight(Access_Control_Request_Headers=asked))
    assert {name.strip() for name in asked.split(",")} <= found
    assert {"authorization", "if-match", "idempotency-key"} <= found


@pytest.mark.parametrize("asked", ["", "a b", "x-one,,x-two", "x:y", "x" * 100, ",".join(["x"] * 100)])
async def test_what_is_no_list_of_headers_is_not_repeated(asked: str) -> None:
    assert allowed(await preflight(Access_Control_Request_Headers=asked)) == allowed(await preflight())


async def test_a_page_reads_what_a_refusal_says() -> None:
    edge: Any = EdgeMiddleware(api, frozenset())
    transport = httpx.ASGITransport(edge)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        headers = (await client.get("/fhir/Slot", headers=ORIGIN)).headers
        assert headers["access-control-allow-origin"] == "*"
        exposed = {name.strip() for name in headers["access-control-expose-headers"].split(",")}
        assert {"Retry-After", "Allow", "Accept-Patch", "Content-Disposition", "Warning"} <= exposed
        assert "access-control-allow-origin" not in (await client.get("/fhir/Slot")).headers

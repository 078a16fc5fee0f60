"""Every process tells browsers to make nothing of its answers but data: its API, its health, what it cannot read."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from tests.fixtures.served import served

from creneau_shared.http.edge import EdgeMiddleware
from creneau_shared.http.health import Health, HealthApp, respond
from creneau_shared.http.protection import POLICY


async def api(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await respond(send, 404, b"{}", "application/json")


def protected(headers: httpx.Headers) -> bool:
    return (
        headers.get_list("content-security-policy") == [POLICY]
        and headers.get_list("x-content-type-options") == ["nosniff"]
        and headers.get_list("referrer-policy") == ["no-referrer"]
    )


@pytest.mark.parametrize("path", ["/fhir/x", "/health/live", "/metrics", "/nowhere"])
@pytest.mark.parametrize("app", [EdgeMiddleware(api, frozenset()), HealthApp(Health())])
async def test_answers_are_protected(app: Any, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert protected((await client.get(path)).headers)
        if isinstance(app, EdgeMiddleware):
            assert protected((await client.options(path, headers={"Origin": "https://a.example"})).headers)


async def test_what_is_no_request_is_refused_with_protection() -> None:
    async with served(EdgeMiddleware(api, frozenset()), lifespan=False) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"NONSENSE\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        writer.close()
    assert head[0].startswith("HTTP/1.1 400")
    lines = [line.partition(": ") for line in head[1:] if line]
    assert protected(httpx.Headers([(name, value) for name, _, value in lines]))

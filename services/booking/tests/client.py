"""Callers of the API over HTTP in process, each with a token of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from creneau_booking.storage.mapping.appointment import CANCELABLE_UNTIL, RESCHEDULABLE_UNTIL
from creneau_shared.app import ServiceApplication
from creneau_shared.fhir.storage.store import Resource

FHIR_JSON = "application/fhir+json"


class Caller:
    """One caller: a token, or none."""

    def __init__(self, client: httpx.AsyncClient, token: str | None, language: str = "fr") -> None:
        self.client = client
        self.headers = {"Accept-Language": language}
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.client.get(f"/fhir/{path}", params=query or None, headers=self.headers)

    async def post(self, path: str, resource: Resource, **headers: str) -> httpx.Response:
        return await self.send("POST", path, resource, headers)

    async def put(self, path: str, resource: Resource, **headers: str) -> httpx.Response:
        return await self.send("PUT", path, resource, headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self.client.delete(f"/fhir/{path}", headers=self.headers)

    async def patch(
        self, path: str, body: Any, content_type: str = "application/json-patch+json"
    ) -> httpx.Response:
        return await self.send("PATCH", path, body, {}, content_type)

    async def send(
        self, method: str, path: str, body: Any, headers: dict[str, str], content_type: str = FHIR_JSON
    ) -> httpx.Response:
        """Any request; of a name of `headers`, `_` is a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method,
            f"/fhir/{path}",
            json=body,
            headers={**self.headers, "Content-Type": content_type, **named},
        )


@asynccontextmanager
async def serving(app: ServiceApplication) -> AsyncIterator[httpx.AsyncClient]:
    """The application, started and in the end stopped as a server would do it."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    running = asyncio.create_task(_run(app, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield client
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await running


async def _run(
    app: ServiceApplication,
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    await app({"type": "lifespan"}, receive, send)


def reason(response: httpx.Response) -> str:
    """The sentences of an OperationOutcome."""
    return "\n".join(issue["details"]["text"] for issue in response.json()["issue"])


def as_stored(appointment: Resource) -> Resource:
    """An Appointment as a patient reads it, without what is computed for them and never stored."""
    computed = (CANCELABLE_UNTIL, RESCHEDULABLE_UNTIL)
    kept = [e for e in appointment.get("extension", ()) if e["url"] not in computed]
    rest = {name: value for name, value in appointment.items() if name != "extension"}
    return {**rest, "extension": kept} if kept else rest


def code(response: httpx.Response) -> str:
    """Our own code of the first issue."""
    for coding in response.json()["issue"][0]["details"].get("coding", ()):
        return str(coding["code"])
    return ""

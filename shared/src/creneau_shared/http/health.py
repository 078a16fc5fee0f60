"""`/health/live`, `/health/ready` and `/metrics`, the same for every process: plain ASGI.

Live: restart the process when this fails. Ready: send it requests while this succeeds. Readiness names each dependency
and its state. It fails once the process has been asked to stop, before it stops accepting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from creneau_shared.http.protection import protected
from creneau_shared.metrics import exposition

CHECK_TIMEOUT_S = 3.0

Check = Callable[[], Awaitable[None]]
"""Raises when a dependency does not answer."""

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Health:
    """The state of one process.

    `readiness`: dependency → its check. `stuck`: task → a function that tells whether it has stopped working.
    `draining` is set when the process is asked to stop.
    """

    readiness: Mapping[str, Check] = field(default_factory=dict)
    stuck: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    draining: bool = False

    def live(self) -> tuple[bool, dict[str, str]]:
        """Whether the process is alive, and the state of each task."""
        states = {name: "stuck" if stuck() else "ok" for name, stuck in self.stuck.items()}
        return all(state == "ok" for state in states.values()), states

    async def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether the process can take requests, and the state of each dependency."""
        results = await asyncio.gather(*(_state(check) for check in self.readiness.values()))
        states = dict(zip(self.readiness, results, strict=True))
        if self.draining:
            states["process"] = "draining"
        return all(state == "ok" for state in states.values()), states


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return "timeout"
    except Exception as error:
        # The class says enough to an operator; the message may hold an address or a credential.
        return f"down ({type(error).__name__})"
    return "ok"


class HealthApp:
    """Answers the three paths in a process that serves nothing else; 404 for other paths."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_on(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = protected(message["headers"])
            await send(message)

        if not await answer(self._health, scope, send_on):
            await respond(send_on, 404, b'{"status":"not found"}', "application/json")


async def answer(health: Health, scope: AsgiScope, send: Send) -> bool:
    """Answers a request for one of the three paths; returns False, with nothing sent, for another path."""
    path = scope["path"]
    if path == "/metrics":
        await respond(send, 200, *exposition())
    elif path == "/health/live":
        await _report(send, *health.live())
    elif path == "/health/ready":
        await _report(send, *await health.ready())
    else:
        return False
    return True


async def _report(send: Send, good: bool, states: Mapping[str, str]) -> None:
    body = orjson.dumps({"status": "ok" if good else "unavailable", "checks": states})
    await respond(send, 200 if good else 503, body, "application/json")


async def respond(send: Send, status: int, body: bytes, content_type: str) -> None:
    """Sends one whole response with no caching."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

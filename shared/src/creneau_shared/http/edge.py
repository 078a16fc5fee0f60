"""Adds the correlation id, security headers and CORS headers to every HTTP answer, and measures it.

Pure ASGI, and one wrapper rather than three, since it runs for every request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from creneau_shared import correlation, functions
from creneau_shared.http import cors
from creneau_shared.http.metering import Meter
from creneau_shared.http.protection import protected

ASGIApp = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class EdgeMiddleware:
    """Gives each request its correlation id, answers preflights, and measures. `resources`: see `Meter`."""

    def __init__(self, app: ASGIApp, resources: frozenset[str]) -> None:
        self._app = app
        self._meter = Meter(resources)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        functions.begin()
        asked = {name: value for name, value in scope["headers"] if name in _LOOKED_AT}
        extra = correlation.begin(asked.get(b"x-request-id"), asked.get(b"x-correlation-id"))
        if b"origin" in asked:
            if scope["method"] == "OPTIONS":
                wanted = asked.get(b"access-control-request-headers", b"")
                await cors.answer_preflight(send, wanted, protected(extra))
                return
            extra += cors.READABLE

        async def send_on(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = protected([*message["headers"], *extra])
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            self._meter.count(scope["method"], scope["path"], status, time.perf_counter() - started)


_LOOKED_AT = frozenset({b"x-request-id", b"x-correlation-id", b"origin", b"access-control-request-headers"})

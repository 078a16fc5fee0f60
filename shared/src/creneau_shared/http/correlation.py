"""The id that follows one request through logs, events and answers (`X-Request-Id`, `X-Correlation-Id`)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from creneau_shared.ids import new_id

_current: ContextVar[str | None] = ContextVar("correlation id", default=None)
_ACCEPTABLE = re.compile(rb"^[A-Za-z0-9._:\-]{1,128}$")

ASGIApp = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def correlation_id() -> str | None:
    """The correlation id of the request or event in hand; None outside any."""
    return _current.get()


def set_correlation_id(value: str | None) -> None:
    """Continue under `value`: for what happens outside an HTTP request, such as consuming an event."""
    _current.set(value)


class CorrelationMiddleware:
    """Takes the caller's request id when it is acceptable, else gives one; echoes it on the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-correlation-id") or headers.get(b"x-request-id") or b""
        value = given if _ACCEPTABLE.match(given) else new_id().encode()
        request_id = headers.get(b"x-request-id", b"")
        echo = [
            (b"x-request-id", request_id if _ACCEPTABLE.match(request_id) else value),
            (b"x-correlation-id", value),
        ]
        _current.set(value.decode())

        async def send_with_id(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *echo]}
            await send(message)

        await self._app(scope, receive, send_with_id)

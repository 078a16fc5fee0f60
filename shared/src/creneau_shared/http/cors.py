"""Cross-origin access for browser apps (FHIR R4 http.html asks for it). Tokens travel in a header, never in a
cookie, so any origin may be let in without lending it anybody's session."""

from __future__ import annotations

from typing import Any

from creneau_shared.http.correlation import ASGIApp

_EXPOSED = (
    b"ETag, Location, Content-Location, Last-Modified, Expires, Retry-After, X-Request-Id, X-Correlation-Id"
)
_ALLOWED_HEADERS = (
    b"Accept, Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since,"
    b" If-None-Exist, If-None-Match, Prefer, X-Request-Id, X-Correlation-Id"
)


class CorsMiddleware:
    """Answers preflight requests and marks every other answer as readable by the calling page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not any(name == b"origin" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            headers = [
                (b"access-control-allow-origin", b"*"),
                (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
                (b"access-control-allow-headers", _ALLOWED_HEADERS),
                (b"access-control-max-age", b"600"),
                (b"content-length", b"0"),
            ]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_readable(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = [
                    (b"access-control-allow-origin", b"*"),
                    (b"access-control-expose-headers", _EXPOSED),
                ]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, send_readable)

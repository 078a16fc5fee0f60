"""Counts and times requests by method, resource type and status: few labels, whatever the addresses."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import Counter, Histogram

from creneau_shared.http.correlation import ASGIApp

REQUESTS = Counter("creneau_http_requests", "Requests answered", ["method", "resource", "status"])
DURATION = Histogram(
    "creneau_http_request_seconds",
    "Time to the last byte of the answer, seconds",
    ["method", "resource"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 7),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MeteringMiddleware:
    """Measures every FHIR request. `resources` are the type names that get a label of their own."""

    def __init__(self, app: ASGIApp, resources: frozenset[str]) -> None:
        self._app = app
        self._resources = resources

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts = scope["path"].split("/", 3)
        resource = (
            parts[2] if len(parts) > 2 and parts[1] == "fhir" and parts[2] in self._resources else "other"
        )
        method = scope["method"] if scope["method"] in _METHODS else "other"
        started, status = time.perf_counter(), 500

        async def send_counted(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            REQUESTS.labels(method, resource, str(status)).inc()
            DURATION.labels(method, resource).observe(time.perf_counter() - started)

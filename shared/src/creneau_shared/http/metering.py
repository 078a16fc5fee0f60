"""Counts and times requests by method, resource type and status: few labels, whatever the addresses."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

REQUESTS = Counter("creneau_http_requests", "Requests answered", ["method", "resource", "status"])
DURATION = Histogram(
    "creneau_http_request_seconds",
    "Time to the last byte of the answer, seconds",
    ["method", "resource"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 7),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meter:
    """Counts what was answered. `resources` are the type names that get a label of their own."""

    def __init__(self, resources: frozenset[str]) -> None:
        self._resources = resources

    def count(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        parts = path.split("/", 3)
        below = parts[2] if len(parts) > 2 and parts[1] == "fhir" else ""
        resource = below if below in self._resources else "other"
        method = method if method in _METHODS else "other"
        _requests(method, resource, status).inc()
        _duration(method, resource).observe(seconds)


@cache
def _requests(method: str, resource: str, status: int) -> Counter:
    return REQUESTS.labels(method, resource, str(status))


@cache
def _duration(method: str, resource: str) -> Histogram:
    return DURATION.labels(method, resource)

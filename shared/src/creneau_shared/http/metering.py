"""Counts and times requests by method, resource type and status, so that addresses make no labels. Also by function
(`functions`), in finer steps: there are few functions, and an operator reads their percentiles directly.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

from creneau_shared import functions
from creneau_shared.functions import Function, is_failure
from creneau_shared.metrics import fine_steps

REQUESTS = Counter("creneau_http_requests", "Requests answered", ["method", "resource", "status"])
DURATION = Histogram(
    "creneau_http_request_seconds",
    "Time to the last byte of the answer, seconds",
    ["method", "resource"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 7),
)
ANSWERS = Counter(
    "creneau_function_answers",
    "Answers by what was asked for and how it ended: ok, refused, failed",
    ["function", "outcome"],
)
SECONDS = Histogram(
    "creneau_function_seconds",
    "Time to the last byte of the answer by what was asked for, seconds",
    ["function"],
    buckets=fine_steps(0.002, 30.0),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meter:
    """Counts answers. `resources`: the type names that get a label of their own."""

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
        function = functions.function_of(method, path)
        if function is not None:
            _answers(function, _outcome(status)).inc()
            _seconds(function).observe(seconds)


def _outcome(status: int) -> str:
    """The outcome of an answer: success, refusal to the caller, or failure of the server."""
    return "ok" if status < 400 else "failed" if is_failure(status) else "refused"


@cache
def _answers(function: Function, outcome: str) -> Counter:
    return ANSWERS.labels(function, outcome)


@cache
def _seconds(function: Function) -> Histogram:
    return SECONDS.labels(function)


@cache
def _requests(method: str, resource: str, status: int) -> Counter:
    return REQUESTS.labels(method, resource, str(status))


@cache
def _duration(method: str, resource: str) -> Histogram:
    return DURATION.labels(method, resource)

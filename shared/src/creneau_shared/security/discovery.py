"""The document that an issuer publishes about itself (OpenID Connect Discovery 1.0, section 4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from creneau_shared.errors import Unavailable

PATIENCE = httpx.Timeout(5.0)
"""longest wait for an issuer"""
DISCOVERY_FAILURES = (httpx.HTTPError, KeyError, ValueError)
"""Raised by `discover` when the issuer does not answer, or its document is not its own."""

SILENCE_KEPT_S = 5.0
"""for so long it is remembered that an issuer did not answer"""


class Silence:
    """That an issuer did not answer a moment ago: callers who come meanwhile need not wait as long, one after the other."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._until = float("-inf")

    @property
    def holds(self) -> bool:
        return self._seconds() < self._until

    def begin(self) -> None:
        self._until = self._seconds() + SILENCE_KEPT_S


async def discover(client: httpx.AsyncClient, issuer: str) -> dict[str, Any]:
    """The issuer's document, which must name this issuer (section 4.3); raises one of DISCOVERY_FAILURES otherwise. The
    settings may write the issuer with or without the last slash."""
    bare = issuer.removesuffix("/")
    answer = await client.get(f"{bare}/.well-known/openid-configuration")
    answer.raise_for_status()
    document = answer.json()
    if not isinstance(document, dict) or str(document["issuer"]).removesuffix("/") != bare:
        raise ValueError("the discovery document is another issuer's")
    return document


def silent() -> Unavailable:
    """The error when the issuer does not answer, and its earlier answers are not enough."""
    return Unavailable(
        "Le service d'identité ne répond pas ; réessayez dans un instant.",
        "The identity provider does not answer; try again in a moment.",
        headers={"Retry-After": "5"},
    )

"""What an issuer publishes about itself: its document (OpenID Connect Discovery 1.0, section 4), and its keys (RFC 7517)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from creneau_shared.errors import Unavailable
from creneau_shared.logging import describe

log = structlog.get_logger(__name__)

PATIENCE = httpx.Timeout(5.0)
"""longest wait for an issuer"""
DISCOVERY_FAILURES = (httpx.HTTPError, httpx.InvalidURL, JoseError, KeyError, TypeError, ValueError)
"""Raised by `discover` and `fetch_keys` when the issuer does not answer, its document is not its own, or there is no key
to be used."""
_UNUSABLE = (JoseError, UnsupportedAlgorithm, KeyError, TypeError, ValueError)
"""what joserfc raises for a key that it does not take"""

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


async def fetch_keys(client: httpx.AsyncClient, document: dict[str, Any]) -> KeySet:
    """The keys that the issuer's document leads to; raises one of DISCOVERY_FAILURES. Keys that are not understood, or not
    as they should be, are left out (RFC 7517, section 5): an issuer may publish others beside those for its tokens."""
    answer = await client.get(document["jwks_uri"])
    answer.raise_for_status()
    keys: list[Key] = []
    for place, said in enumerate(answer.json()["keys"]):
        try:
            keys += KeySet.import_key_set({"keys": [said]}).keys
        except _UNUSABLE as error:
            log.warning("key of the issuer left out", place=place, error=describe(error))
    if not keys:
        raise ValueError("the issuer publishes no key that can be used")
    return KeySet(keys)


def silent() -> Unavailable:
    """The error when the issuer does not answer, and its earlier answers are not enough."""
    return Unavailable(
        "Le service d'identité ne répond pas ; réessayez dans un instant.",
        "The identity provider does not answer; try again in a moment.",
        headers={"Retry-After": "5"},
    )

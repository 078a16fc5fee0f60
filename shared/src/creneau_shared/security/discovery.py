"""What the issuer publishes of itself (OpenID Connect Discovery 1.0, section 4)."""

from __future__ import annotations

from typing import Any

import httpx

from creneau_shared.errors import Unavailable

PATIENCE = httpx.Timeout(5.0)
"""how long an issuer is waited for"""
DISCOVERY_FAILURES = (httpx.HTTPError, KeyError, ValueError)
"""What `discover` raises when the issuer does not answer, or not as itself."""


async def discover(client: httpx.AsyncClient, issuer: str) -> dict[str, Any]:
    """The issuer's document, which must be its own (section 4.3); one of DISCOVERY_FAILURES otherwise. Settings may
    write its name with or without the last slash."""
    bare = issuer.removesuffix("/")
    answer = await client.get(f"{bare}/.well-known/openid-configuration")
    answer.raise_for_status()
    document = answer.json()
    if not isinstance(document, dict) or str(document["issuer"]).removesuffix("/") != bare:
        raise ValueError("the discovery document is another issuer's")
    return document


def silent() -> Unavailable:
    """The issuer does not answer, and what it said before is not enough."""
    return Unavailable(
        "Le service d'identité ne répond pas ; réessayez dans un instant.",
        "The identity provider does not answer; try again in a moment.",
        headers={"Retry-After": "5"},
    )

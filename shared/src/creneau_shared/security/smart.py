"""How an application gets a token here, as SMART App Launch 2.2 has it told (`.well-known/smart-configuration`).

Tokens are the issuer's business: what is said of getting them is what the issuer itself publishes, and nothing that it
does not. What is ours to say is which scopes are honoured (`permission-…`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from creneau_shared.errors import NotFound
from creneau_shared.logging import describe
from creneau_shared.security.discovery import DISCOVERY_FAILURES, PATIENCE, discover, silent
from creneau_shared.security.trust import trusted_roots

log = structlog.get_logger(__name__)

KEPT_S = 300.0
"""what an issuer publishes changes with its configuration only"""

_PASSED_ON = (
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "response_types_supported",
    "scopes_supported",
)
"""elements that both documents have with one meaning"""
_DEFAULT_GRANTS = ("authorization_code", "implicit")
_DEFAULT_METHODS = ("client_secret_basic",)
"""what an issuer means that does not say (Discovery, section 3)"""
_HONOURED = ("permission-patient", "permission-user", "permission-v1", "permission-v2")
"""of scopes, by `principal.Scope`, whoever issued them"""
_BY_METHOD = {
    "none": "client-public",
    "client_secret_basic": "client-confidential-symmetric",
    "client_secret_post": "client-confidential-symmetric",
    "private_key_jwt": "client-confidential-asymmetric",
}
_BY_SCOPE = {
    "launch/patient": "context-standalone-patient",
    "offline_access": "permission-offline",
    "online_access": "permission-online",
}


def smart_configuration(published: Mapping[str, Any]) -> dict[str, Any]:
    """The document of an issuer that publishes this (its OpenID Connect discovery document)."""
    grants = _words(published, "grant_types_supported", _DEFAULT_GRANTS)
    by_code = "authorization_code" in grants and "authorization_endpoint" in published
    told = {name: published[name] for name in _PASSED_ON if name in published}
    if not by_code:
        told.pop("authorization_endpoint", None)
    # `plain` protects nobody and may not be named (SMART, section 2.1).
    challenges = [m for m in _words(published, "code_challenge_methods_supported", ()) if m != "plain"]
    return {
        **told,
        "grant_types_supported": [grant for grant in grants if by_code or grant != "authorization_code"],
        "code_challenge_methods_supported": challenges,
        "capabilities": _capabilities(published, by_code),
    }


def _capabilities(published: Mapping[str, Any], by_code: bool) -> list[str]:
    """In the words of the specification (section 2.2), those that hold."""
    methods = _words(published, "token_endpoint_auth_methods_supported", _DEFAULT_METHODS)
    scopes = _words(published, "scopes_supported", ())
    found = [_BY_METHOD[method] for method in methods if method in _BY_METHOD]
    if by_code:
        found.append("launch-standalone")
        found += [capability for scope, capability in _BY_SCOPE.items() if scope in scopes]
        if {"openid", "fhirUser"} <= set(scopes) and "jwks_uri" in published:
            found.append("sso-openid-connect")
    return sorted({*found, *_HONOURED})


def _words(published: Mapping[str, Any], name: str, unsaid: tuple[str, ...]) -> list[str]:
    value = published.get(name)
    return [str(word) for word in value] if isinstance(value, list) else list(unsaid)


class SmartConfiguration:
    """The document of the configured issuer, asked for when somebody wants it. One a process; to be closed."""

    def __init__(self, issuer: str | None, client: httpx.AsyncClient | None = None) -> None:
        self._issuer = issuer
        self._client = client or httpx.AsyncClient(verify=trusted_roots(), timeout=PATIENCE)
        self._known: dict[str, Any] | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        await self._client.aclose()

    async def document(self) -> dict[str, Any]:
        """NotFound where no issuer is configured; Unavailable where it has never answered."""
        if self._issuer is None:
            raise NotFound(
                "Aucun fournisseur d'identité n'est configuré ici.",
                "No identity provider is configured here.",
            )
        async with self._lock:
            if self._known is None or time.monotonic() >= self._until:
                self._known = await self._ask(self._issuer)
                self._until = time.monotonic() + KEPT_S
            return self._known

    async def _ask(self, issuer: str) -> dict[str, Any]:
        """What the issuer says now; while it is silent, what it said last."""
        try:
            return smart_configuration(await discover(self._client, issuer))
        except DISCOVERY_FAILURES as error:
            log.warning("issuer unreachable", issuer=issuer, error=describe(error))
            if self._known is not None:
                return self._known
            raise silent() from error

"""The document `.well-known/smart-configuration` of SMART App Launch 2.2: how an application gets a token.

The issuer gives the tokens: the document repeats what the issuer publishes about getting them, and adds nothing to that.
It adds only the kinds of scopes that are honoured here (`permission-…`).
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
from creneau_shared.security.discovery import DISCOVERY_FAILURES, PATIENCE, Silence, discover, silent
from creneau_shared.security.trust import trusted_roots

log = structlog.get_logger(__name__)

KEPT_S = 300.0
"""how long an issuer's document is kept: it changes only with the issuer's configuration"""

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
"""elements with the same meaning in both documents"""
_DEFAULT_GRANTS = ("authorization_code", "implicit")
_DEFAULT_METHODS = ("client_secret_basic",)
"""the defaults for an issuer that does not publish them (Discovery, section 3)"""
_HONOURED = ("permission-patient", "permission-user", "permission-v1", "permission-v2")
"""capabilities for scopes, which `principal.Scope` reads from any issuer"""
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
    """The SMART document of an issuer with this OpenID Connect discovery document."""
    grants = _words(published, "grant_types_supported", _DEFAULT_GRANTS)
    by_code = "authorization_code" in grants and "authorization_endpoint" in published
    told = {name: published[name] for name in _PASSED_ON if name in published}
    if not by_code:
        told.pop("authorization_endpoint", None)
    # `plain` gives no protection and must not be listed (SMART, section 2.1).
    challenges = [m for m in _words(published, "code_challenge_methods_supported", ()) if m != "plain"]
    return {
        **told,
        "grant_types_supported": [grant for grant in grants if by_code or grant != "authorization_code"],
        "code_challenge_methods_supported": challenges,
        "capabilities": _capabilities(published, by_code),
    }


def _capabilities(published: Mapping[str, Any], by_code: bool) -> list[str]:
    """The supported capabilities, by the specification's codes (section 2.2)."""
    methods = _words(published, "token_endpoint_auth_methods_supported", _DEFAULT_METHODS)
    scopes = _words(published, "scopes_supported", ())
    found = [_BY_METHOD[method] for method in methods if method in _BY_METHOD]
    if by_code:
        found.append("launch-standalone")
        found += [capability for scope, capability in _BY_SCOPE.items() if scope in scopes]
        if {"openid", "fhirUser"} <= set(scopes) and "jwks_uri" in published:
            found.append("sso-openid-connect")
    return sorted({*found, *_HONOURED})


OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_URIS = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "register": "registration_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}
"""parts of the extension, and the elements of the document that they repeat"""


def oauth_uris(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The extension of CapabilityStatement.rest.security by which clients of SMART App Launch 1 (Python's `fhirclient` among
    them) find where to log in; nothing where no token is given. To them, a statement without it is of an open base."""
    if "token_endpoint" not in document:
        return []
    parts = [
        {"url": part, "valueUri": document[element]} for part, element in _URIS.items() if element in document
    ]
    return [{"url": OAUTH_URIS, "extension": parts}]


def _words(published: Mapping[str, Any], name: str, unsaid: tuple[str, ...]) -> list[str]:
    value = published.get(name)
    return [str(word) for word in value] if isinstance(value, list) else list(unsaid)


class SmartConfiguration:
    """The document of the configured issuer, fetched on request. One a process; to be closed."""

    def __init__(self, issuer: str | None, client: httpx.AsyncClient | None = None) -> None:
        self._issuer = issuer
        self._client = client or httpx.AsyncClient(verify=trusted_roots(), timeout=PATIENCE)
        self._known: dict[str, Any] | None = None
        self._until = 0.0
        self._silence = Silence()
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        await self._client.aclose()

    async def document(self) -> dict[str, Any]:
        """The document. Raises NotFound if no issuer is configured, Unavailable if it has never answered."""
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
        """The document from the issuer's present answer; if it does not answer, the last known one."""
        if self._silence.holds:
            raise silent()
        try:
            return smart_configuration(await discover(self._client, issuer))
        except DISCOVERY_FAILURES as error:
            log.warning("issuer unreachable", issuer=issuer, error=describe(error))
            if self._known is not None:
                return self._known
            self._silence.begin()
            raise silent() from error

"""Access tokens, checked against the issuer's published keys (OpenID Connect Discovery 1.0, RFC 9068).

In this order: signature, type and claims (`claims`), bindings (`confirmation`), revocation (`revocation`), and the
issuer's answer if it must be asked (`introspection`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from joserfc import jwt
from joserfc.jwk import KeySet

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.logging import describe
from creneau_shared.security.claims import UNREADABLE, TokenRules, check_claims, check_type
from creneau_shared.security.confirmation import Confirmation, Presented
from creneau_shared.security.discovery import DISCOVERY_FAILURES, PATIENCE, discover, fetch_keys, silent
from creneau_shared.security.dpop import Proofs
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.introspection import Introspection
from creneau_shared.security.principal import STANDARD_NAMES, ClaimNames, Principal, principal_of
from creneau_shared.security.refusal import ALGORITHMS, refused
from creneau_shared.security.revocation import Revocations
from creneau_shared.security.trust import trusted_roots
from creneau_shared.security.used_proofs import StoredProofs
from creneau_shared.settings import ServiceSettings

log = structlog.get_logger(__name__)

KEYS_REFRESH_INTERVAL_S = 30.0
"""an unknown key id fetches the keys again at most this often, so that a flood of forged ids costs nothing"""
CACHED_TOKENS_MAX = 10_000

AS_BEARER = Presented()


@dataclass(frozen=True, slots=True)
class _Published:
    """The issuer's published data: its name in its own spelling, its keys, and its introspection endpoint."""

    issuer: str
    keys: KeySet
    introspection_endpoint: str | None


@dataclass(frozen=True, slots=True)
class _Verified:
    """A verified token; signature and claims are valid until `expires` (Unix seconds)."""

    expires: float
    principal: Principal
    claims: dict[str, Any]


class TokenVerifier:
    """Turns an access token into a `Principal`. One a process; verified tokens are remembered until they expire.

    Checks that can change are done at each request: the token's proof, and its revocation.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        clock: Clock,
        client: httpx.AsyncClient | None = None,
        claims: ClaimNames = STANDARD_NAMES,
        *,
        rules: TokenRules | None = None,
        confirmation: Confirmation | None = None,
        revocations: Revocations | None = None,
        introspection: tuple[str, str, float] | None = None,
    ) -> None:
        self._issuer = issuer.removesuffix("/")
        self._rules = rules or TokenRules(audience)
        self._clock = clock
        self._claim_names = claims
        self._client = client or httpx.AsyncClient(verify=trusted_roots(), timeout=PATIENCE)
        self._confirmation = confirmation or Confirmation(GatewayHeaders(""), None, "")
        self._revocations = revocations
        self._introspection = Introspection(self._client, *introspection) if introspection else None
        self._published: _Published | None = None
        self._fetched_at = -KEYS_REFRESH_INTERVAL_S
        self._lock = asyncio.Lock()
        self._verified: dict[str, _Verified] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """Raises if the issuer's keys are not known and cannot be fetched."""
        if self._published is None:
            await self._fetch()

    async def verify(self, token: str, presented: Presented = AS_BEARER) -> Principal:
        """The principal of `token` as presented; raises Unauthenticated if the token is not valid."""
        now = self._clock.now().timestamp()
        verified = self._verified.get(token)
        if verified is None or now >= verified.expires:
            self._verified.pop(token, None)
            verified = await self._verify(token, now)
            if len(self._verified) >= CACHED_TOKENS_MAX:
                self._verified.clear()
            self._verified[token] = verified
        await self._confirmation.check(verified.claims, token, presented, now)
        if self._revocations is not None:
            await self._revocations.check(verified.claims)
        if self._introspection is not None:
            published = self._published or await self._fetch()
            await self._introspection.check(published.introspection_endpoint, token)
        return verified.principal

    async def _verify(self, token: str, now: float) -> _Verified:
        decoded, issuer = await self._decode(token)
        check_type(decoded.header, decoded.claims, self._rules)
        expires = check_claims(decoded.claims, issuer, now, self._rules)
        return _Verified(expires, principal_of(decoded.claims, self._claim_names), decoded.claims)

    async def _decode(self, token: str) -> tuple[jwt.Token, str]:
        """The token with its signature verified, and the issuer's name in its own spelling."""
        for attempt in ("known keys", "fresh keys"):
            published = self._published or await self._fetch()
            try:
                return jwt.decode(token, published.keys, algorithms=ALGORITHMS), published.issuer
            except UNREADABLE as error:
                if attempt == "fresh keys" or not await self._fetch_if_due():
                    raise refused("signature", f"{type(error).__name__}: {error}") from error
        raise AssertionError("unreachable")

    async def _fetch_if_due(self) -> bool:
        if time.monotonic() - self._fetched_at < KEYS_REFRESH_INTERVAL_S:
            return False
        await self._fetch()
        return True

    async def _fetch(self) -> _Published:
        async with self._lock:
            recent = time.monotonic() - self._fetched_at < KEYS_REFRESH_INTERVAL_S
            if self._published is not None and recent:
                return self._published
            try:
                self._published = await self._discover()
                self._fetched_at = time.monotonic()
            except DISCOVERY_FAILURES as error:
                log.warning("issuer unreachable", issuer=self._issuer, error=describe(error))
                if self._published is not None:
                    return self._published
                raise silent() from error
            return self._published

    async def _discover(self) -> _Published:
        """Fetches the issuer's document and keys. Tokens must have the issuer's name as the document writes it."""
        document = await discover(self._client, self._issuer)
        keys = await fetch_keys(self._client, document)
        return _Published(str(document["issuer"]), keys, document.get("introspection_endpoint"))


def create_verifier(settings: ServiceSettings, clock: Clock, database: Database) -> TokenVerifier | None:
    """The verifier that the settings describe, with the service's database; None when they name no issuer."""
    if settings.oidc_issuer is None:
        return None
    asked = None
    if settings.oidc_introspection == "always":
        secret = settings.oidc_introspection_client_secret.get_secret_value()
        asked = (settings.oidc_introspection_client_id, secret, settings.oidc_introspection_cache_s)
    proofs = Proofs(StoredProofs(database), settings.dpop_proof_age_max_s)
    gateway = GatewayHeaders(settings.gateway_secret.get_secret_value())
    rules = TokenRules(settings.oidc_audience, settings.oidc_token_type, settings.oidc_token_lifetime_max_s)
    return TokenVerifier(
        str(settings.oidc_issuer),
        settings.oidc_audience,
        clock,
        claims=_claim_names(settings),
        rules=rules,
        confirmation=Confirmation(gateway, proofs, settings.public_base_url),
        revocations=Revocations(database, settings.revocation_refresh_s),
        introspection=asked,
    )


def _claim_names(settings: ServiceSettings) -> ClaimNames:
    """The names of the identity claims in the issuer's tokens."""
    return ClaimNames(
        role=settings.oidc_role_claim,
        organizations=settings.oidc_organizations_claim,
        practitioner=settings.oidc_practitioner_claim,
        national_id=settings.oidc_national_id_claim,
        acting_for=settings.oidc_acting_for_claim,
        mandate=settings.oidc_mandate_claim,
    )

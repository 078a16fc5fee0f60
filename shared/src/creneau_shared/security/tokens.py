"""Access tokens, checked against the issuer's published keys (OpenID Connect Discovery 1.0, RFC 9068).

In this order: signature, type and claims (`claims`), bindings (`confirmation`), revocation (`revocation`), and the
issuer's answer if it must be asked (`introspection`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.logging import describe
from creneau_shared.security.claims import UNREADABLE, TokenRules, check_claims, check_type
from creneau_shared.security.confirmation import Confirmation, Presented
from creneau_shared.security.discovery import (
    DISCOVERY_FAILURES,
    PATIENCE,
    Silence,
    discover,
    fetch_keys,
    silent,
)
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
KEYS_AGE_MAX_S = 300.0
"""from this age on known keys are fetched again: a key that the issuer withdraws holds for so long at the most"""
CACHED_TOKENS_MAX = 10_000

AS_BEARER = Presented()


@dataclass(frozen=True, slots=True)
class _Published:
    """The issuer's published data: its name in its own spelling, its keys, and its introspection endpoint."""

    issuer: str
    keys: KeySet
    introspection_endpoint: str | None

    @property
    def names(self) -> frozenset[str]:
        """The keys' thumbprints (RFC 7638)."""
        return frozenset(key.thumbprint() for key in self.keys.keys)


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
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer.removesuffix("/")
        self._rules = rules or TokenRules(audience)
        self._clock = clock
        self._claim_names = claims
        self._client = client or httpx.AsyncClient(verify=trusted_roots(), timeout=PATIENCE)
        self._confirmation = confirmation or Confirmation(GatewayHeaders(""), None, "")
        self._revocations = revocations
        self._introspection = Introspection(self._client, *introspection) if introspection else None
        self._seconds = seconds
        self._published: _Published | None = None
        self._fetched_at = float("-inf")
        self._silence = Silence(seconds)
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[_Published] | None = None
        self._verified: dict[str, _Verified] = {}

    async def close(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        await self._client.aclose()

    async def ping(self) -> None:
        """Raises if the issuer's keys are not known and cannot be fetched."""
        if self._published is None:
            await self._fetch()
        self._renew_old_keys()

    async def verify(self, token: str, presented: Presented = AS_BEARER) -> Principal:
        """The principal of `token` as presented; raises Unauthenticated if the token is not valid."""
        self._renew_old_keys()
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
        if self._age_s() < KEYS_REFRESH_INTERVAL_S:
            return False
        await self._fetch()
        return True

    def _age_s(self) -> float:
        return self._seconds() - self._fetched_at

    def _renew_old_keys(self) -> None:
        """Begins to fetch keys that are old; nobody waits for it, and what is known holds until then."""
        if self._published is None or self._age_s() < KEYS_AGE_MAX_S or self._silence.holds:
            return
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._fetch())

    async def _fetch(self) -> _Published:
        """What the issuer publishes now, or did at its last answer; Unavailable if there was none."""
        async with self._lock:
            known = self._published
            if known is not None and (self._silence.holds or self._age_s() < KEYS_REFRESH_INTERVAL_S):
                return known
            if self._silence.holds:
                raise silent()
            try:
                self._published = found = await self._discover()
            except (*DISCOVERY_FAILURES, JoseError) as error:
                self._silence.begin()
                log.warning("issuer unreachable", issuer=self._issuer, error=describe(error))
                if known is not None:
                    return known
                raise silent() from error
            self._fetched_at = self._seconds()
            if known is not None and known.names - found.names:
                self._verified.clear()
            return found

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

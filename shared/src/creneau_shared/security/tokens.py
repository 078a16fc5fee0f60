"""Bearer tokens, checked against the issuer's published keys (OpenID Connect Discovery 1.0, RFC 9068)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from creneau_shared.clock import Clock
from creneau_shared.errors import Unauthenticated, Unavailable
from creneau_shared.security.principal import STANDARD_NAMES, ClaimNames, Principal, principal_of

log = structlog.get_logger(__name__)

ALGORITHMS = ["ES256", "RS256", "PS256", "ES384", "EdDSA"]
CLOCK_SKEW_S = 30
KEYS_REFRESH_INTERVAL_S = 30.0
"""an unknown key id fetches the keys again at most this often, so that a flood of forged ids costs nothing"""
CACHED_TOKENS_MAX = 10_000


class TokenVerifier:
    """Turns a bearer token into a `Principal`. One a process; verified tokens are remembered until they expire."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        clock: Clock,
        client: httpx.AsyncClient | None = None,
        claims: ClaimNames = STANDARD_NAMES,
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._audience = audience
        self._clock = clock
        self._claim_names = claims
        self._client = client or httpx.AsyncClient(timeout=5.0)
        self._keys: KeySet | None = None
        self._fetched_at = -KEYS_REFRESH_INTERVAL_S
        self._lock = asyncio.Lock()
        self._verified: dict[str, tuple[float, Principal]] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """Raise when the issuer's keys are not known and cannot be fetched."""
        if self._keys is None:
            await self._fetch_keys()

    async def verify(self, token: str) -> Principal:
        """The principal of `token`; Unauthenticated when it does not hold."""
        now = self._clock.now().timestamp()
        cached = self._verified.get(token)
        if cached is not None:
            expires, principal = cached
            if now < expires:
                return principal
            del self._verified[token]
        claims = await self._claims(token)
        expires = self._check(claims, now)
        principal = principal_of(claims, self._claim_names)
        if len(self._verified) >= CACHED_TOKENS_MAX:
            self._verified.clear()
        self._verified[token] = (expires, principal)
        return principal

    async def _claims(self, token: str) -> dict[str, Any]:
        for attempt in ("known keys", "fresh keys"):
            keys = self._keys or await self._fetch_keys()
            try:
                return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError) as error:
                if attempt == "fresh keys" or not await self._fetch_keys_if_due():
                    raise _refused("signature", f"{type(error).__name__}: {error}") from error
        raise AssertionError("unreachable")

    def _check(self, claims: dict[str, Any], now: float) -> float:
        """Check issuer, audience and time; the instant (Unix seconds) until which the token holds."""
        if str(claims.get("iss", "")).rstrip("/") != self._issuer:
            raise _refused("issuer", "the token was issued by someone else")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._audience not in audiences:
            raise _refused("audience", "the token is meant for another service")
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or now > expires + CLOCK_SKEW_S:
            raise _refused("expired", "the token has expired or never says when it does")
        not_before = claims.get("nbf", 0)
        if not isinstance(not_before, int | float) or now < not_before - CLOCK_SKEW_S:
            raise _refused("not yet", "the token is not valid yet")
        if not claims.get("sub"):
            raise _refused("subject", "the token names nobody")
        return float(expires)

    async def _fetch_keys_if_due(self) -> bool:
        if time.monotonic() - self._fetched_at < KEYS_REFRESH_INTERVAL_S:
            return False
        await self._fetch_keys()
        return True

    async def _fetch_keys(self) -> KeySet:
        async with self._lock:
            if self._keys is not None and time.monotonic() - self._fetched_at < KEYS_REFRESH_INTERVAL_S:
                return self._keys
            try:
                discovery = await self._client.get(f"{self._issuer}/.well-known/openid-configuration")
                discovery.raise_for_status()
                keys = await self._client.get(discovery.json()["jwks_uri"])
                keys.raise_for_status()
                self._keys = KeySet.import_key_set(keys.json())
                self._fetched_at = time.monotonic()
            except (httpx.HTTPError, KeyError, ValueError) as error:
                log.warning("issuer unreachable", issuer=self._issuer, error=str(error))
                if self._keys is not None:
                    return self._keys
                raise Unavailable(
                    "Le service d'identité ne répond pas ; réessayez dans un instant.",
                    "The identity provider does not answer; try again in a moment.",
                    headers={"Retry-After": "5"},
                ) from error
            return self._keys


def _refused(reason: str, diagnostics: str) -> Unauthenticated:
    return Unauthenticated(
        "Votre session n'est pas valable ou a expiré : reconnectez-vous.",
        "Your session is not valid or has expired: log in again.",
        diagnostics=f"{reason}: {diagnostics}",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )

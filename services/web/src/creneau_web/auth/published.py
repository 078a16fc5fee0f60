"""What a provider publishes of itself: where to send people, and the keys that it signs with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import structlog
from joserfc.jwk import KeySet

from creneau_shared.logging import describe
from creneau_shared.security.discovery import DISCOVERY_FAILURES, Silence, discover, fetch_keys
from creneau_web.auth.checks import Claims, UnknownKeyError, signed_claims
from creneau_web.auth.failure import LoginError

log = structlog.get_logger(__name__)

KEYS_PAUSE_S = 30.0
"""shortest time between two fetches for unknown keys: forged tokens must not cost the provider anything"""

ClientAuth = Literal["client_secret_basic", "client_secret_post"]


@dataclass(frozen=True, slots=True)
class Published:
    """A provider's discovery document, and its keys."""

    document: Mapping[str, Any]
    keys: KeySet

    @property
    def issuer(self) -> str:
        """The provider's name as it spells it."""
        return str(self.document["issuer"])

    def endpoint(self, name: str) -> str | None:
        value = self.document.get(f"{name}_endpoint")
        return str(value) if value else None

    def required(self, name: str) -> str:
        """An endpoint; LoginError if it is not published."""
        found = self.endpoint(name)
        if found is None:
            raise LoginError("silent", f"no {name}_endpoint is published")
        return found

    @property
    def takes_challenges(self) -> bool:
        """Whether it says that it knows PKCE with S256."""
        return "S256" in self.document.get("code_challenge_methods_supported", ())

    @property
    def names_itself(self) -> bool:
        """Whether it sends its name beside the code (RFC 9207)."""
        return self.document.get("authorization_response_iss_parameter_supported") is True

    @property
    def client_auth(self) -> ClientAuth:
        """How it wants the secret; Basic if it does not say (Discovery, section 3)."""
        known = self.document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"


class Publication:
    """Keeps for a while what one provider publishes; while it is silent, what it said last."""

    def __init__(self, issuer: str, client: httpx.AsyncClient, kept_s: float) -> None:
        self._issuer = issuer
        self._client = client
        self._kept_s = kept_s
        self._known: Published | None = None
        self._asked_at = float("-inf")
        self._silence = Silence()
        self._lock = asyncio.Lock()

    async def get(self, not_older_than_s: float | None = None) -> Published:
        """What is published; raises LoginError if it has never answered."""
        limit = self._kept_s if not_older_than_s is None else not_older_than_s
        async with self._lock:
            if self._known is None or time.monotonic() - self._asked_at >= limit:
                self._known = await self._ask()
                self._asked_at = time.monotonic()
            return self._known

    async def verified(self, token: str) -> tuple[Claims, str]:
        """The claims and the algorithm of a JWT of this provider. Fetches the keys again if they changed."""
        published = await self.get()
        try:
            return signed_claims(token, published.keys)
        except UnknownKeyError:
            renewed = await self.get(not_older_than_s=KEYS_PAUSE_S)
            if renewed is published:
                raise
            return signed_claims(token, renewed.keys)

    async def _ask(self) -> Published:
        if self._silence.holds:
            raise LoginError("silent", "discovery")
        try:
            document = await discover(self._client, self._issuer)
            return Published(document, await fetch_keys(self._client, document))
        except DISCOVERY_FAILURES as error:
            log.warning("login.provider_silent", issuer=self._issuer, error=describe(error))
            if self._known is not None:
                return self._known
            self._silence.begin()
            raise LoginError("silent", "discovery") from None

"""Token introspection (RFC 7662): asks the issuer whether a token is still active, at most once every `cache_s`."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

import httpx
import structlog

from creneau_shared.security.discovery import silent
from creneau_shared.security.refusal import refused

log = structlog.get_logger(__name__)

ANSWERS_REMEMBERED_MAX = 10_000


class Introspection:
    """Asks the issuer, with this deployment's client id and secret."""

    def __init__(self, client: httpx.AsyncClient, client_id: str, secret: str, cache_s: float) -> None:
        self._client = client
        self._credentials = (client_id, secret)
        self._cache_s = cache_s
        self._active_until: OrderedDict[bytes, float] = OrderedDict()

    async def check(self, endpoint: str | None, token: str) -> None:
        """Raises Unauthenticated if the issuer says that the token is not active, Unavailable if it does not answer."""
        key, now = hashlib.sha256(token.encode()).digest(), time.monotonic()
        if self._active_until.get(key, 0.0) > now:
            return
        if not await self._is_active(endpoint, token):
            raise refused("revoked", "the issuer says that the token is not active")
        self._active_until[key] = now + self._cache_s
        self._active_until.move_to_end(key)
        if len(self._active_until) > ANSWERS_REMEMBERED_MAX:
            self._active_until.popitem(last=False)

    async def _is_active(self, endpoint: str | None, token: str) -> bool:
        try:
            if endpoint is None:
                raise ValueError("the issuer names no introspection_endpoint")
            form = {"token": token, "token_type_hint": "access_token"}
            answer = await self._client.post(endpoint, data=form, auth=self._credentials)
            answer.raise_for_status()
            return answer.json()["active"] is True
        except (httpx.HTTPError, KeyError, ValueError) as error:
            log.warning("introspection failed", error=type(error).__name__)
            raise silent() from error

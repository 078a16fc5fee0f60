"""The way to a provider's endpoints: Authlib's client, one for each question, over connections that are shared.

Authlib's client keeps the last token that it was given; one for each question keeps people apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import httpx
from authlib.deprecate import AuthlibDeprecationWarning

with warnings.catch_warnings():
    # Authlib says at import that it would rather stand on another package than httpx.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.httpx_client import AsyncOAuth2Client

from creneau_web.auth.failure import LoginError
from creneau_web.auth.provider import Provider
from creneau_web.auth.published import Published

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name

TokenAnswer = Mapping[str, Any]

REFUSED_GRANT = "invalid_grant"


class Refused(LoginError):  # noqa: N818 - named after what it is
    """The provider refuses. `error`: the specification's word."""

    def __init__(self, error: str) -> None:
        super().__init__("untrusted", f"the provider refuses: {error[:40]}")
        self.error = error


class Endpoints:
    """The endpoints of one provider, as its client."""

    def __init__(
        self,
        provider: Provider,
        published: Published,
        transport: httpx.AsyncBaseTransport,
        timeout_s: float,
        redirect_uri: str,
    ) -> None:
        self._provider = provider
        self._published = published
        self._client = AsyncOAuth2Client(
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            token_endpoint_auth_method=published.client_auth,
            revocation_endpoint_auth_method=published.client_auth,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=transport,
            timeout=timeout_s,
            trust_env=False,
        )

    def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the person is sent; without a verifier, no challenge goes along."""
        url, _ = self._client.create_authorization_url(
            self._published.required("authorization"),
            state=state,
            nonce=nonce,
            scope=self._provider.scope,
            code_verifier=verifier or None,
            **({"acr_values": self._provider.level} if self._provider.level else {}),
        )
        return str(url)

    async def redeem(self, code: str, verifier: str) -> TokenAnswer:
        """The tokens for a code."""
        proof = {"code_verifier": verifier} if verifier else {}
        return await self._ask("authorization_code", code=code, **proof)

    async def refresh(self, token: str) -> TokenAnswer:
        """New tokens; raises Refused when `token` holds no more."""
        return await self._ask("refresh_token", refresh_token=token)

    async def exchange(self, id_token: str) -> TokenAnswer:
        """Exchanges an ID token of another provider for this one's access token (RFC 8693)."""
        return await self._ask(
            EXCHANGE, subject_token=id_token, subject_token_type=ID_TOKEN, requested_token_type=ACCESS_TOKEN
        )

    async def _ask(self, grant: str, **fields: str) -> TokenAnswer:
        try:
            answer = await self._client.fetch_token(
                self._published.required("token"), grant_type=grant, **fields
            )
        except OAuthError as error:
            raise Refused(str(error.error)) from None
        except (httpx.HTTPError, ValueError) as error:
            raise LoginError("silent", f"token endpoint: {type(error).__name__}") from None
        if not isinstance(answer.get("access_token"), str):
            raise LoginError("untrusted", "no access token")
        return dict(answer)

    async def revoke(self, token: str) -> None:
        """Revokes a refresh token, if the provider has an endpoint for it; raises LoginError if that fails."""
        address = self._published.endpoint("revocation")
        if address is None:
            return
        try:
            await self._client.revoke_token(address, token=token, token_type_hint="refresh_token")  # noqa: S106
        except (OAuthError, httpx.HTTPError, ValueError) as error:
            raise LoginError("silent", f"revocation: {type(error).__name__}") from None

    async def userinfo(self, access_token: str) -> httpx.Response:
        """The answer of userinfo, as it was sent."""
        headers = {"Authorization": f"Bearer {access_token}"}
        try:
            answer: httpx.Response = await self._client.get(
                self._published.required("userinfo"), headers=headers, auth=None
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise LoginError("silent", f"userinfo: {type(error).__name__}") from None
        return answer

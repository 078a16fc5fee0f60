"""Sends people to one provider and checks what comes back with them (OpenID Connect Core, section 3.1)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

import httpx
import orjson

from creneau_shared.clock import Clock
from creneau_web.auth.checks import (
    Claims,
    Expected,
    check_id_token,
    check_logout_token,
    check_same_person,
    check_signed_userinfo,
    session_name,
)
from creneau_web.auth.facts import Identity, Pending
from creneau_web.auth.failure import LoginError
from creneau_web.auth.oauth import Endpoints, TokenAnswer
from creneau_web.auth.provider import Provider
from creneau_web.auth.published import Publication, Published
from creneau_web.login_settings import LoginSettings

SECRET_BYTES = 32
"""256 random bits of a state, a nonce and a verifier: 43 characters each"""

DECLINED = frozenset({"access_denied", "login_required", "interaction_required", "consent_required"})

UNSAID_LIFETIME_S = 60.0
LIFETIME_MAX_S = 86_400.0

SIGNED = "application/jwt"


@dataclass(frozen=True, slots=True)
class Vouched:
    """The person who came back, with what the provider gave for them."""

    identity: Identity
    id_token: str
    answer: TokenAnswer
    session: str | None = None
    """the provider's log-in (`session_name`)"""


class RelyingParty:
    """The pages as a client of one provider. `transport`: the connections to it."""

    def __init__(
        self, provider: Provider, settings: LoginSettings, clock: Clock, transport: httpx.AsyncBaseTransport
    ) -> None:
        self.provider = provider
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self._site = settings.public_site_url.removesuffix("/")
        client = httpx.AsyncClient(
            transport=transport, timeout=settings.login_timeout_s, trust_env=False, follow_redirects=False
        )
        self._publication = Publication(provider.issuer, client, settings.login_published_kept_s)

    async def endpoints(self) -> Endpoints:
        """The provider's endpoints; raises LoginError while it has never answered."""
        return self._endpoints(await self._publication.get())

    def _endpoints(self, published: Published) -> Endpoints:
        return Endpoints(
            self.provider,
            published,
            self._transport,
            self._settings.login_timeout_s,
            f"{self._site}/auth/retour",
        )

    async def begin(self, back: str) -> tuple[str, str, Pending]:
        """Where to send the person, the state with which they will come back, and what to keep until then."""
        published = await self._publication.get()
        with_challenge = published.takes_challenges or not self.provider.challenge_if_published
        pending = Pending(
            provider=self.provider.name,
            nonce=secrets.token_urlsafe(SECRET_BYTES),
            verifier=secrets.token_urlsafe(SECRET_BYTES) if with_challenge else "",
            back=back,
            until=self._clock.now() + timedelta(minutes=self._settings.login_lasts_min),
        )
        state = secrets.token_urlsafe(SECRET_BYTES)
        url = self._endpoints(published).authorization_url(
            state=state, nonce=pending.nonce, verifier=pending.verifier
        )
        return url, state, pending

    async def complete(self, pending: Pending, returned: Mapping[str, str]) -> Vouched:
        """Returns who came back with `returned` (the query of the address); raises LoginError if a check fails."""
        if self._clock.now() >= pending.until:
            raise LoginError("stale", "too late")
        published = await self._publication.get()
        self._check_sender(published, returned)
        if "error" in returned:
            raise LoginError(*_declined(returned["error"]))
        if not returned.get("code"):
            raise LoginError("untrusted", "neither code nor error")
        endpoints = self._endpoints(published)
        answer = await endpoints.redeem(returned["code"], pending.verifier)
        id_token, access_token = str(answer.get("id_token", "")), str(answer["access_token"])
        expected = self._expected(published, pending)
        claims, algorithm = await self._publication.verified(id_token)
        check_id_token(claims, algorithm, access_token, expected)
        said = await self._userinfo(await endpoints.userinfo(access_token), expected)
        check_same_person(claims, said)
        # The level (`acr`) is the one in the ID token, whatever userinfo repeats.
        identity = self.provider.identity({**said, "acr": claims.get("acr", "")})
        return Vouched(identity, id_token, answer, session_name(claims))

    async def ended(self, logout_token: str) -> str:
        """The log-in (`session_name`) that the provider says has ended; LoginError for a token that is not believed."""
        published = await self._publication.get()
        claims, _ = await self._publication.verified(logout_token)
        return check_logout_token(
            claims, self._expectation(published), longest_s=self._settings.logout_token_lasts_s
        )

    def logout_url(self, published: Published, id_token: str) -> str | None:
        """Where the person goes to log out at the provider too; None where it has no such place."""
        address = published.endpoint("end_session")
        if address is None:
            return None
        query = {
            "id_token_hint": id_token,
            "state": secrets.token_urlsafe(SECRET_BYTES),
            "post_logout_redirect_uri": f"{self._site}/",
            "client_id": self.provider.client_id,
        }
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def published(self) -> Published:
        return await self._publication.get()

    def _check_sender(self, published: Published, returned: Mapping[str, str]) -> None:
        """Raises LoginError if the answer is another provider's, which could send its own people (RFC 9207)."""
        name = returned.get("iss")
        if name is None and not published.names_itself:
            return
        if name is None or not hmac.compare_digest(name.encode(), published.issuer.encode()):
            raise LoginError("untrusted", "iss beside the code")

    def _expected(self, published: Published, pending: Pending) -> Expected:
        return self._expectation(published, pending.nonce)

    def _expectation(self, published: Published, nonce: str = "") -> Expected:
        return Expected(
            issuer=published.issuer,
            client_id=self.provider.client_id,
            nonce=nonce,
            level=self.provider.level,
            now=self._clock.now().timestamp(),
            skew_s=self._settings.login_clock_skew_s,
        )

    async def _userinfo(self, answer: httpx.Response, expected: Expected) -> Claims:
        """The claims of userinfo, which some providers sign."""
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == SIGNED:
            claims, _ = await self._publication.verified(answer.text.strip())
            check_signed_userinfo(claims, expected)
            return claims
        if self.provider.signed_userinfo:
            raise LoginError("untrusted", "userinfo is not signed")
        try:
            said = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise LoginError("untrusted", "userinfo is no JSON object")
        return said


def _declined(error: str) -> tuple[Literal["declined", "untrusted"], str]:
    return ("declined", error[:40]) if error in DECLINED else ("untrusted", "the provider refuses")


def ends_at(answer: TokenAnswer, now: datetime) -> datetime:
    """When an access token ends; a short time if it does not say."""
    try:
        lifetime_s = float(answer["expires_in"])
    except (KeyError, TypeError, ValueError):
        lifetime_s = UNSAID_LIFETIME_S
    return now + timedelta(seconds=min(lifetime_s, LIFETIME_MAX_S))

"""Logging in, staying and leaving: all providers together, and the tokens for the FHIR base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import httpx
import structlog

from creneau_shared.clock import Clock
from creneau_web.auth import franceconnect, issuer, psc
from creneau_web.auth.facts import Identity, Pending, Tokens
from creneau_web.auth.failure import LoginError
from creneau_web.auth.oauth import REFUSED_GRANT, Refused, TokenAnswer
from creneau_web.auth.relying_party import RelyingParty, Vouched, ends_at
from creneau_web.login_settings import LoginSettings, ProviderName

log = structlog.get_logger(__name__)

PROVIDERS = {"issuer": issuer.provider, "franceconnect": franceconnect.provider, "psc": psc.provider}


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Somebody who has just logged in."""

    identity: Identity
    tokens: Tokens


class Login:
    """One for each process; to be closed. `transport` stands in for the connections to the providers."""

    def __init__(
        self, settings: LoginSettings, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._clock = clock
        self._ahead = timedelta(seconds=settings.login_refresh_ahead_s)
        self._transport = transport or httpx.AsyncHTTPTransport()
        self.offered: tuple[ProviderName, ...] = settings.providers
        """where people can log in, in order"""

        def party(name: ProviderName) -> RelyingParty:
            return RelyingParty(PROVIDERS[name](settings), settings, clock, self._transport)

        self._parties: dict[str, RelyingParty] = {name: party(name) for name in self.offered}
        if settings.oidc_issuer is not None:
            self._issuer = self._parties.get("issuer") or party("issuer")

    async def close(self) -> None:
        await self._transport.aclose()

    async def begin(self, name: str, back: str) -> tuple[str, str, Pending]:
        """Where to send the person, the state with which they come back, and what to keep until then."""
        return await self._party(name).begin(back)

    async def complete(self, pending: Pending, returned: Mapping[str, str]) -> LoggedIn:
        """Returns who came back, with tokens for the FHIR base; raises LoginError if nobody is logged in."""
        party = self._party(pending.provider)
        vouched = await party.complete(pending, returned)
        answer = await self._our_tokens(party, vouched)
        tokens = self._tokens(answer, vouched.id_token, vouched.session)
        return LoggedIn(vouched.identity, tokens)

    async def ended(self, name: str, logout_token: str) -> str:
        """The log-in (`session_name`) that a provider says has ended; LoginError for a token that is not believed."""
        return await self._party(name).ended(logout_token)

    async def _our_tokens(self, party: RelyingParty, vouched: Vouched) -> TokenAnswer:
        if party.provider.gives_our_tokens:
            return vouched.answer
        return await (await self._issuer.endpoints()).exchange(vouched.id_token)

    def is_due(self, tokens: Tokens) -> bool:
        """Whether they should be renewed before they are used."""
        return self._clock.now() >= tokens.expires_at - self._ahead

    async def renew(self, tokens: Tokens) -> Tokens | None:
        """Returns fresh tokens; None when the session has ended at the issuer. While it is silent, returns the old ones if
        they still hold, else raises LoginError."""
        if tokens.refresh_token is None:
            return tokens if self._hold(tokens) else None
        try:
            answer = await (await self._issuer.endpoints()).refresh(tokens.refresh_token)
        except Refused as refused:
            if refused.error != REFUSED_GRANT:
                log.warning("login.refresh_refused", error=refused.error)
            return None
        except LoginError as error:
            if self._hold(tokens):
                log.warning("login.refresh_failed", detail=error.detail)
                return tokens
            raise
        kept = {"refresh_token": tokens.refresh_token} | dict(answer)
        return self._tokens(kept, tokens.id_token, tokens.provider_session)

    async def end(self, provider: str, tokens: Tokens) -> str | None:
        """Logs out: revokes the refresh token. Returns the `way_out`."""
        try:
            if tokens.refresh_token is not None:
                await (await self._issuer.endpoints()).revoke(tokens.refresh_token)
        except LoginError as error:
            log.warning("login.revocation_failed", detail=error.detail)
        return await self.way_out(provider, tokens)

    async def way_out(self, provider: str, tokens: Tokens) -> str | None:
        """Where the person logs out at the provider as well; None if it has no such address or does not answer: the log-out
        here goes on."""
        party = self._parties.get(provider)
        if party is None:
            return None
        try:
            return party.logout_url(await party.published(), tokens.id_token)
        except LoginError:
            return None

    def _hold(self, tokens: Tokens) -> bool:
        return self._clock.now() < tokens.expires_at

    def _tokens(self, answer: TokenAnswer, id_token: str, session: str | None) -> Tokens:
        refresh = answer.get("refresh_token")
        return Tokens(
            access_token=str(answer["access_token"]),
            expires_at=ends_at(answer, self._clock.now()),
            refresh_token=refresh if isinstance(refresh, str) else None,
            id_token=id_token,
            provider_session=session,
        )

    def _party(self, name: str) -> RelyingParty:
        found = self._parties.get(name)
        if found is None:
            raise LoginError("stale", "no such provider")
        return found

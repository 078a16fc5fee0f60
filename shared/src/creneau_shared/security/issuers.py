"""The accepted issuers: the deployment's issuer, and the suite itself."""

from __future__ import annotations

import json

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Database
from creneau_shared.security.confirmation import Presented
from creneau_shared.security.own_tokens import OwnTokens
from creneau_shared.security.principal import Principal
from creneau_shared.security.refusal import refused
from creneau_shared.security.revocation import Revocations
from creneau_shared.security.tokens import AS_BEARER, TokenVerifier, create_verifier
from creneau_shared.settings import ServiceSettings


class Issuers:
    """Verifies each token by the rules of its issuer. One a process."""

    def __init__(self, issuer: TokenVerifier | None, own: OwnTokens | None) -> None:
        self._issuer = issuer
        self._own = own

    async def close(self) -> None:
        if self._issuer is not None:
            await self._issuer.close()

    async def ping(self) -> None:
        """Raises if the issuer's keys are not known and cannot be fetched; the suite's own keys are always known."""
        if self._issuer is not None:
            await self._issuer.ping()

    async def verify(self, token: str, presented: Presented = AS_BEARER) -> Principal:
        """The principal of `token` as presented; raises Unauthenticated if the token is not valid."""
        if self._own is not None and self._own.signed(token):
            return await self._own.verify(token, presented)
        if self._issuer is None:
            raise refused("signature", "no issuer is configured whose token it could be")
        return await self._issuer.verify(token, presented)


def accepted_issuers(settings: ServiceSettings, clock: Clock, database: Database) -> Issuers | None:
    """The issuers that the settings name, with the service's database; None when they name none."""
    issuer = create_verifier(settings, clock, database)
    own = None
    if settings.contact_keys:
        revocations = Revocations(database, settings.revocation_refresh_s)
        own = OwnTokens(json.loads(settings.contact_keys), settings.oidc_audience, clock, revocations)
    return Issuers(issuer, own) if issuer is not None or own is not None else None

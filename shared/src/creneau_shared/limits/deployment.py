"""The limits of one service as its api processes hold them: who is counted, the count, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.database.pool import Database
from creneau_shared.limits.callers import Callers
from creneau_shared.limits.leases import ASK_WITHIN_S, Limiter
from creneau_shared.limits.storage import StoredBuckets
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class DeploymentLimits:
    """`gateway` says from where a stranger asks. `database`: a connection of the count's own, to be opened by a process
    that counts: who is asked whether there is room must not wait for those who fill it."""

    gateway: GatewayHeaders
    callers: Callers
    limiter: Limiter
    database: Database

    @classmethod
    def of(cls, settings: ServiceSettings, name: str) -> DeploymentLimits:
        """As the settings have them; `name` is what PostgreSQL is told of the connection."""
        database = Database(str(settings.database_url), size=1, statement_timeout_s=ASK_WITHIN_S, name=name)
        gateway = GatewayHeaders(settings.gateway_secret.get_secret_value())
        return cls(gateway, Callers.of(settings), Limiter(StoredBuckets(database).lease), database)

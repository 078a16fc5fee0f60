"""The limits of one service in its api processes: the callers, the count, and its storage."""

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
    """`gateway` reads the address of a caller without token. `database`: a connection for the count alone, opened by a
    process that counts: asking for a lease must not wait for the requests that occupy the other connections."""

    gateway: GatewayHeaders
    callers: Callers
    limiter: Limiter
    database: Database

    @classmethod
    def of(cls, settings: ServiceSettings, name: str) -> DeploymentLimits:
        """Built from the settings; `name`: PostgreSQL's application_name of the connection."""
        database = Database(str(settings.database_url), size=1, statement_timeout_s=ASK_WITHIN_S, name=name)
        gateway = GatewayHeaders(settings.gateway_secret.get_secret_value())
        return cls(gateway, Callers.of(settings), Limiter(StoredBuckets(database).lease), database)

"""python -m creneau_shared.gateway: serve the system level of the FHIR base on PORT."""

from __future__ import annotations

import uvicorn

from creneau_shared.gateway.app import GatewayApplication
from creneau_shared.gateway.settings import GatewaySettings
from creneau_shared.http.edge import EdgeMiddleware
from creneau_shared.http.protocol import PatientProtocol
from creneau_shared.logging import configure_logging

MEASURED = frozenset(
    {"metadata", "_history", "_search", "_async"}
    | {
        "SearchParameter",
        "OperationDefinition",
        "StructureDefinition",
        "CodeSystem",
        "ValueSet",
        "AuditEvent",
    }
)
"""what has a measure of its own below the base"""


def main() -> None:
    """Serve until SIGTERM."""
    settings = GatewaySettings()
    configure_logging(settings, "creneau-gateway")
    uvicorn.run(
        EdgeMiddleware(GatewayApplication(settings), MEASURED),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=PatientProtocol,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
    )


main()

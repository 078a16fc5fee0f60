"""python -m creneau_shared.gateway: serve the system level of the FHIR base on PORT."""

from __future__ import annotations

import uvicorn

from creneau_shared.gateway.app import GatewayApplication
from creneau_shared.gateway.settings import GatewaySettings
from creneau_shared.http.correlation import CorrelationMiddleware
from creneau_shared.http.cors import CorsMiddleware
from creneau_shared.logging import configure_logging


def main() -> None:
    """Serve until SIGTERM."""
    settings = GatewaySettings()
    configure_logging(settings, "creneau-gateway")
    uvicorn.run(
        CorrelationMiddleware(CorsMiddleware(GatewayApplication(settings))),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
    )


main()

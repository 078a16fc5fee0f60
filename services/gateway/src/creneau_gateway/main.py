"""creneau-gateway api"""

from __future__ import annotations

import typer

from creneau_gateway.app import SERVICE, create_app
from creneau_gateway.settings import GatewaySettings
from creneau_shared.http.serving import serve
from creneau_shared.logging import configure_logging

main = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@main.callback()
def gateway() -> None:
    """What belongs to the one FHIR base as a whole."""


@main.command()
def api() -> None:
    """Serve the system level of the FHIR base under /fhir on PORT."""
    settings = GatewaySettings()
    configure_logging(settings, SERVICE)
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()

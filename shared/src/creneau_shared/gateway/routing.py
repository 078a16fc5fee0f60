"""Which service serves which type: the same table as the gateway's nginx configuration."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_shared.fhir.rest.asynchronous import PATH as ASYNC_PATH
from creneau_shared.type_table import SERVICE_NAMES, TYPES, ServiceName

Service = ServiceName
SERVICES: tuple[Service, ...] = SERVICE_NAMES

SERVICE_OF: dict[str, Service] = {row.name: row.service for row in TYPES.values()}


def service_of(path: Sequence[str]) -> Service | None:
    """The service that answers an address below the base, by its segments; None when none does.

    A search in a compartment (`Practitioner/12/Schedule`) is answered where what it searches is held; the answer to
    an asynchronous request (`_async/booking/…`) stands where the request was recorded.
    """
    if len(path) > 1 and path[0] == ASYNC_PATH:
        return next((service for service in SERVICES if service == path[1]), None)
    kind = path[2] if len(path) > 2 and path[2] in SERVICE_OF else next(iter(path), "")
    return SERVICE_OF.get(kind)

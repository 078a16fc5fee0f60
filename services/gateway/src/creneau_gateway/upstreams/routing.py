"""Which service serves which type, by the table from which nginx's routes are made too."""

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
    within = TYPES.get(path[2]) if len(path) > 2 else None
    if within is not None and within.compartments:
        return within.service
    return SERVICE_OF.get(next(iter(path), ""))

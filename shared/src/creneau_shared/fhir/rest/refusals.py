"""Audit rows of refused requests: who asked for whose data and did not get it."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from creneau_shared.database.failures import NO_CONNECTION
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.audit import REFUSED, Event, Touched
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.rest.reading import ID
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.logging import describe
from creneau_shared.type_table import RECORDED

log = structlog.get_logger(__name__)

TRACED_REFUSALS = frozenset({403, 404, 409, 410, 412, 422})
"""statuses of requests that were understood and not done; others say that a request was not understood"""
_ACTIONS: Mapping[str, str] = {"POST": "E", "PUT": "U", "PATCH": "U", "DELETE": "D"}


async def audit_refusal(service: FhirService, request: FhirRequest, refusal: CreneauError) -> None:
    """Leaves the trace of a refusal, once what was begun is undone: to a known caller, for one resource that is about
    persons. The work and the answer are the same whether the resource exists or not, so that neither tells it. A
    refusal gives no data away: it is answered even when the trace cannot be written.
    """
    if refusal.status not in TRACED_REFUSALS or not _is_personal(service, request):
        return
    type_, id_ = request.path[:2]
    try:
        async with service.connection() as connection:
            store = service.types[type_].store
            found = await store.read(connection, id_)
            if found is not None and found.deleted and found.version > 1:
                found = await store.read_version(connection, id_, found.version - 1)
            touched = (Touched(type_, id_, found.content),) if found is not None else ()
            event = Event(_ACTIONS.get(request.method, "R"), type_, id_, touched=touched, outcome=REFUSED)
            await service.auditor.record(connection, request, event)
    except NO_CONNECTION as error:
        log.warning("refusal not recorded", error=describe(error))


def _is_personal(service: FhirService, request: FhirRequest) -> bool:
    """Whether a known caller asked for one resource that is about persons."""
    path = request.path
    return (
        not request.principal.anonymous
        and len(path) >= 2
        and path[0] in RECORDED
        and path[0] in service.types
        and ID.match(path[1]) is not None
    )

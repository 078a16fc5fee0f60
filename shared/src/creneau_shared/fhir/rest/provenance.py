"""`X-Provenance`: a write carries a statement of who made it and why (FHIR R4 provenance.html#header).

The header holds a Provenance in JSON without `target`; the server completes it with the version that it wrote and
keeps it in the transaction of the write. Nothing is written when it cannot be kept.
"""

from __future__ import annotations

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, CreneauError
from creneau_shared.fhir.json import loads_sent
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.rest.writing import write_context
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import check

HEADER = "x-provenance"
TYPE = "Provenance"


def provenance_of(service: FhirService, request: FhirRequest, *, writes: bool) -> Resource | None:
    """The Provenance that comes with a request, checked but for its target; None without the header.

    BadRequest when it is no Provenance, where none is kept, and with a request that is no create, update, patch or delete.
    """
    header = request.headers.get(HEADER)
    if header is None or request.method in ("GET", "HEAD"):
        return None
    if TYPE not in service.types or not writes:
        raise _refused(
            "X-Provenance se joint ici à une création, un remplacement, une modification ou une suppression d'un type"
            f" de ce service, et seulement là où {TYPE} est servi.",
            "X-Provenance goes with a create, update, patch or delete of a type of this service, and only where"
            f" {TYPE} is served.",
            "not-supported",
        )
    try:
        resource = loads_sent(header.encode("latin-1"))
        if "target" in resource:
            raise _refused(
                "X-Provenance ne donne pas de target : le serveur y met la version qu'il écrit.",
                "X-Provenance gives no target: the server puts in the version that it writes.",
                "invalid",
            )
        check({**resource, "target": [{"display": "-"}]}, TYPE)
    except CreneauError as error:
        raise BadRequest(issues=error.issues) from error
    return resource


async def keep_provenance(
    service: FhirService, connection: Connection, request: FhirRequest, resource: Resource, answer: Answer
) -> None:
    """Stores the Provenance of the version that `answer` says was written; does nothing if none was."""
    access = request.access(TYPE, "c")
    written = answer.stored
    if written is None or (request.method == "POST" and answer.status != 201):
        return
    target = {"reference": f"{written.resource_type}/{written.id}/_history/{written.version}"}
    complete = {**resource, "target": [target]}
    await service.types[TYPE].store.create(connection, write_context(request, access), complete)


def _refused(fr: str, en: str, code: str) -> BadRequest:
    return BadRequest(fr, en, code=code, expression=f"http.{HEADER}")

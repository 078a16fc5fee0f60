"""`Communication/$messages`: the messages to one person, with where they went, for that person's record."""

from __future__ import annotations

from creneau_notifications.storage.record import sources
from creneau_shared.errors import BadRequest, Forbidden
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, asked_count
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.reading import ID
from creneau_shared.fhir.rest.record import entries_of, record_page
from creneau_shared.fhir.search.bundle import Link, query_url, write_bundle
from creneau_shared.fhir.search.cursor import Cursor, query_digest
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.sql import RowPlace, SearchTable
from creneau_shared.security.vouching import HEADER, Vouchers

COUNT_DEFAULT = 200
COUNT_MAX = 1000

DEFINITION = operation_definition(
    "messages",
    "The messages to one person",
    "What was told and will be told to one person, with the address that was used, and who looked at it."
    " For the person's own account; Patient/$everything at the entrance has it too.",
    [
        parameter("patient", "Reference", minimum=1),
        parameter("_since", "instant"),
        parameter("_count", "integer"),
        parameter("return", "Bundle", use="out", minimum=1),
    ],
    affects_state=False,
    resources=["Communication"],
)


class MessagesOperation:
    """`$messages` on Communication."""

    def __init__(self, trail: SearchTable, vouchers: Vouchers) -> None:
        self._trail = trail
        self._vouchers = vouchers

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        request = call.request
        access = request.access("Communication", "r")
        patient_id = _patient(call)
        rights = access.rights
        own = rights.role == "system" or (
            rights.role == "patient"
            and (
                patient_id in rights.oneself
                or self._vouchers.holds(
                    request.headers.get(HEADER), request.principal, patient_id, request.now
                )
            )
        )
        if not own:
            raise Forbidden(
                "Seule la personne concernée peut demander cela, par son propre compte ou auprès d'un humain.",
                "Only the person concerned can ask for this, by their own account or through a human being.",
                details_code="person-only",
            )
        since, pairs = request.instant_parameter("_since"), [("patient", f"Patient/{patient_id}")]
        if since is not None:
            pairs.append(("_since", since.isoformat()))
        count = max(asked_count(request.query, COUNT_DEFAULT, COUNT_MAX), 1)
        digest = query_digest("Communication/$messages", pairs)
        text, begin = request.parameter(CURSOR_PARAMETER), (0, "")
        if text:
            number, place = call.service.cursors.decode(text, digest).place.values
            begin = (int(number), str(place))
        async with call.service.connection() as connection:
            page = await record_page(connection, sources(patient_id, self._trail, since), begin, count)
            for one in page.found:
                if one.resource_type == "Communication":
                    await call.service.audit(connection, request, "R", one)
        url = f"{call.service.base_url}/Communication/$messages"
        links = [Link("self", query_url(url, pairs))]
        if page.following is not None:
            cursor = call.service.cursors.encode(Cursor(RowPlace(page.following)), digest)
            following = [*pairs, ("_count", str(count)), (CURSOR_PARAMETER, cursor)]
            links.append(Link("next", query_url(url, following)))
        entries = entries_of(page.found, call.service.base_url)
        return Answer(200, write_bundle("searchset", entries, links=links))


def _patient(call: OperationCall) -> str:
    given = OperationInput.of(call).references("patient")
    id_ = str(given[0].get("reference", "")).removeprefix("Patient/") if given else ""
    if not ID.match(id_):
        raise BadRequest(
            "Dites de qui : patient=Patient/….",
            "Say whose: patient=Patient/….",
            code="required",
            expression="http.patient",
        )
    return id_

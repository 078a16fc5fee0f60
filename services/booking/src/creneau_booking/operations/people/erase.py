"""`Patient/[id]/$erase`: says what erasing a person would do, and does it once the call confirms it (GDPR art. 17)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from creneau_booking.domain.erasure import confirms
from creneau_booking.domain.rehearsal import require_not_kept
from creneau_booking.handlers.people.erasure import Outcome, PatientErasure
from creneau_booking.operations.people.person import access_to_person
from creneau_booking.storage.people.erasures import keep_erasure, receipt_of_erasure
from creneau_booking.storage.people.patients import family_names
from creneau_shared.database.barrier import commit_barrier
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.idempotency import remember, remembered
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.reading import deleted_resource, require_visible, unknown_resource
from creneau_shared.fhir.rest.writing import write_context
from creneau_shared.fhir.storage.generic import GenericStore, instant
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.security.access import Access

DEFINITION = operation_definition(
    "erase",
    "Erase a person",
    "Cancels the appointments to come of the Patient, who is told, and takes everything out that says who they are:"
    " from current and superseded versions, RelatedPersons, messages, events and kept answers of all services. Without"
    " a confirmation nothing is done, and the answer says what would be. For the person's own account.",
    [
        parameter(
            "confirm",
            "string",
            documentation="A family name of the person, or true. Absent: nothing is done, and the answer says what would.",
        ),
        parameter("done", "boolean", use="out", minimum=1),
        parameter("patient", "Reference", use="out", minimum=1),
        parameter("erased-at", "instant", use="out"),
        parameter("explanation", "string", use="out", minimum=1),
        parameter(
            "cancelled",
            "Reference",
            use="out",
            maximum="*",
            documentation="Appointments to come that are cancelled.",
        ),
        {
            **parameter("erased", None, use="out", maximum="*"),
            "part": [
                parameter("what", "code", use="out", minimum=1),
                parameter("count", "integer", use="out", minimum=1),
            ],
        },
        {
            **parameter("kept", None, use="out", maximum="*"),
            "part": [
                parameter("what", "code", use="out", minimum=1),
                parameter("why", "string", use="out", minimum=1),
                parameter("until", "date", use="out", documentation="Absent: for ever."),
            ],
        },
    ],
    affects_state=True,
    resources=["Patient"],
    type_level=False,
    instance=True,
)

_WOULD = {
    "fr": "Rien n'est encore effacé. Pour confirmer, renvoyez confirm avec votre nom de famille : ce qui suit sera fait"
    " et ne peut pas être défait.",
    "en": "Nothing is erased yet. To confirm, send confirm with your family name: what follows will then be done, and"
    " cannot be undone.",
}
_DONE = {
    "fr": "C'est fait. Les rendez-vous à venir sont annulés, vous en serez prévenu ; ce qui vous identifie est effacé.",
    "en": "Done. The appointments to come are cancelled and you will be told; what identifies you is erased.",
}


class EraseOperation:
    """`$erase` on a Patient."""

    def __init__(self, patients: GenericStore, erasure: PatientErasure) -> None:
        self._patients = patients
        self._erasure = erasure

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True)

    async def handle(self, call: OperationCall) -> Answer:
        call.request.access("Patient", "u")
        given = OperationInput.of(call)
        said, key = given.first("confirm"), call.request.headers.get("idempotency-key")
        sent = call.request.resource() if call.request.body.strip() or call.request.parsed else {}
        async with call.service.transaction() as connection:
            if key is not None:
                earlier = await remembered(connection, call.request, key, sent)
                if earlier is not None:
                    return earlier
            # Checked only now: an erased person who asks again acts for nobody, but gets the remembered answer above.
            answer = await self._answer(connection, call, access_to_person(call, "u"), said)
            if key is not None:
                await remember(connection, call.request, key, sent, answer)
            return answer

    async def _answer(
        self, connection: Connection, call: OperationCall, access: Access, said: object
    ) -> Answer:
        assert call.id is not None
        require_not_kept("Patient", call.id)
        current = await self._patients.lock(connection, call.id)
        if current is None:
            raise unknown_resource("Patient", call.id)
        await require_visible(connection, self._patients, access, call.id)
        if current.deleted:
            receipt = await receipt_of_erasure(connection, call.id)
            if receipt is None:
                raise deleted_resource(current)
            await commit_barrier(connection)
            return Answer(200, dumps(receipt))
        language = call.request.language
        if said is None:
            outcome = await self._erasure.foresee(connection, call.id, call.request.now)
            await call.service.audit(connection, call.request, "E", current)
            return Answer(200, dumps(_receipt(outcome, language, None)))
        self._require_confirmation(current, said)
        outcome = await self._erasure.erase(connection, write_context(call.request, access), current)
        receipt = _receipt(outcome, language, call.request.now)
        await keep_erasure(connection, call.id, call.request.now, receipt)
        await self._leave_trace(connection, call, access, current)
        return Answer(200, dumps(receipt))

    @staticmethod
    def _require_confirmation(current: Stored, said: object) -> None:
        assert current.content is not None
        if not confirms(said, family_names(loads(current.content))):
            raise Unprocessable(
                "La confirmation n'est pas le nom de famille de ce dossier ; rien n'a été effacé.",
                "The confirmation is not the family name of this record; nothing was erased.",
                expression="Parameters.parameter",
                details_code="confirmation-differs",
            )

    @staticmethod
    async def _leave_trace(
        connection: Connection, call: OperationCall, access: Access, current: Stored
    ) -> None:
        """Records the erasure in the trail. If the person erased themselves, it names only the id of their Patient."""
        request = call.request
        if access.by_patient:
            request = replace(request, principal=replace(request.principal, subject=f"Patient/{current.id}"))
        await call.service.audit(connection, request, "D", current)


def _receipt(outcome: Outcome, language: Language, at: datetime | None) -> Resource:
    """Returns the answer: what is or would be erased; what is kept, why and until when. It names nobody."""
    parts: list[dict[str, Any]] = [
        {"name": "done", "valueBoolean": at is not None},
        {"name": "patient", "valueReference": {"reference": f"Patient/{outcome.patient_id}"}},
        *([{"name": "erased-at", "valueInstant": instant(at)}] if at is not None else []),
        {"name": "explanation", "valueString": (_WOULD if at is None else _DONE)[language]},
    ]
    parts += [
        {"name": "cancelled", "valueReference": {"reference": f"Appointment/{id_}"}}
        for id_ in outcome.cancelled
    ]
    for count in outcome.erased:
        said: list[dict[str, Any]] = [
            {"name": "what", "valueCode": count.what},
            {"name": "count", "valueInteger": count.count},
        ]
        parts.append({"name": "erased", "part": said})
    for kept in outcome.kept:
        said = [
            {"name": "what", "valueCode": kept.what},
            {"name": "why", "valueString": kept.fr if language == "fr" else kept.en},
        ]
        if kept.until is not None:
            said.append({"name": "until", "valueDate": kept.until.isoformat()})
        parts.append({"name": "kept", "part": said})
    return {"resourceType": "Parameters", "parameter": parts}

"""`$validate`: check a resource without storing it (FHIR R4 resource-operation-validate.html)."""

from __future__ import annotations

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.judging import Judged, Question, check_question, judge, judge_body
from creneau_shared.fhir.rest.negotiation import body_format
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.storage.store import Resource

DEFINITION: Resource = {
    "resourceType": "OperationDefinition",
    "id": "Resource-validate",
    "url": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    "name": "Validate",
    "status": "active",
    "kind": "operation",
    "code": "validate",
    "affectsState": False,
    "system": False,
    "type": True,
    "instance": True,
    "parameter": [
        {"name": "resource", "use": "in", "min": 0, "max": "1", "type": "Resource"},
        {"name": "mode", "use": "in", "min": 0, "max": "1", "type": "code"},
        {"name": "profile", "use": "in", "min": 0, "max": "1", "type": "uri"},
        {"name": "return", "use": "out", "min": 1, "max": "1", "type": "OperationOutcome"},
    ],
}


async def _validate(call: OperationCall) -> Answer:
    """Answers 200 whatever the outcome says: the question was answered."""
    request = call.request
    served = call.service.types.get(call.type or "")
    question = Question(
        call.type,
        request.parameter("mode"),
        request.parameter("profile"),
        request.language,
        served.own_rules if served else None,
    )
    judged = await _judge_body(call, question)
    if judged.outcome is not None:
        return Answer(200, judged.outcome)
    question, resource = judged.question, None
    if call.id is not None and call.type is not None:
        store = call.service.served(call.type).store
        access = request.access(call.type, "r")
        async with call.service.connection() as connection:
            stored = await read_current(connection, store, access, call.id)
            await call.service.audit(connection, request, "R", stored)
        content = call.service.as_shown(access, stored).content
        assert content is not None
        resource = loads(content)
    if resource is None and question.mode != "delete":
        raise BadRequest(
            "Envoyez la ressource à vérifier, seule ou dans Parameters.parameter « resource ».",
            "Send the resource to check, bare or in Parameters.parameter “resource”.",
            code="required",
        )
    return Answer(200, judge(resource, question))


async def _judge_body(call: OperationCall, question: Question) -> Judged:
    """Judges the body; a large one in the process beside."""
    request, workshop = call.request, call.service.workshop
    if request.method == "POST" and request.parsed is None and len(request.body) >= workshop.bytes_min:
        format_ = body_format(request.headers.get("content-type"))
        judged: Judged = await workshop.do("validate", format_, request.body, question)
        return judged
    if request.method == "POST" and (request.body.strip() or request.parsed):
        return judge_body(request.resource(), question)
    check_question(question)
    return Judged(None, question)


VALIDATE = Operation(DEFINITION, _validate)

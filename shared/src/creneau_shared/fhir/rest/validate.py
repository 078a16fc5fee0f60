"""`$validate`: check a resource without storing it (FHIR R4 resource-operation-validate.html)."""

from __future__ import annotations

from creneau_shared.errors import BadRequest, CreneauError, Issue
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.rest.declaration import Operation, OperationCall
from creneau_shared.fhir.rest.exchange import Answer, json_object
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import validate

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
MODES = ("create", "update", "delete", "profile")


def _parameter(parameters: Resource, name: str) -> Resource:
    entries = parameters.get("parameter", [])
    return next((json_object(entry) for entry in entries if json_object(entry).get("name") == name), {})


async def _validate(call: OperationCall) -> Answer:
    """The outcome is 200 whatever it says: the question was answered."""
    request, mode, profile = call.request, call.request.parameter("mode"), call.request.parameter("profile")
    resource: Resource | None = None
    if request.method == "POST" and (request.body.strip() or request.parsed):
        resource = request.resource()
        if resource.get("resourceType") == "Parameters":
            mode = _parameter(resource, "mode").get("valueCode", mode)
            asked = _parameter(resource, "profile")
            profile = asked.get("valueUri", asked.get("valueCanonical", profile))
            resource = _parameter(resource, "resource").get("resource")
    if mode is not None and mode not in MODES:
        raise BadRequest(
            f"mode vaut « {mode} » ; valeurs possibles : {', '.join(MODES)}.",
            f"mode is “{mode}”; possible values: {', '.join(MODES)}.",
            expression="mode",
            code="value",
        )
    if resource is None and call.id is not None and call.type is not None:
        store = call.server.served(call.type).store
        access = request.access(call.type, "r")
        async with call.server.connection() as connection:
            stored = await read_current(connection, store, access, call.id)
            await call.server.audit(connection, request, "R", stored)
        assert stored.content is not None
        resource = loads(stored.content)
    if resource is None and mode != "delete":
        raise BadRequest(
            "Envoyez la ressource à vérifier, seule ou dans Parameters.parameter « resource ».",
            "Send the resource to check, bare or in Parameters.parameter “resource”.",
            code="required",
        )
    issues = list(_issues(resource, call.type, profile)) if resource is not None else []
    if not issues:
        issues = [
            Issue(
                "informational",
                "La ressource est conforme.",
                "The resource is valid.",
                severity="information",
            )
        ]
    return Answer(200, dumps(operation_outcome(issues, request.language)))


def _issues(resource: Resource, expected_type: str | None, profile: str | None) -> list[Issue]:
    try:
        found = validate(resource, expected_type)
    except CreneauError as error:
        return list(error.issues)
    claimed = [profile] if profile else []
    return found + (
        [] if any(issue.severity == "error" for issue in found) else profile_issues(resource, claimed)
    )


VALIDATE = Operation(DEFINITION, _validate)

"""The OpenAPI 3.1 description of a service's FHIR endpoint, from what it declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from creneau_shared.fhir.rest.asynchronous import PATH as ASYNC_PATH
from creneau_shared.fhir.rest.capability import SOFTWARE_VERSION
from creneau_shared.fhir.rest.declaration import Interaction, ServedType
from creneau_shared.fhir.rest.openapi_schemas import PRIMITIVES, Schema, reference, schemas_of
from creneau_shared.fhir.rest.operation import Operation
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import PUBLIC
from creneau_shared.security.role_table import OPERATIONS
from creneau_shared.type_table import COMPARTMENT_PARAMETERS

JSON, XML, FORM = "application/fhir+json", "application/fhir+xml", "application/x-www-form-urlencoded"
PATCH_TYPES = ("application/json-patch+json", "application/xml-patch+xml", JSON, XML)
SHARED_SCHEMAS = ("Bundle", "OperationOutcome", "Parameters", "CapabilityStatement")
IN_ADDRESS: Mapping[str, str] = {
    "date": "2026-03-02, ge2026-03-02T08:00:00+01:00, comma between alternatives",
    "token": "code, system|code, |code or system|",
    "string": "the start of the text, whatever its case and accents",
    "reference": "id, Type/id or an absolute URL",
    "uri": "the whole URI",
    "number": "a number, with a prefix such as ge",
    "quantity": "number|system|code",
    "special": "latitude|longitude|distance|unit",
    "_text": "words, AND, OR, NOT, parentheses, 'a phrase' in double quotes, beginning*",
    "_content": "words, AND, OR, NOT, parentheses, 'a phrase' in double quotes, beginning*",
    "_filter": "status eq free and (start ge 2026-03-02 or schedule.actor re Practitioner/1)",
}
"""How a value is written, by the type of the search parameter or by its name."""

RESULT_PARAMETERS: Mapping[str, Schema] = {
    "_count": {"type": "integer", "minimum": 0},
    "_sort": {"type": "string"},
    "_include": {"type": "string"},
    "_revinclude": {"type": "string"},
    "_summary": {"enum": ["true", "text", "data", "count", "false"]},
    "_elements": {"type": "string"},
    "_total": {"enum": ["none", "estimate", "accurate"]},
}
HEADERS: Mapping[str, str] = {
    "If-Match": 'W/"3": the version that is to be changed',
    "If-None-Match": 'W/"3": the version that the client has',
    "If-None-Exist": "a search: nothing is created when it has a match",
    "Idempotency-Key": "the same request sent twice is carried out once",
    "Prefer": "return=minimal | representation | OperationOutcome; handling=strict | lenient; respond-async",
    "X-Provenance": "a Provenance in JSON without target: who makes this change, and why",
}
BEARER: Mapping[str, list[str]] = {"bearer": []}
WRITES: frozenset[Interaction] = frozenset({"create", "update", "patch", "delete"})


def openapi(server: FhirServer) -> dict[str, Any]:
    """The description of what `server` answers below its base."""
    paths: dict[str, Any] = dict(_system(server))
    for _, served in sorted(server.service.types.items()):
        paths |= dict(_type(server, served))
    for path, methods in paths.items():
        for method, call in methods.items():
            call["security"] = [{}, BEARER] if _is_open(server, path, method) else [BEARER]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Créneau: {server.service.name}",
            "version": SOFTWARE_VERSION,
            "description": "FHIR R4 (4.0.1). The CapabilityStatement at /metadata says the same in FHIR's own terms.",
        },
        "servers": [{"url": server.service.base_url}],
        "paths": paths,
        "components": {
            "schemas": schemas_of((*SHARED_SCHEMAS, *sorted(server.service.types))),
            "parameters": _parameters(server),
            "responses": {
                "Accepted": _accepted(),
                "Refused": _answer("Refused; the issues say why.", "OperationOutcome"),
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _is_open(server: FhirServer, path: str, method: str) -> bool:
    """Whether a caller without a token is let in: to the statement of capabilities, and to public information.

    A Bundle is let in too, since each of its entries is refused or answered by itself; so is the poll of an
    asynchronous request.
    """
    *_, name = parts = path.strip("/").split("/")
    if path in ("/", "/metadata") or parts[0] == ASYNC_PATH:
        return True
    if name.startswith("$") and (parts == [name] or parts[0] not in server.service.types):
        operation = next(o for o in server.operations if f"${o.code}" == name)
        row = OPERATIONS.get(operation.code)
        if operation.right is not None:
            return row is not None and row.is_open and server.service.policy.anonymous_read
        return row is None or row.scope is None
    if not server.service.policy.anonymous_read:
        return False
    if path == "/_history":
        kept = (
            kind for kind, served in server.service.types.items() if "history-type" in served.interactions
        )
        return any(kind in PUBLIC for kind in kept)
    if name.startswith("$"):
        operation = next(o for o in server.operations if f"${o.code}" == name)
        if operation.later:
            return False  # nobody else could come back for the answer
        if operation.right is None and "{id}" not in parts:
            return True  # nothing that is stored is looked at
        kind, action = operation.right or (parts[0], "r")
        return kind in PUBLIC and action in ("r", "s")
    kinds = [part for part in parts if part[:1].isupper()]
    reads = method in ("get", "head") or name == "_search"
    return reads and bool(kinds) and kinds[-1] in PUBLIC


# -- what is described once -------------------------------------------------------------------------------------


def _parameters(server: FhirServer) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "id": _in_path("id", PRIMITIVES["id"], "The logical id."),
        "vid": _in_path("vid", PRIMITIVES["id"], "A version: 1, 2, …"),
        "_format": _in_query("_format", {"enum": ["json", "xml"]}, "Overrides Accept."),
    }
    parameters |= {
        name: _in_query(name, schema, "FHIR R4 search.html#return")
        for name, schema in RESULT_PARAMETERS.items()
    }
    for name, text in HEADERS.items():
        parameters[name] = {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
    for type_name in sorted(server.service.types):
        for parameter in parameters_of(type_name).values():
            parameters[_component(parameter)] = _search_parameter(parameter)
    return parameters


def _component(parameter: SearchParameter) -> str:
    return f"{parameter.base}.{parameter.name}"


def _search_parameter(parameter: SearchParameter) -> Schema:
    written = IN_ADDRESS.get(parameter.name) or IN_ADDRESS.get(parameter.type, "")
    description = f"{parameter.description} ({parameter.type}: {written})."
    return _in_query(parameter.name, {"type": "string"}, description)


def _in_query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_path(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _refs(*names: str) -> list[Schema]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _body(schema: str, types: Sequence[str] = (JSON, XML)) -> Schema:
    content = {media: {"schema": reference(schema) if media == JSON else {}} for media in types}
    return {"required": True, "content": content}


def _answer(description: str, schema: str) -> Schema:
    return {"description": description, "content": {JSON: {"schema": reference(schema)}, XML: {}}}


def _accepted() -> Schema:
    """The answer to `Prefer: respond-async` (FHIR R4 async.html)."""
    headers = {
        "Content-Location": "where the answer will stand, below /_async",
        "Preference-Applied": "respond-async",
        "Retry-After": "when to come for it, seconds",
    }
    return {
        **_answer(
            "With Prefer: respond-async (bulk data without it, too), recorded; to be carried out.",
            "OperationOutcome",
        ),
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        },
    }


def _call(
    summary: str,
    operation_id: str,
    answers: Mapping[str, Schema],
    *,
    tag: str,
    parameters: Sequence[Schema] = (),
    body: Schema | None = None,
    later: bool = True,
) -> Schema:
    """One method at one path; `later` tells that its answer may be asked for with respond-async."""
    call: Schema = {"summary": summary, "operationId": operation_id, "tags": [tag]}
    prefer = _refs("Prefer") if later else []
    call["parameters"] = [*parameters, *(ref for ref in prefer if ref not in parameters), *_refs("_format")]
    if body is not None:
        call["requestBody"] = body
    accepted = {"202": {"$ref": "#/components/responses/Accepted"}} if later else {}
    call["responses"] = {**answers, **accepted, "default": {"$ref": "#/components/responses/Refused"}}
    return call


# -- the system -------------------------------------------------------------------------------------------------


def _system(server: FhirServer) -> Iterator[tuple[str, Schema]]:
    bundle = {"200": _answer("The answers, in the order of the entries.", "Bundle")}
    found = {"200": _answer("What was found.", "Bundle")}
    types = _in_query("_type", {"type": "string"}, "The types to search, comma between them.")
    yield (
        "/",
        {
            "get": _call("Search several types", "searchSystem", found, tag="system", parameters=[types]),
            "post": _call(
                "Carry out a batch or transaction", "bundle", bundle, tag="system", body=_body("Bundle")
            ),
        },
    )
    yield (
        "/metadata",
        {
            "get": _call(
                "What the server can do",
                "metadata",
                {"200": _answer("The CapabilityStatement.", "CapabilityStatement")},
                tag="system",
                later=False,
            )
        },
    )
    history = {"200": _answer("Versions, the newest first.", "Bundle")}
    yield (
        "/_history",
        {"get": _call("Every change", "historySystem", history, tag="system", parameters=_refs("_count"))},
    )
    if server.asynchronous is not None:
        yield _polling(server.asynchronous.service)
    for operation in server.operations:
        if operation.allows(None, None):
            yield f"/${operation.code}", _system_operation(operation)
        for name in operation.types if operation.definition["type"] else ():
            if name not in server.service.types:
                yield f"/{name}/${operation.code}", _system_operation(operation)


def _system_operation(operation: Operation) -> Schema:
    title = str(operation.definition["title"])
    name = str(operation.definition["name"])
    answers = _answers_of(operation)
    post = _call(title, f"system{name}", answers, tag="system", body=_body("Parameters"), later=False)
    if operation.definition.get("affectsState"):
        return {"post": post}
    parameters = list(_primitive_inputs(operation.definition))
    get = _call(title, f"system{name}ByGet", answers, tag="system", parameters=parameters, later=False)
    return {"post": post, "get": get}


def _answers_of(operation: Operation) -> dict[str, Schema]:
    """The statuses of its success, but for 202 of what may be answered later."""
    if operation.later:
        return {"202": {"$ref": "#/components/responses/Accepted"}}
    created = {"201": _answer("What the operation has made.", "Resource")} if operation.creates else {}
    return {"200": _answer("The answer of the operation.", "Resource"), **created}


def _polling(service: str) -> tuple[str, Schema]:
    """Where the answer to an asynchronous request is asked for."""
    under_way = "Under way: X-Progress says how far, Retry-After when to come again."
    answers = {
        "200": _answer("The request's own answer, with its own status and headers.", "Resource"),
        "202": _answer(under_way, "OperationOutcome"),
        "404": _answer("Unknown, forgotten or somebody else's.", "OperationOutcome"),
    }
    withdrawn = {"202": _answer("Withdrawn before it began, or its answer forgotten.", "OperationOutcome")}

    def call(summary: str, operation_id: str, answers: Mapping[str, Schema]) -> Schema:
        return _call(summary, operation_id, answers, tag="system", parameters=_refs("id"), later=False)

    return (
        f"/{ASYNC_PATH}/{service}/{{id}}",
        {
            "get": call("Ask for the answer of an asynchronous request", "asyncAnswer", answers),
            "delete": call("Withdraw an asynchronous request", "asyncWithdraw", withdrawn),
        },
    )


# -- one type ---------------------------------------------------------------------------------------------------


def _type(server: FhirServer, served: ServedType) -> Iterator[tuple[str, Schema]]:
    name, offers = served.name, served.interactions
    search = [
        *_refs(*(_component(parameter) for parameter in parameters_of(name).values())),
        *_refs(*RESULT_PARAMETERS, "Prefer"),
    ]
    one = {"200": _answer("The resource.", name)}
    versions = {"200": _answer("Versions, the newest first.", "Bundle")}
    paths: dict[str, Schema] = {}

    def add(interaction: Interaction, path: str, method: str, call: Schema) -> None:
        if interaction in offers:
            if interaction in WRITES and "Provenance" in server.service.types:
                call["parameters"] += _refs("X-Provenance")
            paths.setdefault(path, {})[method] = call

    add("search-type", f"/{name}", "get", _search(f"search{name}", name, search))
    add("search-type", f"/{name}/_search", "post", _search(f"searchByForm{name}", name, (), form=True))
    add("create", f"/{name}", "post", _write("Create", "create", name, "If-None-Exist", "Idempotency-Key"))
    add("history-type", f"/{name}/_history", "get", _read("History of all", "historyType", name, versions))
    instance = f"/{name}/{{id}}"
    add("read", instance, "get", _read("Read", "read", name, one, "id", "If-None-Match"))
    add(
        "update",
        instance,
        "put",
        _write("Update, or create under this id", "update", name, "If-Match", id_=True),
    )
    add("patch", instance, "patch", _patch(name))
    add("delete", instance, "delete", _delete(name))
    add("history-instance", f"{instance}/_history", "get", _read("History", "history", name, versions, "id"))
    add(
        "vread",
        f"{instance}/_history/{{vid}}",
        "get",
        _read("Read a version", "vread", name, one, "id", "vid"),
    )
    yield from paths.items()
    yield from _compartments(server, name)
    for operation in server.operations:
        yield from _operation(operation, name)


def _search(operation_id: str, name: str, parameters: Sequence[Schema], *, form: bool = False) -> Schema:
    found = {"200": _answer("A page of what was found.", "Bundle")}
    body: Schema | None = {"content": {FORM: {"schema": {"type": "object"}}}} if form else None
    return _call(f"Search {name}", operation_id, found, tag=name, parameters=parameters, body=body)


def _read(summary: str, interaction: str, name: str, answers: Mapping[str, Schema], *given: str) -> Schema:
    return _call(
        f"{summary}: {name}",
        f"{interaction}{name}",
        answers,
        tag=name,
        parameters=_refs(*given),
        later=interaction.startswith("history"),
    )


def _write(summary: str, interaction: str, name: str, *headers: str, id_: bool = False) -> Schema:
    answers = {"200": _answer("As it is stored now.", name), "201": _answer("Created.", name)}
    parameters = _refs(*(("id",) if id_ else ()), *headers, "Prefer")
    return _call(
        f"{summary}: {name}",
        f"{interaction}{name}",
        answers,
        tag=name,
        parameters=parameters,
        body=_body(name),
    )


def _patch(name: str) -> Schema:
    operations = {"type": "array", "items": {"type": "object", "required": ["op", "path"]}}
    body = _body("Parameters", PATCH_TYPES)
    body["content"]["application/json-patch+json"] = {"schema": operations}
    answers = {"200": _answer("As it is stored now.", name)}
    parameters = _refs("id", "If-Match", "Prefer")
    return _call(f"Patch: {name}", f"patch{name}", answers, tag=name, parameters=parameters, body=body)


def _delete(name: str) -> Schema:
    answers = {"204": {"description": "It is not there any more."}}
    return _call(f"Delete: {name}", f"delete{name}", answers, tag=name, parameters=_refs("id", "If-Match"))


def _compartments(server: FhirServer, name: str) -> Iterator[tuple[str, Schema]]:
    """`Patient/{id}/Appointment`: the searches of this type within a compartment."""
    for owner, targets in COMPARTMENT_PARAMETERS.items():
        if name in targets:
            parameters = _refs("id", *RESULT_PARAMETERS, "Prefer")
            call = _search(f"search{name}Of{owner}", name, parameters)
            yield f"/{owner}/{{id}}/{name}", {"get": call}


def _operation(operation: Operation, name: str) -> Iterator[tuple[str, Schema]]:
    definition = operation.definition
    code, title = operation.code, str(definition.get("title", definition["name"]))
    answers, later = _answers_of(operation), not (operation.secret or operation.at_once)
    media = (JSON, XML, *operation.more_media)
    for level, path, given in (
        ("type", f"/{name}/${code}", ()),
        ("instance", f"/{name}/{{id}}/${code}", ("id",)),
    ):
        if not operation.allows(name, "id" if level == "instance" else None):
            continue
        identity = f"{level}{code.title()}{name}"
        post = _call(
            title,
            f"{identity}ByPost",
            answers,
            tag=name,
            parameters=_refs(*given, *(("Idempotency-Key",) if operation.keyed else ())),
            body=_body("Resource", media),
            later=later,
        )
        methods = {"post": post}
        if not definition.get("affectsState"):
            parameters = [*_refs(*given), *_primitive_inputs(definition)]
            methods["get"] = _call(
                title, f"{identity}ByGet", answers, tag=name, parameters=parameters, later=later
            )
        yield path, methods


def _primitive_inputs(definition: Resource) -> Iterator[Schema]:
    for parameter in definition.get("parameter", ()):
        if parameter["use"] == "in" and parameter["name"] != "resource":
            yield _in_query(parameter["name"], {"type": "string"}, str(parameter["type"]))

"""The CapabilityStatement, put together from what is declared: it cannot promise what no code provides."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.bounds import BUNDLE_ENTRIES_MAX
from creneau_shared.fhir.rest.declaration import Interaction, ServedType
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.negotiation import names_entity
from creneau_shared.fhir.rest.operation import Operation
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.type_table import COMPARTMENT, COMPARTMENT_PARAMETERS

FHIR_VERSION = "4.0.1"
SOFTWARE_VERSION = "0.1.0"
PUBLISHED = "2026-11-22"
MODES = ("full", "normative", "terminology")
SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
PATCH_FORMATS = (
    "application/json-patch+json",
    "application/fhir+json",
    "application/fhir+xml",
    "application/xml-patch+xml",
)


REST = (
    "Prefer: respond-async is honoured for every interaction of one service but reads and metadata, for whoever has a"
    " token: 202 with Content-Location, where the answer is then asked for with GET (202 with Retry-After and X-Progress"
    " until it is there; 429 when asked for too often) or withdrawn with DELETE. X-Provenance is kept with the writes"
    " of a service that serves Provenance. A search over several types (_type) gives one type after the other and"
    " cannot be sorted over them; a history takes _since, _at (with eq, ge, gt, le or lt) and _total. If-None-Exist takes"
    " the parameters alone or the whole address of the search."
    f" A batch or transaction Bundle holds at most {BUNDLE_ENTRIES_MAX} entries, and a transaction only types of one"
    f" service. / Un Bundle batch ou transaction porte au plus {BUNDLE_ENTRIES_MAX} entrées, et une transaction"
    " seulement des types d'un même service."
)

NAMED_BY_US = (
    "An update creates nothing: of what is about persons the server chooses the ids, and only software of the deployment"
    " itself (the role system) puts a resource under an id of its own."
)
COUNT = {
    "name": "_count",
    "type": "number",
    "documentation": "Matches on a page; 0 gives the total only. / Résultats par page ; 0 ne donne que le total.",
}
"""A parameter of every search, which R4 defines in words only: it has no SearchParameter to be named."""
RESULT_PARAMETERS = (
    COUNT,
    *(
        {"name": name, "type": "string", "documentation": said}
        for name, said in (
            ("_sort", "Names of parameters, `-` for descending. / Noms de paramètres, `-` pour décroissant."),
            ("_summary", "true, text, data, count or false. / true, text, data, count ou false."),
            ("_elements", "Names of elements. / Noms d'éléments."),
            ("_total", "none, estimate or accurate. / none, estimate ou accurate."),
            ("_include", "See searchInclude of the type. / Voir searchInclude du type."),
            ("_revinclude", "See searchRevInclude of the type. / Voir searchRevInclude du type."),
        )
    ),
)
"""What every search takes beside its criteria (R4 search.html#return)"""


async def metadata(service: FhirService, operations: Sequence[Operation], request: FhirRequest) -> Answer:
    """GET [base]/metadata: open to everyone, with an ETag of its own."""
    check_mode(request.parameter("mode"))
    return with_etag(request.headers.get("if-none-match"), dumps(statement(service, operations)))


def check_mode(mode: str | None) -> None:
    """BadRequest for a `mode` that R4 does not have; all of them get the whole statement."""
    if mode and mode not in MODES:
        raise BadRequest(
            f"mode vaut « {mode} » ; valeurs possibles : {', '.join(MODES)}.",
            f"mode is “{mode}”; possible values: {', '.join(MODES)}.",
            code="value",
            expression="http.mode",
        )


def with_etag(if_none_match: str | None, content: bytes) -> Answer:
    """An answer with a weak ETag of its content; 304 when the client has it already."""
    headers = {
        "ETag": f'W/"{hashlib.blake2b(content, digest_size=8).hexdigest()}"',
        "Cache-Control": "no-cache",
    }
    if names_entity(if_none_match or "", headers["ETag"]):
        return Answer(304, headers=headers)
    return Answer(200, content, headers)


def statement(service: FhirService, operations: Sequence[Operation]) -> Resource:
    """The CapabilityStatement of one service."""
    includes = {name: _includes(name, service) for name in service.types}
    return capability_statement(
        name=service.name,
        base_url=service.base_url,
        resources=[_resource(served, operations, includes) for _, served in sorted(service.types.items())],
        operations=[_operation(o) for o in operations if o.definition["system"] or _is_of_others(o, service)],
    )


def _is_of_others(operation: Operation, service: FhirService) -> bool:
    """Whether the operation is on types that only other services hold, so that none of this service's lists it."""
    return bool(operation.types) and service.types.keys().isdisjoint(operation.types)


def capability_statement(
    *,
    name: str,
    base_url: str,
    resources: Sequence[Mapping[str, Any]],
    operations: Sequence[Mapping[str, Any]],
) -> Resource:
    """A CapabilityStatement of kind `instance` with what it is given."""
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": REST,
        "security": {
            "cors": True,
            "service": [
                {"coding": [{"system": SECURITY_SERVICE, "code": code}]}
                for code in ("OAuth", "SMART-on-FHIR")
            ],
            "description": "OAuth 2 bearer tokens of the configured OpenID Connect issuer, with SMART v2 scopes: see"
            f" {base_url}/.well-known/smart-configuration",
        },
        "resource": list(resources),
        "searchParam": list(RESULT_PARAMETERS),
        "interaction": [
            {"code": code} for code in ("batch", "transaction", "history-system", "search-system")
        ],
    }
    if compartments := _compartments({str(resource["type"]) for resource in resources}):
        rest["compartment"] = compartments
    if operations:
        rest["operation"] = list(operations)
    return {
        "resourceType": "CapabilityStatement",
        "id": name,
        "url": f"{base_url}/metadata",
        "version": SOFTWARE_VERSION,
        "name": name.title().replace("-", ""),
        "title": f"Créneau : {name}",
        "status": "active",
        "date": PUBLISHED,
        "publisher": "Créneau",
        "kind": "instance",
        "software": {"name": "Créneau", "version": SOFTWARE_VERSION},
        "implementation": {"description": f"Créneau, {name}", "url": base_url},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": list(PATCH_FORMATS),
        "rest": [rest],
    }


def _compartments(served: Collection[str]) -> list[str]:
    """The CompartmentDefinitions of the compartments in which some of the types can be searched."""
    owners = [owner for owner, types in COMPARTMENT_PARAMETERS.items() if not types.keys().isdisjoint(served)]
    return [f"http://hl7.org/fhir/CompartmentDefinition/{owner[0].lower()}{owner[1:]}" for owner in owners]


def _resource(
    served: ServedType, operations: Sequence[Operation], includes: Mapping[str, Any]
) -> dict[str, Any]:
    name, interactions = served.name, served.interactions
    writable = "create" in interactions
    part: dict[str, Any] = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "interaction": [{"code": code} for code in sorted(interactions)],
        "versioning": _versioning(interactions),
        "readHistory": "vread" in interactions,
        "updateCreate": "update" in interactions and name not in COMPARTMENT,
        "conditionalCreate": writable,
        "conditionalRead": "full-support",
        "conditionalUpdate": "update" in interactions,
        "conditionalDelete": "single" if "delete" in interactions else "not-supported",
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": [
            *({"name": p.name, "definition": p.url, "type": p.type} for p in parameters_of(name).values()),
            COUNT,
        ],
    }
    both = zip(("searchInclude", "searchRevInclude"), includes[name], strict=True)
    part |= {element: included for element, included in both if included}
    if served.profiles:
        part["supportedProfile"] = list(served.profiles)
    told = [served.documentation, *([NAMED_BY_US] if writable and name in COMPARTMENT else [])]
    if documentation := " ".join(filter(None, told)):
        part["documentation"] = documentation
    offered = [
        _operation(o)
        for o in operations
        if (not o.types or name in o.types) and (o.definition["type"] or o.definition["instance"])
    ]
    if offered:
        part["operation"] = offered
    return part


def _versioning(interactions: frozenset[Interaction]) -> str:
    if "update" in interactions:
        return "versioned-update"
    return "versioned" if "vread" in interactions else "no-version"


def _operation(operation: Operation) -> dict[str, str]:
    return {"name": operation.code, "definition": str(operation.definition["url"])}


def _includes(name: str, service: FhirService) -> tuple[list[str], list[str]]:
    """What `_include` can add to this type, and what `_revinclude` can, among the types that the service has."""
    held = set(service.catalog.types)
    forward = [
        f"{name}:{p.name}"
        for p in parameters_of(name).values()
        if p.includable and any(p.allows_target(other) for other in held)
    ]
    backward = [
        f"{other}:{p.name}"
        for other in sorted(service.types)
        for p in parameters_of(other).values()
        if p.includable and p.allows_target(name)
    ]
    return forward, backward

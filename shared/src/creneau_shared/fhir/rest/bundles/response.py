"""The response Bundle of a batch or a transaction."""

from __future__ import annotations

from typing import Any

import orjson

from creneau_shared.fhir.rest.bundles.entries import RequestEntry
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.returning import done, is_written
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.ids import new_id


def told(kind: str, entries: list[RequestEntry], answers: list[Answer]) -> Answer:
    """200 with the response Bundle."""
    parts = [_response(entry.request, answer) for entry, answer in zip(entries, answers, strict=True)]
    return Answer(200, response_bundle(kind, parts))


def _response(request: FhirRequest, answer: Answer) -> dict[str, Any]:
    """The response entry, with the stored bytes spliced in. `Prefer: return` applies to writes, not to reads."""
    response: dict[str, Any] = {"status": str(answer.status)}
    if location := answer.headers.get("Location"):
        response["location"] = location
    if etag := answer.headers.get("ETag"):
        response["etag"] = etag
    if answer.stored is not None:
        response["lastModified"] = instant(answer.stored.last_updated)
    returning = "representation" if request.method in ("GET", "HEAD") else request.prefer.returning
    part: dict[str, Any] = {}
    if answer.content is not None and answer.status >= 400:
        response["outcome"] = orjson.Fragment(answer.content)
    elif returning == "OperationOutcome" and is_written(answer):
        response["outcome"] = orjson.Fragment(done(answer, request.language))
    elif answer.content is not None and not (returning == "minimal" and answer.stored is not None):
        part["resource"] = orjson.Fragment(answer.content)
    part["response"] = response
    return part


def response_bundle(kind: str, parts: list[dict[str, Any]]) -> bytes:
    """The Bundle of type batch-response or transaction-response."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "id": new_id(), "type": f"{kind}-response"}
    if parts:
        bundle["entry"] = parts
    return orjson.dumps(bundle)

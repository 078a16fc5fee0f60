"""A request as bytes, to be carried out later by another process: everything that decides what it does and for whom,
but not the token."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import orjson

from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.security.principal import Principal, Scope

KEPT_HEADERS = (
    "accept-language",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-exist",
    "if-none-match",
    "prefer",
    "x-provenance",
    "x-purpose-of-use",
)
"""The headers that decide how a request is carried out. The format of its answer is asked for by the later poll."""


def pack(request: FhirRequest) -> bytes:
    """The request but for its body, as JSON."""
    return orjson.dumps(
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "rawQuery": request.raw_query,
            "headers": {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
            "language": request.language,
            "correlationId": request.correlation_id,
            "principal": packed_principal(request.principal),
        }
    )


def unpack(packed: bytes, body: bytes, *, now: datetime, base_url: str) -> FhirRequest:
    """The request that `pack` wrote, as if it came in now."""
    kept: dict[str, Any] = orjson.loads(packed)
    return FhirRequest(
        method=kept["method"],
        path=tuple(kept["path"]),
        query=[(name, value) for name, value in kept["query"]],
        headers=kept["headers"],
        body=body,
        principal=unpacked_principal(kept["principal"]),
        now=now,
        base_url=base_url,
        language=kept["language"],
        correlation_id=kept["correlationId"],
        raw_query=kept["rawQuery"],
    )


def digest(request: FhirRequest) -> bytes:
    """A digest that tells two requests apart: by caller, rights, method, address and body."""
    target = orjson.dumps([request.method, request.path, request.query, packed_principal(request.principal)])
    return hashlib.sha256(target + b"\n" + request.body).digest()


def rights_digest(principal: Principal) -> bytes:
    """A digest that tells two tokens of one account apart: by client, role, whom they are for, and scopes."""
    return hashlib.sha256(orjson.dumps(packed_principal(principal))).digest()


def packed_principal(principal: Principal) -> dict[str, Any]:
    """A caller with their rights as JSON, to be kept with a request."""
    return {
        "issuer": principal.issuer,
        "subject": principal.subject,
        "scopes": [[s.level, s.resource_type, "".join(sorted(s.actions))] for s in principal.scopes],
        "flags": sorted(principal.flags),
        "patient": principal.patient,
        "role": principal.role,
        "client": principal.client,
        "organizations": sorted(principal.organizations),
        "practitioner": principal.practitioner,
        "nationalId": principal.national_id,
        "actingFor": principal.acting_for,
        "mandate": principal.mandate,
        "appointment": principal.appointment,
    }


def unpacked_principal(kept: dict[str, Any]) -> Principal:
    """The caller whom `packed_principal` has made JSON of, in this version of the software or in an earlier one."""
    return Principal(
        issuer=kept["issuer"],
        subject=kept["subject"],
        scopes=tuple(Scope(level, kind, frozenset(actions)) for level, kind, actions in kept["scopes"]),
        flags=frozenset(kept["flags"]),
        patient=kept["patient"],
        # A request that the previous version of the software recorded has no role: it is refused like a stranger's.
        role=kept.get("role", "public"),
        client=kept.get("client", ""),
        organizations=frozenset(kept.get("organizations", ())),
        practitioner=kept.get("practitioner"),
        national_id=kept.get("nationalId"),
        acting_for=kept.get("actingFor"),
        mandate=kept.get("mandate"),
        appointment=kept.get("appointment"),
    )

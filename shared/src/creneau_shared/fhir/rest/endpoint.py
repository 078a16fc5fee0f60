"""The HTTP edge of a FHIR server: bytes → FhirRequest, Answer → bytes. Pure ASGI.

The only place that knows status lines, content types and headers, and the only place that turns an exception
into an OperationOutcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote

from creneau_shared.correlation import correlation_id
from creneau_shared.errors import Unavailable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.outcome import negotiate_language
from creneau_shared.fhir.rest.bundles.work import work_in
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.incoming import (
    BodyLimits,
    Receive,
    declared_bytes,
    read_body,
    read_form,
    read_headers,
    read_query,
)
from creneau_shared.fhir.rest.negotiation import (
    CONTENT_TYPE,
    Format,
    accepted_format,
    body_format,
    is_ndjson,
)
from creneau_shared.fhir.rest.returning import as_preferred
from creneau_shared.fhir.rest.server import FhirServer
from creneau_shared.fhir.xml import to_xml
from creneau_shared.limits import costs
from creneau_shared.limits.callers import Caller
from creneau_shared.limits.meter import Meter
from creneau_shared.security.access import COMPARTMENT, PUBLIC
from creneau_shared.security.certificates import Regulators
from creneau_shared.security.confirmation import Presented
from creneau_shared.security.gateway_headers import HANDED_ON
from creneau_shared.security.issuers import Issuers
from creneau_shared.security.principal import ANONYMOUS, Principal

AsgiScope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BASE_PATH = "/fhir"


class FhirEndpoint:
    """An ASGI application that serves a `FhirServer` below `/fhir`."""

    def __init__(
        self,
        server: FhirServer,
        verifier: Issuers | None,
        regulators: Regulators,
        *,
        bodies: BodyLimits,
        timeout_s: float,
    ) -> None:
        self._server = server
        self._service = server.service
        self._verifier = verifier
        self._regulators = regulators
        self._bodies = bodies
        self._timeout_s = timeout_s
        self._callers = server.service.limits.callers
        self._limiter = server.service.limits.limiter

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        for name in HANDED_ON:
            headers.pop(name, None)
        language = negotiate_language(headers.get("accept-language"))
        output: Format = "json"
        request: FhirRequest | None = None
        try:
            query = read_query(scope["query_string"])
            asked = (
                next((value for name, value in reversed(query) if name == "_format"), None) if query else None
            )
            output = accepted_format(headers.get("accept"), asked)
            async with asyncio.timeout(self._timeout_s):
                principal = await self._principal(scope, headers)
                path = _segments(scope)
                handed = self._service.limits.gateway.read(scope["headers"])
                address = handed.address if handed else None
                caller = self._callers.caller(principal, address)
                body = await self._body(headers, receive, caller, path)
                request = FhirRequest(
                    method=scope["method"],
                    path=path,
                    query=query,
                    raw_query=scope["query_string"].decode("ascii"),
                    headers=headers,
                    body=body,
                    principal=principal,
                    now=self._service.clock.now(),
                    base_url=self._service.base_url,
                    language=language,
                    correlation_id=correlation_id(),
                    network=self._callers.network(address),
                    meter=Meter(self._limiter, caller.counted),
                )
                if request.method == "POST" and "_search" in request.path:
                    request.query = request.query + read_form(headers, request.body)
                    output = accepted_format(headers.get("accept"), request.parameter("_format"))
                if request.method == "POST" and not path:
                    await self._limiter.take(caller.counted, await self._work_in_bundle(request))
                elif _sends_resource(request) and self._is_large(request):
                    request.parsed = await self._beside("read", request)
                answer = await self._server.answer(request)
                as_preferred(answer, request)
                content = await self._encode(answer, output)
                request.meter.answered(len(content))
        except Exception as error:
            answer = failure(error, language)
            content = await self._encode(answer, output)
        await _send(send, scope["method"], answer, content, output, _cache_control(request))

    async def _body(
        self, headers: Mapping[str, str], receive: Receive, caller: Caller, path: Sequence[str]
    ) -> bytes:
        """The body, decoded. The request is counted before it is read, by the length that it declares."""
        declared = declared_bytes(headers)
        await self._limiter.take(caller.counted, costs.of_request(path, declared))
        body = await read_body(headers, receive, self._bodies.bytes_max(caller.standing, path))
        if undeclared := costs.of_undeclared(len(body), declared):
            await self._limiter.take(caller.counted, undeclared)
        return body

    async def _work_in_bundle(self, request: FhirRequest) -> int:
        """What the Bundle of a request costs beside it; a large one is read and counted in the process beside."""
        if not self._is_large(request):
            return work_in(request.resource())
        work: int
        request.parsed, work = await self._beside("read bundle", request)
        return work

    def _is_large(self, request: FhirRequest) -> bool:
        ndjson = is_ndjson(request.headers.get("content-type"))
        return len(request.body) >= self._service.workshop.bytes_min and not ndjson

    async def _beside(self, job: str, request: FhirRequest) -> Any:
        """The result of a job of the process for heavy work on the body of a request."""
        format_ = body_format(request.headers.get("content-type"))
        return await self._service.workshop.do(job, format_, request.body)

    async def _encode(self, answer: Answer, output: Format) -> bytes:
        content = answer.content or b""
        if output == "json" or not answer.has_resource:
            return content
        if len(content) >= self._service.workshop.bytes_min:
            written: bytes = await self._service.workshop.do("write xml", content)
            return written
        return to_xml(loads(content))

    async def _principal(self, scope: AsgiScope, headers: Mapping[str, str]) -> Principal:
        authorization = headers.get("authorization")
        if authorization is None:
            return self._regulators.principal(scope["headers"]) or ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() not in ("bearer", "dpop") or not token.strip():
            return ANONYMOUS
        if self._verifier is None:
            raise Unavailable(
                "Aucun fournisseur d'identité n'est configuré.", "No identity provider is configured."
            )
        presented = Presented(scheme.lower(), scope["method"], scope["path"], scope["headers"])
        return await self._verifier.verify(token.strip(), presented)


def _sends_resource(request: FhirRequest) -> bool:
    """Whether the body is a resource to be read now; for `$validate`, it is read and judged at once later."""
    return request.method in ("POST", "PUT") and request.path[-1:] not in (("_search",), ("$validate",))


def _segments(scope: AsgiScope) -> tuple[str, ...]:
    """The path segments below the base, decoded one by one, so that an encoded slash stays within its segment."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    below = raw.decode("latin-1").partition("?")[0].removeprefix(BASE_PATH)
    return tuple([unquote(part) if "%" in part else part for part in below.split("/") if part])


def _cache_control(request: FhirRequest | None) -> bytes:
    """The Cache-Control header: personal data is never cached on the way; public data may be, if it is checked again."""
    path = request.path if request is not None else ()
    public = bool(path) and path[0] in PUBLIC and (len(path) == 2 or COMPARTMENT.keys().isdisjoint(path))
    return b"no-cache" if public else b"no-store"


_CONTENT_TYPE = {name: value.encode() for name, value in CONTENT_TYPE.items()}


@cache
def _header_name(name: str) -> bytes:
    """The header's name as it is sent. The cache has no limit: the code spells out a fixed set of names."""
    return name.lower().encode("latin-1")


async def _send(
    send: Send, method: str, answer: Answer, body: bytes, output: Format, cache_control: bytes
) -> None:
    headers = {
        b"cache-control": cache_control,
        b"vary": b"Accept, Accept-Language, Authorization",
    }
    if answer.status not in (204, 304):
        if body:
            headers[b"content-type"] = _CONTENT_TYPE[output]
        headers[b"content-length"] = b"%d" % len(body)
    for name, value in answer.headers.items():
        headers[_header_name(name)] = value.encode("latin-1")
    await send({"type": "http.response.start", "status": answer.status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

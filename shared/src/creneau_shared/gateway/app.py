"""The gateway process: an ASGI application for the system level of the FHIR base."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from creneau_shared.clock import SystemClock
from creneau_shared.errors import (
    MethodNotAllowed,
    NotFound,
    NotImplementedByServer,
)
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.outcome import Language, negotiate_language
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.incoming import declared_bytes, read_body, read_form, read_query
from creneau_shared.fhir.rest.negotiation import CONTENT_TYPE, Format, accepted_format, body_format
from creneau_shared.fhir.search.registry import REGISTRY
from creneau_shared.fhir.search.sealing import QuerySeal
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.xml import from_xml, to_xml
from creneau_shared.gateway.asking import RefusedError
from creneau_shared.gateway.batch import Bundles
from creneau_shared.gateway.conformance import ConformanceResources
from creneau_shared.gateway.own_types import OwnTypes
from creneau_shared.gateway.record import ZIP, PersonalRecord
from creneau_shared.gateway.routing import SERVICE_OF
from creneau_shared.gateway.settings import GatewaySettings
from creneau_shared.gateway.upstreams import Upstreams
from creneau_shared.gateway.whole import Whole
from creneau_shared.heavy.workshop import Workshop
from creneau_shared.http.health import respond
from creneau_shared.limits import costs
from creneau_shared.limits.callers import Callers, Limit
from creneau_shared.limits.leases import Limiter
from creneau_shared.metrics import exposition
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.principal import ANONYMOUS

Query = list[tuple[str, str]]


class GatewayApplication:
    """Splits Bundles, joins CapabilityStatements, histories and system searches, serves conformance resources."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._base_url = settings.public_base_url.rstrip("/")
        self._upstreams = Upstreams(settings)
        self._whole = Whole(self._upstreams, self._base_url, QuerySeal(settings.cursor_secret))
        self._conformance = ConformanceResources(REGISTRY, tuple(SERVICE_OF), self._base_url, SystemClock())
        self._record = PersonalRecord(self._upstreams, self._base_url, SystemClock())
        self._own = OwnTypes(self._whole, self._conformance)
        self._workshop = Workshop(bytes_min=settings.heavy_bytes_min, waiting_max=settings.heavy_waiting_max)
        anonymous = Limit("anonymous", settings.anonymous_requests_per_s, settings.anonymous_requests_burst)
        self._entrance = GatewayHeaders(settings.gateway_secret.get_secret_value())
        self._callers = Callers("", {"anonymous": anonymous})
        self._limiter = Limiter()
        self._bundles = Bundles(self._upstreams, self._own, self._base_url, settings.batch_parallel)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._upstreams.close()
            await self._workshop.close()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].rstrip("/")
        if path == "/health/live":
            await respond(send, 200, b'{"status":"ok"}', "application/json")
        elif path == "/health/ready":
            await self._ready(send)
        elif path == "/metrics":
            await respond(send, 200, *exposition())
        else:
            await self._fhir(scope, path, receive, send)

    async def _ready(self, send: Any) -> None:
        services = self._upstreams.services
        ready = await asyncio.gather(*(self._upstreams.is_ready(service) for service in services))
        checks = {service: "ok" if good else "down" for service, good in zip(services, ready, strict=True)}
        body = orjson.dumps({"status": "ok" if all(ready) else "unavailable", "checks": checks})
        await respond(send, 200 if all(ready) else 503, body, "application/json")

    async def _fhir(self, scope: dict[str, Any], path: str, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        language = negotiate_language(headers.get("accept-language"))
        output: Format = "json"
        try:
            query = read_query(scope["query_string"])
            parts = tuple(part for part in path.removeprefix("/fhir").split("/") if part)
            async with asyncio.timeout(self._settings.upstream_timeout_s):
                body = await self._body(scope, headers, parts, receive)
                if parts[-1:] == ("_search",) and scope["method"] == "POST":
                    query += read_form(headers, body)
                asked = next((value for name, value in reversed(query) if name == "_format"), None)
                output = accepted_format(headers.get("accept"), asked)
                answer = await self._answer(scope["method"], parts, query, headers, body, language)
                content = await self._encode(answer, output)
        except RefusedError as refused:
            answer = refused.answer
            content = await self._encode(answer, output)
        except Exception as error:
            answer = failure(error, language)
            content = await self._encode(answer, output)
        await _send(send, scope["method"], answer, content, output)

    async def _body(
        self, scope: dict[str, Any], headers: dict[str, str], parts: tuple[str, ...], receive: Any
    ) -> bytes:
        """The body, as long as the caller may send. Who has a token is counted by the services, which can tell whose it
        is; who has none is counted here, too, by the address: not all that is answered here asks a service."""
        if "authorization" in headers:
            return await read_body(headers, receive, self._settings.request_body_bytes_max)
        handed = self._entrance.read(scope["headers"])
        caller = self._callers.caller(ANONYMOUS, handed.address if handed else None)
        await self._limiter.take(caller.counted, costs.of_request(parts, declared_bytes(headers)))
        return await read_body(headers, receive, self._settings.anonymous_body_bytes_max)

    async def _resource(self, headers: dict[str, str], body: bytes) -> Resource:
        format_ = body_format(headers.get("content-type"))
        if len(body) >= self._workshop.bytes_min:
            read: Resource = await self._workshop.do("read", format_, body)
            return read
        return loads(body) if format_ == "json" else from_xml(body)

    async def _encode(self, answer: Answer, output: Format) -> bytes:
        content = answer.content or b""
        if output == "json" or not content or answer.headers.get("Content-Type") == ZIP:
            return content
        if len(content) >= self._workshop.bytes_min:
            written: bytes = await self._workshop.do("write xml", content)
            return written
        return to_xml(loads(content))

    async def _answer(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Query,
        headers: dict[str, str],
        body: bytes,
        language: Language,
    ) -> Answer:
        reading = method in ("GET", "HEAD")
        match parts:
            case () if method == "POST":
                return await self._bundles.process(await self._resource(headers, body), headers, language)
            case () if reading:
                return Answer(200, await self._whole.search(query, headers))
            case ("_search",) if method == "POST":
                return Answer(200, await self._whole.search(self._whole.seal.close(query), headers))
            case ("metadata",) if reading:
                return await self._whole.metadata(query, headers, self._conformance.declarations())
            case ("_history",) if reading:
                return Answer(200, await self._whole.history(query, headers))
            case _ if self._record.answers(parts):
                said = await self._resource(headers, body) if method == "POST" and body.strip() else None
                return await self._record.answer(method, parts, query, headers, said)
            case _ if self._own.answers(parts):
                parameters = None
                if parts[-1].startswith("$") and method == "POST" and body.strip():
                    parameters = await self._resource(headers, body)
                return await self._own.answer(method, parts, query, headers, parameters, language)
            case () | ("_search",) | ("metadata",) | ("_history",):
                allowed = {(): "GET, HEAD, POST", ("_search",): "POST"}.get(parts, "GET, HEAD")
                raise MethodNotAllowed.at_address(method, allowed)
        if parts[-1].startswith("$"):
            raise NotImplementedByServer(
                f"L'opération {parts[-1]} n'existe pas ici.",
                f"The operation {parts[-1]} does not exist here.",
            )
        known = ", ".join(sorted(SERVICE_OF))
        raise NotFound(
            f"« {parts[0]} » n'est pas servi ici. Types servis : {known}.",
            f"“{parts[0]}” is not served here. Types served: {known}.",
            code="not-supported",
        )


async def _send(send: Any, method: str, answer: Answer, body: bytes, output: Format) -> None:
    extra = {name.lower(): value for name, value in answer.headers.items()}
    headers = [(b"vary", b"Accept, Accept-Language, Authorization")]
    if answer.status != 304:
        headers += [
            (b"content-type", extra.pop("content-type", CONTENT_TYPE[output]).encode()),
            (b"content-length", str(len(body)).encode()),
        ]
    extra.setdefault("cache-control", "no-store")
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

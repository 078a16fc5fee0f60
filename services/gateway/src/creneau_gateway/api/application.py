"""The gateway process: an ASGI application for the system level of the FHIR base."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from creneau_gateway.conformance.resources import ConformanceResources
from creneau_gateway.senders import Sender, Senders
from creneau_gateway.upstreams.asking import Query, RefusedError
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.whole.bundles import Bundles
from creneau_gateway.whole.joined import Whole
from creneau_gateway.whole.own_types import OwnTypes
from creneau_shared.errors import MethodNotAllowed, NotFound, NotImplementedByServer
from creneau_shared.fhir.json import loads, loads_sent
from creneau_shared.fhir.outcome import Language, negotiate_language
from creneau_shared.fhir.rest import well_known
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.incoming import declared_bytes, read_body, read_form, read_headers, read_query
from creneau_shared.fhir.rest.negotiation import CONTENT_TYPE, Format, accepted_format, body_format
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.xml import from_xml, to_xml
from creneau_shared.heavy.workshop import Workshop
from creneau_shared.http import health as health_http
from creneau_shared.http.edge import EdgeMiddleware
from creneau_shared.http.health import Health
from creneau_shared.limits import costs
from creneau_shared.security.smart import SmartConfiguration

MEASURED = frozenset({"metadata", "_history", "_search", "_async", "AuditEvent", *ConformanceResources.types})
"""addresses that are measured separately"""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The longest body without a token that a service judges, and with one, bytes."""

    anonymous: int
    others: int


class GatewayApplication:
    """Splits Bundles, joins CapabilityStatements, histories and system searches, serves conformance resources."""

    def __init__(
        self,
        *,
        upstreams: Upstreams,
        whole: Whole,
        own: OwnTypes,
        bundles: Bundles,
        smart: SmartConfiguration,
        workshop: Workshop,
        senders: Senders,
        bodies: BodyLimits,
        timeout_s: float,
    ) -> None:
        self.health = Health({name: partial(upstreams.check, name) for name in upstreams.services})
        self._upstreams = upstreams
        self._whole = whole
        self._own = own
        self._bundles = bundles
        self._smart = smart
        self._workshop = workshop
        self._senders = senders
        self._bodies = bodies
        self._timeout_s = timeout_s
        self._app = EdgeMiddleware(self._http, MEASURED)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._upstreams.close()
            await self._smart.close()
            await self._workshop.close()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            await self._app(cast("dict[str, Any]", scope), receive, send)

    async def _http(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] in well_known.PATHS:
            await well_known.answer(self._smart, scope, send)
        elif not await health_http.answer(self.health, scope, send):
            await self._fhir(scope, scope["path"].rstrip("/"), receive, send)

    async def _fhir(self, scope: dict[str, Any], path: str, receive: Any, send: Any) -> None:
        headers = read_headers(scope["headers"])
        language = negotiate_language(headers.get("accept-language"))
        output: Format = "json"
        try:
            query = read_query(scope["query_string"])
            parts = tuple(part for part in path.removeprefix("/fhir").split("/") if part)
            sender = self._senders.sender(scope["headers"], authorization="authorization" in headers)
            async with asyncio.timeout(self._timeout_s):
                body = await self._body(sender, headers, parts, receive)
                if parts[-1:] == ("_search",) and scope["method"] == "POST":
                    query += read_form(headers, body)
                asked = next((value for name, value in reversed(query) if name == "_format"), None)
                output = accepted_format(headers.get("accept"), asked)
                answer = await self._answer(scope["method"], parts, query, headers, body, language, sender)
                content = await self._encode(answer, output)
                if parts:  # the entries of a Bundle were charged one by one
                    sender.charge(costs.of_answer(len(content)), asks_nobody=self._own.asks_nobody(parts))
        except Exception as error:
            # What a service refuses is its answer, not a failure here.
            answer = error.answer if isinstance(error, RefusedError) else failure(error, language)
            content = await self._encode(answer, output)
        await _send(send, scope["method"], answer, content, output)

    async def _body(
        self, sender: Sender, headers: dict[str, str], parts: tuple[str, ...], receive: Any
    ) -> bytes:
        """The body, decoded, as long as the sender may send: where no service judges a token, having one changes nothing. The
        request is counted before it is read, by the length that it declares."""
        asks_nobody, declared = self._own.asks_nobody(parts), declared_bytes(headers)
        await sender.take(costs.of_request(parts, declared), asks_nobody=asks_nobody)
        judged = "authorization" in headers and not asks_nobody
        longest = self._bodies.others if judged else self._bodies.anonymous
        body = await read_body(headers, receive, longest)
        if undeclared := costs.of_undeclared(len(body), declared):
            await sender.take(undeclared, asks_nobody=asks_nobody)
        return body

    async def _resource(self, headers: dict[str, str], body: bytes) -> Resource:
        format_ = body_format(headers.get("content-type"))
        if len(body) >= self._workshop.bytes_min:
            read: Resource = await self._workshop.do("read", format_, body)
            return read
        return loads_sent(body) if format_ == "json" else from_xml(body)

    async def _encode(self, answer: Answer, output: Format) -> bytes:
        content = answer.content or b""
        if output == "json" or not answer.has_resource:
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
        sender: Sender,
    ) -> Answer:
        reading = method in ("GET", "HEAD")
        match parts:
            case () if method == "POST":
                bundle = await self._resource(headers, body)
                return await self._bundles.process(bundle, headers, language, sender)
            case _ if reading and self._own.is_of_the_whole(parts):
                return await self._own.of_the_whole(parts, query, headers)
            case ("_search",) if method == "POST":
                return Answer(200, await self._whole.search(self._whole.seal.close(query), headers))
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
        raise NotFound(
            f"« {parts[0]} » n'est pas servi ici. GET /fhir/metadata dit quels types le sont.",
            f"“{parts[0]}” is not served here. GET /fhir/metadata says which types are.",
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

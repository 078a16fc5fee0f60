"""The gateway process: an ASGI application for the system level of the FHIR base."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
import structlog

from creneau_shared.errors import BadRequest, MethodNotAllowed, NotFound, TooLarge
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import negotiate_language
from creneau_shared.fhir.rest.capability import capability_statement
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.negotiation import CONTENT_TYPE, Format, accepted_format, body_format
from creneau_shared.fhir.search.registry import REGISTRY
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.xml import from_xml, to_xml
from creneau_shared.gateway.batch import FORWARDED, Bundles
from creneau_shared.gateway.conformance import ConformanceResources
from creneau_shared.gateway.routing import SERVICE_OF, Service
from creneau_shared.gateway.settings import GatewaySettings
from creneau_shared.gateway.upstreams import Upstreams
from creneau_shared.http.health import respond
from creneau_shared.ids import new_id
from creneau_shared.metrics import exposition

log = structlog.get_logger(__name__)


class GatewayApplication:
    """Splits Bundles, joins CapabilityStatements, histories and system searches, serves conformance resources."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._base_url = settings.public_base_url.rstrip("/")
        self._upstreams = Upstreams(settings)
        self._bundles = Bundles(self._upstreams, self._base_url, settings.batch_parallel)
        self._conformance = ConformanceResources(REGISTRY)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._upstreams.close()
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
        language, output, extra = negotiate_language(headers.get("accept-language")), "json", {}
        try:
            query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            asked = next((value for name, value in reversed(query) if name == "_format"), None)
            output = accepted_format(headers.get("accept"), asked)
            parts = tuple(part for part in path.removeprefix("/fhir").split("/") if part)
            async with asyncio.timeout(self._settings.upstream_timeout_s):
                body = await self._body(headers, receive)
                status, content = await self._answer(scope["method"], parts, query, headers, body, language)
        except RefusedError as refused:
            status, content = refused.status, refused.content
        except Exception as error:
            answer = failure(error, language)
            status, content, extra = answer.status, answer.content or b"", dict(answer.headers)
        await _send(send, scope["method"], status, content, output, extra)  # type: ignore[arg-type]

    async def _answer(
        self,
        method: str,
        parts: tuple[str, ...],
        query: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
        language: str,
    ) -> tuple[int, bytes]:
        reading = method in ("GET", "HEAD")
        match parts:
            case () if method == "POST":
                kind = body_format(headers.get("content-type"))
                bundle = loads(body) if kind == "json" else from_xml(body)
                return await self._bundles.process(bundle, headers, language)
            case () if reading:
                return 200, await self._search(query, headers)
            case ("_search",) if method == "POST":
                form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
                return 200, await self._search(query + form, headers)
            case ("metadata",) if reading:
                return 200, dumps(await self._metadata())
            case ("_history",) if reading:
                return 200, await self._history(query, headers)
            case (kind, *rest) if reading and kind in self._conformance.types:
                return 200, self._conformance.answer(
                    kind, rest, query, self._base_url, await self._operations()
                )
            case () | ("_search",) | ("metadata",) | ("_history",):
                allowed = {(): "GET, HEAD, POST", ("_search",): "POST"}.get(parts, "GET, HEAD")
                raise MethodNotAllowed(
                    f"{method} n'est pas possible à cette adresse ; méthodes possibles : {allowed}.",
                    f"{method} is not possible at this address; possible methods: {allowed}.",
                    headers={"Allow": allowed},
                )
        known = ", ".join(sorted(SERVICE_OF))
        raise NotFound(
            f"« {parts[0]} » n'est pas servi ici. Types servis : {known}.",
            f"“{parts[0]}” is not served here. Types served: {known}.",
            code="not-supported",
        )

    async def _body(self, headers: dict[str, str], receive: Any) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest(
                    "La requête a été interrompue.", "The request was cut short.", code="incomplete"
                )
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._settings.request_body_bytes_max:
                limit = self._settings.request_body_bytes_max // 1024
                raise TooLarge(
                    f"Le contenu dépasse {limit} Kio ; découpez-le en plusieurs requêtes.",
                    f"The body is longer than {limit} KiB; split it over several requests.",
                )
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)

    # -- what is put together from the services' answers ------------------------------------------------------

    async def _statements(self) -> list[Resource]:
        async def one(service: Service) -> Resource:
            answer = await self._upstreams.call(service, "GET", "/fhir/metadata", headers={})
            return loads(answer.content)

        return list(await asyncio.gather(*(one(service) for service in self._upstreams.services)))

    async def _metadata(self) -> Resource:
        rests = [statement["rest"][0] for statement in await self._statements()]
        operations = {
            operation["definition"]: operation for rest in rests for operation in rest.get("operation", ())
        }
        return capability_statement(
            name="creneau",
            base_url=self._base_url,
            resources=sorted((r for rest in rests for r in rest["resource"]), key=lambda r: r["type"]),
            operations=list(operations.values()),
        )

    async def _operations(self) -> list[Resource]:
        """The OperationDefinitions that the services have."""

        async def one(service: Service) -> list[Resource]:
            answer = await self._upstreams.call(service, "GET", "/operation-definitions", headers={})
            return list(orjson.loads(answer.content)) if answer.status_code == 200 else []

        found = await asyncio.gather(*(one(service) for service in self._upstreams.services))
        return list({definition["id"]: definition for part in found for definition in part}.values())

    async def _history(self, query: list[tuple[str, str]], headers: dict[str, str]) -> bytes:
        """The services' system histories as one, newest first, on one page; pages go on service by service."""
        bundles = await self._ask_each(f"/fhir/_history?{urlencode(query)}", headers)
        entries = [entry for bundle in bundles for entry in bundle.get("entry", ())]
        entries.sort(key=lambda entry: entry["response"].get("lastModified", ""), reverse=True)
        url = f"{self._base_url}/_history" + (f"?{urlencode(query)}" if query else "")
        return _bundle("history", entries, url)

    async def _search(self, query: list[tuple[str, str]], headers: dict[str, str]) -> bytes:
        """`_type=A,B`: each type where it lives, in the order asked for."""
        names = [name for key, value in query if key == "_type" for name in value.split(",") if name]
        if not names:
            raise BadRequest(
                "Une recherche sur tout le système doit dire ses types : _type=Slot,Practitioner.",
                "A search over the whole system must say its types: _type=Slot,Practitioner.",
                code="required",
                expression="_type",
            )
        unknown = [name for name in names if name not in SERVICE_OF]
        if unknown:
            raise NotFound(
                f"Types inconnus ici : {', '.join(unknown)}.",
                f"Types not known here: {', '.join(unknown)}.",
                code="not-supported",
            )
        rest = [(key, value) for key, value in query if key != "_type"]
        forwarded = {name: headers[name] for name in FORWARDED if name in headers}
        entries: list[Any] = []
        total = 0
        for name in dict.fromkeys(names):
            address = f"/fhir/{name}?{urlencode(rest)}"
            answer = await self._upstreams.call(SERVICE_OF[name], "GET", address, headers=forwarded)
            bundle = loads(answer.content)
            if answer.status_code != 200:
                raise RefusedError(answer.status_code, answer.content)
            entries += bundle.get("entry", ())
            total += int(bundle.get("total", 0))
        return _bundle("searchset", entries, f"{self._base_url}?{urlencode(query)}", total)

    async def _ask_each(self, address: str, headers: dict[str, str]) -> list[Resource]:
        forwarded = {name: headers[name] for name in FORWARDED if name in headers}
        answers = await asyncio.gather(
            *(
                self._upstreams.call(service, "GET", address, headers=forwarded)
                for service in self._upstreams.services
            )
        )
        for answer in answers:
            if answer.status_code != 200:
                raise RefusedError(answer.status_code, answer.content)
        return [loads(answer.content) for answer in answers]


class RefusedError(Exception):
    """A service refused a part; its answer is the answer to the whole."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.content = content


def _bundle(kind: str, entries: list[Any], url: str, total: int | None = None) -> bytes:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "id": new_id(), "type": kind}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = [{"relation": "self", "url": url}]
    if entries:
        bundle["entry"] = entries
    return dumps(bundle)


async def _send(
    send: Any, method: str, status: int, content: bytes, output: Format, extra: dict[str, str]
) -> None:
    body = to_xml(loads(content)) if output == "xml" and content else content
    headers = [
        (b"content-type", CONTENT_TYPE[output].encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

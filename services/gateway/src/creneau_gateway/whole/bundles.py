"""Bundles over the whole base: a batch is split by entry, a transaction goes whole to the one service that has
all its types, or is refused by name."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
import orjson

from creneau_gateway.senders import Sender
from creneau_gateway.upstreams.asking import FORWARDED, RefusedError, at_once, passed_on, refusal
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import Service, service_of
from creneau_gateway.whole.own_types import OwnTypes
from creneau_shared.errors import BadRequest, NotFound
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.rest.bounds import BundleAnswers
from creneau_shared.fhir.rest.bundles.entries import (
    check_bundle,
    preconditions,
    read_address,
    refuse_key,
    split_url,
)
from creneau_shared.fhir.rest.bundles.response import response_bundle
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.provenance import HEADER as PROVENANCE
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.limits import costs
from creneau_shared.limits.meter import uncounted


class Bundles:
    """Carries out Bundles that are POSTed to the base. `timeout_s`: longest that the entries of a batch over several
    services may take together; those that are done by then are told. `answer_bytes_max`: of the answers together, before no
    further ones are made."""

    def __init__(
        self,
        upstreams: Upstreams,
        own: OwnTypes,
        base_url: str,
        *,
        parallel: int,
        timeout_s: float,
        answer_bytes_max: int,
    ) -> None:
        self._upstreams = upstreams
        self._own = own
        self._base_url = base_url
        self._parallel = parallel
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max

    async def process(
        self, bundle: Resource, headers: Mapping[str, str], language: Language, sender: Sender
    ) -> Answer:
        """The answer to a batch or transaction Bundle. Services count the entries that they are asked for; those for which
        none is asked are counted here, before any is carried out."""
        check_bundle(bundle)
        _refuse_provenance(headers)
        forwarded = {name: headers[name] for name in (*FORWARDED, "idempotency-key") if name in headers}
        forwarded["content-type"] = forwarded["accept"] = "application/fhir+json"
        entries = bundle.get("entry", [])
        services = [self._service(entry, index) for index, entry in enumerate(entries)]
        of_one = len(set(services)) == 1 and None not in services
        own = [index for index, entry in enumerate(entries) if self._is_own(entry)]
        if own and bundle["type"] == "transaction":
            raise _of_the_base(entries[own[0]], own[0])
        if bundle["type"] == "transaction" or (of_one and not own):
            return await self._whole(bundle, services, forwarded)
        refuse_key(headers)
        if here := sum(self._own.asks_nobody(self._path(entry)) for entry in entries):
            await sender.take(here, asks_nobody=True)
        return Answer(200, await self._split(entries, services, at_once(forwarded), language, sender))

    async def _whole(
        self, bundle: Resource, services: list[Service | None], headers: Mapping[str, str]
    ) -> Answer:
        """Sends the Bundle, as it is, to the service that has its types."""
        if len(set(services)) > 1:
            raise _mixed([self._type(entry, index) for index, entry in enumerate(bundle["entry"])], services)
        service = next(iter(services), None) or "booking"
        answer = await self._upstreams.call(service, "POST", "/fhir", headers=headers, content=dumps(bundle))
        if answer.status_code >= 400:
            return refusal(service, answer)
        return Answer(answer.status_code, answer.content, passed_on(answer))

    async def _split(
        self,
        entries: list[Resource],
        services: list[Service | None],
        headers: Mapping[str, str],
        language: Language,
        sender: Sender,
    ) -> bytes:
        """Sends each service's entries as one batch; the answers are in the order of the entries. What has no answer in
        time is told as such: others may have written, and a batch has no key by which it could be sent again."""
        by_service: dict[Service, list[int]] = {}
        own: list[int] = []
        parts: list[dict[str, Any] | None] = [None] * len(entries)
        for index, service in enumerate(services):
            if self._is_own(entries[index]):
                own.append(index)
            elif service is None:
                parts[index] = _failed(_unknown(entries[index], index), language)
            else:
                by_service.setdefault(service, []).append(index)
        places = asyncio.Semaphore(self._parallel)
        told = BundleAnswers(self._answer_bytes_max, uncounted())

        async def answer(index: int) -> None:
            async with places:
                parts[index] = await self._answer(entries[index], index, headers, language, sender, told)

        async def ask(service: Service, indexes: list[int]) -> None:
            async with places:
                bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entries[i] for i in indexes]}
                try:
                    answer = await self._upstreams.call(
                        service, "POST", "/fhir", headers=headers, content=dumps(bundle)
                    )
                    told.add(answer.content)
                    answered = _answered(service, answer, len(indexes))
                except Exception as error:
                    answered = [_failed(error, language)] * len(indexes)
            for place, part in zip(indexes, answered, strict=True):
                parts[place] = part

        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await asyncio.gather(
                    *(ask(service, indexes) for service, indexes in by_service.items()), *map(answer, own)
                )
        return response_bundle("batch", [part or _failed(TimeoutError(), language) for part in parts])

    async def _answer(
        self,
        entry: Resource,
        index: int,
        headers: Mapping[str, str],
        language: Language,
        sender: Sender,
        told: BundleAnswers,
    ) -> dict[str, Any]:
        """The gateway's own answer to an entry, also when it fails: other entries may have written. Large answers are charged
        before the next one is made, so that a Bundle asks for no more of them than requests could."""
        wanted = entry["request"]
        path, query = split_url(wanted["url"], self._base_url, index)
        query = self._own.as_of_an_entry(path, query)
        asked = {**headers, **preconditions(wanted, index)}
        asks_nobody = self._own.asks_nobody(path)
        try:
            told.require_room()
            await sender.take(0, asks_nobody=asks_nobody)
            if self._own.is_of_the_whole(path):
                answer = await self._own.of_the_whole(path, query, asked)
            else:
                answer = await self._own.answer(
                    wanted["method"], path, query, asked, entry.get("resource"), language
                )
            sender.charge(costs.of_answer(len(answer.content or b"")), asks_nobody=asks_nobody)
            told.add(answer.content)
        except RefusedError as refused:
            answer = refused.answer
        except Exception as error:
            return _failed(error, language)
        return _entry(answer)

    def _is_own(self, entry: Resource) -> bool:
        """Whether the gateway answers the entry itself."""
        path = self._path(entry)
        reads = entry["request"]["method"] in ("GET", "HEAD")
        return self._own.answers(path) or (reads and self._own.is_of_the_whole(path))

    def _path(self, entry: Resource) -> tuple[str, ...]:
        """The path of an entry whose address was found good."""
        return split_url(entry["request"]["url"], self._base_url, 0)[0]

    def _service(self, entry: Resource, index: int) -> Service | None:
        return service_of(read_address(entry["request"], self._base_url, index)[0])

    def _type(self, entry: Resource, index: int) -> str:
        path, _ = split_url(entry["request"]["url"], self._base_url, index)
        return path[0] if path else ""


def _refuse_provenance(headers: Mapping[str, str]) -> None:
    """BadRequest for X-Provenance with a Bundle: its target would be unclear."""
    if PROVENANCE in headers:
        raise BadRequest(
            "X-Provenance ne se joint pas à un Bundle : faites de cette Provenance une de ses entrées, avec son target."
            " Rien n'a été fait.",
            "X-Provenance does not go with a Bundle: make this Provenance one of its entries, with its target."
            " Nothing was done.",
            code="not-supported",
            expression=f"http.{PROVENANCE}",
        )


def _answered(service: Service, answer: httpx.Response, count: int) -> list[dict[str, Any]]:
    """The entries of a service's batch-response; if it refuses the batch, each gets the refusal."""
    if answer.status_code != 200:
        return [_entry(refusal(service, answer))] * count
    entries = list(orjson.loads(answer.content).get("entry", []))
    if len(entries) != count:
        raise ValueError(f"{service} answered {len(entries)} entries of {count}")
    return entries


def _entry(answer: Answer) -> dict[str, Any]:
    """An answer as an entry of a batch-response tells it; what is no resource (an archive) as a Binary."""
    response: dict[str, Any] = {"status": str(answer.status)}
    if "ETag" in answer.headers:
        response["etag"] = answer.headers["ETag"]
    if not answer.content:
        return {"response": response}
    if not answer.has_resource:
        data = b64encode(answer.content).decode()
        binary = {"resourceType": "Binary", "contentType": answer.headers["Content-Type"], "data": data}
        return {"resource": binary, "response": response}
    content = orjson.Fragment(answer.content)
    if answer.status != 200:
        return {"response": {**response, "outcome": content}}
    return {"resource": content, "response": response}


def _failed(error: Exception, language: Language) -> dict[str, Any]:
    return _entry(failure(error, language))


def _unknown(entry: Resource, index: int) -> NotFound:
    return NotFound(
        f"L'adresse « {entry['request']['url']} » ne désigne aucun type servi ici.",
        f"The address “{entry['request']['url']}” names no type that is served here.",
        expression=f"Bundle.entry[{index}].request.url",
        code="not-supported",
    )


def _of_the_base(entry: Resource, index: int) -> BadRequest:
    """What is put together of several services is in no transaction of one: it would tell a part as the whole."""
    url = entry["request"]["url"]
    return BadRequest(
        f"« {url} » ne se demande pas dans une transaction : la base y répond elle-même. Envoyez un batch, ou demandez-le"
        " à part. Rien n'a été fait.",
        f"“{url}” cannot be asked in a transaction: the base itself answers it. Send a batch, or ask for it alone."
        " Nothing was done.",
        code="not-supported",
        expression=f"Bundle.entry[{index}].request.url",
    )


def _mixed(names: list[str], services: list[Service | None]) -> BadRequest:
    types: dict[str, list[str]] = {}
    for name, service in zip(names, services, strict=True):
        types.setdefault(str(service or "unknown"), []).append(name)
    said = " ; ".join(
        f"{service} : {', '.join(sorted(set(names)))}" for service, names in sorted(types.items())
    )
    return BadRequest(
        f"Une transaction ne peut porter que sur les types d'un même service ({said})."
        " Envoyez un batch, ou une transaction par service. Rien n'a été fait.",
        f"A transaction can only be about the types of one service ({said})."
        " Send a batch, or one transaction a service. Nothing was done.",
        code="not-supported",
        expression="Bundle.entry",
    )

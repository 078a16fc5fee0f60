"""What is put together from the services' answers: CapabilityStatement, history and search of the whole system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import compress

import orjson

from creneau_gateway.upstreams.asking import (
    CLOSED,
    Query,
    RefusedError,
    address_of,
    ask,
    bundle_of,
    next_cursor,
)
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import SERVICE_OF, Service
from creneau_gateway.whole import audit_trail
from creneau_shared.errors import NotFound, Unavailable
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.capability import capability_statement, check_mode, with_etag
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.history import Cursor, Place, history_count, one_page, page_links
from creneau_shared.fhir.rest.several_types import Part, SeveralTypes, understood
from creneau_shared.fhir.search.sealing import QuerySeal
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.smart import SmartConfiguration, oauth_uris
from creneau_shared.type_table import OPERATION_ADDRESSES

METADATA_KEPT_S = 10.0
"""what the services can do changes with their release only; asking them for each reader would cost 30 ms"""
METADATA_WITHIN_S = 2.0
"""how long a reader waits for the services when there is an earlier statement"""
ISSUER_WITHIN_S = 1.0
"""how long the statement waits for the issuer, which it can do without"""


class Whole:
    """Asks each service and joins what they answer."""

    def __init__(
        self, upstreams: Upstreams, base_url: str, seal: QuerySeal, smart: SmartConfiguration
    ) -> None:
        self._upstreams = upstreams
        self._smart = smart
        self._oauth: list[Resource] = []
        self._base_url = base_url
        self.seal = seal
        self.audit_trail = audit_trail.AuditTrail(upstreams, base_url, seal)
        self._metadata: tuple[float, bytes] = (0.0, b"")

    async def metadata(self, query: Query, headers: Mapping[str, str], own: Sequence[Resource]) -> Answer:
        """The CapabilityStatement of the base: each type as declared by the service that it is routed to, and `own`, the
        gateway's own types."""
        check_mode(next((value for name, value in reversed(query) if name == "mode"), None))
        until, content = self._metadata
        if time.monotonic() >= until:
            content = await self._renewed(content, own)
        return with_etag(headers.get("if-none-match"), content)

    async def _renewed(self, last: bytes, own: Sequence[Resource]) -> bytes:
        """The statement as the services declare it now; the last one while a service does not answer."""
        if last:
            # Other readers get it meanwhile; all do for a while when a service does not answer.
            self._metadata = (time.monotonic() + METADATA_KEPT_S, last)
        try:
            async with asyncio.timeout(METADATA_WITHIN_S if last else None):
                content = dumps(await self._statement(own))
        except (Unavailable, RefusedError, TimeoutError):
            if not last:
                raise
            return last
        self._metadata = (time.monotonic() + METADATA_KEPT_S, content)
        return content

    async def _statement(self, own: Sequence[Resource]) -> Resource:
        services = self._upstreams.services
        statements = await self._ask_each("/fhir/metadata", {})
        rests = [statement["rest"][0] for statement in statements]
        resources = [
            resource
            for service, rest in zip(services, rests, strict=True)
            for resource in rest["resource"]
            if SERVICE_OF.get(resource["type"]) == service
        ]
        resources += own
        operations = {
            operation["definition"]: operation for rest in rests for operation in rest.get("operation", ())
        }
        resources = [_with_others(resource, list(operations.values())) for resource in resources]
        placed = {o["definition"] for resource in resources for o in resource.get("operation", ())}
        statement = capability_statement(
            name="creneau",
            base_url=self._base_url,
            resources=sorted(resources, key=lambda resource: str(resource["type"])),
            operations=[
                o
                for definition, o in operations.items()
                if definition not in placed or f"${o['name']}" in OPERATION_ADDRESSES
            ],
        )
        if oauth := await self._where_to_log_in():
            statement["rest"][0]["security"]["extension"] = oauth
        return statement

    async def _where_to_log_in(self) -> list[Resource]:
        """The issuer's addresses as it tells them now; as it told them last while it does not answer."""
        with suppress(NotFound, Unavailable, TimeoutError):
            async with asyncio.timeout(ISSUER_WITHIN_S):
                self._oauth = oauth_uris(await self._smart.document())
        return self._oauth

    async def operations(self) -> list[Resource]:
        """The OperationDefinitions that the services have."""

        async def one(service: Service) -> list[Resource]:
            answer = await self._upstreams.call(service, "GET", "/operation-definitions", headers={})
            return list(orjson.loads(answer.content)) if answer.status_code == 200 else []

        found = await asyncio.gather(*(one(service) for service in self._upstreams.services))
        return list({definition["id"]: definition for part in found for definition in part}.values())

    async def history(self, query: Query, headers: Mapping[str, str]) -> bytes:
        """The services' system histories as one, newest first; a page ends at a place in the order of them all.

        A service that has nothing for this caller to read adds nothing; RefusedError when that is so of all.
        """
        cursor = Cursor.of(query)
        bundles = await self._ask_those_that_may(address_of("_history", query), headers)
        backward = cursor is not None and cursor.backward
        further = "previous" if backward else "next"
        entries = _known_to_all(bundles, further, backward=backward)
        page, more = one_page(entries, history_count(query), cursor)
        more = more or any(_has_link(bundle, further) for bundle in bundles)
        total = cursor.total if cursor is not None else _sum([bundle.get("total") for bundle in bundles])
        places = [_place(entry) for entry in page]
        found = page_links(f"{self._base_url}/_history", query, cursor, places, more, total)
        links = [{"relation": link.relation, "url": link.url} for link in found]
        return bundle_of("history", list(page), links, total)

    async def search(self, query: Query, headers: Mapping[str, str]) -> bytes:
        """`_type=A,B`: asks the service of each type, in the given order, page by page. The links repeat `query`, so the
        caller must have sealed what came in a body."""
        asked = SeveralTypes.of(query, SERVICE_OF)

        async def one(name: str, pairs: Query) -> Part:
            if name == audit_trail.TYPE:
                bundle = loads(await self.audit_trail.search(pairs, headers))
            else:
                form = self.seal.open(pairs)
                bundle = await ask(self._upstreams, SERVICE_OF[name], f"/fhir/{name}/_search", headers, form)
            entries = bundle.get("entry", ())
            matches = sum(entry.get("search", {}).get("mode") == "match" for entry in entries)
            return Part(entries, matches, bundle.get("total"), next_cursor(bundle), len(dumps(bundle)))

        page = await asked.page(one)
        shown = list(compress(query, understood(asked.types, self.seal.open(query))))
        told = asked.links(self._base_url, page, shown)
        links = [{"relation": link.relation, "url": link.url} for link in told]
        return bundle_of("searchset", list(page.entries), links, page.total)

    async def _ask_those_that_may(self, address: str, headers: Mapping[str, str]) -> list[Resource]:
        asked = (ask(self._upstreams, service, address, headers) for service in self._upstreams.services)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        bundles = [answer for answer in answers if not isinstance(answer, BaseException)]
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        closed = [f for f in failed if isinstance(f, RefusedError) and f.answer.status in CLOSED]
        if failed and not (bundles and len(closed) == len(failed)):
            raise next((failure for failure in failed if failure not in closed), failed[0])
        return bundles

    async def _ask_each(self, address: str, headers: Mapping[str, str]) -> list[Resource]:
        return list(
            await asyncio.gather(
                *(ask(self._upstreams, service, address, headers) for service in self._upstreams.services)
            )
        )


def _with_others(resource: Resource, operations: Sequence[Resource]) -> Resource:
    """A type as its service declares it, with the operations on it that another service has."""
    others = [o for o in operations if f"{resource['type']}/${o['name']}" in OPERATION_ADDRESSES]
    return {**resource, "operation": [*resource.get("operation", ()), *others]} if others else resource


def _place(entry: Resource) -> Place:
    """Where a history entry stands in the order of the whole."""
    resource_type, id_ = entry["fullUrl"].rsplit("/", 2)[1:]
    response = entry["response"]
    moment = datetime.fromisoformat(response["lastModified"])
    return Place(moment, resource_type, id_, int(response["etag"].removeprefix("W/").strip('"')))


def _known_to_all(bundles: Sequence[Resource], further: str, *, backward: bool) -> list[Resource]:
    """The entries, newest first, up to where the first service's page ends that has others beyond it: what lies beyond that
    place is not known yet. A service's page may end before it has `_count` (`page_bytes`)."""
    entries = sorted((e for bundle in bundles for e in bundle.get("entry", ())), key=_place, reverse=True)
    ends = [
        _place(bundle["entry"][0 if backward else -1])
        for bundle in bundles
        if bundle.get("entry") and _has_link(bundle, further)
    ]
    if backward:
        return [entry for entry in entries if all(_place(entry) <= end for end in ends)]
    return [entry for entry in entries if all(_place(entry) >= end for end in ends)]


def _has_link(bundle: Resource, relation: str) -> bool:
    return any(link["relation"] == relation for link in bundle.get("link", ()))


def _sum(totals: Sequence[int | None]) -> int | None:
    """The sum of the totals; None when one of them is unknown."""
    known = [total for total in totals if total is not None]
    return sum(known) if len(known) == len(totals) else None

"""`Patient/[id]/$everything` and `$archive` over the services: booking's part, then the messages.

Booking decides who may have it, and vouches for them to notifications, which does not know whose account is whose.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from creneau_gateway.operations.archive import archive_of, name_of, named_references
from creneau_gateway.upstreams.asking import (
    FORWARDED,
    Query,
    RefusedError,
    ask,
    at_once,
    bundle_of,
    next_cursor,
    refusal,
)
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import Service
from creneau_shared.clock import Clock
from creneau_shared.errors import BadRequest, MethodNotAllowed
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.bounds import require_room_in_archive
from creneau_shared.fhir.rest.exchange import Answer, asked_count
from creneau_shared.fhir.search.bundle import query_url
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.vouching import HEADER

EVERYTHING_TAKES: Final = frozenset({"start", "end", "_since", "_type", "_count", "versions"})
"""parameters of booking's $everything, which reports others as left out; the links keep these only"""
OPERATIONS: Final = ("$everything", "$archive")
MESSAGES: Final = "Communication"
COUNT: Final = 200
COUNT_MAX: Final = 1000
ZIP: Final = "application/zip"
NAMES_MAX: Final = 100
"""references that the directory is asked about at once"""


class PersonalRecord:
    """Joins what the services keep of a person."""

    def __init__(self, upstreams: Upstreams, base_url: str, clock: Clock) -> None:
        self._upstreams = upstreams
        self._base_url = base_url
        self._clock = clock

    def answers(self, path: Sequence[str]) -> bool:
        return len(path) == 3 and path[0] == "Patient" and path[2] in OPERATIONS

    async def answer(
        self,
        method: str,
        path: Sequence[str],
        query: Query,
        headers: Mapping[str, str],
        body: Resource | None,
    ) -> Answer:
        """What is asked at `Patient/[id]/$everything` or `$archive`; `body` is a Parameters resource."""
        if method not in ("GET", "HEAD", "POST"):
            raise MethodNotAllowed.at_address(method, "GET, HEAD, POST")
        if path[2] == "$archive":
            return await self._archive(path[1], headers)
        return await self._everything(path[1], [*query, *_pairs(body)], headers)

    # -- $everything -----------------------------------------------------------------------------------------

    async def _everything(self, id_: str, query: Query, headers: Mapping[str, str]) -> Answer:
        """Booking's pages, then the pages of messages; the cursor says where. If only messages are asked for, the first page
        has them, with booking's remarks on the request."""
        asked = [pair for pair in query if pair[0] not in (CURSOR_PARAMETER, "_format", "_pretty")]
        types = [t for name, value in asked if name == "_type" for t in value.split(",") if t]
        text = next((value for name, value in reversed(query) if name == CURSOR_PARAMETER), "")
        service, inner = _decode(text) if text else ("booking", "")
        with_messages = not types or MESSAGES in types
        if service == "booking":
            bundle, voucher = await self._booking(id_, "$everything", asked, inner, headers)
            entries = list(bundle.get("entry", ()))
            following = next_cursor(bundle)
            cursor = _encode("booking", following) if following else None
            if cursor is None and with_messages:
                cursor = _encode("notifications", "")
        else:
            _, voucher = await self._booking(
                id_, "$everything", [("_type", "Patient"), ("_count", "1")], "", headers
            )
            entries = []
        if service == "notifications" or set(types) == {MESSAGES}:
            messages = await self._messages(id_, asked, inner, headers, voucher)
            entries += messages.get("entry", ())
            following = next_cursor(messages)
            cursor = _encode("notifications", following) if following else None
        url = f"{self._base_url}/Patient/{id_}/$everything"
        asked = [(name, value) for name, value in asked if name in EVERYTHING_TAKES]
        links = [{"relation": "self", "url": query_url(url, asked)}]
        if cursor is not None:
            links.append({"relation": "next", "url": query_url(url, [*asked, (CURSOR_PARAMETER, cursor)])})
        return Answer(200, bundle_of("searchset", entries, links))

    # -- $archive --------------------------------------------------------------------------------------------

    async def _archive(self, id_: str, headers: Mapping[str, str]) -> Answer:
        bundle, voucher = await self._booking(id_, "$archive", [], "", headers)
        entries: list[Any] = list(bundle.get("entry", ()))
        size = len(dumps(bundle))
        cursor: str | None = ""
        while cursor is not None:
            require_room_in_archive(size)
            page = await self._messages(id_, [("_count", str(COUNT_MAX))], cursor, headers, voucher)
            size += len(dumps(page))
            entries += [{k: v for k, v in entry.items() if k != "search"} for entry in page.get("entry", ())]
            cursor = next_cursor(page)
        whole = {**bundle, "entry": entries}
        names = await self._names(named_references(whole), headers)
        content = await asyncio.to_thread(archive_of, whole, names, self._clock.now())
        return Answer(
            200,
            content,
            {
                "Content-Type": ZIP,
                "Content-Disposition": 'attachment; filename="creneau-mes-donnees.zip"',
                "Cache-Control": "no-store",
            },
        )

    async def _names(self, references: Sequence[str], headers: Mapping[str, str]) -> dict[str, str]:
        """What professionals and places are called; where the directory does not say, the reference stays."""
        found: dict[str, str] = {}
        for kind in ("Practitioner", "Location"):
            ids = [r.partition("/")[2] for r in references if r.startswith(f"{kind}/")]
            for start in range(0, len(ids), NAMES_MAX):
                some = ids[start : start + NAMES_MAX]
                form = [("_id", ",".join(some)), ("_count", str(len(some)))]
                try:
                    bundle = await ask(self._upstreams, "directory", f"/fhir/{kind}/_search", headers, form)
                except RefusedError:
                    continue
                for entry in bundle.get("entry", ()):
                    resource = entry["resource"]
                    found[f"{kind}/{resource['id']}"] = name_of(resource)
        return found

    # -- asking ----------------------------------------------------------------------------------------------

    async def _booking(
        self, id_: str, operation: str, asked: Query, cursor: str, headers: Mapping[str, str]
    ) -> tuple[Resource, str]:
        """Booking's part, and its voucher for the caller (empty when it writes none)."""
        pairs = [*asked, *([(CURSOR_PARAMETER, cursor)] if cursor else [])]
        address = f"/fhir/Patient/{quote(id_, safe='')}/{operation}" + (
            f"?{urlencode(pairs)}" if pairs else ""
        )
        forwarded = at_once({name: headers[name] for name in FORWARDED if name in headers})
        forwarded["accept"] = "application/fhir+json"
        answer = await self._upstreams.call("booking", "GET", address, headers=forwarded)
        if answer.status_code != 200:
            raise RefusedError(refusal("booking", answer))
        return loads(answer.content), answer.headers.get(HEADER, "")

    async def _messages(
        self, id_: str, asked: Query, cursor: str, headers: Mapping[str, str], voucher: str
    ) -> Resource:
        """Notifications' part; empty when the token's scopes do not reach messages, as in booking."""
        count = asked_count(asked, COUNT, COUNT_MAX) or COUNT
        pairs = [("patient", f"Patient/{id_}"), ("_count", str(count))]
        pairs += [pair for pair in asked if pair[0] == "_since"]
        pairs += [(CURSOR_PARAMETER, cursor)] if cursor else []
        forwarded = at_once({name: headers[name] for name in FORWARDED if name in headers})
        forwarded |= {"accept": "application/fhir+json"} | ({HEADER: voucher} if voucher else {})
        address = f"/fhir/Communication/$messages?{urlencode(pairs)}"
        answer = await self._upstreams.call("notifications", "GET", address, headers=forwarded)
        if answer.status_code == 403:
            return {}
        if answer.status_code != 200:
            raise RefusedError(refusal("notifications", answer))
        return loads(answer.content)


def _pairs(body: Resource | None) -> Query:
    """The parameters of a body as those of an address."""
    found = []
    for part in (body or {}).get("parameter", ()):
        value = next((v for key, v in part.items() if key.startswith("value")), None)
        if value is not None:
            said = str(value).lower() if isinstance(value, bool) else str(value)
            found.append((str(part.get("name", "")), said))
    return found


def _encode(service: Service, inner: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([service, inner])).rstrip(b"=").decode()


def _decode(text: str) -> tuple[Service, str]:
    """Where a page goes on; the inner cursor is signed by its service."""
    try:
        service, inner = orjson.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        service, inner = "", ""
    if service not in ("booking", "notifications") or not isinstance(inner, str):
        raise BadRequest(
            "Ce lien de page est illisible ; repartez de la première page.",
            "This page link is unreadable; start again from the first page.",
            expression=f"http.{CURSOR_PARAMETER}",
            details_code="cursor",
        )
    return service, inner

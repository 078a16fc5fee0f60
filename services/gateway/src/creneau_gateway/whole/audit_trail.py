"""AuditEvent over the whole base: each service keeps a trail of its own, and the gateway reads them as one.

A search is merged by time. Its page link carries each service's own cursor. Where a page took only a part of what a service
offered, the gateway asks again for just that part, so that the cursor is exact.
"""

from __future__ import annotations

import asyncio
import heapq
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from creneau_gateway.upstreams.asking import (
    CLOSED,
    FORWARDED,
    Query,
    RefusedError,
    address_of,
    ask,
    at_once,
    bundle_of,
    next_cursor,
    passed_on,
    refusal,
)
from creneau_gateway.upstreams.calls import Upstreams
from creneau_gateway.upstreams.routing import SERVICES, Service
from creneau_shared.errors import BadRequest, MethodNotAllowed, NotFound
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.several_types import page_count
from creneau_shared.fhir.search.bundle import query_url
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.sealing import QuerySeal
from creneau_shared.fhir.storage.store import Resource

TYPE = "AuditEvent"
BY_TIME = {"": True, "-date": True, "-_lastUpdated": True, "date": False, "_lastUpdated": False}
"""The orders in which the trails can be merged, and whether the newest comes first."""
CONDITIONAL = ("if-none-match", "if-modified-since")
READ_HEADERS = ("ETag", "Last-Modified")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins: the cursor within each service's trail (empty: its beginning; absent: it is at its end),
    and the total that the first page found."""

    cursors: Mapping[Service, str]
    total: int | None = None

    def encode(self) -> str:
        """URL-safe text."""
        return urlsafe_b64encode(orjson.dumps([self.cursors, self.total])).rstrip(b"=").decode()

    @staticmethod
    def decode(text: str) -> Position:
        """BadRequest for what `encode` did not write."""
        try:
            cursors, total = orjson.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
            known = {service: cursors[service] for service in SERVICES if service in cursors}
            if len(known) != len(cursors) or not all(isinstance(cursor, str) for cursor in known.values()):
                raise ValueError(text)
            return Position(known, None if total is None else int(total))
        except (ValueError, TypeError, KeyError) as error:
            raise BadRequest(
                "Ce lien de page est illisible ; repartez de la première page.",
                "This page link is unreadable; start again from the first page.",
                expression=f"http.{CURSOR_PARAMETER}",
                details_code="cursor",
            ) from error


@dataclass(frozen=True, slots=True)
class Trail:
    """A part of one service's trail."""

    matches: list[Resource]
    others: list[Resource]
    """included resources and the outcome"""
    total: int | None
    next_cursor: str | None


NOTHING = Trail([], [], 0, None)


class AuditTrail:
    """Reads and searches the services' AuditEvents."""

    def __init__(self, upstreams: Upstreams, base_url: str, seal: QuerySeal) -> None:
        self._upstreams = upstreams
        self._seal = seal
        self._base_url = base_url

    async def answer(
        self, method: str, rest: Sequence[str], query: Query, headers: Mapping[str, str]
    ) -> Answer:
        """What is asked at `AuditEvent/…`, `rest` being the segments after the type. A trail is only read."""
        reading = method in ("GET", "HEAD")
        match rest:
            case [] if reading:
                return Answer(200, await self.search(query, headers))
            case ["_search"]:
                if method == "POST":
                    return Answer(200, await self.search(self._seal.close(query), headers))
                raise MethodNotAllowed.at_address(method, "POST")
            case [id_] if reading:
                return await self.read(id_, query, headers)
        raise MethodNotAllowed.at_address(method, "GET, HEAD")

    async def read(self, id_: str, query: Query, headers: Mapping[str, str]) -> Answer:
        """One AuditEvent, from whichever service keeps it."""
        forwarded = {name: headers[name] for name in (*FORWARDED, *CONDITIONAL) if name in headers}
        forwarded["accept"] = "application/fhir+json"
        address = address_of(f"{TYPE}/{id_}", query)
        answers = await asyncio.gather(
            *(
                self._upstreams.call(service, "GET", address, headers=at_once(forwarded))
                for service in SERVICES
            )
        )
        known = [said for said in zip(SERVICES, answers, strict=True) if said[1].status_code != 404]
        opened = (said for said in known if said[1].status_code not in CLOSED)
        # If one service refuses the caller, another may have the event; if all refuse, that is the answer.
        service, found = next(opened, known[0] if len(known) == len(answers) else (None, None))
        if service is None or found is None:
            raise NotFound(f"{TYPE}/{id_} n'existe pas.", f"{TYPE}/{id_} does not exist.")
        if found.status_code >= 400:
            return refusal(service, found)
        kept = {name: found.headers[name] for name in READ_HEADERS if name in found.headers}
        return Answer(found.status_code, found.content or None, {**passed_on(found), **kept})

    async def search(self, query: Query, headers: Mapping[str, str]) -> bytes:
        """The services' AuditEvents as one searchset, newest first unless `_sort` says otherwise. The links repeat `query`
        as it is given."""
        newest_first = _newest_first(query)
        count = page_count(query)
        text = next((value for name, value in reversed(query) if name == CURSOR_PARAMETER), "")
        begin = Position.decode(text) if text else Position(dict.fromkeys(SERVICES, ""))
        kept = [pair for pair in query if pair[0] not in ("_count", "_format", CURSOR_PARAMETER)]
        pairs = self._seal.open(kept)
        trails = await self._trails(pairs, headers, {s: (c, count) for s, c in begin.cursors.items()})
        taken = _taken(trails, count, newest_first)
        parts = {s: (begin.cursors[s], n) for s, n in taken.items() if 0 < n < len(trails[s].matches)}
        shown = {**trails, **await self._trails(pairs, headers, parts)}
        total = begin.total if text else _sum(trails)
        following = Position(_cursors(begin, shown, taken), total)
        entries = _entries(shown, taken, newest_first)
        return bundle_of("searchset", entries, self._links(query, text, following), total)

    def _links(self, query: Query, cursor: str, following: Position) -> list[dict[str, str]]:
        url = f"{self._base_url}/{TYPE}"
        rest = [pair for pair in query if pair[0] != CURSOR_PARAMETER]
        links = [{"relation": "self", "url": query_url(url, query)}]
        if cursor:
            links.append({"relation": "first", "url": query_url(url, rest)})
        if following.cursors:
            pairs = [*rest, (CURSOR_PARAMETER, following.encode())]
            links.append({"relation": "next", "url": query_url(url, pairs)})
        return links

    async def _trails(
        self, pairs: Query, headers: Mapping[str, str], wanted: Mapping[Service, tuple[str, int]]
    ) -> dict[Service, Trail]:
        """Asks every service of `wanted` for its next events: how many, and from which cursor on (empty: from the first).

        Returns what each gives; NOTHING from a service that lacks a type in a chained search, or to which the caller has no
        access. Raises RefusedError if all services refuse so, or one for another reason."""
        asked = [
            self._trail(
                service, [*pairs, ("_count", str(count)), *([(CURSOR_PARAMETER, c)] if c else [])], headers
            )
            for service, (c, count) in wanted.items()
        ]
        found = await asyncio.gather(*asked)
        refused = [trail for trail in found if isinstance(trail, RefusedError)]
        if refused and len(refused) == len(found):
            raise refused[0]
        trails = (NOTHING if isinstance(trail, RefusedError) else trail for trail in found)
        return dict(zip(wanted, trails, strict=True))

    async def _trail(
        self, service: Service, pairs: Query, headers: Mapping[str, str]
    ) -> Trail | RefusedError:
        try:
            bundle = await ask(self._upstreams, service, f"/fhir/{TYPE}/_search", headers, pairs)
        except RefusedError as refused:
            not_held = b'"type-not-held"' in (refused.answer.content or b"")
            if not not_held and refused.answer.status not in CLOSED:
                raise
            return refused
        entries: list[Resource] = bundle.get("entry", [])
        matches = [entry for entry in entries if _mode(entry) == "match"]
        others = [entry for entry in entries if _mode(entry) != "match"]
        return Trail(matches, others, bundle.get("total"), next_cursor(bundle))


def _newest_first(query: Query) -> bool:
    text = next((value for name, value in reversed(query) if name == "_sort"), "")
    if text not in BY_TIME:
        raise BadRequest(
            f"La trace de tous les services se trie par date : _sort=-date ou date ; reçu « {text} ».",
            f"The trail of all the services is sorted by date: _sort=-date or date; got “{text}”.",
            code="not-supported",
            expression="http._sort",
        )
    return BY_TIME[text]


def _taken(trails: Mapping[Service, Trail], count: int, newest_first: bool) -> dict[Service, int]:
    """How many of each service's events are on the page."""

    def recorded(placed: tuple[Service, Resource]) -> str:
        return str(placed[1]["resource"]["recorded"])

    rows = [[(service, entry) for entry in trail.matches] for service, trail in trails.items()]
    page = list(heapq.merge(*rows, key=recorded, reverse=newest_first))[:count]
    return {service: sum(of == service for of, _ in page) for service in trails}


def _cursors(
    begin: Position, shown: Mapping[Service, Trail], taken: Mapping[Service, int]
) -> dict[Service, str]:
    """Where each trail goes on: after its shown events; unchanged when none was shown."""
    following: dict[Service, str] = {}
    for service, trail in shown.items():
        if not taken[service] and trail.matches:
            following[service] = begin.cursors[service]
        elif trail.next_cursor is not None:
            following[service] = trail.next_cursor
    return following


def _entries(
    shown: Mapping[Service, Trail], taken: Mapping[Service, int], newest_first: bool
) -> list[Resource]:
    on_page = [trail for service, trail in shown.items() if taken[service]]
    matches = [entry for trail in on_page for entry in trail.matches]
    matches.sort(key=lambda entry: str(entry["resource"]["recorded"]), reverse=newest_first)
    included = {
        entry["fullUrl"]: entry for trail in on_page for entry in trail.others if _mode(entry) == "include"
    }
    outcomes = [[entry for entry in trail.others if _mode(entry) == "outcome"] for trail in shown.values()]
    # A remark of some services alone (a type that others hold) does not concern the whole.
    said = outcomes[0] if outcomes and all(outcomes) else []
    return [*matches, *included.values(), *said]


def _mode(entry: Resource) -> str:
    return str(entry["search"]["mode"])


def _sum(trails: Mapping[Service, Trail]) -> int | None:
    totals = [trail.total for trail in trails.values()]
    return None if None in totals else sum(total for total in totals if total is not None)

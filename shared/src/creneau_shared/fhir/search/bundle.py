"""Bundles made by splicing stored bytes: no resource is parsed to be served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import orjson

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.ids import new_id

BundleType = Literal[
    "searchset", "history", "batch-response", "transaction", "transaction-response", "collection"
]

_DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"


@dataclass(frozen=True, slots=True)
class Link:
    """One Bundle.link."""

    relation: str
    url: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One Bundle.entry; `resource` is JSON bytes, the rest plain JSON values."""

    full_url: str | None = None
    resource: bytes | None = None
    search: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None


def outcome_entry(outcome: bytes) -> Entry:
    """The entry with the remarks on a searchset. The OperationOutcome has no address, but each entry has a fullUrl
    (FHIR R4 bundle.html#bundle-unique)."""
    return Entry(f"urn:uuid:{new_id()}", outcome, {"mode": "outcome"})


def write_bundle(
    kind: BundleType,
    entries: Iterable[Entry],
    *,
    total: int | None = None,
    links: Sequence[Link] = (),
    timestamp: datetime | None = None,
) -> bytes:
    """The Bundle as UTF-8 JSON, the elements in the order of their definition."""
    return _write(kind, [_write_entry(entry) for entry in entries], total, links, timestamp)


def _write(
    kind: BundleType,
    entries: Sequence[bytes],
    total: int | None,
    links: Sequence[Link],
    timestamp: datetime | None,
) -> bytes:
    head: dict[str, Any] = {"resourceType": "Bundle", "id": new_id(), "type": kind}
    if timestamp is not None:
        head["timestamp"] = timestamp.isoformat(timespec="milliseconds")
    if total is not None:
        head["total"] = total
    if links:
        head["link"] = [{"relation": link.relation, "url": link.url} for link in links]
    parts = [orjson.dumps(head)[:-1]]
    # FHIR JSON has no empty arrays: without entries there is no `entry`.
    for number, entry in enumerate(entries):
        parts += (b"," if number else b',"entry":[', entry)
    parts.append(b"]}" if entries else b"}")
    return b"".join(parts)  # at once: what is large is copied once


def _write_entry(entry: Entry) -> bytes:
    parts: list[bytes] = []
    if entry.full_url is not None:
        parts.append(b'"fullUrl":' + orjson.dumps(entry.full_url))
    if entry.resource is not None:
        parts.append(b'"resource":' + entry.resource)
    for name, value in (
        (b"search", entry.search),
        (b"request", entry.request),
        (b"response", entry.response),
    ):
        if value is not None:
            parts.append(b'"' + name + b'":' + orjson.dumps(value))
    return b"{" + b",".join(parts) + b"}"


def searchset(
    request: SearchRequest,
    result: SearchResult,
    *,
    base_url: str,
    search_url: str | None = None,
    outcome: bytes | None = None,
    timestamp: datetime | None = None,
    shown: Sequence[tuple[str, str]] | None = None,
) -> bytes:
    """The answer to a search.

    `base_url` is the FHIR base without a trailing slash; `search_url` what was searched, when it is not
    `base/Type` (a compartment). `outcome` is an OperationOutcome that tells `result.issues`, as JSON bytes.
    `shown` is the query as the links show it, when it is not `request.used`.
    """
    url = search_url or f"{base_url}/{request.resource_type}"
    start = b'{"fullUrl":"' + base_url.encode()
    written: list[bytes] = []
    for mode, rows in (("match", result.matches), ("include", result.included)):
        plain = orjson.dumps({"mode": mode})
        for row in rows:
            search = plain if row.distance_m is None else orjson.dumps(near_search(mode, row.distance_m))
            # A type and an id have no character that JSON would escape.
            written.append(
                b'%b/%b/%b","resource":%b,"search":%b}'
                % (start, row.type.encode(), row.id.encode(), row.content, search)
            )
    if outcome is not None:
        written.append(_write_entry(outcome_entry(outcome)))
    return _write("searchset", written, result.total, search_links(request, result, url, shown), timestamp)


def near_search(mode: str, distance_m: float) -> dict[str, Any]:
    """The search element of a resource found near a point, with its distance (ROR reads it there)."""
    distance = {
        "value": round(distance_m / 1000, 3),
        "unit": "km",
        "system": "http://unitsofmeasure.org",
        "code": "km",
    }
    return {"extension": [{"url": _DISTANCE, "valueDistance": distance}], "mode": mode}


def search_links(
    request: SearchRequest, result: SearchResult, url: str, shown: Sequence[tuple[str, str]] | None = None
) -> list[Link]:
    """Links self (with the query as used, or as `shown`), first, previous, next and last."""
    used = request.used if shown is None else shown
    own = [*used, (CURSOR_PARAMETER, request.cursor)] if request.cursor else used
    links = [Link("self", query_url(url, own))]
    if request.count_only:
        return links
    if request.cursor:
        links.append(Link("first", query_url(url, used)))
    for relation, cursor in (
        ("previous", result.previous_cursor),
        ("next", result.next_cursor),
        ("last", result.last_cursor),
    ):
        if cursor is not None:
            links.append(Link(relation, query_url(url, [*used, (CURSOR_PARAMETER, cursor)])))
    return links


ADDRESS_CHARACTERS_MAX = 32_000
"""of a link that leads to another page: nginx reads a little more (`large_client_header_buffers`)"""


def query_url(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """`url?name=value&…`, encoded; the characters that FHIR queries use stay readable. BadRequest (too-costly) for a page of a
    search that came in a body and is too long for an address: nobody could follow the link."""
    pairs = list(pairs)
    query = "&".join(f"{quote(name, safe=':._-')}={quote(text, safe=':/,._-')}" for name, text in pairs)
    written = f"{url}?{query}" if query else url
    if len(written) > ADDRESS_CHARACTERS_MAX and any(name == CURSOR_PARAMETER for name, _ in pairs):
        raise BadRequest(
            "La recherche a plusieurs pages, et leur lien serait trop long : demandez moins de valeurs à la fois, ou une page"
            " plus grande (_count).",
            "The search has several pages, and their link would be too long: ask for fewer values at a time, or for a larger"
            " page (_count).",
            code="too-costly",
            expression="http.*",
        )
    return written

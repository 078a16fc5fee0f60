"""Asking one service for a Bundle, and putting a Bundle together from what several gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import orjson

from creneau_gateway.upstreams.calls import Upstreams, unavailable
from creneau_gateway.upstreams.routing import Service
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_id
from creneau_shared.security.gateway_headers import HANDED_ON

Query = list[tuple[str, str]]

FORWARDED = (
    "authorization",
    "dpop",
    "accept-language",
    "prefer",
    "x-request-id",
    "x-correlation-id",
    "x-purpose-of-use",
    *HANDED_ON,
)
CLOSED = (401, 403)
"""statuses by which a service says that the caller has nothing to read there"""
PASSED_ON = (
    "Content-Location",
    "Idempotency-Replayed",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
)


class RefusedError(Exception):
    """A service refused a part; its answer is the answer to the whole."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"refused with {answer.status}")
        self.answer = answer


def address_of(path: str, query: Query) -> str:
    """A service's address below the base, without `_format` and `_pretty`: the gateway reads JSON and formats the whole."""
    kept = [(name, value) for name, value in query if name not in ("_format", "_pretty")]
    return f"/fhir/{path}?{urlencode(kept)}" if kept else f"/fhir/{path}"


async def ask(
    upstreams: Upstreams,
    service: Service,
    address: str,
    headers: Mapping[str, str],
    form: Query | None = None,
) -> Resource:
    """A service's answer, as JSON; RefusedError when it is not 200. A `form` goes by POST: search values may be personal,
    and addresses may be logged."""
    forwarded = at_once({name: headers[name] for name in FORWARDED if name in headers})
    forwarded["accept"] = "application/fhir+json"
    method, content = "GET", b""
    if form is not None:
        method, content = "POST", urlencode(form).encode()
        forwarded["content-type"] = "application/x-www-form-urlencoded"
    answer = await upstreams.call(service, method, address, headers=forwarded, content=content)
    if answer.status_code != 200:
        raise RefusedError(refusal(service, answer))
    return loads(answer.content)


def refusal(service: Service, answer: httpx.Response) -> Answer:
    """A service's refusal as it gave it; raises Unavailable if that is no OperationOutcome."""
    if not _is_outcome(answer.content):
        raise unavailable(service)
    return Answer(answer.status_code, answer.content, passed_on(answer))


def _is_outcome(content: bytes) -> bool:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("resourceType") == "OperationOutcome"


def at_once(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without `respond-async`: an answer from several services is given at once, without
    `Preference-Applied`."""
    words = headers.get("prefer", "").replace(";", ",").split(",")
    kept = ",".join(word for word in words if word.partition("=")[0].strip().lower() != "respond-async")
    return {**headers, "prefer": kept} if kept else {n: v for n, v in headers.items() if n != "prefer"}


def passed_on(answer: httpx.Response) -> dict[str, str]:
    """The headers of a service's answer that its caller must see."""
    return {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}


def next_cursor(bundle: Resource) -> str | None:
    """The cursor in a service's next link."""
    url = next((str(link["url"]) for link in bundle.get("link", ()) if link["relation"] == "next"), "")
    return next((text for name, text in parse_qsl(urlsplit(url).query) if name == CURSOR_PARAMETER), None)


def bundle_of(kind: str, entries: list[Any], links: list[dict[str, str]], total: int | None = None) -> bytes:
    """A Bundle of what the services gave."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "id": new_id(), "type": kind}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = links
    if entries:
        bundle["entry"] = entries
    return dumps(bundle)

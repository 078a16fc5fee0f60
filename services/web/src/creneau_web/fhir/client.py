"""The only way to Créneau's data: the public FHIR base, with the person's own token, or with none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import orjson

from creneau_web.fhir.query import Query
from creneau_web.fhir.refusal import Refusal, RefusedError, UnreachableError, refusal_of
from creneau_web.fhir.wire import Response, Wire

JSON = "application/fhir+json"

ID = re.compile(r"(?!\.+$)[A-Za-z0-9.-]{1,64}")
PART = re.compile(r"\$?(?!\.+$)[A-Za-z0-9.-]{1,64}")
"""a part of an operation's path: a type, an id, the operation"""

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """A resource with what the headers say of it."""

    resource: Resource
    headers: Mapping[str, str]

    @property
    def etag(self) -> str | None:
        return self.headers.get("etag")


def checked(pattern: re.Pattern[str], *parts: str) -> None:
    """Raises RefusedError (404) for an invalid part of a path: it may come from an address that somebody typed, and would
    change the request."""
    if not all(pattern.fullmatch(part) for part in parts):
        raise RefusedError(Refusal(404, "not-found", ""))


def next_cursor(bundle: Resource) -> str | None:
    """The cursor of a searchset's next page: opaque, sealed by the server; None on the last."""
    url = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
    return parse_qs(urlsplit(url).query).get("_cursor", [None])[0] if url else None


@dataclass(frozen=True, slots=True)
class Fhir:
    """The FHIR base as one person sees it. Every method raises RefusedError and UnreachableError; an invalid id gives
    404."""

    wire: Wire
    at: datetime
    """when the person asks: of several names and addresses, those valid then count"""
    language: str = "fr"
    token: str | None = None
    address: str | None = None
    """the person's IP address, for the limits of callers without a token"""

    def as_(self, token: str | None) -> Fhir:
        """The same base with another token, or none."""
        return replace(self, token=token)

    async def read(self, type_: str, id_: str) -> Answered:
        checked(ID, id_)
        return await self._ask("GET", f"/{type_}/{id_}")

    async def history(self, type_: str, id_: str) -> Resource:
        """The latest versions of a resource, the present one first."""
        checked(ID, id_)
        return (await self._ask("GET", f"/{type_}/{id_}/_history", params=[("_count", "20")])).resource

    async def search(self, type_: str, query: Query) -> Resource:
        """A searchset of what everybody may read: the query stands in the address, and caches may help."""
        return (await self._ask("GET", f"/{type_}", params=query)).resource

    async def search_privately(self, type_: str, query: Query) -> Resource:
        """A searchset by values that must be in no address."""
        content = urlencode(query).encode()
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        return (await self._ask("POST", f"/{type_}/_search", content=content, headers=sent)).resource

    async def page_of(self, type_: str, query: Query, cursor: str | None) -> Resource:
        """A page of a private search: the first, or the one that a cursor of `next_cursor` leads to."""
        return await self.search_privately(type_, [*query, *([("_cursor", cursor)] if cursor else [])])

    async def follow(self, bundle: Resource, relation: str = "next") -> Resource | None:
        """Another page of a searchset; None where there is none."""
        links = {link["relation"]: link["url"] for link in bundle.get("link", ())}
        if relation not in links:
            return None
        url = urlsplit(links[relation])
        path = url.path.partition("/fhir")[2]
        return (await self._ask("GET", path, params=parse_qsl(url.query, keep_blank_values=True))).resource

    async def create(self, resource: Resource, *, key: str | None = None) -> Answered:
        """Creates a resource. `key`: the same for the same wish, which is done once (Idempotency-Key)."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self._ask("POST", f"/{resource['resourceType']}", resource, headers=headers)

    async def patch(
        self, type_: str, id_: str, changes: Sequence[Mapping[str, Any]], *, etag: str | None = None
    ) -> Answered:
        """A JSON Patch; `etag`: only of the version that was shown."""
        checked(ID, id_)
        headers = {"Content-Type": "application/json-patch+json"} | ({"If-Match": etag} if etag else {})
        return await self._ask("PATCH", f"/{type_}/{id_}", list(changes), headers=headers)

    async def update(self, resource: Resource, *, etag: str | None = None) -> Answered:
        """Put a resource in the place of the version that was read."""
        headers = {"If-Match": etag} if etag else {}
        return await self._ask(
            "PUT", f"/{resource['resourceType']}/{resource['id']}", resource, headers=headers
        )

    async def delete(self, type_: str, id_: str) -> None:
        checked(ID, id_)
        await self._ask("DELETE", f"/{type_}/{id_}")

    async def operation(
        self,
        path: str,
        parameters: Sequence[Mapping[str, Any]] = (),
        *,
        key: str | None = None,
        etag: str | None = None,
    ) -> Answered:
        """`path`: `Appointment/$hold`, `Appointment/id/$book` …"""
        checked(PART, *path.split("/"))
        body = {"resourceType": "Parameters", **({"parameter": list(parameters)} if parameters else {})}
        headers = {name: value for name, value in (("Idempotency-Key", key), ("If-Match", etag)) if value}
        return await self._ask("POST", f"/{path}", body, headers=headers)

    async def download(self, path: str) -> Response:
        """An answer that is no FHIR JSON (an archive), as it is. `path`: as of `operation`."""
        checked(PART, *path.split("/"))
        return await self._send("GET", f"/{path}", headers={"Accept": "*/*"})

    async def exchange(
        self, method: str, path: str, body: object = None, *, media_type: str = JSON
    ) -> Response:
        """Sends any request; returns the answer as it is, refusals too."""
        content = None if body is None else orjson.dumps(body)
        return await self.wire.request(
            method, path, {**self._own_headers(), "Content-Type": media_type}, content=content
        )

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        sent = {"Content-Type": JSON, **(headers or {})}
        data = content if body is None else orjson.dumps(body)
        response = await self._send(method, path, params=params, content=data, headers=sent)
        try:
            resource = orjson.loads(response.content) if response.content else {}
        except orjson.JSONDecodeError:
            raise UnreachableError("no JSON") from None
        return Answered(resource, response.headers)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str],
    ) -> Response:
        response = await self.wire.request(
            method, path, {**self._own_headers(), **headers}, params=params, content=content
        )
        if response.is_success:
            return response
        try:
            said = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            said = {}
        if said.get("resourceType") != "OperationOutcome" or response.status in (502, 504):
            raise UnreachableError(str(response.status))
        raise RefusedError(refusal_of(response.status, said))

    def _own_headers(self) -> dict[str, str]:
        headers = {"Accept": JSON, "Accept-Language": "en" if self.language == "en" else "fr"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.address:
            headers["X-Forwarded-For"] = self.address
        return headers

"""read, vread and history (FHIR R4 http.html#read, #vread, #history)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Gone, NotFound
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, parse_http_date
from creneau_shared.fhir.search.bundle import Entry, Link, query_url, write_bundle
from creneau_shared.fhir.search.cursor import Cursor, query_digest
from creneau_shared.fhir.search.sql import Place
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import HistoryQuery, ResourceStore, Stored
from creneau_shared.security.access import Access

if TYPE_CHECKING:
    from creneau_shared.fhir.rest.server import FhirServer

ID = re.compile(r"^[A-Za-z0-9\-.]{1,64}$")
HISTORY_COUNT_DEFAULT = 50
HISTORY_COUNT_MAX = 500


def unknown_resource(resource_type: str, id_: str) -> NotFound:
    return NotFound(
        f"{resource_type}/{id_} n'existe pas.",
        f"{resource_type}/{id_} does not exist.",
        diagnostics=None if ID.match(id_) else "the id is not a valid FHIR id",
    )


def deleted_resource(stored: Stored) -> Gone:
    return Gone(
        f"{stored.resource_type}/{stored.id} a été supprimé.",
        f"{stored.resource_type}/{stored.id} has been deleted.",
        headers={"ETag": stored.etag},
    )


async def read_current(
    connection: Connection, store: ResourceStore, access: Access, id_: str, *, lock: bool = False
) -> Stored:
    """The current version that the request may see: NotFound when there is none, Gone when it was deleted.

    What lies outside the caller's compartment is not found either, so that existence does not leak.
    """
    if not ID.match(id_):
        raise unknown_resource(store.resource_type, id_)
    stored = await (store.lock(connection, id_) if lock else store.read(connection, id_))
    if stored is None:
        raise unknown_resource(store.resource_type, id_)
    required = access.required_terms(store.resource_type)
    if required is not None and not await store.has_any_term(connection, id_, required):
        raise unknown_resource(store.resource_type, id_)
    if stored.deleted:
        raise deleted_resource(stored)
    return stored


def not_modified(request: FhirRequest, stored: Stored) -> bool:
    """Conditional read: If-None-Match first, else If-Modified-Since (RFC 9110 §13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        versions = {tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")}
        return "*" in versions or str(stored.version) in versions
    since = parse_http_date(request.headers.get("if-modified-since", ""))
    return since is not None and stored.last_updated.replace(microsecond=0) <= since


async def read(server: FhirServer, request: FhirRequest, store: ResourceStore, id_: str) -> Answer:
    """GET [type]/[id]."""
    access = await server.policy.access(request.principal, store.resource_type, "r")
    async with server.database.connection() as connection:
        stored = await read_current(connection, store, access, id_)
        await server.audit(connection, request, access, "R", stored)
    if not_modified(request, stored):
        return Answer(304, None, {"ETag": stored.etag}, stored)
    return Answer.of(stored)


async def vread(
    server: FhirServer, request: FhirRequest, store: ResourceStore, id_: str, version: str
) -> Answer:
    """GET [type]/[id]/_history/[vid]: 404 unknown, 410 when that version is the deletion."""
    access = await server.policy.access(request.principal, store.resource_type, "r")
    async with server.database.connection() as connection:
        with suppress(Gone):  # the versions before a deletion stay readable
            await read_current(connection, store, access, id_)
        stored = (
            await store.read_version(connection, id_, int(version))
            if version.isdigit() and len(version) < 10
            else None
        )
        if stored is None:
            raise NotFound(
                f"{store.resource_type}/{id_} n'a pas de version {version}.",
                f"{store.resource_type}/{id_} has no version {version}.",
            )
        await server.audit(connection, request, access, "R", stored)
    if stored.deleted:
        raise deleted_resource(stored)
    return (
        Answer(304, None, {"ETag": stored.etag}, stored)
        if not_modified(request, stored)
        else Answer.of(stored)
    )


async def history(
    server: FhirServer, request: FhirRequest, stores: Sequence[ResourceStore], id_: str | None = None
) -> Answer:
    """GET …/_history at instance, type or system level: newest first, `_count`, `_since`, `_at`, paged."""
    cursor = request.parameter("_cursor")
    digest = query_digest("_history/" + "/".join(request.path), _own_pairs(request))
    before = server.cursors.decode(cursor, digest).place.values if cursor else None
    at = request.instant_parameter("_at")
    count = _count(request)
    query = HistoryQuery(id_, request.instant_parameter("_since"), before, count + 1)
    versions: list[Stored] = []
    async with server.database.connection() as connection:
        for store in stores:
            access = await server.policy.access(request.principal, store.resource_type, "r")
            if access.required_terms(store.resource_type) is not None:
                if id_ is None:
                    continue  # a patient's own history is asked for resource by resource
                with suppress(Gone):
                    await read_current(connection, store, access, id_)
            versions += await store.history(connection, query)
            await server.audit(connection, request, access, "R", None, store.resource_type, id_)
        if (
            id_ is not None
            and not versions
            and before is None
            and await stores[0].read(connection, id_) is None
        ):
            raise unknown_resource(stores[0].resource_type, id_)
    versions.sort(key=lambda stored: (stored.last_updated, stored.id, stored.version), reverse=True)
    if at is not None:
        versions = [stored for stored in versions if stored.last_updated <= at][:1]
    page = versions[:count]
    links = [Link("self", request_url(request))]
    if len(versions) > count:
        last = page[-1]
        following = server.cursors.encode(Cursor(Place((last.last_updated, last.id, last.version))), digest)
        links.append(Link("next", request_url(request, _cursor=following)))
    entries = [history_entry(stored, request.base_url) for stored in page]
    return Answer(200, write_bundle("history", entries, links=links))


def request_url(request: FhirRequest, **changed: str) -> str:
    """The address of the request, with some parameters set."""
    pairs = [(name, value) for name, value in request.query if name not in changed] + list(changed.items())
    return query_url("/".join((request.base_url, *request.path)), pairs)


def history_entry(stored: Stored, base_url: str) -> Entry:
    """One history entry: request and response say what happened; a deletion has no resource."""
    method = "DELETE" if stored.deleted else ("POST" if stored.version == 1 else "PUT")
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    url = stored.resource_type if method == "POST" else f"{stored.resource_type}/{stored.id}"
    return Entry(
        full_url=f"{base_url}/{stored.resource_type}/{stored.id}",
        resource=stored.content,
        request={"method": method, "url": url},
        response={"status": status, "etag": stored.etag, "lastModified": instant(stored.last_updated)},
    )


def _own_pairs(request: FhirRequest) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.query if name != "_cursor"]


def _count(request: FhirRequest) -> int:
    text = request.parameter("_count")
    if not text:
        return HISTORY_COUNT_DEFAULT
    if not text.isdigit():
        raise BadRequest(
            f"_count attend un nombre entier ; reçu « {text} ».",
            f"_count takes a whole number; got “{text}”.",
            code="value",
            expression="_count",
        )
    return min(int(text), HISTORY_COUNT_MAX) or 1

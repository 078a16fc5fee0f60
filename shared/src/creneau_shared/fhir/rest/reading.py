"""read and vread (FHIR R4 http.html#read, #vread)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Forbidden, Gone, NotFound
from creneau_shared.fhir.datatypes import whole_number
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, parse_http_date
from creneau_shared.fhir.rest.negotiation import names_entity
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.storage.store import ResourceStore, Stored
from creneau_shared.fhir.summary import SummaryMode, select_elements, summarise
from creneau_shared.security.access import PUBLIC, Access

ID = re.compile(r"^[A-Za-z0-9\-.]{1,64}\Z")
UUID = re.compile(r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
"""an id whose case makes no difference (RFC 9562 §4)"""
_UUID_LENGTH = 36
VERSION_MAX = 2**31 - 1
"""what the column of versions can hold"""
SUMMARIES: frozenset[SummaryMode] = frozenset(("true", "text", "data"))


def with_small_ids(path: tuple[str, ...]) -> tuple[str, ...]:
    """The segments of an address, with UUIDs in lower case, as they are stored."""
    return tuple([p.lower() if len(p) == _UUID_LENGTH and UUID.match(p) else p for p in path])


def unknown_resource(resource_type: str, id_: str, *, advice: bool = False) -> NotFound:
    """NotFound for a resource that does not exist, or of which the caller may not know; `advice`: how to create it."""
    return NotFound(
        f"{resource_type}/{id_} n'existe pas." + (" Créez-le par POST." if advice else ""),
        f"{resource_type}/{id_} does not exist." + (" Create it by POST." if advice else ""),
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

    NotFound also for a resource outside the caller's compartment, so that existence does not leak.
    """
    if not ID.match(id_):
        raise unknown_resource(store.resource_type, id_)
    stored = await (store.lock(connection, id_) if lock else store.read(connection, id_))
    if stored is not None:
        await require_visible(connection, store, access, id_, stored)
    return _existing(store.resource_type, id_, stored)


async def require_visible(
    connection: Connection,
    store: ResourceStore,
    access: Access,
    id_: str,
    stored: Stored | None = None,
    *,
    advice: bool = False,
) -> None:
    """NotFound (`advice` as in `unknown_resource`) unless the resource lies within the caller's compartment; Forbidden for
    a public resource of others. `stored`: the version already read, if any."""
    required = access.required
    if required is None or await _bears(connection, store, id_, stored, required):
        return
    if store.resource_type in PUBLIC and access.action in ("c", "u", "d"):
        # A resource that everybody may read is no secret: the answer says that it is somebody else's.
        shown = access.rights.access(store.resource_type, "r").required
        if shown is None or await _bears(connection, store, id_, stored, shown):
            raise Forbidden(
                f"{store.resource_type}/{id_} appartient à un autre cabinet : vous pouvez le lire, pas le changer.",
                f"{store.resource_type}/{id_} belongs to another practice: you may read it, not change it.",
                expression=store.resource_type,
                details_code="not-yours",
            )
    raise unknown_resource(store.resource_type, id_, advice=advice)


async def _bears(
    connection: Connection, store: ResourceStore, id_: str, stored: Stored | None, terms: Sequence[str]
) -> bool:
    if stored is None or stored.terms is None:
        return await store.has_any_term(connection, id_, terms)
    return f"_id={id_}" in terms or not set(terms).isdisjoint(stored.terms)


async def require_still_visible(
    connection: Connection, store: ResourceStore, access: Access, answer: Answer
) -> None:
    """NotFound unless the caller now reaches the resource that a kept answer is about: their right may have ended, or the
    token may be for somebody else."""
    id_ = answer.id_of(store.resource_type)
    if id_ is not None:
        await require_visible(connection, store, access, id_)


async def require_once_visible(
    connection: Connection, store: ResourceStore, access: Access, id_: str
) -> None:
    """NotFound unless the caller may see some version of the resource, even if it is deleted now."""
    known = ID.match(id_) is not None and await store.read(connection, id_) is not None
    required = access.required
    if not known or (required is not None and not await store.had_any_term(connection, id_, required)):
        raise unknown_resource(store.resource_type, id_)


def _existing(resource_type: str, id_: str, stored: Stored | None) -> Stored:
    if stored is None:
        raise unknown_resource(resource_type, id_)
    if stored.deleted:
        raise deleted_resource(stored)
    return stored


def not_modified(request: FhirRequest, stored: Stored) -> bool:
    """Conditional read: If-None-Match first, else If-Modified-Since (RFC 9110 §13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return names_entity(tags, stored.etag)
    header = request.headers.get("if-modified-since")
    since = parse_http_date(header) if header else None
    return since is not None and stored.last_updated.replace(microsecond=0) <= since


async def read(
    service: FhirService, request: FhirRequest, access: Access, store: ResourceStore, id_: str
) -> Answer:
    """GET [type]/[id]."""
    service.require_asked_rightly(request, store.resource_type)
    completed = service.types[store.resource_type].completion(access)
    together = access.required is None and completed is None
    gathered = service.gathered_reads(store.resource_type) if together else None
    if gathered is not None:
        found = await gathered.read(id_) if ID.match(id_) else None
        return _answer(request, service.as_shown(access, _existing(store.resource_type, id_, found)))
    said_anew = False
    async with service.connection() as connection:
        stored = await read_current(connection, store, access, id_)
        await service.audit(connection, request, "R", stored)
        if completed is not None and stored.content is not None:
            [content] = await completed(connection, access, request.now, [stored.content])
            said_anew = content is not stored.content
            stored = replace(stored, content=content)
    return _answer(request, service.as_shown(access, stored), said_anew=said_anew)


async def vread(
    service: FhirService, request: FhirRequest, access: Access, store: ResourceStore, id_: str, version: str
) -> Answer:
    """GET [type]/[id]/_history/[vid]: 404 unknown, 410 when that version is the deletion."""
    service.require_asked_rightly(request, store.resource_type)
    async with service.connection() as connection:
        await require_once_visible(connection, store, access, id_)
        number = whole_number(version)
        stored = (
            await store.read_version(connection, id_, number, access.required)
            if number is not None and number <= VERSION_MAX
            else None
        )
        if stored is None:
            raise NotFound(
                f"{store.resource_type}/{id_} n'a pas de version {version}.",
                f"{store.resource_type}/{id_} has no version {version}.",
            )
        await service.audit(connection, request, "R", stored)
        [shown] = await service.versions_as_shown(connection, access, request.now, (stored,))
    if stored.deleted:
        raise deleted_resource(stored)
    return _answer(request, shown)


def _answer(request: FhirRequest, stored: Stored, *, said_anew: bool = False) -> Answer:
    """304 when the client has the version already; else the stored bytes, or the part of them that it asked for.
    `said_anew`: the content was completed for this caller, so that the client cannot have it."""
    if not said_anew and not_modified(request, stored):
        return Answer(304, None, {"ETag": stored.etag}, stored)
    answer = Answer.of(stored)
    assert stored.content is not None
    if request.query:
        answer.content = _part(stored.content, request.parameter("_summary"), request.parameter("_elements"))
    return answer


def _part(content: bytes, summary: str | None, elements: str | None) -> bytes:
    """What `_elements` or `_summary` leaves of a resource (FHIR R4 search.html#summary)."""
    if elements:
        names = {name.strip() for name in elements.split(",") if name.strip()}
        return dumps(select_elements(loads(content), names))
    if summary in SUMMARIES:
        return dumps(summarise(loads(content), summary))
    if summary and summary != "false":
        raise BadRequest(
            f"_summary vaut « {summary} » ; sur une lecture : true, text, data ou false.",
            f"_summary is “{summary}”; on a read: true, text, data or false.",
            code="value",
            expression="http._summary",
        )
    return content

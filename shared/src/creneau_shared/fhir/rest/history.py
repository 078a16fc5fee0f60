"""history at instance, type and system level (FHIR R4 http.html#history).

Versions stand in one order, newest first: by time, then type, id and version. A page link says where in that order
the page before ended; it holds nothing that needs protection, and several services' pages can be joined by it.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.audit import PERSONAL, Event, Touched
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, asked_count
from creneau_shared.fhir.rest.reading import ID, require_once_visible
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.bundle import Entry, Link, query_url, write_bundle
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import HistoryQuery, ResourceStore, Stored
from creneau_shared.security.access import Access

COUNT_DEFAULT = 50
COUNT_MAX = 500
CURSOR = "_cursor"

_BEFORE_EVERY_ID, _AFTER_EVERY_ID = "", "~"
"""In the order of code points, against the characters that an id may have."""
_VERSION_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a version stands in the order of a history."""

    last_updated: datetime
    resource_type: str
    id: str
    version: int

    @staticmethod
    def of(stored: Stored) -> Place:
        return Place(stored.last_updated, stored.resource_type, stored.id, stored.version)

    def encode(self) -> str:
        """URL-safe text."""
        parts = [self.last_updated.isoformat(), self.resource_type, self.id, self.version]
        return urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()

    @staticmethod
    def decode(text: str) -> Place:
        """BadRequest for what `encode` did not write."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            moment, resource_type, id_, version = orjson.loads(raw)
            place = Place(datetime.fromisoformat(moment), str(resource_type), str(id_), int(version))
            if place.last_updated.tzinfo is None or not ID.match(place.id) or place.version > _VERSION_MAX:
                raise ValueError(text)
        except (ValueError, TypeError) as error:
            raise BadRequest(
                "Ce lien de page est illisible ; repartez de la première page.",
                "This page link is unreadable; start again from the first page.",
                expression=f"http.{CURSOR}",
                details_code="cursor",
            ) from error
        return place

    def before_for(self, resource_type: str) -> tuple[datetime, str, int]:
        """The keyset (time, id, version) before which this type's older versions lie."""
        if resource_type == self.resource_type:
            return self.last_updated, self.id, self.version
        if resource_type < self.resource_type:
            return self.last_updated, _AFTER_EVERY_ID, 0
        return self.last_updated, _BEFORE_EVERY_ID, 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which versions the query asks for."""

    count: int
    since: datetime | None
    at: tuple[datetime, datetime] | None
    place: Place | None

    @staticmethod
    def of(request: FhirRequest) -> _Asked:
        cursor = request.parameter(CURSOR)
        asked = _Asked(
            count=history_count(request.query),
            since=request.instant_parameter("_since"),
            at=_period(request.parameter("_at")),
            place=Place.decode(cursor) if cursor else None,
        )
        if asked.since and asked.at:
            raise BadRequest(
                "_since et _at s'excluent : _since dit depuis quand, _at ce qui valait à un moment.",
                "_since and _at exclude each other: _since says from when on, _at what held at some time.",
                code="value",
                expression="http._at",
            )
        _refuse_unoffered(request)
        return asked


async def history(
    service: FhirService, request: FhirRequest, stores: Sequence[ResourceStore], id_: str | None = None
) -> Answer:
    """GET …/_history: newest first, with `_count` and either `_since` or `_at`; paged."""
    asked = _Asked.of(request)
    versions: list[Stored] = []
    # Of the system as a whole, one sees the types that one may read.
    readable = [s for s in stores if len(stores) == 1 or _may_read(request, s.resource_type)]
    async with service.connection() as connection:
        for store in readable or stores:
            access = await _require_seen(connection, request, store, id_)
            before = asked.place.before_for(store.resource_type) if asked.place else None
            query = HistoryQuery(id_, asked.since, before, asked.count + 1, asked.at, access.required)
            versions += await store.history(connection, query)
        versions.sort(key=Place.of, reverse=True)
        page = versions[: asked.count]
        touched = tuple(Touched(v.resource_type, v.id, v.content) for v in page)
        read = next((s.resource_type for s in stores if s.resource_type in PERSONAL), "")
        await service.auditor.record(connection, request, Event("R", read, id_, touched=touched))
    links = [Link("self", request_url(request))]
    if len(versions) > asked.count:
        links.append(Link("next", request_url(request, **{CURSOR: Place.of(page[-1]).encode()})))
    entries = [history_entry(stored, request.base_url) for stored in page]
    return Answer(200, write_bundle("history", entries, links=links))


def _period(at: str | None) -> tuple[datetime, datetime] | None:
    """The half-open period that `_at` names: as long as its value is precise, in Europe/Paris without an offset."""
    if not at:
        return None
    try:
        return parse_interval(at)
    except ValueError as error:
        raise BadRequest(
            f"_at attend une date ou un instant ; reçu « {at} ».",
            f"_at takes a date or an instant; got “{at}”.",
            code="value",
            expression="http._at",
        ) from error


def _refuse_unoffered(request: FhirRequest) -> None:
    """What would narrow or order a history otherwise than it is: ignoring it would mislead."""
    if request.parameter("_list"):
        raise BadRequest(
            "_list n'est pas possible ici : aucune ressource List n'est servie.",
            "_list is not possible here: no List resource is served.",
            code="not-supported",
            expression="http._list",
        )
    if request.parameter("_sort") not in (None, "", "-_lastUpdated"):
        raise BadRequest(
            "Un historique va du plus récent au plus ancien ; _sort ne peut valoir que -_lastUpdated.",
            "A history goes from the newest to the oldest; _sort can only be -_lastUpdated.",
            code="not-supported",
            expression="http._sort",
        )


def _may_read(request: FhirRequest, resource_type: str) -> bool:
    return request.rights is not None and request.rights.reach(resource_type, "r") is not None


async def _require_seen(
    connection: Connection, request: FhirRequest, store: ResourceStore, id_: str | None
) -> Access:
    """The access to this history; NotFound when the one resource that is asked for was never there, or never for the
    caller to see. Each version is judged for itself, by whose it was."""
    access = request.access(store.resource_type, "r")
    if id_ is not None:
        await require_once_visible(connection, store, access, id_)
    return access


def history_count(query: Sequence[tuple[str, str]]) -> int:
    """The entries on a page: `_count`, at least one."""
    return asked_count(query, COUNT_DEFAULT, COUNT_MAX) or 1


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

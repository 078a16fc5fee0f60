"""history at instance, type and system level (FHIR R4 http.html#history).

Versions stand in one order, newest first: by time, then type, id and version. A page link holds the place in that order
where the page begins, the direction, and the total. It holds nothing that needs protection, and can join the pages of
several services.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import orjson

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.audit import Event, Touched
from creneau_shared.fhir.datatypes import (
    CALENDAR_BEGIN,
    CALENDAR_END,
    exact_instant,
    instant_of,
    parse_interval,
)
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, asked_count
from creneau_shared.fhir.rest.reading import ID, VERSION_MAX, require_once_visible
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.bundle import Entry, Link, query_url, write_bundle
from creneau_shared.fhir.search.page_bytes import fitting
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import HistoryQuery, ResourceStore, Stored
from creneau_shared.ids import is_of_ours
from creneau_shared.security.access import Access
from creneau_shared.type_table import RECORDED

COUNT_DEFAULT = 50
COUNT_MAX = 500
TOTAL_COUNTED_MAX = 100_000
"""most versions that are counted for a total without `_total=accurate`"""
TOTALS = ("none", "estimate", "accurate")
CURSOR = "_cursor"
_KNOWN = frozenset({"_count", "_since", "_at", "_total", "_sort", "_list", "_format", "_pretty", CURSOR})

T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]

_BEFORE_EVERY_ID, _AFTER_EVERY_ID = "", "~"
"""They sort before and after every id, in the order of code points."""


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

    def before_for(self, resource_type: str) -> tuple[datetime, str, int]:
        """The keyset (time, id, version) that separates this type's older versions from its newer ones."""
        if resource_type == self.resource_type:
            return self.last_updated, self.id, self.version
        if resource_type < self.resource_type:
            return self.last_updated, _AFTER_EVERY_ID, 0
        return self.last_updated, _BEFORE_EVERY_ID, 0


OLDEST = Place(CALENDAR_BEGIN, "", "0", 0)
"""Before every version: the last page goes backward from here."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page goes on: with what is older than `place`, or `backward` with what is newer."""

    place: Place
    backward: bool = False
    total: int | None = None
    """the versions of all pages, as the first page counted them"""

    def encode(self) -> str:
        """URL-safe text."""
        at = self.place
        parts = [at.last_updated.isoformat(), at.resource_type, at.id, at.version, self.backward, self.total]
        return urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()

    @staticmethod
    def decode(text: str) -> Cursor:
        """BadRequest for what `encode` did not write."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            moment, resource_type, id_, version, backward, total = orjson.loads(raw)
            place = Place(instant_of(moment), str(resource_type), str(id_), int(version))
            if place.last_updated.tzinfo is None or not ID.match(place.id):
                raise ValueError(text)
            if not 0 <= place.version <= VERSION_MAX:
                raise ValueError(text)
            if backward not in (False, True) or not (total is None or 0 <= int(total) <= VERSION_MAX):
                raise ValueError(text)
        except (ValueError, TypeError) as error:
            raise BadRequest(
                "Ce lien de page est illisible ; repartez de la première page.",
                "This page link is unreadable; start again from the first page.",
                expression=f"http.{CURSOR}",
                details_code="cursor",
            ) from error
        return Cursor(place, bool(backward), None if total is None else int(total))

    @staticmethod
    def of(query: Pairs) -> Cursor | None:
        """The cursor that a query carries; None on the first page."""
        text = next((value for name, value in reversed(query) if name == CURSOR), "")
        return Cursor.decode(text) if text else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which versions the query asks for."""

    count: int
    since: datetime | None
    at: tuple[datetime, datetime] | None
    cursor: Cursor | None
    total: str

    @staticmethod
    def of(request: FhirRequest) -> _Asked:
        total = request.parameter("_total") or "default"
        if total not in ("default", *TOTALS):
            raise BadRequest(
                f"_total vaut « {total} » ; valeurs possibles : {', '.join(TOTALS)}.",
                f"_total is “{total}”; possible values: {', '.join(TOTALS)}.",
                code="value",
                expression="http._total",
            )
        _refuse_unoffered(request)
        if request.prefer.strict:
            _refuse_unknown(request)
        return _Asked(
            count=history_count(request.query),
            since=request.instant_parameter("_since"),
            at=asked_period([value for name, value in request.query if name == "_at" and value]),
            cursor=Cursor.of(request.query),
            total=total,
        )

    def of_type(self, resource_type: str, id_: str | None, access: Access) -> HistoryQuery:
        """The query to one type's store. It asks for one version more, which tells whether there is a further page."""
        cursor = self.cursor
        return HistoryQuery(
            id_,
            self.since,
            cursor.place.before_for(resource_type) if cursor else None,
            self.count + 1,
            self.at,
            access.required,
            backward=cursor is not None and cursor.backward,
        )

    def on_page(self, versions: Sequence[Stored]) -> int:
        """How many of the versions, newest first, are on the page next to the cursor, before it is full."""
        backward = self.cursor is not None and self.cursor.backward
        nearest = versions[: -self.count - 1 : -1] if backward else versions[: self.count]
        return fitting(version.content for version in nearest)

    @property
    def counted_max(self) -> int | None:
        """The most versions that are counted; None: all."""
        return None if self.total == "accurate" else TOTAL_COUNTED_MAX


async def history(
    service: FhirService, request: FhirRequest, stores: Sequence[ResourceStore], id_: str | None = None
) -> Answer:
    """GET …/_history: newest first, with `_count`, `_since`, `_at` and `_total`; paged."""
    asked = _Asked.of(request)
    versions: list[Stored] = []
    accesses: dict[str, Access] = {}
    # A history of the whole system shows the types that the caller may read.
    readable = [s for s in stores if len(stores) == 1 or _may_read(request, s.resource_type)]
    for store in readable or stores:
        service.require_asked_rightly(request, store.resource_type)
    async with service.connection() as connection:
        queries: list[tuple[ResourceStore, HistoryQuery]] = []
        for store in readable or stores:
            access = accesses[store.resource_type] = await _require_seen(connection, request, store, id_)
            query = asked.of_type(store.resource_type, id_, access)
            queries.append((store, query))
            versions += await store.history(connection, query)
        versions.sort(key=Place.of, reverse=True)
        page, more = one_page(versions, asked.on_page(versions), asked.cursor)
        total = await _total(connection, asked, queries, None if more else len(page))
        touched = tuple(Touched(v.resource_type, v.id, v.content) for v in page)
        read = next((s.resource_type for s in stores if s.resource_type in RECORDED), "")
        await service.auditor.record(connection, request, Event("R", read, id_, touched=touched))
        seen = await _as_shown(service, connection, accesses, request.now, page)
    # In a history of one resource, the version before the page's last was read too, to see whether there is more.
    deleted = {(one.resource_type, one.id, one.version) for one in versions if one.deleted}
    url = "/".join((request.base_url, *request.path))
    links = page_links(url, request.query, asked.cursor, [Place.of(v) for v in page], more, total)
    entries = [
        history_entry(
            stored,
            request.base_url,
            again=(stored.resource_type, stored.id, stored.version - 1) in deleted,
        )
        for stored in seen
    ]
    return Answer(200, write_bundle("history", entries, total=total, links=links))


async def _as_shown(
    service: FhirService,
    connection: Connection,
    accesses: Mapping[str, Access],
    now: datetime,
    page: Sequence[Stored],
) -> list[Stored]:
    """The versions of a page, of whatever types, as the caller may see them, in their order."""
    seen: dict[Place, Stored] = {}
    for name in {stored.resource_type for stored in page}:
        of_type = [stored for stored in page if stored.resource_type == name]
        shown = await service.versions_as_shown(connection, accesses[name], now, of_type)
        seen |= dict(zip(map(Place.of, of_type), shown, strict=True))
    return [seen[Place.of(stored)] for stored in page]


async def _total(
    connection: Connection,
    asked: _Asked,
    queries: Sequence[tuple[ResourceStore, HistoryQuery]],
    on_the_only_page: int | None,
) -> int | None:
    """The number of matching versions on all pages (R4 Bundle.total); None when it is not wanted, or too large to be
    counted unasked."""
    if asked.total == "none":
        return None
    if asked.cursor is not None:
        return asked.cursor.total
    if on_the_only_page is not None:
        return on_the_only_page
    total = 0
    for store, query in queries:
        total += await store.history_total(connection, query, asked.counted_max)
        if asked.counted_max is not None and total > asked.counted_max:
            return None
    return total


def one_page(versions: Sequence[T], count: int, cursor: Cursor | None) -> tuple[Sequence[T], bool]:
    """Cuts versions, newest first, to the `count` next to the cursor; also returns whether others lie beyond them."""
    if cursor is not None and cursor.backward:
        return versions[-count:], len(versions) > count
    return versions[:count], len(versions) > count


def page_links(
    url: str, query: Pairs, cursor: Cursor | None, page: Sequence[Place], more: bool, total: int | None
) -> list[Link]:
    """Links self, first, previous, next and last of a page (newest first), with the known parameters of the query. `more`:
    there is a page beyond it, in the direction in which it was asked for."""
    query = [(name, value) for name, value in query if name in _KNOWN]
    bare = [(name, value) for name, value in query if name != CURSOR]
    links = [Link("self", query_url(url, query))]

    def add(relation: str, place: Place, *, backward: bool = False) -> None:
        following = Cursor(place, backward, total).encode()
        links.append(Link(relation, query_url(url, [*bare, (CURSOR, following)])))

    backward = cursor is not None and cursor.backward
    has_previous = more if backward else cursor is not None
    has_next = more if not backward else cursor is not None and cursor.place != OLDEST
    if cursor is not None:
        links.append(Link("first", query_url(url, bare)))
    if has_previous and page:
        add("previous", page[0], backward=True)
    if has_next and page:
        add("next", page[-1])
        add("last", OLDEST, backward=True)
    return links


_AT = re.compile(r"(eq|ge|gt|le|lt)?(.+)", re.DOTALL)
_EVER = (CALENDAR_BEGIN, CALENDAR_END)


def asked_period(values: Sequence[str]) -> tuple[datetime, datetime] | None:
    """The half-open period that the values of `_at` name together; None without any.

    A value lasts as long as its precision says (a day, a minute), in Europe/Paris without an offset. With a prefix it is
    the time from its begin on (`ge`), after it (`gt`), before its end (`le`) or before it (`lt`). BadRequest for an
    unreadable value, and for periods that have no moment in common.
    """
    low, high = _EVER
    for value in values:
        begin, end = _period(value)
        low, high = max(low, begin), min(high, end)
    if not values:
        return None
    if low >= high:
        raise BadRequest(
            f"Les valeurs de _at ({', '.join(values)}) n'ont aucun moment en commun.",
            f"The values of _at ({', '.join(values)}) have no moment in common.",
            code="value",
            expression="http._at",
        )
    return low, high


def _period(at: str) -> tuple[datetime, datetime]:
    match = _AT.fullmatch(at)
    assert match is not None
    try:
        begin, end = parse_interval(match[2])
    except ValueError as error:
        raise BadRequest(
            "_at attend une date ou un instant, seul ou après eq, ge, gt, le ou lt (ge2026-03-29T10:00:00Z) ;"
            f" reçu « {at} ».",
            "_at takes a date or an instant, alone or after eq, ge, gt, le or lt (ge2026-03-29T10:00:00Z);"
            f" got “{at}”.",
            code="value",
            expression="http._at",
        ) from error
    first, last = _EVER
    return {"ge": (begin, last), "gt": (end, last), "le": (first, end), "lt": (first, begin)}.get(
        match[1], (begin, end)
    )


def _refuse_unoffered(request: FhirRequest) -> None:
    """BadRequest for parameters that would narrow or reorder the history: ignoring them would mislead."""
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


def _refuse_unknown(request: FhirRequest) -> None:
    """BadRequest for a parameter that a history does not know, for `Prefer: handling=strict`. A history holds no
    OperationOutcome that could say what was ignored."""
    unknown = next((name for name, _ in request.query if name not in _KNOWN), None)
    if unknown is not None:
        raise BadRequest(
            f"Un historique ne connaît pas le paramètre « {unknown} » ; il connaît _count, _since, _at et _total.",
            f"A history does not know the parameter “{unknown}”; it knows _count, _since, _at and _total.",
            code="not-supported",
            expression=f"http.{unknown}",
        )


def _may_read(request: FhirRequest, resource_type: str) -> bool:
    return request.rights is not None and request.rights.reach(resource_type, "r") is not None


async def _require_seen(
    connection: Connection, request: FhirRequest, store: ResourceStore, id_: str | None
) -> Access:
    """The access to this history. NotFound when the one resource that is asked for never existed, or the caller could
    never see it. Each version is judged by itself, by whose it was."""
    access = request.access(store.resource_type, "r")
    if id_ is not None:
        await require_once_visible(connection, store, access, id_)
    return access


def history_count(query: Pairs) -> int:
    """The entries on a page: `_count`, at least one."""
    return asked_count(query, COUNT_DEFAULT, COUNT_MAX) or 1


def history_entry(stored: Stored, base_url: str, *, again: bool = False) -> Entry:
    """One history entry: request and response say what happened; a deletion has no resource. A resource created under an
    id that is not ours came by PUT. `again`: the version before was a deletion, so that this one is created (201)."""
    created = stored.version == 1
    method = "DELETE" if stored.deleted else "POST" if created and is_of_ours(stored.id) else "PUT"
    status = "204" if stored.deleted else "201" if created or again else "200"
    url = stored.resource_type if method == "POST" else f"{stored.resource_type}/{stored.id}"
    return Entry(
        full_url=f"{base_url}/{stored.resource_type}/{stored.id}",
        resource=stored.content,
        request={"method": method, "url": url},
        response={"status": status, "etag": stored.etag, "lastModified": _as_stored(stored.last_updated)},
    )


def _as_stored(moment: datetime) -> str:
    """An instant no less exact than it is stored: whoever joins histories takes the place in their order from it. Slots
    that a booking changed were once stored in microseconds."""
    return exact_instant(moment) if moment.microsecond % 1000 else instant(moment)

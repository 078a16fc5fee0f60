"""search: by type, by compartment, at system level, and for the conditional interactions (FHIR R4 search.html)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.audit import Event, Touched
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest.declaration import Pairs, ServedType
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.rest.several_types import Part, SeveralTypes, understood
from creneau_shared.fhir.rest.views import view_for
from creneau_shared.fhir.search import page_bytes
from creneau_shared.fhir.search.bundle import Entry, outcome_entry, searchset, write_bundle
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.parameters import SearchParameter
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import Clause, Or, SearchRequest, asked_of
from creneau_shared.fhir.search.sql import AsSeen, Catalog, SearchScope
from creneau_shared.fhir.summary import cut_down
from creneau_shared.security.rights import Access, Rights
from creneau_shared.type_table import COMPARTMENT_PARAMETERS, RECORDED, TYPES

KNOWN_TYPES = frozenset(TYPES)
"""The types of the whole system: what a chain or an include may name, whichever service holds it."""

TRAIL = "AuditEvent"


async def search(service: FhirService, request: FhirRequest, access: Access) -> Answer:
    """GET [type]?… and POST [type]/_search."""
    view = view_for(service.served(access.resource_type).views, request)
    if view is not None:
        access = request.access(view.resource_type, "s")
    wanted = _wanted(service, request, access, request.query if view is None else view.pairs(request))
    scope = scope_of(service, access)
    if view is not None:
        widened, most = view.widen(wanted, request.now), view.matches_max(wanted)
        result = await _run_on(service, request, access, widened, scope, most)
        # Rendered beside the loop: a second's work where there are thousands.
        return Answer(200, await asyncio.to_thread(view.bundle, request, wanted, result))
    result = await _shown(service, access, wanted, await _run(service, request, access, wanted, scope))
    return Answer(200, _bundle(service, request, wanted, result))


async def search_compartment(
    service: FhirService, request: FhirRequest, access: Access, owner: str, id_: str
) -> Answer:
    """GET [compartment]/[id]/[type]?…: the resources of the type that belong to the owner."""
    target = access.resource_type
    wanted = _wanted(service, request, access, request.query)
    member = [
        condition
        for parameter in COMPARTMENT_PARAMETERS[owner][target]
        for condition in parse(service, request, target, [(parameter, f"{owner}/{id_}")]).conditions
    ]
    wanted = replace(wanted, conditions=(*wanted.conditions, Or(tuple(member))))
    found = await _run(service, request, access, wanted, scope_of(service, access))
    result = await _shown(service, access, wanted, found)
    url = f"{service.base_url}/{owner}/{id_}/{target}"
    return Answer(200, _bundle(service, request, wanted, result, url))


async def search_system(service: FhirService, request: FhirRequest) -> Answer:
    """GET [base]?_type=A,B&… and POST [base]/_search: the types one after the other, page by page."""
    asked = SeveralTypes.of(request.query, service.types)

    touched: list[Touched] = []

    async def one(name: str, pairs: Pairs) -> Part:
        access = request.access(name, "s")
        wanted = _wanted(service, request, access, pairs)
        found = await _run(service, request, access, wanted, scope_of(service, access), touched)
        result = await _shown(service, access, wanted, found)
        entries = list(_entries(service, request, result))
        size = sum(len(entry.resource or b"") for entry in entries)
        return Part(entries, len(result.matches), result.total, result.next_cursor, size)

    page = await asked.page(one)
    personal = next((name for name in asked.types if name in RECORDED), "")
    async with service.connection() as connection:
        await service.auditor.record(connection, request, Event("R", personal, touched=tuple(touched)))
    known = understood(asked.types, asked.asked)
    links = asked.links(service.base_url, page, service.shown(request, list(compress(asked.asked, known))))
    return Answer(200, write_bundle("searchset", page.entries, total=page.total, links=links))


def _entries(service: FhirService, request: FhirRequest, result: SearchResult) -> Iterable[Entry]:
    for mode, rows in (("match", result.matches), ("include", result.included)):
        for row in rows:
            yield Entry(f"{service.base_url}/{row.type}/{row.id}", row.content, {"mode": mode})
    outcome = _outcome(result.issues, request.language)
    if outcome is not None:
        yield outcome_entry(outcome)


def _wanted(service: FhirService, request: FhirRequest, access: Access, pairs: Pairs) -> SearchRequest:
    """The typed search, as the type's policy lets this caller have it."""
    policy = service.served(access.resource_type).search_policy
    if policy is None:
        return parse(service, request, access.resource_type, pairs)
    wanted = parse(service, request, access.resource_type, policy.narrow(access, pairs))
    policy.check(access, wanted)
    return wanted


def parse(
    service: FhirService,
    request: FhirRequest,
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    strict: bool | None = None,
    every_spelling: bool = True,
) -> SearchRequest:
    """The typed search that the pairs ask for; `every_spelling`: identifiers in every spelling of their numbers."""
    return parse_search(
        resource_type,
        pairs,
        known_types=KNOWN_TYPES,
        now=request.now,
        strict=request.prefer.strict if strict is None else strict,
        base_url=service.base_url,
        limits=service.types[resource_type].search_limits if resource_type in service.types else None,
        gives_order=partial(_gives_order, _seen_in(service, request, resource_type)),
        every_spelling=every_spelling,
    )


def _seen_in(service: FhirService, request: FhirRequest, resource_type: str) -> AsSeen | None:
    served = service.types.get(resource_type)
    return None if served is None or request.rights is None else _as_seen_of(served, request.rights)


def _gives_order(as_seen: AsSeen | None, parameter: SearchParameter) -> bool:
    """Whether the caller may sort by a parameter: where they would be asked of every row by it."""
    if as_seen is None:
        return True
    seen = as_seen(Clause(parameter, None, ((),)))
    return seen is not None and seen.whole_with is None


def scope_of(service: FhirService, access: Access) -> SearchScope:
    """What the caller may see of each type that a search can reach, the matched one and those it leads to."""
    required = dict(access.rights.required())
    if TRAIL in required:
        # No other type leads into the trail: what may be asked of it is judged only in a search of the trail itself.
        required[TRAIL] = ()
    own = access.required
    if own is None:
        required.pop(access.resource_type, None)
    else:
        required[access.resource_type] = own
    return SearchScope(required, as_seen=_as_seen_by(service, access))


def _as_seen_by(service: FhirService, access: Access) -> Mapping[str, AsSeen]:
    """For each type that the caller sees in part only, how its conditions hold of that part."""
    found = {name: _as_seen_of(served, access.rights) for name, served in service.types.items()}
    return {name: as_seen for name, as_seen in found.items() if as_seen is not None}


def _as_seen_of(served: ServedType, rights: Rights) -> AsSeen | None:
    if served.searched_as_seen is None or (reach := rights.reach(served.name, "s")) is None:
        return None
    return served.searched_as_seen(Access(rights, served.name, "s", reach))


async def _run_on(
    service: FhirService,
    request: FhirRequest,
    access: Access,
    wanted: SearchRequest,
    scope: SearchScope,
    most: int,
) -> SearchResult:
    """The page that is asked for, with the pages after it until there are `most` matches, or as much as an answer joins
    (`page_bytes`): its `next` link leads on then."""
    whole = await _run(service, request, access, wanted, scope)
    while whole.next_cursor is not None and len(whole.matches) < most and _has_room(whole):
        page = await _run(service, request, access, replace(wanted, cursor=whole.next_cursor), scope)
        whole = replace(
            page,
            matches=(*whole.matches, *page.matches),
            included=tuple(dict.fromkeys((*whole.included, *page.included))),
            previous_cursor=whole.previous_cursor,
        )
    return whole


def _has_room(result: SearchResult) -> bool:
    """Whether an answer of these pages takes another one."""
    rows = (*result.matches, *result.included)
    return sum(len(row.content) for row in rows) < page_bytes.WHOLE_BYTES_MAX


async def _run(
    service: FhirService,
    request: FhirRequest,
    access: Access,
    wanted: SearchRequest,
    scope: SearchScope,
    together: list[Touched] | None = None,
) -> SearchResult:
    """Runs the search and leaves its trace; with `together`, adds what it touched there, for a trace of several searches."""
    service.require_asked_rightly(request, wanted.resource_type)
    async with service.connection() as connection:
        catalog = await catalog_for(service, connection, request, access, wanted)
        result = await run_search(connection, catalog, wanted, cursor_codec=service.cursors, scope=scope)
        remarks = service.served(wanted.resource_type).remarks
        if remarks is not None and not result.matches and not wanted.count_only and wanted.cursor is None:
            issues = await remarks(connection, request, wanted)
            result = replace(result, issues=(*result.issues, *issues))
        touched = [
            Touched(row.type, row.id, row.content)
            for row in (*result.matches, *result.included)
            if row.type in RECORDED
        ]
        if together is None:
            event = Event("R", wanted.resource_type, touched=tuple(touched))
            await service.auditor.record(connection, request, event)
        else:
            together += touched
        return await _completed(service, connection, request, wanted, result)


async def _completed(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    wanted: SearchRequest,
    result: SearchResult,
) -> SearchResult:
    """The rows, completed with what this caller is told beside the stored content."""
    rows = [*result.matches, *result.included]
    count = len(result.matches)
    policy = service.served(wanted.resource_type).search_policy
    ready = count if policy is not None and policy.leaves_nothing_to_complete(wanted) else 0
    for name in {row.type for row in rows[ready:]}:
        served = service.types.get(name)
        if served is None or served.completed is None:
            continue
        access = request.access(name, "s")
        completed = served.completion(access)
        if completed is None:
            continue
        places = [place for place, row in enumerate(rows) if row.type == name and place >= ready]
        contents = list(
            await completed(connection, access, request.now, [rows[place].content for place in places])
        )
        for place, content in zip(places, contents, strict=True):
            rows[place] = rows[place]._replace(content=content)
    return replace(result, matches=tuple(rows[:count]), included=tuple(rows[count:]))


async def catalog_for(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    access: Access,
    wanted: SearchRequest,
) -> Catalog:
    """The catalogue to search in. Each type that the search asks something of has the table that its policy gives this
    caller."""
    catalog = service.catalog
    for name in sorted({wanted.resource_type, *(name for name, _ in asked_of(wanted))}):
        policy = service.types[name].search_policy if name in service.types else None
        own = access if name == wanted.resource_type else request.access_if_any(name, "s")
        # What somebody may not search is empty to them, whatever is asked of it (`scope_of`).
        if policy is None or own is None:
            continue
        table = await policy.table(connection, own, request, wanted)
        catalog = catalog if table is None else catalog.with_table(table)
    return catalog


def _bundle(
    service: FhirService,
    request: FhirRequest,
    wanted: SearchRequest,
    result: SearchResult,
    url: str | None = None,
) -> bytes:
    return searchset(
        wanted,
        result,
        base_url=service.base_url,
        search_url=url,
        outcome=_outcome(result.issues, request.language),
        shown=service.shown(request, wanted.used),
    )


def _outcome(issues: Iterable[Issue], language: Language) -> bytes | None:
    found = tuple(issues)
    return dumps(operation_outcome(found, language)) if found else None


async def _shown(
    service: FhirService, access: Access, wanted: SearchRequest, result: SearchResult
) -> SearchResult:
    """The rows as the caller may see them, cut down for `_summary` and `_elements`; a large result in the process beside.

    Included rows are judged by the access to their own types.
    """
    matches = _as_seen(service, {wanted.resource_type: access}, result.matches)
    types = {row.type for row in result.included}
    shown_in_part = {
        name for name in types if name in service.types and service.types[name].shown is not None
    }
    led_to = {name: access.rights.access(name, "s") for name in shown_in_part}
    result = replace(result, included=_as_seen(service, led_to, result.included))
    if not wanted.elements and wanted.summary in ("false", "count"):
        return replace(result, matches=matches)
    rows = [*matches, *result.included]
    contents = [row.content for row in rows]
    if sum(map(len, contents)) >= service.workshop.bytes_min:
        contents = await service.workshop.do("cut", contents, wanted.elements, wanted.summary)
    else:
        contents = [cut_down(content, wanted.elements, wanted.summary) for content in contents]
    cut = tuple(row._replace(content=content) for row, content in zip(rows, contents, strict=True))
    return replace(result, matches=cut[: len(matches)], included=cut[len(matches) :])


def _as_seen(service: FhirService, accesses: Mapping[str, Access], rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows; those of the types in `accesses` as the caller may see them."""
    hidden = {
        name: (access, shown)
        for name, access in accesses.items()
        if (shown := service.types[name].shown) is not None
    }
    if not hidden:
        return rows
    return tuple(
        row._replace(content=hidden[row.type][1](hidden[row.type][0], row.content))
        if row.type in hidden
        else row
        for row in rows
    )

"""search: by type, by compartment, at system level, and for the conditional interactions (FHIR R4 search.html)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Issue
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.several_types import Part, SeveralTypes
from creneau_shared.fhir.rest.views import view_for
from creneau_shared.fhir.search.bundle import Entry, searchset, write_bundle
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.search.sql import Scope
from creneau_shared.fhir.storage.store import ResourceStore
from creneau_shared.fhir.summary import cut_down
from creneau_shared.fhir.type_table import TYPES, compartment_parameters
from creneau_shared.security.audit import PERSONAL, Event, Touched
from creneau_shared.security.rights import Access

if TYPE_CHECKING:
    from creneau_shared.fhir.rest.declaration import Pairs
    from creneau_shared.fhir.rest.server import FhirServer

KNOWN_TYPES = frozenset(TYPES)
"""The types of the whole system: what a chain or an include may name, whichever service holds it."""

TRAIL = "AuditEvent"

COMPARTMENT_PARAMETERS: dict[str, dict[str, tuple[str, ...]]] = {
    owner: dict(compartment_parameters(owner))
    for owner in ("Patient", "RelatedPerson", "Practitioner", "Device")
}


async def search(server: FhirServer, request: FhirRequest, resource_type: str) -> Answer:
    """GET [type]?… and POST [type]/_search."""
    view = view_for(server.served(resource_type).views, request)
    searched = resource_type if view is None else view.resource_type
    access = request.access(searched, "s")
    wanted = _wanted(
        server, request, searched, access, request.query if view is None else view.pairs(request)
    )
    scope = scope_of(access)
    if view is not None:
        result = await _run(server, request, access, view.widen(wanted, request.now), scope)
        return Answer(200, view.bundle(request, wanted, result))
    result = await _shown(server, access, wanted, await _run(server, request, access, wanted, scope))
    return Answer(200, _bundle(server, request, wanted, result))


async def search_compartment(
    server: FhirServer, request: FhirRequest, owner: str, id_: str, target: str
) -> Answer:
    """GET [compartment]/[id]/[type]?…: the resources of `target` that belong to the owner."""
    parameters = COMPARTMENT_PARAMETERS[owner][target]
    wanted = parse(server, request, target, request.query)
    access = request.access(target, "s")
    scope = scope_of(access)
    member = tuple(f"{parameter}={owner}/{id_}" for parameter in parameters)
    found = await _run(server, request, access, wanted, Scope(scope.required, {target: member}))
    result = await _shown(server, access, wanted, found)
    url = f"{server.base_url}/{owner}/{id_}/{target}"
    return Answer(200, _bundle(server, request, wanted, result, url))


async def search_system(server: FhirServer, request: FhirRequest) -> Answer:
    """GET [base]?_type=A,B&… and POST [base]/_search: the types one after the other, page by page."""
    asked = SeveralTypes.of(request.query, server.types)

    touched: list[Touched] = []

    async def one(name: str, pairs: Pairs) -> Part:
        access = request.access(name, "s")
        wanted = _wanted(server, request, name, access, pairs)
        found = await _run(server, request, access, wanted, scope_of(access), touched)
        result = await _shown(server, access, wanted, found)
        entries = list(_entries(server, request, result))
        return Part(entries, len(result.matches), result.total, result.next_cursor)

    page = await asked.page(one)
    personal = next((name for name in asked.types if name in PERSONAL), "")
    async with server.connection() as connection:
        await server.auditor.record(connection, request, Event("R", personal, touched=tuple(touched)))
    links = asked.links(server.base_url, page, server.shown(request, asked.asked))
    return Answer(200, write_bundle("searchset", page.entries, total=page.total, links=links))


def _entries(server: FhirServer, request: FhirRequest, result: SearchResult) -> Iterable[Entry]:
    for mode, rows in (("match", result.matches), ("include", result.included)):
        for row in rows:
            yield Entry(f"{server.base_url}/{row.type}/{row.id}", row.content, {"mode": mode})
    outcome = _outcome(result.issues, request.language)
    if outcome is not None:
        yield Entry(resource=outcome, search={"mode": "outcome"})


def _wanted(
    server: FhirServer, request: FhirRequest, resource_type: str, access: Access, pairs: Pairs
) -> SearchRequest:
    """The typed search, as the type's policy lets this caller have it."""
    policy = server.served(resource_type).search_policy
    if policy is None:
        return parse(server, request, resource_type, pairs)
    wanted = parse(server, request, resource_type, policy.narrow(access, pairs))
    policy.check(access, wanted)
    return wanted


async def matching_ids(
    server: FhirServer,
    connection: Connection,
    request: FhirRequest,
    store: ResourceStore,
    query: str | Sequence[tuple[str, str]],
    most: int,
) -> list[str]:
    """The ids, at most `most`, of what a conditional interaction designates, within what the caller may see.

    A condition must be understood whole: an unknown parameter is an error, not a wider match.
    """
    pairs = parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else list(query)
    pairs = [(name, value) for name, value in pairs if name not in ("_format", "_pretty")]
    if not any(value for _, value in pairs):
        raise BadRequest(
            "Une interaction conditionnelle a besoin d'au moins un critère de recherche.",
            "A conditional interaction needs at least one search criterion.",
            code="required",
        )
    wanted = parse(server, request, store.resource_type, pairs, strict=True)
    # Regulators' accounts bear the same national numbers as the entries of the same people in the directory.
    reading = request.principal.role != "regulator"
    scope = scope_of(request.access(store.resource_type, "s" if reading else "u"))
    wanted = replace(wanted, count=most, total="none", includes=(), sort=())
    result = await run_search(connection, server.catalog, wanted, cursor_codec=server.cursors, scope=scope)
    return [row.id for row in result.matches]


def parse(
    server: FhirServer,
    request: FhirRequest,
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    strict: bool | None = None,
) -> SearchRequest:
    """The typed search that the pairs ask for."""
    return parse_search(
        resource_type,
        pairs,
        known_types=KNOWN_TYPES,
        now=request.now,
        strict=request.prefer.strict if strict is None else strict,
        base_url=server.base_url,
    )


def scope_of(access: Access) -> Scope:
    """What the caller may see of each type that a search can reach, the matched one and those it leads to."""
    required = dict(access.rights.required())
    if TRAIL in required:
        # Nobody is led into the trail by another type: what one may ask of it is judged where it is asked for itself.
        required[TRAIL] = ()
    own = access.required
    if own is None:
        required.pop(access.resource_type, None)
    else:
        required[access.resource_type] = own
    return Scope(required)


async def _run(
    server: FhirServer,
    request: FhirRequest,
    access: Access,
    wanted: SearchRequest,
    scope: Scope,
    together: list[Touched] | None = None,
) -> SearchResult:
    """The result, its trace left; with `together`, what it touched is added there for a trace of several searches."""
    async with server.connection() as connection:
        result = await run_search(
            connection, server.catalog, wanted, cursor_codec=server.cursors, scope=scope
        )
        touched = [
            Touched(row.type, row.id, row.content)
            for row in (*result.matches, *result.included)
            if row.type in PERSONAL
        ]
        if together is None:
            event = Event("R", wanted.resource_type, touched=tuple(touched))
            await server.auditor.record(connection, request, event)
        else:
            together += touched
    return result


def _bundle(
    server: FhirServer,
    request: FhirRequest,
    wanted: SearchRequest,
    result: SearchResult,
    url: str | None = None,
) -> bytes:
    return searchset(
        wanted,
        result,
        base_url=server.base_url,
        search_url=url,
        outcome=_outcome(result.issues, request.language),
        shown=server.shown(request, wanted.used),
    )


def _outcome(issues: Iterable[Issue], language: Language) -> bytes | None:
    found = tuple(issues)
    return dumps(operation_outcome(found, language)) if found else None


async def _shown(
    server: FhirServer, access: Access, wanted: SearchRequest, result: SearchResult
) -> SearchResult:
    """The rows as the caller may see them, cut down for `_summary` and `_elements`: many in the process beside.

    A type that is not shown whole comes as a match only (`scope_of`).
    """
    matches, shown = result.matches, server.types[wanted.resource_type].shown
    if shown is not None:
        matches = tuple(row._replace(content=shown(access, row.content)) for row in matches)
    if not wanted.elements and wanted.summary in ("false", "count"):
        return replace(result, matches=matches)
    rows = [*matches, *result.included]
    contents = [row.content for row in rows]
    if sum(map(len, contents)) >= server.workshop.bytes_min:
        contents = await server.workshop.do("cut", contents, wanted.elements, wanted.summary)
    else:
        contents = [cut_down(content, wanted.elements, wanted.summary) for content in contents]
    cut = tuple(row._replace(content=content) for row, content in zip(rows, contents, strict=True))
    return replace(result, matches=cut[: len(matches)], included=cut[len(matches) :])

"""`Slot/$soonest`: the first free slot of each agenda that fits, soonest or nearest first, with its agenda, professional and
place. `per-agenda` asks for the slots after the first, too.

No guide has this operation; its parameters are named as those of `Appointment/$find` and of the directory's searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from creneau_booking.operations.finding.agenda_remarks import remark, remarks_on
from creneau_booking.operations.finding.consumers import consumer_for, named_patients
from creneau_booking.operations.finding.find_query import PATIENTS
from creneau_booking.operations.finding.soonest_query import (
    CURSORS,
    KNOWN,
    count_of,
    identifiers_of,
    included_by,
    pairs_of,
    sought,
)
from creneau_booking.operations.references import with_literal
from creneau_booking.operations.unknown_names import refuse_if_strict, unknown_names
from creneau_booking.storage.finding.soonest.conditions import Sought
from creneau_booking.storage.finding.soonest.heads import First
from creneau_booking.storage.finding.soonest.search import Soonest, SoonestSearch
from creneau_booking.storage.logical import identified
from creneau_booking.storage.slots.table import SlotTable
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Issue
from creneau_shared.fhir.audit import Event
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.search.bundle import Entry, Link, near_search, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.cursor import Cursor, query_digest
from creneau_shared.fhir.search.includes import Found, Includer, Row
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import Include, Limits
from creneau_shared.fhir.search.sql import RowPlace
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_id
from creneau_shared.security.access import Access

COUNT_DEFAULT = 20
COUNT_MAX = 100
PER_AGENDA_MAX = 24
STATES_TOLD_MAX = 30
"""If a call names more actors than this, no remark says why one of them has no free slot"""
CODE = "string"

Facets = tuple[int | None, dict[str, dict[str, int]]]
"""Number of agendas that fit, and number of those that have each code of each facet"""

DEFINITION = operation_definition(
    "soonest",
    "Find the first free slot of each agenda",
    "The first free slot of each agenda that fits and that the caller could book, in the order of time or of distance, "
    "with the agendas and those whom they name; counts of what fits.",
    [
        parameter("specialty", CODE, maximum="*"),
        parameter("service-type", CODE, maximum="*"),
        parameter("visit-type", CODE, maximum="*"),
        parameter("near", "string"),
        parameter("place", "string", maximum="*"),
        parameter("practitioner", "string", maximum="*"),
        parameter("practitioner-role", "string", maximum="*"),
        parameter("healthcare-service", "string", maximum="*"),
        parameter("organization", "string", maximum="*"),
        parameter("schedule", "string", maximum="*"),
        parameter("mode", "code", maximum="*"),
        parameter("language", CODE, maximum="*"),
        parameter("sector", CODE, maximum="*"),
        parameter("accessibility", CODE, maximum="*"),
        parameter("new-patient", "boolean"),
        parameter("after", "dateTime"),
        parameter("before", "dateTime"),
        parameter("days", "string", maximum="*"),
        parameter("times", "code", maximum="*"),
        parameter("sort", "code"),
        parameter("facets", "boolean"),
        parameter("patient-reference", "string", maximum="*"),
        parameter("patient-resource", "Patient"),
        parameter("per-agenda", "positiveInt"),
        parameter("_include", "string", maximum="*"),
        parameter("_count", "integer"),
        parameter("cursor", "string"),
        parameter("return", "Bundle", use="out", minimum=1),
    ],
    affects_state=False,
    resources=["Slot"],
)

INCLUDES = {
    f"{source}:{name}": Include(source, (parameters_of(source)[name],), iterate=source != "Slot")
    for source, name in (
        ("Slot", "schedule"),
        ("Schedule", "actor"),
        ("PractitionerRole", "practitioner"),
        ("PractitionerRole", "location"),
    )
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call's input, read."""

    given: OperationInput
    pairs: Sequence[tuple[str, str]]
    count: int
    per_agenda: int
    includes: tuple[Include, ...]
    after: tuple[Any, ...] | None
    """Place of the last slot on the page before"""
    counted: int | None
    """Number of agendas that fit, as the first page counted"""
    digest: bytes

    @classmethod
    def of(cls, call: OperationCall, given: OperationInput) -> _Asked:
        """Reads `given`, the input with its patients by reference. Raises BadRequest if a value cannot be read, or if the
        cursor belongs to another search."""
        pairs = pairs_of(given)
        count = count_of(given, "_count", COUNT_DEFAULT, COUNT_MAX)
        per_agenda = count_of(given, "per-agenda", 1, PER_AGENDA_MAX)
        named = included_by(given, INCLUDES)
        includes = tuple(include for name, include in INCLUDES.items() if name in named)
        digest = query_digest("Slot/$soonest", pairs)
        after, counted = None, None
        if text := given.first(*CURSORS):
            cursor = call.service.cursors.decode(str(text), digest)
            after, counted = (cursor.place.values[0], cursor.place.values[1]), cursor.total
        return cls(given, pairs, count, per_agenda, includes, after, counted, digest)

    @property
    def is_first_page(self) -> bool:
        return self.after is None

    @property
    def with_facets(self) -> bool:
        return self.is_first_page and self.given.flag("facets") is not False


@dataclass(frozen=True, slots=True)
class _Looked:
    """The result of a search."""

    page: Soonest
    total: int | None
    included: tuple[Row, ...]
    facets: Facets | None
    issues: tuple[Issue, ...]
    by_distance: bool


class SoonestOperation:
    """`$soonest` over the index of first free starts."""

    def __init__(self, *, per_agenda_max: int, read_max: int) -> None:
        self._per_agenda_max = per_agenda_max
        self._read_max = read_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Searches the first slots, and answers a page of them."""
        request = call.request
        access = request.access("Slot", "s")
        sent = OperationInput.of(call)
        refuse_if_strict(request, sent, KNOWN, "$soonest")
        async with call.service.connection() as connection:
            asked = _Asked.of(call, await with_literal(connection, request, sent, PATIENTS, strict=False))
            looked = await self._look(connection, call, access, asked)
        return _page_of(call, asked, looked)

    async def _look(
        self, connection: Connection, call: OperationCall, access: Access, asked: _Asked
    ) -> _Looked:
        request, service, given = call.request, call.service, asked.given
        logical = await identified(connection, identifiers_of(given))
        wanted = sought(given, request.now, service.base_url, logical)
        consumer = await consumer_for(
            connection, access, given, request.now, per_agenda_max=self._per_agenda_max
        )
        if consumer is not None and given.flag("new-patient"):
            consumer = replace(consumer, is_new=True)
        free = [("status", "free"), *([("bookable", "true")] if consumer is not None else [])]
        conditions = searching.parse(service, request, "Slot", free, strict=True).conditions
        catalog = service.catalog.with_table(SlotTable(service.clock, consumer=consumer))
        scope = searching.scope_of(service, access)
        search = SoonestSearch(
            connection,
            catalog,
            scope,
            conditions,
            consumer,
            wanted,
            now=request.now,
            read_max=self._read_max,
            counting=asked.with_facets,
        )
        page = await search.page(asked.count, asked.after)
        further = await search.following(page.found, asked.per_agenda) if asked.per_agenda > 1 else []
        includer = Includer(catalog, scope, asked.includes, Limits())
        included = await includer.follow(connection, [_followed(one) for one in page.found])
        is_whole = asked.is_first_page and not page.more
        states = await _states(connection, wanted, page, request.now) if is_whole else []
        judged = named_patients(given) & (access.patient_ids or frozenset())
        if judged:  # the practices' rules read the age and appointments of these patients
            await service.auditor.record(connection, request, Event("E", "Slot", patients=judged))
        matches = {one.row.id for one in page.found}
        return _Looked(
            page,
            page.total if asked.counted is None else asked.counted,
            (*(one.row for one in further if one.row.id not in matches), *included),
            search.facets() if asked.with_facets else None,
            (*unknown_names(given, KNOWN, "$soonest"), *_remarks(page), *states, *includer.issues),
            wanted.by_distance,
        )


def _page_of(call: OperationCall, asked: _Asked, looked: _Looked) -> Answer:
    """Returns 200 with the searchset and the link to the next page."""
    service, request = call.service, call.request
    entries = [_match(service.base_url, one) for one in looked.page.found]
    entries += [
        Entry(f"{service.base_url}/{row.type}/{row.id}", row.content, {"mode": "include"})
        for row in looked.included
    ]
    if looked.issues:
        entries.append(outcome_entry(dumps(operation_outcome(looked.issues, request.language))))
    if looked.facets is not None:
        entries.append(Entry(f"urn:uuid:{new_id()}", dumps(_facets(*looked.facets)), {"mode": "outcome"}))
    url, shown = f"{service.base_url}/Slot/$soonest", service.shown(request, asked.pairs)
    own = [*shown, *((CURSOR_PARAMETER, str(text)) for text in asked.given.all(*CURSORS)[:1])]
    links = [Link("self", query_url(url, own))]
    if looked.page.more:
        last = looked.page.found[-1].place(by_distance=looked.by_distance)
        place = service.cursors.encode(Cursor(RowPlace(last), looked.total), asked.digest)
        links.append(Link("next", query_url(url, [*shown, (CURSOR_PARAMETER, place)])))
    return Answer(200, write_bundle("searchset", entries, total=looked.total, links=links))


async def _states(connection: Connection, wanted: Sought, page: Soonest, now: datetime) -> list[Issue]:
    """Explains why named actors have no free slot, or, if the call names nobody, why there is none at all."""
    references = [reference for group in wanted.named for reference in group]
    if len(references) > STATES_TOLD_MAX or (page.found and len(references) < 2):
        return []
    if not references:
        named = bool(wanted.named)
        return [] if page.found else [remark("agenda-not-connected" if named else "no-free-slot")]
    return await remarks_on(connection, references, frozenset(one.schedule for one in page.found), now)


def _followed(one: First) -> Found:
    return Found(one.row, [f"schedule=Schedule/{one.agenda}"])


def _match(base_url: str, one: First) -> Entry:
    distance = one.row.distance_m
    said = {"mode": "match"} if distance is None else near_search("match", distance)
    return Entry(f"{base_url}/Slot/{one.row.id}", one.row.content, said)


def _remarks(page: Soonest) -> list[Issue]:
    if not page.cut:
        return []
    return [
        Issue(
            "incomplete",
            "Trop d'agendas conviennent pour les parcourir tous ; précisez la recherche pour être sûr d'avoir les premiers.",
            "Too many agendas fit to look through all of them; narrow the search to be sure of the first ones.",
            severity="information",
            details_code="not-all-looked-through",
        )
    ]


def _facets(agendas: int | None, counts: dict[str, dict[str, int]]) -> Resource:
    """Returns Parameters: the number of fitting agendas with a free slot, and that number for each code of each facet."""
    parts: list[Resource] = []
    if agendas is not None:
        parts.append({"name": "agendas", "valueInteger": agendas})
    for name in sorted(counts):
        codes = sorted(counts[name].items(), key=lambda pair: (-pair[1], pair[0]))
        parts.append(
            {
                "name": name,
                "part": [{"name": code, "valueInteger": number} for code, number in codes],
            }
        )
    return {"resourceType": "Parameters", "id": "facets", **({"parameter": parts} if parts else {})}

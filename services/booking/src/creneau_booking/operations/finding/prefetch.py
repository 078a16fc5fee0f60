"""`Slot/$prefetch`: the free slots of a period, for callers who fetch them all beforehand (Argonaut's use case 3).

It is called as `$find` is for one visit with one agenda, and answers the slots themselves, page by page. `$bulk-publish`
has the free slots of all agendas as files.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from creneau_booking.domain.times import require_in_reach
from creneau_booking.operations.finding.agenda_remarks import remark
from creneau_booking.operations.finding.consumers import consumer_for, named_patients
from creneau_booking.operations.finding.find import moment_of, require_window
from creneau_booking.operations.finding.find_query import ACTORS, PATIENTS, times
from creneau_booking.operations.finding.named_agendas import of_those_named
from creneau_booking.operations.finding.services import conditions_of
from creneau_booking.operations.finding.soonest_query import CURSORS, count_of, pairs_of
from creneau_booking.operations.references import with_literal
from creneau_booking.operations.unknown_names import refuse_if_strict, unknown_names
from creneau_booking.storage.slots.table import SlotTable, to_come
from creneau_shared.clock import PARIS
from creneau_shared.fhir.audit import Event
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, known_names
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.request import Limits

COUNT_DEFAULT, COUNT_MAX = 200, 1_000
TOTAL_MAX = 10_000
"""Slots are counted up to this number; beyond it the answer has no total"""

DEFINITION = operation_definition(
    "prefetch",
    "Fetch free slots beforehand",
    "The free slots between start and end that the caller could book, by whom, where and for what; without start from now "
    "on, without end as far as one call looks.",
    [
        parameter("start", "dateTime"),
        parameter("end", "dateTime"),
        parameter("practitioner", "Reference", maximum="*"),
        parameter("practitioner-role", "Reference", maximum="*"),
        parameter("organization", "Reference", maximum="*"),
        parameter("location-reference", "Reference", maximum="*"),
        parameter("location-string", "string", maximum="*"),
        parameter("service-type-reference", "Reference", maximum="*"),
        parameter("device", "Reference", maximum="*"),
        parameter("schedule", "Reference", maximum="*"),
        parameter("specialty", "CodeableConcept", maximum="*"),
        parameter("visit-type", "CodeableConcept", maximum="*"),
        parameter("service-type", "CodeableConcept", maximum="*"),
        parameter("patient-reference", "Reference", maximum="*"),
        parameter("patient-resource", "Patient"),
        parameter("_count", "integer"),
        parameter("cursor", "string"),
        parameter("return", "Bundle", use="out", minimum=1),
    ],
    affects_state=False,
    base="http://fhir.org/guides/argonaut-scheduling/OperationDefinition/slot-prefetch",
    resources=["Slot"],
)
KNOWN = known_names(DEFINITION, *(name for names in ACTORS for name in names), *PATIENTS, *CURSORS)


class PrefetchOperation:
    """`$prefetch` over the slots of this service."""

    def __init__(self, window_days_max: int, per_agenda_max: int) -> None:
        self._window_days_max = window_days_max
        self._per_agenda_max = per_agenda_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Answers a page of the free slots."""
        request, service = call.request, call.service
        given = OperationInput.of(call)
        refuse_if_strict(request, given, KNOWN, "$prefetch")
        access = request.access("Slot", "s")
        start, end = self._window(given, request.now)
        pairs = times(start, end)
        own_cursor = str(given.first(*CURSORS) or "")
        if own_cursor:
            pairs.append((CURSOR_PARAMETER, own_cursor))
        async with service.connection() as connection:
            given = await with_literal(connection, request, given, PATIENTS, strict=False)
            consumer = await consumer_for(
                connection, access, given, request.now, per_agenda_max=self._per_agenda_max
            )
            if consumer is not None:
                pairs.append(("bookable", "true"))
            wanted = searching.parse(service, request, "Slot", pairs, strict=True)
            conditions = (
                *await of_those_named(connection, given),
                *await conditions_of(connection, service, request, given),
            )
            wanted = replace(
                wanted,
                used=(*wanted.used, *pairs_of(given)),
                conditions=(*wanted.conditions, to_come(request.now), *conditions),
                count=count_of(given, "_count", COUNT_DEFAULT, COUNT_MAX),
                limits=Limits(total_counted_max=TOTAL_MAX),
            )
            catalog = service.catalog.with_table(SlotTable(consumer=consumer))
            result = await run_search(
                connection,
                catalog,
                wanted,
                cursor_codec=service.cursors,
                scope=searching.scope_of(service, access),
            )
            judged = named_patients(given) & (access.patient_ids or frozenset())
            if judged:  # the practices' rules read the age and appointments of these patients
                await service.auditor.record(connection, request, Event("E", "Slot", patients=judged))
        entries = [
            Entry(f"{service.base_url}/Slot/{row.id}", row.content, {"mode": "match"})
            for row in result.matches
        ]
        issues = unknown_names(given, KNOWN, "$prefetch")
        if not result.matches:
            issues.append(remark("no-free-slot"))
        if issues:
            entries.append(outcome_entry(dumps(operation_outcome(issues, request.language))))
        url, shown = f"{service.base_url}/Slot/$prefetch", service.shown(request, pairs_of(given))
        links = [
            Link("self", query_url(url, [*shown, *([(CURSOR_PARAMETER, own_cursor)] if own_cursor else [])]))
        ]
        if result.next_cursor is not None:
            links.append(Link("next", query_url(url, [*shown, (CURSOR_PARAMETER, result.next_cursor)])))
        return Answer(200, write_bundle("searchset", entries, total=result.total, links=links))

    def _window(self, given: OperationInput, now: datetime) -> tuple[datetime, datetime]:
        start = moment_of(given, "start", "$prefetch")[0] if given.first("start") else now
        if given.first("end"):
            end = moment_of(given, "end", "$prefetch")[1]
        else:
            require_in_reach("Slot", "start", start)
            end = start.astimezone(PARIS) + timedelta(days=self._window_days_max)
        require_window(start, end, self._window_days_max)
        return start, end

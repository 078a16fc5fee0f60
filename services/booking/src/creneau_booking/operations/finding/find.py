"""`Appointment/$find`: free appointments that fit, as proposals (IHE ITI-115; Argonaut; Medplum's spellings too).

A proposal is not stored: its id says which slot it stands for, so that `$hold` and `$book` take it by reference.
AND between kinds of actor, OR within a kind. A slot whose time is held or taken through another agenda is not proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from creneau_booking.domain.joint import Series, Together
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.times import require_in_reach
from creneau_booking.operations.finding.agenda_remarks import remark, remarks_on
from creneau_booking.operations.finding.consumers import consumer_for, named_patients
from creneau_booking.operations.finding.find_query import (
    ACTORS,
    PATIENTS,
    SERVICE,
    all_required,
    identifier_of,
    named_in,
    series_of,
    times,
    times_of,
)
from creneau_booking.operations.finding.find_together import Common, TogetherSearch, proposal_of, with_series
from creneau_booking.operations.finding.named_agendas import meant_by, of_those_named
from creneau_booking.operations.finding.services import conditions_of
from creneau_booking.operations.finding.soonest_query import CURSORS, pairs_of
from creneau_booking.operations.references import id_of, with_literal
from creneau_booking.operations.unknown_names import refuse_if_strict, unknown_names
from creneau_booking.storage.agendas.joint import visits_of, zones_of
from creneau_booking.storage.agendas.slots_of_agendas import actors_of_schedules
from creneau_booking.storage.finding.candidates import Period
from creneau_booking.storage.mapping.slot import last_part
from creneau_booking.storage.slots.table import SlotTable, to_come
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Issue, Unprocessable
from creneau_shared.fhir.audit import Event
from creneau_shared.fhir.datatypes import exact_instant, parse_interval, whole_number
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, known_names, parameter_named
from creneau_shared.fhir.rest.reading import ID
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.cursor import Cursor, query_digest
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.parse import CURSOR_PARAMETER
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.search.sql import Catalog, RowPlace
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import Access

PROPOSAL_PREFIX = "proposal."
COUNT_DEFAULT = 20
COUNT_MAX = 500
REMARKS_MAX = 10
"""Actors for whom one answer says why nothing is proposed"""
TOTAL_MAX = 5_000
"""Slots are counted up to this number. Beyond it, or if the count would cost too much, the total is the number counted so
far, and the answer says “at least”."""

DEFINITION = operation_definition(
    "find",
    "Find free appointments",
    "Proposals of appointments that are free between start and end, by whom, where and for what.",
    [
        parameter("start", "dateTime", minimum=1),
        parameter("end", "dateTime", minimum=1),
        parameter("practitioner", "Reference", maximum="*"),
        parameter("organization", "Reference", maximum="*"),
        parameter("location-reference", "Reference", maximum="*"),
        parameter("location-string", "string", maximum="*"),
        parameter("specialty", "CodeableConcept", maximum="*"),
        parameter("visit-type", "CodeableConcept", maximum="*"),
        parameter("service-type", "CodeableConcept", maximum="*"),
        parameter("service-type-reference", "Reference", maximum="*"),
        parameter("practitioner-role", "Reference", maximum="*"),
        parameter("device", "Reference", maximum="*"),
        parameter("schedule", "Reference", maximum="*"),
        parameter("all-required", "boolean"),
        parameter("patient-reference", "Reference", maximum="*"),
        parameter("patient-resource", "Patient", maximum="*"),
        parameter("ignore-appointment", "Reference"),
        parameter("occurrence-count", "integer"),
        parameter("occurrence-interval", "integer"),
        parameter("timing", "Timing"),
        parameter("reason", "CodeableConcept", maximum="*"),
        parameter("referral-identifier", "Identifier"),
        parameter("insurance-reference", "Reference", maximum="*"),
        parameter("coverage", "Coverage", maximum="*"),
        parameter("_count", "integer"),
        parameter("cursor", "string"),
        parameter("return", "Bundle", use="out", minimum=1),
    ],
    affects_state=False,
    resources=["Appointment"],
    base="http://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-find",
)


KNOWN = known_names(
    DEFINITION, *(name for names in ACTORS for name in names), *PATIENTS, "week-interval", "joint", *CURSORS
)


LOOKED_AT = (*PATIENTS, "ignore-appointment")
"""Parameters that say whose visits count; an identifier that names nobody visible to the caller counts as none"""


class FindOperation:
    """`$find` over the slots of this service."""

    def __init__(self, window_days_max: int, per_agenda_max: int, gathered_max: int) -> None:
        self._window_days_max = window_days_max
        self._per_agenda_max = per_agenda_max
        self._gathered_max = gathered_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Searches the free slots that could be booked, and proposes them."""
        request, service = call.request, call.service
        given = OperationInput.of(call)
        refuse_if_strict(request, given, KNOWN, "$find")
        start, end = self._window(given)
        asked = _Asked(
            call,
            given,
            access=request.access("Slot", "s"),
            start=start,
            end=end,
            count=_count(given),
            series=series_of(given),
            all_required=all_required(given),
        )
        others = [service.catalog.table(name) for name in service.catalog.types if name != "Slot"]
        async with service.connection() as connection:
            given = await with_literal(connection, request, given, LOOKED_AT, strict=False)
            asked = replace(asked, given=given)
            _require_one_patient(asked)
            ignored = await _ignored(connection, call, given)
            consumer = await consumer_for(
                connection,
                asked.access,
                given,
                request.now,
                per_agenda_max=self._per_agenda_max,
                besides=ignored,
            )
            catalog = Catalog([SlotTable(consumer=consumer, besides=ignored, times=times_of(given)), *others])
            seen = await _seen_by_practice(connection, asked)
            visits = (
                await visits_of(connection, sorted(seen), start, end, besides=ignored or "") if seen else None
            )
            if visits is not None or asked.needs_several():
                page = await self._together(connection, asked, catalog, visits or [])
            else:
                page = await self._slots(connection, asked, catalog)
            remarks = [*unknown_names(given, KNOWN, "$find")]
            if asked.count and not page.proposals:
                remarks += await _why_nothing(connection, asked)
            # Age and appointments of these patients were read: for the practices' rules, or to see when they are elsewhere.
            judged = seen | (named_patients(given) & (asked.access.patient_ids or frozenset()))
            if judged:
                await service.auditor.record(connection, request, Event("E", "Appointment", patients=judged))
        return _answer(asked, page, remarks)

    async def _slots(self, connection: Connection, asked: _Asked, catalog: Catalog) -> _Page:
        """Proposes each slot alone, for calls that one agenda answers."""
        request, service = asked.call.request, asked.call.service
        pairs = times(asked.start, asked.end)
        if asked.access.by_patient:
            pairs.append(("bookable", "true"))
        if asked.cursor:
            pairs.append((CURSOR_PARAMETER, asked.cursor))
        wanted = searching.parse(service, request, "Slot", pairs, strict=True)
        conditions = (
            *await of_those_named(connection, asked.given),
            *await conditions_of(connection, service, request, asked.given),
        )
        wanted = replace(
            wanted,
            conditions=(*wanted.conditions, to_come(request.now), *conditions),
            used=(*wanted.used, *pairs_of(asked.given)),
            count=asked.count,
            limits=Limits(total_counted_max=TOTAL_MAX),
            at_least=True,
        )
        scope = searching.scope_of(service, asked.access)
        result = await run_search(connection, catalog, wanted, cursor_codec=service.cursors, scope=scope)
        slots = [loads(row.content) for row in result.matches]
        schedules = [last_part(slot["schedule"]) for slot in slots]
        actors = await actors_of_schedules(connection, schedules)
        proposals = [
            _proposal(slot, actors.get(schedule, ()), asked.patients)
            for slot, schedule in zip(slots, schedules, strict=True)
        ]
        return _Page(
            [[proposal] for proposal in proposals],
            result.at_least if result.total is None else result.total,
            result.next_cursor,
            whole=result.total is not None,
        )

    async def _together(
        self, connection: Connection, asked: _Asked, catalog: Catalog, elsewhere: Sequence[Period]
    ) -> _Page:
        """Proposes common times of several agendas, agendas in the order of preference, or series of visits."""
        request, service = asked.call.request, asked.call.service
        search = TogetherSearch(
            asked.call,
            connection,
            catalog,
            searching.scope_of(service, asked.access),
            asked.given,
            conditions=(
                *await conditions_of(connection, service, request, asked.given),
                to_come(request.now),
            ),
            all_required=asked.all_required,
            bookable=asked.access.by_patient,
            gathered_max=self._gathered_max,
        )
        common = await search.run(asked.start, asked.end, asked.series, elsewhere)
        digest = query_digest("Appointment/$find", pairs_of(asked.given))
        found = common.found
        if asked.cursor:
            place = _place(service.cursors.decode(asked.cursor, digest))
            found = [
                visits for visits in found if (visits[0].start, visits[0].ranks, visits[0].slots) > place
            ]
        shown = found[: asked.count]
        cursor = None
        if shown and len(found) > len(shown):
            last = shown[-1][0]
            said = dumps([list(last.ranks), list(last.slots)]).decode()
            cursor = service.cursors.encode(Cursor(RowPlace((last.start, said))), digest)
        zones = (
            await zones_of(connection, sorted({visits[0].agendas[0] for visits in shown}))
            if asked.series
            else {}
        )
        proposals = []
        for visits in shown:
            told = [self._proposed(one, common, asked.patients) for one in visits]
            if asked.series is not None:
                told = with_series(told, asked.series, zones[visits[0].agendas[0]])
            proposals.append(told)
        return _Page(proposals, len(common.found), cursor, whole=not common.cut)

    @staticmethod
    def _proposed(one: Together, common: Common, patients: Sequence[Resource]) -> Resource:
        if len(one.slots) == 1:
            (id_,) = one.slots
            period = {"start": exact_instant(one.start), "end": exact_instant(one.end)}
            slot = {**common.said[id_], "id": id_, **period}
            return _proposal(slot, common.actors.get(one.agendas[0], ()), patients)
        return proposal_of(one, common, patients)

    def _window(self, given: OperationInput) -> tuple[datetime, datetime]:
        start, end = (moment_of(given, name, "$find") for name in ("start", "end"))
        require_window(start[0], end[1], self._window_days_max)
        return start[0], end[1]


@dataclass(frozen=True)
class _Asked:
    """A call's input, read."""

    call: OperationCall
    given: OperationInput
    access: Access
    start: datetime
    end: datetime
    count: int
    series: Series | None
    all_required: bool

    @property
    def cursor(self) -> str:
        return str(self.given.first(*CURSORS) or "")

    @property
    def patients(self) -> list[Resource]:
        return self.given.references(*PATIENTS)

    def needs_several(self) -> bool:
        """Whether the call wants agendas together, agendas in an order of preference, or a series of visits."""
        named = [one for one in named_in(self.given) if one.kind != SERVICE]
        return self.series is not None or len(named) > 1 or any(len(one.references) > 1 for one in named)


@dataclass(frozen=True)
class _Page:
    """Proposals, each with the later visits of its series. `total` is their number; if not `whole`, a lower bound."""

    proposals: list[list[Resource]]
    total: int
    cursor: str | None
    whole: bool


def _answer(asked: _Asked, page: _Page, remarks: Sequence[Issue]) -> Answer:
    request, service = asked.call.request, asked.call.service
    entries = [
        Entry(
            f"{service.base_url}/Appointment/{visit['id']}",
            dumps(visit),
            {"mode": "include" if number else "match"},
        )
        for visits in page.proposals
        for number, visit in enumerate(visits)
    ]
    issues = list(remarks)
    if page.cursor is not None:
        issues.append(_more(page))
    if issues:
        entries.append(outcome_entry(dumps(operation_outcome(issues, request.language))))
    url, pairs = f"{service.base_url}/Appointment/$find", service.shown(request, pairs_of(asked.given))
    links = [
        Link("self", query_url(url, [*pairs, *([(CURSOR_PARAMETER, asked.cursor)] if asked.cursor else [])]))
    ]
    if page.cursor is not None:
        links.append(Link("next", query_url(url, [*pairs, (CURSOR_PARAMETER, page.cursor)])))
    return Answer(200, write_bundle("searchset", entries, total=page.total, links=links))


def _place(cursor: Cursor) -> tuple[datetime, tuple[int, ...], tuple[str, ...]]:
    start, said = cursor.place.values
    ranks, slots = orjson.loads(said)
    return start, tuple(ranks), tuple(slots)


def _require_one_patient(asked: _Asked) -> None:
    """Raises Unprocessable if a consumer names several patients: what would be proposed for them they could not book."""
    named = {id_of(reference) or identifier_of(reference) for reference in asked.patients}
    if asked.access.by_patient and len(named) > 1:
        raise Unprocessable(
            "Un rendez-vous se prend pour une personne : n'en nommez qu'une. Un cabinet en trouve pour plusieurs ensemble.",
            "An appointment is for one person: name only one. A practice finds some for several together.",
            expression=parameter_named("patient-reference"),
            details_code="one-patient",
        )


async def _why_nothing(connection: Connection, asked: _Asked) -> list[Issue]:
    """Returns why nothing is proposed, for the first REMARKS_MAX named actors."""
    named = [one for one in named_in(asked.given) if one.kind != "Device"]
    references = [r for _, those in await meant_by(connection, named) for some in those for r in some]
    if not references:
        return [remark("agenda-not-connected" if named else "no-free-slot")]
    return await remarks_on(connection, references[:REMARKS_MAX], frozenset(), asked.call.request.now)


async def _seen_by_practice(connection: Connection, asked: _Asked) -> frozenset[str]:
    """Returns the ids of the patients whom a practice names and may see, so that times at which they are elsewhere are left
    out. Empty if a patient searches for themselves: the booking rules know their visits."""
    ids, rights = named_patients(asked.given), asked.call.request.rights
    if asked.access.by_patient or rights is None or rights.reach("Patient", "r") is None:
        return frozenset()
    required = rights.access("Patient", "r").required
    store = asked.call.service.served("Patient").store
    return frozenset(
        [
            id_
            for id_ in sorted(ids)
            if ID.match(id_) and (required is None or await store.has_any_term(connection, id_, required))
        ]
    )


async def _ignored(connection: Connection, call: OperationCall, given: OperationInput) -> str | None:
    """Returns the id of the appointment whose people count as free, because it is to be moved (Medplum). Returns None if
    the caller may not read it: else the answer would tell when somebody else's appointment is."""
    id_ = next((id_of(reference) for reference in given.references("ignore-appointment")), "")
    rights = call.request.rights
    if not ID.match(id_) or rights is None or rights.reach("Appointment", "r") is None:
        return None
    required = rights.access("Appointment", "r").required
    store = call.service.served("Appointment").store
    seen = required is None or await store.has_any_term(connection, id_, required)
    return id_ if seen else None


def moment_of(given: OperationInput, name: str, operation: str) -> tuple[datetime, datetime]:
    """Returns the interval that a date parameter means. Raises BadRequest if it is missing or cannot be read."""
    value = given.first(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(
            f"{operation} a besoin de « {name} ».",
            f"{operation} needs “{name}”.",
            code="required",
            expression=parameter_named(name),
        )
    try:
        return parse_interval(value, PARIS)
    except ValueError as error:
        raise BadRequest(
            f"« {name} » n'est pas une date FHIR : {value}.",
            f"“{name}” is not a FHIR date: {value}.",
            code="value",
            expression=parameter_named(name),
        ) from error


def require_window(start: datetime, end: datetime, days_max: int) -> None:
    """Raises Unprocessable if the period does not end after its start or is longer than `days_max`. Raises OutOfReach if one
    of its ends is out of REACH."""
    if end <= start:
        raise Unprocessable(
            "La fin de la période cherchée doit suivre son début.",
            "The searched period must end after it starts.",
            expression=parameter_named("end"),
            details_code="window-order",
        )
    if end - start > timedelta(days=days_max):
        raise Unprocessable(
            f"La période cherchée dépasse {days_max} jours ; raccourcissez-la.",
            f"The searched period is longer than {days_max} days; shorten it.",
            code="too-costly",
            expression=parameter_named("end"),
            details_code="window-too-long",
        )
    for name, moment in (("start", start), ("end", end)):
        require_in_reach("Slot", name, moment)


def _count(given: OperationInput) -> int:
    value = given.first("_count")
    if value is None or value == "":
        return COUNT_DEFAULT
    count = whole_number(value)
    if count is None:
        raise BadRequest(
            f"_count attend un nombre entier ; reçu « {value} ».",
            f"_count takes a whole number; got “{value}”.",
            code="value",
            expression=parameter_named("_count"),
        )
    return min(count, COUNT_MAX)


def _proposal(slot: Resource, actors: Sequence[str], patients: Sequence[Resource]) -> Resource:
    who = [{"reference": actor} for actor in actors] + list(patients)
    return {
        "resourceType": "Appointment",
        "id": f"{PROPOSAL_PREFIX}{slot['id']}",
        "status": "proposed",
        **{name: slot[name] for name in SAID_BY_SLOT if name in slot},
        "start": slot["start"],
        "end": slot["end"],
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": [{"actor": actor, "required": "required", "status": "needs-action"} for actor in who],
        "requestedPeriod": [{"start": slot["start"], "end": slot["end"]}],
    }


def _more(page: _Page) -> Issue:
    fr, en = ("", "") if page.whole else ("Au moins ", "At least ")
    return Issue(
        "informational",
        f"{fr}{page.total} créneaux conviennent ; les premiers sont proposés. Augmentez _count pour en voir plus.",
        f"{en}{page.total} slots fit; the first ones are proposed. Raise _count to see more.",
        severity="information",
    )

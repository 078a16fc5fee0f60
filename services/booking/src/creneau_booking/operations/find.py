"""`Appointment/$find`: free appointments that fit, as proposals (IHE ITI-115; Argonaut; Medplum's spellings too).

A proposal is not stored: its id says which slot it stands for, so that `$hold` and `$book` take it by reference.
AND between kinds of actor, OR within a kind; what is held or taken through another agenda is not proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.operations.consumers import consumer_for, named_patients
from creneau_booking.operations.definitions import operation_definition, parameter
from creneau_booking.operations.find_query import slot_query
from creneau_booking.operations.references import id_of
from creneau_booking.storage.agenda import actors_of_schedules
from creneau_booking.storage.slot_table import SlotTable
from creneau_shared.clock import PARIS
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, Issue, Unprocessable
from creneau_shared.fhir.audit import Event
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.rest.reading import ID
from creneau_shared.fhir.search.bundle import Entry, Link, outcome_entry, query_url, write_bundle
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.request import Limits
from creneau_shared.fhir.search.sql import Catalog
from creneau_shared.fhir.storage.store import Resource

PROPOSAL_PREFIX = "proposal."
COUNT_DEFAULT = 20
COUNT_MAX = 500
TOTAL_MAX = 1000
"""slots are counted so far; of more, or where too much would have to be looked through, there is no total"""

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
        parameter("schedule", "Reference", maximum="*"),
        parameter("patient-reference", "Reference", maximum="*"),
        parameter("patient-resource", "Patient", maximum="*"),
        parameter("ignore-appointment", "Reference"),
        parameter("_count", "integer"),
        parameter("return", "Bundle", use="out", minimum=1),
    ],
    affects_state=False,
    base="http://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-find",
)


class FindOperation:
    """`$find` over the slots of this service."""

    def __init__(self, window_days_max: int, per_agenda_max: int) -> None:
        self._window_days_max = window_days_max
        self._per_agenda_max = per_agenda_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Search the free slots that could be booked, and propose them."""
        request, service = call.request, call.service
        given = OperationInput.of(request)
        start, end = self._window(given, request.now)
        count = _count(given)
        access = request.access("Slot", "s")
        pairs = slot_query(given, start, end)
        if access.patient_ids is not None:
            pairs.append(("bookable", "true"))
        wanted = searching.parse(service, request, "Slot", pairs, strict=True)
        wanted = replace(wanted, count=count, limits=Limits(total_counted_max=TOTAL_MAX))
        scope = searching.scope_of(access)
        others = [service.catalog.table(name) for name in service.catalog.types if name != "Slot"]
        async with service.connection() as connection:
            ignored = await _ignored(connection, call, given)
            consumer = await consumer_for(
                connection, access, given, request.now, per_agenda_max=self._per_agenda_max, besides=ignored
            )
            catalog = Catalog([SlotTable(consumer=consumer, besides=ignored), *others])
            result = await run_search(connection, catalog, wanted, cursor_codec=service.cursors, scope=scope)
            slots = [loads(row.content) for row in result.matches]
            schedules = [id_of(slot["schedule"]) for slot in slots]
            actors = await actors_of_schedules(connection, schedules)
            judged = named_patients(given) & (access.patient_ids or frozenset())
            if judged:  # the practices' rules looked at their age and appointments
                await service.auditor.record(connection, request, Event("E", "Appointment", patients=judged))
        patients = given.references("patient-reference", "patient")
        proposals = [
            _proposal(slot, actors.get(schedule, ()), patients)
            for slot, schedule in zip(slots, schedules, strict=True)
        ]
        entries = [
            Entry(f"{service.base_url}/Appointment/{p['id']}", dumps(p), {"mode": "match"}) for p in proposals
        ]
        if result.next_cursor is not None:
            entries.append(outcome_entry(_more(result.total, len(proposals), request.language)))
        links = [Link("self", query_url(f"{service.base_url}/Appointment/$find", request.query))]
        return Answer(200, write_bundle("searchset", entries, total=result.total, links=links))

    def _window(self, given: OperationInput, now: datetime) -> tuple[datetime, datetime]:
        start, end = (_moment(given, name) for name in ("start", "end"))
        if end[1] <= start[0]:
            raise Unprocessable(
                "La fin de la période cherchée doit suivre son début.",
                "The searched period must end after it starts.",
                expression="Parameters.parameter.where(name='end')",
                details_code="window-order",
            )
        if end[1] - start[0] > timedelta(days=self._window_days_max):
            raise Unprocessable(
                f"La période cherchée dépasse {self._window_days_max} jours ; raccourcissez-la.",
                f"The searched period is longer than {self._window_days_max} days; shorten it.",
                code="too-costly",
                expression="Parameters.parameter.where(name='end')",
                details_code="window-too-long",
            )
        return max(start[0], now), end[1]


async def _ignored(connection: Connection, call: OperationCall, given: OperationInput) -> str | None:
    """The appointment whose people count as free, because it is to be moved (Medplum). One that the caller may not read
    is as one that does not exist: else this would tell when somebody else's is."""
    id_ = next((id_of(reference) for reference in given.references("ignore-appointment")), "")
    rights = call.request.rights
    if not ID.match(id_) or rights is None or rights.reach("Appointment", "r") is None:
        return None
    required = rights.access("Appointment", "r").required
    store = call.service.served("Appointment").store
    seen = required is None or await store.has_any_term(connection, id_, required)
    return id_ if seen else None


def _moment(given: OperationInput, name: str) -> tuple[datetime, datetime]:
    value = given.first(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(
            f"$find a besoin de « {name} ».",
            f"$find needs “{name}”.",
            code="required",
            expression=f"Parameters.parameter.where(name='{name}')",
        )
    try:
        return parse_interval(value, PARIS)
    except ValueError as error:
        raise BadRequest(
            f"« {name} » n'est pas une date FHIR : {value}.",
            f"“{name}” is not a FHIR date: {value}.",
            code="value",
            expression=f"Parameters.parameter.where(name='{name}')",
        ) from error


def _count(given: OperationInput) -> int:
    value = given.first("_count")
    if value is None or value == "":
        return COUNT_DEFAULT
    if not str(value).isdigit() or int(value) < 1:
        raise BadRequest(
            f"_count attend un nombre entier positif ; reçu « {value} ».",
            f"_count takes a positive whole number; got “{value}”.",
            code="value",
            expression="Parameters.parameter.where(name='_count')",
        )
    return min(int(value), COUNT_MAX)


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


def _more(total: int | None, shown: int, language: Language) -> bytes:
    fr, en = ("Plus de ", "More than ") if total is None else ("", "")
    found = shown if total is None else total
    issue = Issue(
        "informational",
        f"{fr}{found} créneaux conviennent ; les premiers sont proposés. Augmentez _count pour en voir plus.",
        f"{en}{found} slots fit; the first ones are proposed. Raise _count to see more.",
        severity="information",
    )
    return dumps(operation_outcome([issue], language))

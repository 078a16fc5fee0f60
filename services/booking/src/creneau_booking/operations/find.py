"""`Appointment/$find`: free appointments that fit, as proposals (IHE ITI-115; Argonaut; Medplum's spellings too).

A proposal is not stored: its id says which slot it stands for, so that `$hold` and `$book` take it by reference.
AND between kinds of actor, OR within a kind; what is held or taken through another agenda is not proposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from creneau_booking.operations.definitions import operation_definition, parameter
from creneau_booking.storage.availability import Proposal, not_occupied
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest, Issue, Unprocessable
from creneau_shared.fhir.datatypes import parse_interval
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest import searching
from creneau_shared.fhir.rest.declaration import Operation, OperationCall
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.search.bundle import Entry, Link, write_bundle
from creneau_shared.fhir.search.execute import search as run_search
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.storage.store import Resource

PROPOSAL_PREFIX = "proposal."
COUNT_DEFAULT = 20
COUNT_MAX = 500
CANDIDATES_FACTOR = 2
"""slots looked at for each one wanted: some turn out to be taken through another agenda"""

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

ACTORS: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("practitioner", "practitioner-reference"): ("Practitioner", "schedule.actor"),
    ("location-reference", "location"): ("Location", "schedule.actor"),
    ("service-type-reference", "healthcare-service"): ("HealthcareService", "schedule.actor"),
}
"""Operation parameters → the type that they name and the search parameter that they become."""


class FindOperation:
    """`$find` over the slots of this service."""

    def __init__(self, window_days_max: int) -> None:
        self._window_days_max = window_days_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Search the free slots, drop those whose people are taken elsewhere, and propose the rest."""
        request, server = call.request, call.server
        given = OperationInput.of(request)
        start, end = self._window(given, request.now)
        count = _count(given)
        pairs = _slot_query(given, start, end)
        access = await server.policy.access(request.principal, "Slot", "s")
        wanted = searching.parse(server, request, "Slot", pairs, strict=True)
        wanted = replace(
            wanted, count=min(count * CANDIDATES_FACTOR, COUNT_MAX * CANDIDATES_FACTOR), total="accurate"
        )
        scope = await searching.scope_of(server.policy, request.principal, "Slot", access)
        ignored = next((_id_of(r) for r in given.references("ignore-appointment")), None)
        async with server.connection() as connection:
            result = await run_search(
                connection, server.catalog, wanted, cursor_codec=server.cursors, scope=scope
            )
            free = await not_occupied(connection, [row.id for row in result.matches], ignored)
        taken_elsewhere = len(result.matches) - len(free)
        total = max(0, (result.total or 0) - taken_elsewhere)
        patients = given.references("patient-reference", "patient")
        by_id = {row.id: row for row in result.matches}
        proposals = [_proposal(by_id[slot.slot_id], slot, patients) for slot in free[:count]]
        entries = [
            Entry(f"{server.base_url}/Appointment/{p['id']}", dumps(p), {"mode": "match"}) for p in proposals
        ]
        if total > len(proposals):
            entries.append(Entry(resource=_more(total, request.language), search={"mode": "outcome"}))
        links = [Link("self", f"{server.base_url}/Appointment/$find")]
        return Answer(200, write_bundle("searchset", entries, total=total, links=links))

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


def _slot_query(given: OperationInput, start: datetime, end: datetime) -> list[tuple[str, str]]:
    """The Slot search that the operation stands for."""
    pairs = [("status", "free"), ("start", f"ge{start.isoformat()}"), ("end", f"le{end.isoformat()}")]
    for names, (actor_type, path) in ACTORS.items():
        pairs += _by_reference(given.references(*names), actor_type, path)
    organizations = given.references("organization")
    if organizations:
        pairs += _by_reference(organizations, "Organization", "schedule.actor:PractitionerRole.organization")
    schedules = [_id_of(reference) for reference in given.references("schedule")]
    if schedules:
        pairs.append(("schedule", ",".join(schedules)))
    for name, search_name in (
        ("specialty", "specialty"),
        ("visit-type", "service-type"),
        ("service-type", "service-type"),
    ):
        if codes := given.codes(name):
            pairs.append((search_name, ",".join(codes)))
    if places := given.texts("location-string"):
        pairs.append(("schedule.actor:Location.address", ",".join(places)))
    return pairs


def _by_reference(references: Sequence[Resource], resource_type: str, path: str) -> list[tuple[str, str]]:
    """Literal references by id, logical ones by identifier; all of one kind are alternatives."""
    ids = [_id_of(reference) for reference in references if "reference" in reference]
    identifiers = [
        f"{i.get('system', '')}|{i.get('value', '')}"
        for r in references
        if (i := r.get("identifier")) and "reference" not in r
    ]
    typed = path if path.endswith(".organization") else f"{path}:{resource_type}"
    pairs = []
    if ids:
        own = f"{typed}._id" if typed == path else typed
        pairs.append((own, ",".join(ids)))
    if identifiers:
        pairs.append((f"{typed}.identifier", ",".join(identifiers)))
    return pairs


def _id_of(reference: Resource) -> str:
    return str(reference.get("reference", "")).rstrip("/").rsplit("/", 1)[-1]


def _proposal(row: Row, slot: Proposal, patients: Sequence[Resource]) -> Resource:
    content: dict[str, Any] = orjson.loads(row.content)
    participants = [
        {"actor": {"reference": actor}, "required": "required", "status": "needs-action"}
        for actor in slot.actors
    ]
    participants += [
        {"actor": patient, "required": "required", "status": "needs-action"} for patient in patients
    ]
    proposal = {
        "resourceType": "Appointment",
        "id": f"{PROPOSAL_PREFIX}{row.id}",
        "status": "proposed",
        "start": content["start"],
        "end": content["end"],
        "slot": [{"reference": f"Slot/{row.id}"}],
        "participant": participants,
        "requestedPeriod": [{"start": content["start"], "end": content["end"]}],
    }
    for name in ("serviceCategory", "serviceType", "specialty", "appointmentType"):
        if name in content:
            proposal[name] = content[name]
    return proposal


def _more(total: int, language: str) -> bytes:
    issue = Issue(
        "informational",
        f"{total} créneaux conviennent ; les premiers sont proposés. Augmentez _count pour en voir plus.",
        f"{total} slots fit; the first ones are proposed. Raise _count to see more.",
        severity="information",
    )
    return dumps(operation_outcome([issue], "en" if language == "en" else "fr"))

"""`Appointment/$hold`: keep a slot for somebody while they decide (IHE ITI-116, Argonaut, Medplum).

The appointment is `pending` and its slots `busy-tentative` until the instant that the `Expires` header, the resource
(extension held-until) and the event give. Nobody else is offered a held slot.
"""

from __future__ import annotations

from creneau_booking.operations.booking.desk import (
    Desk,
    Session,
    answer_with,
    checked,
)
from creneau_booking.operations.booking.series import (
    answer_with_series,
    begun_series,
    sent_series,
    take_series,
)
from creneau_booking.operations.booking.subject import (
    BARE,
    Subject,
    is_proposal,
    new_resource,
    patients_of,
    subject_of,
    take_in_transaction,
    with_contained_slots,
)
from creneau_booking.operations.definitions import returned_visits
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, http_date
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.storage.store import Resource

DEFINITION = operation_definition(
    "hold",
    "Hold an appointment",
    "Keeps the slots of a proposed appointment until a time that the answer states.",
    [
        parameter("appointment-reference", "Reference", maximum="*"),
        parameter("appt-id", "uri", maximum="*"),
        parameter("appt-resource", "Resource", maximum="*"),
        parameter("appointment-resource", "Appointment", maximum="*"),
        parameter("appointment", "Appointment", maximum="*"),
        parameter("patient-id", "uri", maximum="*"),
        parameter("patient-reference", "Reference", maximum="*"),
        parameter("patient-resource", "Patient", maximum="*"),
        returned_visits(),
    ],
    affects_state=True,
    resources=["Appointment"],
    instance=True,
    base="http://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-hold",
)


class HoldOperation:
    """`$hold` on the type (a proposal or a resource) and on an instance (a stored request)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True, creates=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, bare=BARE, read_as=with_contained_slots)
        return await take_in_transaction(call, self._desk, given, self._hold)

    async def _hold(self, session: Session, given: OperationInput) -> Answer:
        series = sent_series(given) if session.call.id is None else None
        if series is not None:
            patients = await patients_of(session, given)
            return await take_series(
                session,
                self._desk.series,
                series,
                lambda subject: self._proposed(session, subject, patients),
                hold=True,
            )
        subject = subject_of(given, session.call.id)
        if subject.id is not None and not is_proposal(subject.id):
            return await self._hold_stored(session, subject.id, subject.wants_bundle)
        patients = await patients_of(session, given)
        resource = await self._proposed(session, subject, patients)
        session.require_own(resource)
        stored, until = await self._desk.handlers.holding.begin(session.connection, session.context, resource)
        return await answer_with(
            session,
            stored,
            created=True,
            wants_bundle=subject.wants_bundle,
            headers={"Expires": http_date(until)},
        )

    async def _proposed(self, session: Session, subject: Subject, patients: list[Resource]) -> Resource:
        resource = await new_resource(session, self._desk.slots, subject, patients)
        return checked({**resource, "status": "proposed"})

    async def _hold_stored(self, session: Session, id_: str, wants_bundle: bool) -> Answer:
        """Holds the slots of an appointment that was stored as a request, or holds again one that is held."""
        current = await session.locked(id_)
        resource = self._desk.repository.resource(current)
        stored, until = await self._desk.handlers.holding.hold_on(
            session.connection, session.context, current, resource
        )
        if (series := begun_series(session, current, stored, until)) is not None:
            return await answer_with_series(session, series, created=True)
        return await answer_with(
            session, stored, created=False, wants_bundle=wants_bundle, headers={"Expires": http_date(until)}
        )

"""`Appointment/[id]/$reschedule`: another time for the same appointment, in one transaction.

The old slot is given back only if the new one is taken; id, patient and history stay (Medplum's `$reschedule`,
ISiK's transactional rule). In another agenda, the new agenda's actors replace the old one's. The new slot's facts about
the visit (type, specialty) apply.
"""

from __future__ import annotations

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.changes import is_there, require_movable
from creneau_booking.handlers.manner import Manner
from creneau_booking.handlers.series import Taken
from creneau_booking.operations.booking.desk import Desk, Session, answer_with, in_transaction
from creneau_booking.operations.booking.place import placed
from creneau_booking.operations.booking.series import answer_with_series, scope_in
from creneau_booking.operations.booking.subject import (
    BARE,
    NAMES,
    RESOURCE_NAMES,
    id_of_subject,
    with_contained_slots,
)
from creneau_booking.operations.definitions import returned_visits
from creneau_booking.storage.visits.series import Pattern, slots_named
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource

DEFINITION = operation_definition(
    "reschedule",
    "Move an appointment",
    "Moves an appointment to another slot; the old one is given back only if the new one is taken.",
    [
        parameter("appointment", "Reference"),
        parameter(
            "appt-resource", "Appointment", documentation="As it is to be: its slots, or its start and end."
        ),
        parameter("slot", "Reference", maximum="*"),
        parameter("start", "dateTime"),
        parameter("end", "dateTime"),
        parameter("schedule", "Reference", maximum="*"),
        parameter("scope", "code"),
        returned_visits(),
    ],
    affects_state=True,
    resources=["Appointment"],
    instance=True,
)


class RescheduleOperation:
    """`$reschedule` on an instance, and on the type with `appointment`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, bare=BARE, also=NAMES, read_as=with_contained_slots)
        return await in_transaction(call, self._desk, "u", given, self._move)

    async def _move(self, session: Session, given: OperationInput) -> Answer:
        current = await session.locked(id_of_subject(session, given))
        repository = self._desk.repository
        before = repository.stored_facts(current)
        require_movable(before.status)
        resource = await placed(session, given, repository.resource(current), before, _sent(given))
        if resource is None or not resource.get("slot"):
            raise BadRequest(
                "Indiquez le nouveau créneau : slot, ou start (avec schedule dans un autre agenda).",
                "Give the new slot: slot, or start (with schedule, in another agenda).",
                code="required",
                expression=parameter_named("slot"),
            )
        scope = scope_in(given) or "this"
        if scope != "this":
            moved = await self._desk.series.move(
                session.connection, session.context, current, resource, scope
            )
            return await answer_with_series(session, Taken(tuple(moved)), created=False)
        if await self._is_there(session, before, repository.facts(resource)):
            return await answer_with(session, current, created=False, wants_bundle=False)
        stored = await self._desk.handlers.change(
            session.connection, session.context, current, resource, Manner(move=True)
        )
        return await answer_with(session, stored, created=False, wants_bundle=False)

    @staticmethod
    async def _is_there(session: Session, before: Appointment, wanted: Appointment) -> bool:
        if set(wanted.slots) != set(before.slots):
            return False
        slots = await slots_named(session.connection, wanted.slots)
        if not slots:
            return False
        place = Pattern.of(wanted, slots)
        return is_there(before, wanted.slots, (place.start, place.until), session.context.now)


def _sent(given: OperationInput) -> Resource:
    """Returns the Appointment that the call sends, as it is to be; empty if it sends none."""
    sent = (value for value in given.all(*RESOURCE_NAMES) if isinstance(value, dict))
    return next((value for value in sent if value.get("resourceType") == "Appointment"), {})

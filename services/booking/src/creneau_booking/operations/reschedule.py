"""`Appointment/[id]/$reschedule`: another time for the same appointment, in one transaction.

The old slot is given back only if the new one is taken; id, participants and history stay (Medplum's `$reschedule`,
ISiK's transactional rule).
"""

from __future__ import annotations

from creneau_booking.operations.booking import Desk, Session, answer_with, in_transaction
from creneau_booking.operations.definitions import operation_definition, parameter
from creneau_booking.storage.agenda import slot_from
from creneau_shared.errors import BadRequest, Unprocessable
from creneau_shared.fhir.rest.declaration import Operation, OperationCall
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.parameters import OperationInput

MOVABLE = ("booked", "pending")

DEFINITION = operation_definition(
    "reschedule",
    "Move an appointment",
    "Moves an appointment to another slot; the old one is given back only if the new one is taken.",
    [
        parameter("slot", "Reference", maximum="*"),
        parameter("start", "dateTime"),
        parameter("schedule", "Reference", maximum="*"),
        parameter("return", "Appointment", use="out", minimum=1),
    ],
    affects_state=True,
    type_level=False,
    instance=True,
)


class RescheduleOperation:
    """`$reschedule` on an instance."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call.request)
        return await in_transaction(call, self._desk, "u", lambda session: self._move(session, given))

    async def _move(self, session: Session, given: OperationInput) -> Answer:
        assert session.call.id is not None
        current = await session.locked(session.call.id)
        repository = self._desk.repository
        before = repository.stored_facts(current)
        if before.status not in MOVABLE:
            raise Unprocessable(
                f"Un rendez-vous « {before.status} » ne peut pas être déplacé.",
                f"An appointment that is “{before.status}” cannot be moved.",
                expression="Appointment.status",
                details_code="not-movable",
            )
        slots = await self._wanted_slots(session, given)
        resource = {
            name: value
            for name, value in repository.resource(current).items()
            if name not in ("start", "end")
        }
        resource["slot"] = [{"reference": f"Slot/{id_}"} for id_ in slots]
        stored = await self._desk.handlers.change(
            session.connection, session.context, current, resource, move=True
        )
        return await answer_with(session, stored, created=False, wants_bundle=False)

    async def _wanted_slots(self, session: Session, given: OperationInput) -> list[str]:
        slots = [str(r.get("reference", "")).rstrip("/").rsplit("/", 1)[-1] for r in given.references("slot")]
        start = given.first("start")
        schedules = [
            str(r.get("reference", "")).rstrip("/").rsplit("/", 1)[-1] for r in given.references("schedule")
        ]
        if not slots and isinstance(start, str) and schedules:
            slots = [await slot_from(session.connection, schedule, start) for schedule in schedules]
        if not slots:
            raise BadRequest(
                "Indiquez le nouveau créneau : slot, ou start avec schedule.",
                "Give the new slot: slot, or start with schedule.",
                code="required",
                expression="Parameters.parameter.where(name='slot')",
            )
        return slots

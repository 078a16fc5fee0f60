"""`Appointment/$confirm`: the practice agrees to an appointment that waits for it (Medplum; ISiK's manual confirmation).

A patient confirms only a hold of their own, which is `$book`. A booked appointment stays as it is: a caller that missed the
answer may call again. To an offer of the waiting list the practice agrees in advance: once the person accepts, the
appointment is booked, and nobody is asked again.
"""

from __future__ import annotations

from creneau_booking.handlers.manner import Manner
from creneau_booking.operations.booking.desk import Desk, Session, answer_with, in_transaction
from creneau_booking.operations.booking.series import scope_in
from creneau_booking.operations.booking.subject import NAMES, id_of_subject
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput

DEFINITION = operation_definition(
    "confirm",
    "Confirm an appointment",
    "The practice agrees to an appointment that waits for it (pending, proposed): it is booked, and the patient is told. One"
    " of a series that is held is booked with the others.",
    [
        parameter("appointment", "Reference"),
        parameter("scope", "code"),
        parameter("return", "Appointment", use="out", minimum=1),
    ],
    affects_state=True,
    resources=["Appointment"],
    instance=True,
)


class ConfirmOperation:
    """`$confirm` on an instance, and on the type with `appointment`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, bare="appointment", also=NAMES)
        return await in_transaction(call, self._desk, "u", given, self._confirm)

    async def _confirm(self, session: Session, given: OperationInput) -> Answer:
        current = await session.locked(id_of_subject(session, given))
        repository = self._desk.repository
        resource = repository.resource(current)
        if resource["status"] == "booked":
            return await answer_with(session, current, created=False, wants_bundle=False)
        facts = repository.stored_facts(current)
        if facts.is_offer and not session.access.by_patient:
            agreed = await self._desk.handlers.agree(session.connection, session.context, current, facts)
            if agreed is not None:
                return await answer_with(session, agreed, created=False, wants_bundle=False)
        resource = await session.understood({**resource, "status": "booked"}, before=resource)
        stored = await self._desk.handlers.change(
            session.connection,
            session.context,
            current,
            resource,
            Manner(book=True, by_itself=scope_in(given) == "this"),
        )
        return await answer_with(session, stored, created=False, wants_bundle=False)

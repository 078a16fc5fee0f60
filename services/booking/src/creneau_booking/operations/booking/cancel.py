"""`Appointment/$cancel`: give an appointment up, with a reason and a message to the other side.

The rules are those of a PATCH to `cancelled`: a patient may until the agenda's deadline; the same transaction frees the
slots; their references stay. A cancelled appointment is answered as it is. `$cancel` on an offer of the waiting list refuses
the offer, and the patient goes on waiting; a second `$cancel` leaves the list.
"""

from __future__ import annotations

from typing import Any

from creneau_booking.domain.appointment import CANCELLATION_REASONS
from creneau_booking.handlers.manner import Manner
from creneau_booking.handlers.series import Taken
from creneau_booking.operations.booking.desk import Desk, Session, answer_with, checked, in_transaction
from creneau_booking.operations.booking.series import answer_with_series, scope_in
from creneau_booking.operations.booking.subject import NAMES, id_of_subject
from creneau_booking.operations.definitions import returned_visits
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.terminology import display

REASONS = ("reason", "cancelation-reason", "cancellation-reason", "cancelationReason")
NOTES = ("comment", "note")

DEFINITION = operation_definition(
    "cancel",
    "Cancel an appointment",
    "Cancels an appointment that is to come, or lets go of one that is held; its slots are free at once.",
    [
        parameter("appointment", "Reference"),
        parameter("reason", "CodeableConcept"),
        parameter("cancelation-reason", "CodeableConcept"),
        parameter("comment", "string"),
        parameter("note", "string"),
        parameter("scope", "code"),
        returned_visits(),
    ],
    affects_state=True,
    resources=["Appointment"],
    instance=True,
)


class CancelOperation:
    """`$cancel` on an instance, and on the type with `appointment`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, bare="appointment", also=(*NAMES, *REASONS))
        return await in_transaction(call, self._desk, "u", given, self._cancel)

    async def _cancel(self, session: Session, given: OperationInput) -> Answer:
        current = await session.locked(id_of_subject(session, given))
        resource = self._desk.repository.resource(current)
        scope = scope_in(given) or "this"
        if resource["status"] == "cancelled" and scope == "this":
            return await answer_with(session, current, created=False, wants_bundle=False)
        if self._desk.repository.stored_facts(current).is_offer:
            refused = checked({**resource, "status": "waitlist"})
            stored = await self._desk.handlers.change(session.connection, session.context, current, refused)
            return await answer_with(session, stored, created=False, wants_bundle=False)
        reason, note = _reason(given), _note(given)
        named = {"cancelationReason": reason} if reason else {}
        resource = checked({**resource, **named, "status": "cancelled"})
        if scope != "this":
            cancelled = await self._desk.series.cancel(
                session.connection, session.context, current, resource, scope, note=note
            )
            return await answer_with_series(session, Taken(tuple(cancelled)), created=False)
        stored = await self._desk.handlers.change(
            session.connection, session.context, current, resource, Manner(note=note)
        )
        return await answer_with(session, stored, created=False, wants_bundle=False)


def _reason(given: OperationInput) -> Resource | None:
    """Returns the reason (CodeableConcept, Coding, code or words) as a CodeableConcept."""
    said = given.only(*REASONS)
    if isinstance(said, dict):
        concept = dict(said) if {"coding", "text"} & set(said) else {"coding": [said]}
        if "coding" in concept:
            concept["coding"] = [_with_system(coding) for coding in concept["coding"]]
        return concept
    if not isinstance(said, str) or not said.strip():
        return None
    system, bar, code = said.partition("|")
    if bar:
        return {"coding": [{"system": system, "code": code}]}
    coding = _with_system({"code": said})
    return {"coding": [coding]} if "system" in coding else {"text": said}


def _with_system(coding: Resource) -> Resource:
    """Returns the coding with CANCELLATION_REASONS as its system, if it has none and its code is one of these reasons."""
    known = "system" not in coding and display(CANCELLATION_REASONS, str(coding.get("code"))) is not None
    return {"system": CANCELLATION_REASONS, **coding} if known else coding


def _note(given: OperationInput) -> str | None:
    """Returns the message to the other side, from a string or an Annotation. Raises BadRequest for others."""
    said: Any = given.only(*NOTES)
    if isinstance(said, dict):
        said = said.get("text")
    if said is None or said == "":
        return None
    if not isinstance(said, str):
        raise BadRequest(
            "comment (ou note) est un texte.",
            "comment (or note) is a text.",
            code="value",
            expression=parameter_named("comment"),
        )
    return said

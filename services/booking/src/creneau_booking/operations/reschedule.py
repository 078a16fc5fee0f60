"""`Appointment/[id]/$reschedule`: another time for the same appointment, in one transaction.

The old slot is given back only if the new one is taken; id, patient and history stay (Medplum's `$reschedule`,
ISiK's transactional rule). In another agenda, the new agenda's actors replace the old one's. The new slot's facts about
the visit (type, specialty) apply.
"""

from __future__ import annotations

from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.changes import is_there, require_movable
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.times import later, require_sensible
from creneau_booking.handlers.manner import Manner
from creneau_booking.handlers.series import Taken
from creneau_booking.operations.booking import Desk, Session, answer_with, in_transaction
from creneau_booking.operations.definitions import operation_definition, parameter, returned_visits
from creneau_booking.operations.references import id_of
from creneau_booking.operations.series import answer_with_series, scope_in
from creneau_booking.operations.subject import BARE, RESOURCE_NAMES, id_of_subject, with_contained_slots
from creneau_booking.storage.agendas.slots_of_agendas import schedules_of, slots_between
from creneau_booking.storage.appointment_mapper import relative
from creneau_booking.storage.series import Pattern, slots_named
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import exact_instant, parse_interval
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput
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
    instance=True,
)


class RescheduleOperation:
    """`$reschedule` on an instance, and on the type with `appointment`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call.request, bare=BARE, read_as=with_contained_slots)
        return await in_transaction(call, self._desk, "u", given, self._move)

    async def _move(self, session: Session, given: OperationInput) -> Answer:
        current = await session.locked(id_of_subject(session, given))
        repository = self._desk.repository
        before = repository.stored_facts(current)
        require_movable(before.status)
        resource = await self._moved(session, repository.resource(current), before, given)
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

    async def _moved(
        self, session: Session, resource: Resource, before: Appointment, given: OperationInput
    ) -> Resource:
        """Returns the appointment in the slots that the call names, or at `start` with its present length or until `end`."""
        rest = {name: value for name, value in resource.items() if name not in ("start", "end")}
        wanted = _sent(given)
        period = _period(given, wanted, before)
        base_url = self._desk.repository.base_url
        slots = [id_of(reference) for reference in given.references("slot")]
        if not slots:
            said = (relative(str(one.get("reference", "")), base_url) for one in wanted.get("slot", ()))
            slots = [id_of({"reference": reference}) for reference in said]
        if period is not None:
            rest |= {"start": exact_instant(period[0]), "end": exact_instant(period[1])}
            named = [id_of(schedule) for schedule in given.references("schedule")]
            for schedule in (named or await self._own_agendas(session, before)) if not slots else ():
                slots += await slots_between(session.connection, schedule, *period, like=before.slots)
        if not slots:
            raise BadRequest(
                "Indiquez le nouveau créneau : slot, ou start (avec schedule dans un autre agenda).",
                "Give the new slot: slot, or start (with schedule, in another agenda).",
                code="required",
                expression="Parameters.parameter.where(name='slot')",
            )
        rest |= await self._said_by(session, slots[0])
        return {**rest, "slot": [{"reference": f"Slot/{id_}"} for id_ in slots]}

    async def _own_agendas(self, session: Session, before: Appointment) -> list[str]:
        """Returns the ids of the appointment's agendas. A call that names no agenda means these."""
        agendas = await schedules_of(session.connection, before.slots)
        return [agenda.removeprefix("Schedule/") for agenda in agendas]

    async def _said_by(self, session: Session, slot_id: str) -> Resource:
        """Returns what the slot says of the visit (SAID_BY_SLOT): a move from a surgery to a video slot changes it."""
        stored = await self._desk.slots.read(session.connection, slot_id)
        slot = loads(stored.content) if stored is not None and stored.content is not None else {}
        return {name: slot[name] for name in SAID_BY_SLOT if name in slot}


def _sent(given: OperationInput) -> Resource:
    """Returns the Appointment that the call sends, as it is to be; empty if it sends none."""
    sent = (value for value in given.all(*RESOURCE_NAMES) if isinstance(value, dict))
    return next((value for value in sent if value.get("resourceType") == "Appointment"), {})


def _period(given: OperationInput, wanted: Resource, before: Appointment) -> tuple[datetime, datetime] | None:
    """Returns the period from `start` to `end`, or with the appointment's present length. Returns None if neither the call
    nor the Appointment that it sends has a start. Refuses what `require_sensible` refuses."""
    start = _moment(given, wanted, "start")
    if start is None or before.start is None or before.end is None:
        return None
    end = _moment(given, wanted, "end") or later(start, before.end - before.start)
    require_sensible("Appointment", start, end)
    return start, end


def _moment(given: OperationInput, wanted: Resource, name: str) -> datetime | None:
    said = wanted.get(name) if (told := given.first(name)) is None else told
    if said is None:
        return None
    try:
        return parse_interval(str(said), PARIS)[0]
    except ValueError as error:
        raise BadRequest(
            f"« {name} » n'est pas une date FHIR : {said}.",
            f"“{name}” is not a FHIR date: {said}.",
            code="value",
            expression=f"Parameters.parameter.where(name='{name}')",
        ) from error

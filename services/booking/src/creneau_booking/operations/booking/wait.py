"""`Appointment/[id]/$wait`: wait for an earlier time of the same visit.

For callers who may move the visit, by the link of a message too. They give only the times that will do; patient, agenda and
purpose are the visit's. A wish that waits for an earlier time already keeps its place and takes the new times.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, tzinfo

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.proxies import MayOnlyCancel
from creneau_booking.domain.refusals.waiting import NothingEarlier, VisitNotBooked
from creneau_booking.handlers.access import require_changeable
from creneau_booking.operations.booking.desk import Desk, Session, answer_with, checked, in_transaction
from creneau_booking.operations.booking.subject import NAMES, id_of_subject
from creneau_booking.storage.agendas.joint import zones_of
from creneau_booking.storage.agendas.slots_of_agendas import schedules_of
from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_booking.storage.mapping.wishes import WAITING_AGENDA, WAITING_TIMES, for_the_same
from creneau_booking.storage.visits.waiting import waits_instead
from creneau_shared.clock import PARIS
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.rest.reading import read_current
from creneau_shared.fhir.storage.store import Resource, Stored

DEFINITION = operation_definition(
    "wait",
    "Wait for an earlier time",
    "Puts the person of a booked appointment on the waiting list for an earlier time in the same agenda.",
    [
        parameter("appointment", "Reference"),
        parameter("times", "code", maximum="3", documentation="morning, afternoon, evening; none: all."),
        parameter("until", "date", documentation="The last day that will do, in Paris."),
        parameter("return", "Appointment", use="out", minimum=1),
    ],
    affects_state=True,
    resources=["Appointment"],
    instance=True,
)


class WaitOperation:
    """`$wait` on an instance, and on the type with `appointment`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle, keyed=True, creates=True)

    async def handle(self, call: OperationCall) -> Answer:
        given = OperationInput.of(call, bare="appointment", also=NAMES)
        return await in_transaction(call, self._desk, "u", given, self._wait)

    async def _wait(self, session: Session, given: OperationInput) -> Answer:
        repository = self._desk.repository
        current = await self._locked(session, id_of_subject(session, given))
        visit = repository.stored_facts(current)
        _require_may_move(session, visit)
        agendas = await schedules_of(session.connection, visit.slots)
        zones = await zones_of(session.connection, [agenda.removeprefix("Schedule/") for agenda in agendas])
        times, last = given.texts("times"), _end_of(given, next(iter(zones.values()), PARIS))
        end = min(last, visit.start or last) if last is not None else None
        for known in await waits_instead(session.connection, visit):
            # The practice of the visit does not learn where else the person waits.
            if await session.seen(known) is not None:
                stored = await self._desk.handlers.waiting.say_again(
                    session.connection, session.context, await session.locked(known), times, end
                )
                return await answer_with(session, stored, created=False, wants_bundle=False)
        if visit.status != "booked" or visit.start is None:
            raise VisitNotBooked(visit.status)
        if visit.start <= session.context.now:
            raise NothingEarlier()
        await require_changeable(session.connection, session.context, visit)
        meant = for_the_same(repository.resource(current), await self._slots(session, visit))
        wish = checked(_wish(meant, visit, agendas, times, end or visit.start))
        stored = await self._desk.handlers.create(session.connection, session.context, wish)
        return await answer_with(session, stored, created=True, wants_bundle=False)

    async def _locked(self, session: Session, id_: str) -> Stored:
        """Returns the visit, locked together with the wishes that wait for it already."""
        repository = self._desk.repository
        seen = await read_current(session.connection, self._desk.store, session.access, id_)
        known = await waits_instead(session.connection, repository.stored_facts(seen))
        await repository.lock_all(session.connection, [id_, *known])
        return await session.locked(id_)

    async def _slots(self, session: Session, visit: Appointment) -> list[Resource]:
        """Returns the slots of the visit as resources."""
        found = [await self._desk.slots.read(session.connection, id_) for id_ in visit.slots]
        return [loads(one.content) for one in found if one is not None and one.content is not None]


def _require_may_move(session: Session, visit: Appointment) -> None:
    context = session.context
    people = [reference.removeprefix("Patient/") for reference in visit.patients]
    if context.people is not None and not any(
        context.may(right, id_) for right in ("book", "move") for id_ in people
    ):
        raise MayOnlyCancel()


def _wish(
    meant: Resource, visit: Appointment, agendas: Sequence[str], times: Sequence[str], end: datetime
) -> Resource:
    """Returns the wish: same patients and agendas as the visit, for what is `meant`, at these times of day, until `end`."""
    extensions: list[Resource] = [
        {"url": WAITING_AGENDA, "valueReference": {"reference": agenda}} for agenda in agendas
    ]
    extensions += [{"url": WAITING_TIMES, "valueCode": part} for part in times]
    extensions.append({"url": REPLACES, "valueReference": {"reference": f"Appointment/{visit.id}"}})
    return {
        "resourceType": "Appointment",
        "status": "waitlist",
        **meant,
        "requestedPeriod": [{"end": exact_instant(end)}],
        "extension": extensions,
        "participant": [
            {"actor": {"reference": patient}, "status": "accepted"} for patient in visit.patients
        ],
    }


def _end_of(given: OperationInput, zone: tzinfo) -> datetime | None:
    """Returns the end of the last day that will do, by the clock of the visit's place, if given."""
    said = given.first("until")
    if said is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(str(said)) + timedelta(days=1), time(0), zone)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"« until » n'est pas une date FHIR : {said}.",
            f"“until” is not a FHIR date: {said}.",
            code="value",
            expression=parameter_named("until"),
        ) from error

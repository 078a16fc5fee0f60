"""Overbooking: a practice, and only a practice, puts a visit where another one is, with a reason that the visit keeps."""

from __future__ import annotations

from creneau_booking.domain import rules
from creneau_booking.domain.appointment import Appointment, patient_actor
from creneau_booking.domain.refusals.slots import ActorsTaken
from creneau_booking.handlers.access import require_known_patients
from creneau_booking.handlers.claiming import Claiming
from creneau_booking.storage.agendas.slots_of_agendas import agendas_of
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.overbookings import are_taken, mark
from creneau_booking.storage.availability.taking import occupy_for
from creneau_booking.storage.people.patients import require_available
from creneau_booking.storage.visits.appointments import Whose
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


class Overbooking:
    """Books a visit in slots that another visit has."""

    def __init__(self, claiming: Claiming) -> None:
        self._claiming = claiming

    async def over(
        self, connection: Connection, context: WriteContext, wanted: Appointment
    ) -> tuple[Appointment, Whose] | None:
        """Overbooks `wanted` if all its slots are taken; returns the appointment, its agendas and owners. None: book it as
        usual, because the slots are free, or the caller may not overbook."""
        if not rules.may_overbook(wanted, by_patient=context.by_patient):
            return None
        locked = await self._claiming.lock(connection, context.now, wanted)
        slots = locked.wanted
        if len(slots) < len(wanted.slots) or not all(
            rules.is_overbookable(slot, context.organizations) for slot in slots
        ):
            return None
        patients = [patient_actor(p, hidden=wanted.hidden) for p in wanted.coming]
        people = sorted({*patients, *(actor for slot in slots for actor in slot.exclusive)})
        await wait_for_turn(connection, people=people)
        if not await are_taken(connection, wanted.slots):
            return None
        start, end = rules.period(wanted, slots)
        await require_known_patients(connection, context, wanted)
        await require_available(connection, wanted.patients)
        missing = await occupy_for(connection, wanted.id, patients, start, end, context.now)
        missing = rules.not_overruled(wanted, missing, by_patient=False)
        if missing:
            raise ActorsTaken(tuple(sorted(missing)), start)
        await mark(connection, wanted.slots, context.now)
        whose = Whose(*await agendas_of(connection, context, wanted.slots), alone=True)
        return wanted.within(start, end), whose

"""Visits to come of a Patient whose record has ended: they go to the record that replaces it, or are cancelled silently."""

from __future__ import annotations

from dataclasses import replace

from creneau_booking.domain.appointment import Appointment, Participant, patient_actor
from creneau_booking.domain.ended_patients import Ended, is_replaced, successor_of
from creneau_booking.domain.refusals.registered import SuccessorUnclear
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.people.patients import require_successor
from creneau_booking.storage.agendas.ownership import owners_of, show_patients
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import hand_over, is_elsewhere
from creneau_booking.storage.mapping.appointment import DOUBLE_BOOKING_REASON, said
from creneau_booking.storage.people.patients import IS_OVER
from creneau_booking.storage.visits.upcoming import visits_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Stored, WriteContext

JOINED = "Dossiers réunis : la personne avait un autre rendez-vous à cette heure."
"""double-booking reason for a person with two records and two visits at one time; the practice resolves it"""


class EndedPatients:
    """Handles the visits of a Patient for whom nothing can be booked any more."""

    def __init__(self, handlers: AppointmentHandlers) -> None:
        self._handlers = handlers
        self._repository = handlers.repository

    async def look_again(
        self, connection: Connection, context: WriteContext, patient: str, how: Ended
    ) -> None:
        """Hands over or cancels the visits to come of a Patient (id). For those of several patients the practice decides. Raises
        SuccessorUnclear if there are such visits, and the record is replaced by one that is not known here."""
        people = [patient_actor(f"Patient/{patient}", hidden=hidden) for hidden in (False, True)]
        visits = await visits_of(connection, patient, context.now)
        await self._repository.lock_all(connection, visits)
        await wait_for_turn(connection, *visits, people=people)
        last = await self._last_record(connection, patient, how)
        if last is not None and last != how.successor:
            await require_successor(connection, context, last)
        successor = f"Patient/{last}" if last and await self._can_follow(connection, last) else None
        for id_ in await visits_of(connection, patient, context.now):  # also what was being booked until now
            current = await self._repository.store.lock(connection, id_)
            if current is None or not self._repository.is_to_come(current, context.now):
                continue
            if len(set(self._repository.stored_facts(current).patients)) > 1:
                continue
            if how.replaced and last is None:
                raise SuccessorUnclear()
            if successor is None:
                await self._handlers.withdraw(
                    connection, context, current, by="provider", reason=how.reason, record_ended=True
                )
            else:
                await self._hand_over(connection, context, current, f"Patient/{patient}", successor)

    async def _last_record(self, connection: Connection, patient: str, how: Ended) -> str | None:
        """Returns the Patient (id) in whom a chain of replaced records ends. None if it has none, leads to nobody here, or to
        where it began."""
        next_, seen = how.successor, {patient}
        while next_ is not None and next_ not in seen:
            seen.add(next_)
            content = await connection.fetchval(
                "SELECT content FROM patient WHERE id = $1 AND NOT deleted", next_
            )
            if content is None:
                return None
            record = loads(content)
            if not is_replaced(record):
                return next_
            next_ = successor_of(record)
        return None

    async def _can_follow(self, connection: Connection, patient: str) -> bool:
        return bool(
            await connection.fetchval(
                f"SELECT EXISTS (SELECT FROM patient WHERE id = $1 AND NOT {IS_OVER.format(patient='patient')})",
                patient,
            )
        )

    async def _hand_over(
        self, connection: Connection, context: WriteContext, current: Stored, old: str, new: str
    ) -> None:
        before = self._repository.stored_facts(current)
        await show_patients(connection, [new], owned_by(await owners_of(connection, before.id)))
        after = replace(before, participants=tuple(_renamed(p, old, new) for p in before.participants))
        resource = self._repository.resource(current)
        if await is_elsewhere(connection, before.id, _actor(before, new)):
            after = replace(after, double_booking_reason=JOINED)
            resource = {
                **resource,
                "extension": [
                    *(e for e in resource.get("extension", ()) if e.get("url") != DOUBLE_BOOKING_REASON),
                    {"url": DOUBLE_BOOKING_REASON, "valueString": JOINED},
                ],
            }
        await self._handlers.change(connection, context.unlimited(), current, said(after, resource))
        await hand_over(connection, before.id, _actor(before, old), _actor(before, new))


def _renamed(participant: Participant, old: str, new: str) -> Participant:
    if participant.reference != old:
        return participant
    return replace(
        participant, reference=new, description={**participant.description, "actor": {"reference": new}}
    )


def _actor(appointment: Appointment, patient: str) -> str:
    return patient_actor(patient, hidden=appointment.hidden)

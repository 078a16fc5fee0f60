"""Cancels the visits to come of actors whom the directory has deleted, and tells the people concerned.

The directory knows no visits, so it cannot refuse to delete. An actor who is only inactive or has ended keeps the existing
visits: the practice moves or cancels them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.agendas import alone
from creneau_booking.storage.outside.followed_calendars import calendars_of_the_last, leave_calendars
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.holds import hold_of
from creneau_booking.storage.visits.upcoming import visits_with
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Stored, WriteContext
from creneau_shared.messaging.progress import moved


class Departures:
    """Cancels visits that cannot take place any more."""

    def __init__(self, repository: AppointmentRepository, handlers: AppointmentHandlers) -> None:
        self._repository = repository
        self._handlers = handlers

    async def foresee(self, connection: Connection, reference: str, now: datetime) -> tuple[Stored, ...]:
        """Locks and returns the visits to come of an actor (`Practitioner/12`) and of the agendas that name it. Also locks
        the time of all people concerned. Call it before anything else is written because of the deletion."""
        await alone(connection)
        visits = await visits_with(connection, reference, now)
        locked = []
        for id_ in visits:
            locked.append(await self._repository.store.lock(connection, id_))
            moved()
        to_come = tuple(visit for visit in locked if visit and self._repository.is_to_come(visit, now))
        person = [reference] if reference.startswith("Practitioner/") else []
        await wait_for_turn(connection, *(visit.id for visit in to_come), beside=reference, people=person)
        return to_come

    async def leave_calendars(self, connection: Connection, reference: str, now: datetime) -> None:
        """Removes a professional's own calendar, its password, and the secret address by which they read the agenda. If
        several have the agenda, this happens when the last one is deleted."""
        if reference.startswith("Practitioner/"):
            for agenda in await calendars_of_the_last(connection, reference):
                await leave_calendars(connection, agenda, now)

    async def cancel(self, connection: Connection, visits: Iterable[Stored], now: datetime) -> None:
        """Cancels these locked visits. An offer, or an accepted offer that waits for the practice, goes back to the waiting
        list."""
        context = WriteContext(now=now, by_service=True)
        for current in visits:
            if await self._is_of_the_line(connection, current):
                waiting = {**self._repository.resource(current), "status": "waitlist"}
                await self._handlers.change(connection, context, current, waiting)
            else:
                await self._handlers.withdraw(connection, context, current, by="provider")
            moved()

    async def _is_of_the_line(self, connection: Connection, current: Stored) -> bool:
        facts = self._repository.stored_facts(current)
        if facts.status != "pending" or facts.is_offer:
            return facts.is_offer
        hold = await hold_of(connection, current.id)
        return hold is not None and hold.in_line_since is not None

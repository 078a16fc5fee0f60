"""Those whom the directory has deleted: their visits to come are cancelled, and those concerned are told.

The directory knows of no visit, so it cannot refuse. Whoever is only inactive or has ended keeps the visits that there
are: the practice moves or cancels them.
"""

from __future__ import annotations

from datetime import datetime

from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.storage.appointments import AppointmentRepository
from creneau_booking.storage.upcoming import visits_with
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


class Departures:
    """Cancels what cannot take place any more."""

    def __init__(self, repository: AppointmentRepository, handlers: AppointmentHandlers) -> None:
        self._repository = repository
        self._handlers = handlers

    async def cancel_visits(self, connection: Connection, reference: str, now: datetime) -> int:
        """Cancel the visits to come of an actor (`Practitioner/12`), and of the agendas that name it; how many."""
        context = WriteContext(now=now, by_service=True)
        cancelled = 0
        for id_ in await visits_with(connection, reference, now):
            current = await self._repository.store.lock(connection, id_)
            if current is not None and self._repository.is_to_come(current, now):
                await self._handlers.withdraw(connection, context, current, by="provider")
                cancelled += 1
        return cancelled

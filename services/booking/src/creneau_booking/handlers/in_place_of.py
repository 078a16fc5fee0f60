"""An appointment or wish that replaces a hidden visit is hidden too, because it names that visit."""

from __future__ import annotations

from dataclasses import replace

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.proxies import HiddenLate
from creneau_booking.handlers.statements import is_seen
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


class InPlaceOf:
    """Checks the visit that an appointment replaces."""

    def __init__(self, repository: AppointmentRepository) -> None:
        self._repository = repository

    async def as_hidden(
        self, connection: Connection, context: WriteContext, wanted: Appointment
    ) -> Appointment:
        """Returns a new appointment, hidden if the visit that it replaces is hidden, whatever the sender states."""
        if await self._tells(connection, context, wanted):
            return replace(wanted, hidden=True)
        return wanted

    async def require_as_hidden(
        self, connection: Connection, context: WriteContext, before: Appointment, after: Appointment
    ) -> None:
        """Raises HiddenLate if a visible appointment would now replace a hidden one."""
        if after.replaces != before.replaces and await self._tells(connection, context, after):
            raise HiddenLate()

    async def _tells(self, connection: Connection, context: WriteContext, wanted: Appointment) -> bool:
        """Whether it would reveal a hidden visit of its patients; False if its author does not see that visit."""
        if wanted.replaces is None or wanted.hidden:
            return False
        stored = await self._repository.store.read(connection, wanted.replaces)
        if stored is None or stored.content is None or not is_seen(context, stored.terms or ()):
            return False
        replaced = self._repository.stored_facts(stored)
        return replaced.hidden and not set(replaced.patients).isdisjoint(wanted.patients)

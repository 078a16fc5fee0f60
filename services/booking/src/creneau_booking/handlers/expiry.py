"""Holds that run out: cancelled by the sweeper, or by the next one who wants what they held.

The next one has slots locked already, and those of the hold may come before them in the order of locks. So nothing is
waited for here: a hold whose appointment or one of whose slots somebody else has locked is left for the next look.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.handlers.telling import tell
from creneau_booking.storage import claims
from creneau_booking.storage.appointments import AppointmentRepository
from creneau_booking.storage.holds import HeldAppointment, forget_hold, lock_expired_hold
from creneau_booking.storage.slot_locks import lock_at_once
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


class HoldExpiry:
    """Ends holds whose time is over."""

    def __init__(self, repository: AppointmentRepository) -> None:
        self._repository = repository

    async def expire(self, connection: Connection, now: datetime, appointment_ids: Iterable[str]) -> int:
        """Cancel those of the appointments whose hold has run out, that nobody is changing and of whose slots nobody
        is taking one; how many."""
        expired = 0
        for appointment_id in appointment_ids:
            held = await lock_expired_hold(connection, appointment_id, now)
            if held is not None and await self._cancel(connection, now, held):
                expired += 1
        return expired

    async def _cancel(self, connection: Connection, now: datetime, held: HeldAppointment) -> bool:
        context = WriteContext(now=now, by_service=True)
        before = self._repository.stored_facts(held.stored)
        if not await lock_at_once(connection, before.slots):
            return False
        await claims.give_back(connection, before.id, before.slots, now)
        await forget_hold(connection, before.id)
        resource = self._repository.as_cancelled(self._repository.resource(held.stored))
        after = self._repository.facts(resource, id_=held.stored.id, version=held.stored.version + 1)
        await self._repository.update(connection, context, held.stored, resource, after)
        await tell(connection, context, AppointmentEvent("hold-expired", after))
        return True

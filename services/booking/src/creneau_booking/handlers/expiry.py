"""Ends expired holds: by the sweeper, or by the next caller who wants their slots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from creneau_booking.domain.appointment import Appointment, Cancellation
from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.domain.transitions import EventKind
from creneau_booking.handlers.telling import tell
from creneau_booking.storage.availability.actors import try_turn, wait_for_turn
from creneau_booking.storage.availability.taking import give_back
from creneau_booking.storage.mapping.appointment import UNANSWERED, UNANSWERED_CODE
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.holds import HeldAppointment, forget_hold, lock_expired_hold
from creneau_booking.storage.visits.slot_locks import lock_at_once
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Stored, WriteContext


class Line(Protocol):
    """The waiting list, as far as a hold that ends concerns it (`handlers.waiting`)."""

    async def put_back(
        self, connection: Connection, context: WriteContext, current: Stored, before: Appointment
    ) -> Appointment:
        """Puts an appointment whose offer has ended back on the waiting list."""

    async def offer_freed(self, connection: Connection) -> None:
        """Offers the time that was freed in this transaction."""


class HoldExpiry:
    """Ends expired holds. Offers their time at once to the waiting list (`line`)."""

    line: Line

    def __init__(self, repository: AppointmentRepository) -> None:
        self._repository = repository

    async def expire(self, connection: Connection, now: datetime, appointment_ids: Iterable[str]) -> int:
        """Cancels the appointments whose hold has expired and that nobody is changing. Returns how many."""
        expired = 0
        for appointment_id in appointment_ids:
            held = await lock_expired_hold(connection, appointment_id, now)
            if held is not None:
                await wait_for_turn(connection, appointment_id)
                await self._cancel(connection, now, held)
                expired += 1
        return expired

    async def expire_at_once(
        self, connection: Connection, now: datetime, appointment_ids: Iterable[str]
    ) -> int:
        """Like `expire`, for a caller who has locked slots already and must not wait: an appointment that cannot be locked at
        once is left as it is. Its slots are locked, too, since the agenda of a place or an offer has no people whose lock
        would cover them."""
        expired = 0
        for appointment_id in appointment_ids:
            if not await try_turn(connection, appointment_id):
                continue
            held = await lock_expired_hold(connection, appointment_id, now)
            if held is not None and await lock_at_once(
                connection, self._repository.stored_facts(held.stored).slots
            ):
                await self._cancel(connection, now, held)
                expired += 1
        return expired

    async def _cancel(self, connection: Connection, now: datetime, held: HeldAppointment) -> None:
        context = WriteContext(now=now, by_service=True)
        before = self._repository.stored_facts(held.stored)
        unanswered = held.confirmation == "asked"
        await give_back(connection, before.id, before.slots, now)
        await forget_hold(connection, before.id)
        if before.is_offer or held.in_line_since is not None:
            waited = replace(before, waiting_since=before.waiting_since or held.in_line_since)
            after = await self.line.put_back(connection, context, held.stored, waited)
            ended: EventKind = "cancelled" if unanswered else "hold-expired"
            await tell(connection, context, AppointmentEvent(ended, after, awaits_practice=unanswered))
            await self.line.offer_freed(connection)
            return
        after = replace(before.cancelled(), version=held.stored.version + 1)
        resource = self._repository.resource(held.stored)
        if unanswered:
            resource = {**resource, "cancelationReason": UNANSWERED}
            after = replace(
                after, cancelation_reason=UNANSWERED_CODE, cancellation=Cancellation(now, "system")
            )
        await self._repository.update(connection, context, held.stored, resource, after)
        # A patient who asked the practice was promised an answer; a holder knew when the hold would end.
        kind: EventKind = "cancelled" if unanswered else "hold-expired"
        await tell(
            connection, context, AppointmentEvent(kind, after, by="system", awaits_practice=unanswered)
        )
        await self.line.offer_freed(connection)

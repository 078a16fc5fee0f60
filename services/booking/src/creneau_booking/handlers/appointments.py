"""Booking, holding, changing and cancelling: command → rules → what is taken → what is told.

The only place that orchestrates. Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.domain import rules
from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import AppointmentEvent, event_kind
from creneau_booking.domain.status import SLOT_STATUS_OF, claims
from creneau_booking.publishing import appointment_event
from creneau_booking.storage import claims as claim_storage
from creneau_booking.storage.appointments import AppointmentRepository, with_cancellation
from creneau_booking.storage.holds import (
    HeldAppointment,
    forget_hold,
    keep_hold,
    live_holds_of,
    lock_expired_hold,
)
from creneau_shared.database.pool import Connection
from creneau_shared.errors import TooManyRequests
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.messaging.outbox import append


@dataclass(frozen=True)
class HoldPolicy:
    """How long a hold lasts, and how many one patient's account may have at once."""

    duration: timedelta
    per_subject_max: int


class AppointmentHandlers:
    """The commands on appointments. Stateless; one a process."""

    def __init__(self, repository: AppointmentRepository, holds: HoldPolicy) -> None:
        self._repository = repository
        self._holds = holds

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        """Store a new appointment and take what its status claims: all of it, or nothing and a refusal."""
        identified = self._repository.identify(resource, id_)
        after, identified, schedules = await self._begin(connection, context, identified, version=1)
        stored = await self._repository.insert(connection, context, identified)
        await self._tell(connection, context, None, after, schedules=schedules)
        return stored

    async def restore(
        self, connection: Connection, context: WriteContext, deleted: Stored, resource: Resource
    ) -> Stored:
        """Store an appointment anew under the id of one that was deleted: it takes what a new one would."""
        identified = self._repository.identify(resource, deleted.id)
        after, identified, schedules = await self._begin(
            connection, context, identified, version=deleted.version + 1
        )
        stored = await self._repository.update(connection, context, deleted, identified)
        await self._tell(connection, context, None, after, schedules=schedules)
        return stored

    async def _begin(
        self, connection: Connection, context: WriteContext, identified: Resource, *, version: int
    ) -> tuple[Appointment, Resource, tuple[str, ...]]:
        """Take what a new appointment claims; its facts, its resource with the times, its agendas."""
        after = self._repository.facts(identified, version=version)
        rules.require_allowed_status(after.status, by_patient=context.patient_ids is not None)
        if not claims(after.status):
            return after, identified, ()
        claim = await self._take(connection, context, after)
        identified = self._repository.with_times(identified, claim.start, claim.end)
        return self._repository.facts(identified, version=version), identified, claim.schedules

    async def hold(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> tuple[Stored, datetime]:
        """Store a pending appointment whose slots nobody else gets until the hold runs out; until when."""
        await self._require_hold_quota(connection, context)
        until = context.now + self._holds.duration
        identified = self._repository.identify(self._repository.as_held(resource, until), id_)
        claim = await self._take(connection, context, self._repository.facts(identified))
        identified = self._repository.with_times(identified, claim.start, claim.end)
        stored = await self._repository.insert(connection, context, identified)
        await keep_hold(connection, stored.id, until, context.subject)
        after = self._repository.facts(identified)
        await self._tell(connection, context, None, after, schedules=claim.schedules, held_until=until)
        return stored, until

    async def hold_stored(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> tuple[Stored, datetime]:
        """Hold for a locked request, or extend the hold that it already has; until when."""
        before = self._repository.stored_facts(current)
        until = context.now + self._holds.duration
        schedules: tuple[str, ...] = ()
        resource = self._repository.as_held(resource, until)
        version = current.version + 1
        if not claims(before.status):
            await self._require_hold_quota(connection, context)
            claim = await self._take(connection, context, self._repository.facts(resource, id_=current.id))
            schedules = claim.schedules
            resource = self._repository.with_times(resource, claim.start, claim.end)
        stored = await self._repository.update(connection, context, current, resource)
        await keep_hold(connection, current.id, until, context.subject)
        after = self._repository.facts(resource, id_=current.id, version=version)
        event = AppointmentEvent("held", after, schedules, by=_by(context), held_until=until)
        await self._publish(connection, context, event)
        return stored, until

    async def _require_hold_quota(self, connection: Connection, context: WriteContext) -> None:
        if context.patient_ids is None:
            return
        held = await live_holds_of(connection, context.subject, context.now)
        if held >= self._holds.per_subject_max:
            raise TooManyRequests(
                f"Vous réservez déjà {held} créneaux : confirmez-les ou rendez-les d'abord.",
                f"You are holding {held} slots already: confirm or release them first.",
                details_code="too-many-holds",
                headers={"Retry-After": str(int(self._holds.duration.total_seconds()))},
            )

    async def change(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        move: bool = False,
    ) -> Stored:
        """Store the next version of a locked appointment; give back and take what the change means.

        `move` is `$reschedule`: the one way for a patient to change when. Software may move by a plain update.
        """
        by_patient = context.patient_ids is not None
        before = self._repository.stored_facts(current)
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        rules.require_transition(before.status, after.status, by_patient=by_patient)
        moved = rules.is_moved(before, after)
        if by_patient and not move:
            rules.require_unmoved(before, after)
        if after.status == "cancelled" and before.status != "cancelled":
            rules.require_cancellable(before, context.now, by_patient=by_patient)
        schedules: tuple[str, ...] = ()
        retake = claims(after.status) and (moved or not claims(before.status))
        if claims(before.status) and (retake or not claims(after.status)):
            await claim_storage.give_back(connection, before.id, before.slots, context.now)
        if retake:
            claim = await self._take(connection, context, after)
            schedules = claim.schedules
            resource = self._repository.with_times(resource, claim.start, claim.end)
            after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        elif claims(after.status) and SLOT_STATUS_OF[before.status] != SLOT_STATUS_OF[after.status]:
            wanted = SLOT_STATUS_OF[after.status]
            await claim_storage.set_status(
                connection, after.slots, wanted, context.now, ("busy", "busy-tentative")
            )
        if before.status == "pending" and after.status != "pending":
            await forget_hold(connection, before.id)
            resource = self._repository.without_hold(resource)
        stored = await self._repository.update(connection, context, current, resource)
        await self._tell(connection, context, before, after, schedules=schedules, moved=moved)
        return stored

    async def remove(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Delete a locked appointment; what it had taken is given back."""
        before = self._repository.stored_facts(current)
        if claims(before.status):
            await claim_storage.give_back(connection, before.id, before.slots, context.now)
            await forget_hold(connection, before.id)
        stored = await self._repository.delete(connection, context, current)
        if claims(before.status):
            gone = self._repository.as_cancelled(before, stored.version)
            await self._publish(connection, context, AppointmentEvent("cancelled", gone, by=_by(context)))
        return stored

    async def expire(self, connection: Connection, now: datetime, held: HeldAppointment) -> None:
        """Cancel an appointment whose hold has run out (its row is locked) and free what it held."""
        context = WriteContext(now=now)
        before = self._repository.stored_facts(held.stored)
        await claim_storage.give_back(connection, before.id, before.slots, now)
        await forget_hold(connection, before.id)
        resource = self._repository.without_hold(with_cancellation(self._repository.resource(held.stored)))
        stored = await self._repository.update(connection, context, held.stored, resource)
        after = self._repository.facts(resource, id_=stored.id, version=stored.version)
        await self._publish(connection, context, AppointmentEvent("hold-expired", after))

    async def _take(self, connection: Connection, context: WriteContext, wanted: Appointment) -> rules.Claim:
        """Lock, judge and take; holds that have run out give way, whether or not the sweeper has seen them."""
        for last_try in (False, True):
            near = (
                (wanted.start - timedelta(days=1), wanted.start + timedelta(days=1))
                if wanted.start is not None
                else None
            )
            slots = await claim_storage.lock_slots(connection, wanted.slots, near)
            if not last_try and any(slot.status == "busy-tentative" for slot in slots):
                if await self._expire_rivals(
                    connection, context.now, wanted, (), slots[0].start, slots[0].end
                ):
                    continue
            roles = await claim_storage.roles_of(connection, rules.unresolved_roles(wanted, slots))
            claim = rules.claim_for(
                wanted, slots, by_patient=context.patient_ids is not None, now=context.now, roles=roles
            )
            all_free, occupied = await claim_storage.take(connection, wanted.id, claim, context.now)
            if all_free and not occupied:
                return claim
            if occupied and not last_try:
                await claim_storage.give_back(connection, wanted.id, wanted.slots, context.now)
                if await self._expire_rivals(
                    connection, context.now, wanted, occupied, claim.start, claim.end
                ):
                    continue
            raise rules.occupied(occupied, claim.start) if occupied else rules.taken(slots[0])
        raise AssertionError("unreachable")

    async def _expire_rivals(
        self,
        connection: Connection,
        now: datetime,
        wanted: Appointment,
        actors: list[str] | tuple[str, ...],
        start: datetime,
        end: datetime,
    ) -> bool:
        """Expire the run-out holds that stand in the way; whether there were any."""
        rivals = await claim_storage.expired_rivals(connection, wanted.slots, actors, start, end, now)
        expired = False
        for rival in rivals:
            held = await lock_expired_hold(connection, rival, now)
            if held is not None:
                await self.expire(connection, now, held)
                expired = True
        return expired

    async def _tell(
        self,
        connection: Connection,
        context: WriteContext,
        before: Appointment | None,
        after: Appointment,
        *,
        schedules: tuple[str, ...] = (),
        moved: bool = False,
        held_until: datetime | None = None,
    ) -> None:
        kind = event_kind(before, after, held=held_until is not None, moved=moved and before is not None)
        if kind is None:
            return
        previous = (
            (before.start, before.end) if kind == "moved" and before and before.start and before.end else None
        )
        event = AppointmentEvent(kind, after, schedules, previous, _by(context), held_until)
        await self._publish(connection, context, event)

    async def _publish(self, connection: Connection, context: WriteContext, event: AppointmentEvent) -> None:
        await append(connection, [appointment_event(event, context.correlation_id)])


def _by(context: WriteContext) -> str:
    """Who cancelled, as the event says it."""
    if context.subject == "system":
        return "system"
    return "patient" if context.patient_ids is not None else "practitioner"

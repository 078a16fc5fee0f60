"""Booking, holding, changing and cancelling: command → rules → what is taken → what is told.

The only place that orchestrates. Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.domain import changes
from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import Actor, AppointmentEvent, event_kind
from creneau_booking.domain.quotas import ActionKind, Quotas
from creneau_booking.domain.status import SLOT_STATUS_OF, claims
from creneau_booking.handlers.access import require_changeable
from creneau_booking.handlers.claiming import Claiming
from creneau_booking.handlers.expiry import HoldExpiry
from creneau_booking.handlers.own_word import Change, OwnWord, unknown_appointment
from creneau_booking.handlers.proxys_word import heard, require_may_hide
from creneau_booking.handlers.telling import acting, tell
from creneau_booking.storage.agenda import agendas_of
from creneau_booking.storage.appointments import AppointmentRepository
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import give_back, set_status
from creneau_booking.storage.holds import extensions_of, forget_hold, hold_of, keep_hold, live_holds_of
from creneau_booking.storage.slot_references import with_known_slots
from creneau_shared.database.pool import Connection
from creneau_shared.errors import TooManyRequests, Unprocessable
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

Schedules = tuple[str, ...]
Owners = frozenset[str]


@dataclass(frozen=True)
class HoldPolicy:
    """How long a hold lasts, how often it may be put off, and how many one account or client may have at once."""

    duration: timedelta
    extensions_max: int
    per_subject_max: int
    """of a patient's account"""
    per_client_max: int
    """of a practice's software, or of any other"""


class AppointmentHandlers:
    """The commands on appointments. Stateless; one a process."""

    def __init__(self, repository: AppointmentRepository, holds: HoldPolicy, quotas: Quotas) -> None:
        self._repository = repository
        self._holds = holds
        self._word = OwnWord(repository, quotas)
        self.expiry = HoldExpiry(repository)
        self._claiming = Claiming(self.expiry, quotas)

    # -- new -------------------------------------------------------------------------------------------------

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        replaces: str | None = None,
    ) -> Stored:
        """Store a new appointment and take what its status claims: all of it, or nothing and a refusal.

        `replaces`: the id of the one that was cancelled for it.
        """
        resource = await self._understood(connection, resource)
        identified = self._repository.identify(self._repository.without_hold(resource), id_)
        after, identified, schedules, owners = await self._begin(connection, context, identified, version=1)
        identified = self._repository.with_replaced(identified, replaces)
        stored = await self._repository.insert(connection, context, identified, after, schedules, owners)
        await self._tell_begun(connection, context, after, schedules, owners)
        return stored

    async def restore(
        self, connection: Connection, context: WriteContext, deleted: Stored, resource: Resource
    ) -> Stored:
        """Store an appointment anew under the id of one that was deleted: it takes what a new one would."""
        resource = await self._understood(connection, resource)
        identified = self._repository.identify(self._repository.without_hold(resource), deleted.id)
        version = deleted.version + 1
        after, identified, schedules, owners = await self._begin(
            connection, context, identified, version=version
        )
        stored = await self._repository.update(
            connection, context, deleted, identified, after, schedules, owners
        )
        await self._tell_begun(connection, context, after, schedules, owners)
        return stored

    async def _understood(self, connection: Connection, resource: Resource) -> Resource:
        return await with_known_slots(connection, resource, self._repository.base_url)

    async def _begin(
        self, connection: Connection, context: WriteContext, identified: Resource, *, version: int
    ) -> tuple[Appointment, Resource, Schedules, Owners]:
        """Take what a new appointment claims; its facts, its resource with the times, its agendas and whose they are."""
        after = self._repository.facts(identified, version=version)
        require_may_hide(context, after)
        changes.require_allowed_status(after.status, by_patient=context.patient_ids is not None)
        kind: ActionKind = "booked" if claims(after.status) else "asked"
        await self._word.hear_new(connection, context, identified, after, kind)
        if not claims(after.status):
            identified = await self._word.with_asked_company(connection, context, identified, after)
            after = self._repository.facts(identified, version=version)
            schedules, owners = await agendas_of(connection, context, after.slots)
            return after, identified, schedules, owners
        return await self._take(connection, context, identified, after)

    async def _take(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        wanted: Appointment,
        before: Resource | None = None,
    ) -> tuple[Appointment, Resource, Schedules, Owners]:
        """`before`: the stored request that becomes an appointment."""
        locked = await self._claiming.lock(connection, context.now, wanted)
        resource = await self._word.with_company(connection, context, resource, wanted, locked.wanted, before)
        wanted = self._repository.facts(resource, id_=wanted.id, version=wanted.version)
        claim = await self._claiming.take(connection, context, wanted, locked)
        resource = self._repository.with_times(resource, claim.start, claim.end)
        after = self._repository.facts(resource, id_=wanted.id, version=wanted.version)
        return after, resource, claim.schedules, claim.owners

    async def _tell_begun(
        self,
        connection: Connection,
        context: WriteContext,
        after: Appointment,
        schedules: Schedules,
        owners: Owners,
    ) -> None:
        kind = event_kind(None, after)
        if kind is not None:
            await tell(connection, context, AppointmentEvent(kind, after, schedules, owners=owners))

    # -- holds -----------------------------------------------------------------------------------------------

    async def hold(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> tuple[Stored, datetime]:
        """Store a pending appointment whose slots nobody else gets until the hold runs out; until when."""
        resource = await self._understood(connection, resource)
        said = self._repository.identify(self._repository.without_hold(resource), id_)
        await self._word.hear_new(connection, context, said, self._repository.facts(said), "held")
        await self._require_hold_quota(connection, context)
        until = context.now + self._holds.duration
        identified = self._repository.as_held(said, until)
        wanted = self._repository.facts(identified)
        require_may_hide(context, wanted)
        after, identified, schedules, owners = await self._take(connection, context, identified, wanted)
        stored = await self._repository.insert(connection, context, identified, after, schedules, owners)
        await keep_hold(connection, stored.id, until, context.issuer, context.subject)
        await tell(
            connection, context, AppointmentEvent("held", after, schedules, held_until=until, owners=owners)
        )
        return stored, until

    async def hold_stored(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> tuple[Stored, datetime]:
        """Hold for a locked request, or extend the hold that it already has; until when."""
        before = self._repository.stored_facts(current)
        changes.require_transition(before.status, "pending", by_patient=context.patient_ids is not None)
        until = context.now + self._holds.duration
        resource = {**self._heard(context, current, before, resource), "status": "pending"}
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        if context.patient_ids is not None:
            changes.require_same_patient(before, after)
        said_before = self._repository.resource(current)
        hold = await hold_of(connection, current.id) if before.status == "pending" else None
        change = Change(said_before, before, resource, after, hold, moving=False)
        resource = self._repository.as_held(await self._word.hear_hold(connection, context, change), until)
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        schedules: Schedules = ()
        owners: Owners = frozenset()
        if not claims(before.status):
            await self._require_hold_quota(connection, context)
            after, resource, schedules, owners = await self._take(
                connection, context, resource, after, said_before
            )
        else:
            await self._require_extensible(connection, current.id)
        stored = await self._repository.update(
            connection, context, current, resource, after, schedules, owners
        )
        await keep_hold(connection, current.id, until, context.issuer, context.subject)
        await tell(
            connection, context, AppointmentEvent("held", after, schedules, held_until=until, owners=owners)
        )
        return stored, until

    async def _require_hold_quota(self, connection: Connection, context: WriteContext) -> None:
        by_patient = context.patient_ids is not None
        most = self._holds.per_subject_max if by_patient else self._holds.per_client_max
        # A patient's account waits its turn already (`OwnWord`). Software has its holds counted without waiting for its
        # other requests: its limit is there to stop a mistake.
        held = await live_holds_of(connection, context.issuer, context.subject, context.now)
        if held >= most:
            raise TooManyRequests(
                f"Vous réservez déjà {held} créneaux : confirmez-les ou rendez-les d'abord.",
                f"You are holding {held} slots already: confirm or release them first.",
                details_code="too-many-holds",
                headers={"Retry-After": str(int(self._holds.duration.total_seconds()))},
            )

    async def _require_extensible(self, connection: Connection, id_: str) -> None:
        extensions = await extensions_of(connection, id_)
        if extensions is None:
            raise _not_a_hold()
        if extensions >= self._holds.extensions_max:
            raise Unprocessable(
                f"Cette mise en attente a déjà été prolongée {extensions} fois : confirmez le rendez-vous ou rendez-le.",
                f"This hold has been extended {extensions} times already: confirm the appointment or release it.",
                expression="Appointment.status",
                details_code="hold-not-extensible",
            )

    # -- changes ---------------------------------------------------------------------------------------------

    async def change(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        move: bool = False,
        book: bool = False,
        replaces: str | None = None,
    ) -> Stored:
        """Store the next version of a locked appointment; give back and take what the change means.

        `move` is `$reschedule`: the one way for a patient to change when, and the agenda's people follow. Software
        may move by a plain update, and then says itself who takes part. `book` is `$book`: everyone whom a booked
        appointment takes has accepted. `replaces`: the id of the one that was cancelled for it.
        """
        by_patient = context.patient_ids is not None
        before = self._repository.stored_facts(current)
        if resource.get("slot") != self._repository.resource(current).get("slot"):
            resource = await self._understood(connection, resource)
        resource = self._heard(context, current, before, resource)
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        self._require_allowed(context, before, after, move=move)
        said_before = self._repository.resource(current)
        changes.require_unended(before.status, said_before, resource)
        hold = None
        if before.status == "pending":
            leaving = after.status != "pending"
            hold = await (forget_hold if leaving else hold_of)(connection, before.id)
        change = Change(said_before, before, resource, after, hold, moving=move)
        resource = await self._word.hear_change(connection, context, change)
        if (by_patient or book) and after.status == "booked" and before.status != "booked":
            resource = self._repository.as_booked(resource)
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        if claims(before.status) and (after.status == "cancelled" or changes.is_moved(before, after)):
            await require_changeable(connection, context, before)
        if before.status == after.status == "pending":
            resource = self._repository.keeping_hold(resource, current)
        else:
            resource = self._repository.without_hold(resource)
        resource, schedules, owners = await self._exchange(
            connection, context, before, after, resource, said_before, move=move
        )
        resource = self._repository.with_replaced(resource, replaces)
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        stored = await self._repository.update(
            connection, context, current, resource, after, schedules, owners
        )
        moved = changes.is_moved(before, after)
        kind = event_kind(before, after, moved=moved)
        if kind is not None:
            previous = (before.start, before.end) if kind == "moved" and before.start and before.end else None
            event = AppointmentEvent(kind, after, schedules, previous, acting(context))
            await tell(connection, context, event, before)
        return stored

    def _heard(
        self, context: WriteContext, current: Stored, before: Appointment, resource: Resource
    ) -> Resource:
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        return heard(context, self._repository.resource(current), before, resource, after)

    async def withdraw(
        self, connection: Connection, context: WriteContext, current: Stored, *, by: Actor = "patient"
    ) -> Stored:
        """Cancel a locked appointment because the person for whom it was, or with whom, is leaving.

        No rule of the practice on late cancellations keeps them; slots come back and everybody is told as ever.
        """
        before = self._repository.stored_facts(current)
        if claims(before.status):
            await self._give_back(connection, context, before)
        await forget_hold(connection, before.id)
        resource = self._repository.as_cancelled(self._repository.resource(current))
        after = self._repository.facts(resource, id_=current.id, version=current.version + 1)
        stored = await self._repository.update(connection, context, current, resource, after)
        if event_kind(before, after) is not None:
            await tell(connection, context, AppointmentEvent("cancelled", after, by=by), before)
        return stored

    def _require_allowed(
        self, context: WriteContext, before: Appointment, after: Appointment, *, move: bool
    ) -> None:
        by_patient = context.patient_ids is not None
        changes.require_transition(before.status, after.status, by_patient=by_patient)
        if by_patient:
            changes.require_same_patient(before, after)
            if not move:
                changes.require_unmoved(before, after)
        if after.status == "cancelled" and claims(before.status):
            changes.require_cancellable(before, context.now, by_patient=by_patient)
        if after.status == "noshow" and before.status != "noshow":
            changes.require_missed(after, context.now)

    async def _exchange(
        self,
        connection: Connection,
        context: WriteContext,
        before: Appointment,
        after: Appointment,
        resource: Resource,
        said_before: Resource,
        *,
        move: bool,
    ) -> tuple[Resource, Schedules, Owners]:
        """Give back and take what lies between two versions; the resource with its times, and what agendas it took,
        of whom."""
        if not claims(after.status):
            if claims(before.status):
                await self._give_back(connection, context, before)
            else:
                resource = await self._word.with_asked_company(
                    connection, context, resource, after, said_before
                )
            return resource, (), frozenset()
        moved = changes.is_moved(before, after)
        if claims(before.status) and not moved and not changes.takes_others(before, after):
            if SLOT_STATUS_OF[before.status] != SLOT_STATUS_OF[after.status]:
                wanted = SLOT_STATUS_OF[after.status]
                await set_status(connection, before.id, after.slots, wanted, context.now)
            return resource, (), frozenset()
        locked = await self._claiming.lock(connection, context.now, after, before)
        if move and locked.held:
            leaving, joining = await self._claiming.successors(connection, after, locked)
            resource = self._repository.with_agenda(resource, leaving, joining)
            after = self._repository.facts(resource, id_=after.id, version=after.version)
        resource = await self._word.with_company(
            connection, context, resource, after, locked.wanted, said_before
        )
        after = self._repository.facts(resource, id_=after.id, version=after.version)
        claim = await self._claiming.take(connection, context, after, locked)
        resource = self._repository.with_times(resource, claim.start, claim.end)
        return resource, claim.schedules, claim.owners

    async def remove(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Delete a locked appointment; what it had taken is given back."""
        before = self._repository.stored_facts(current)
        await self._word.hear_removal(connection, context, before)
        if not claims(before.status):
            return await self._repository.delete(connection, context, current)
        changes.require_cancellable(before, context.now, by_patient=context.patient_ids is not None)
        await require_changeable(connection, context, before)
        await self._give_back(connection, context, before)
        await forget_hold(connection, before.id)
        stored = await self._repository.delete(connection, context, current)
        cancelled = self._repository.as_cancelled(self._repository.resource(current))
        gone = self._repository.facts(cancelled, id_=current.id, version=stored.version)
        await tell(connection, context, AppointmentEvent("cancelled", gone, by=acting(context)))
        return stored

    async def _give_back(self, connection: Connection, context: WriteContext, before: Appointment) -> None:
        await wait_for_turn(connection, before.id)
        await give_back(connection, before.id, before.slots, context.now)

    # -- answers ---------------------------------------------------------------------------------------------

    async def answer(
        self,
        connection: Connection,
        context: WriteContext,
        appointment_id: str,
        actor: str | None,
        status: str,
    ) -> Stored:
        """What a patient answers (AppointmentResponse) becomes the answer of their participant in the appointment."""
        current = await self._repository.store.lock(connection, appointment_id)
        if current is None or current.deleted:
            raise unknown_appointment()
        said = self._repository.resource(current)
        resource = await self._word.answered(connection, context, said, actor, status)
        return current if resource == said else await self.change(connection, context, current, resource)


def _not_a_hold() -> Unprocessable:
    return Unprocessable(
        "Ce rendez-vous attend l'accord du cabinet : il n'y a pas de mise en attente à prolonger.",
        "This appointment waits for the practice's agreement: there is no hold to extend.",
        expression="Appointment.status",
        details_code="not-a-hold",
    )

"""Booking, changing and cancelling: command → rules → slots and people taken → events.

This module coordinates the others. Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from creneau_booking.domain import changes, confirmation, participants
from creneau_booking.domain.answers import practice_has_accepted
from creneau_booking.domain.appointment import (
    CANCELLATION_REASONS,
    OF_PERSONS,
    Appointment,
    Cancellation,
)
from creneau_booking.domain.events import Actor, AppointmentEvent
from creneau_booking.domain.quotas import Quotas
from creneau_booking.domain.refusals.waiting import OfferNotMovable
from creneau_booking.domain.rehearsal import require_apart, require_still_apart
from creneau_booking.domain.status import claims
from creneau_booking.domain.transitions import MOVABLE, TRANSITIONS, told
from creneau_booking.domain.waiting import Patience
from creneau_booking.handlers.access import require_changeable, require_known_patients
from creneau_booking.handlers.asking import ask_practice, keep_asking
from creneau_booking.handlers.beginning import Beginning
from creneau_booking.handlers.claiming import Claiming
from creneau_booking.handlers.exchange import Exchange
from creneau_booking.handlers.expiry import HoldExpiry
from creneau_booking.handlers.hold_policy import HoldPolicy
from creneau_booking.handlers.holding import Holding
from creneau_booking.handlers.in_place_of import InPlaceOf
from creneau_booking.handlers.in_series import ALONE, InSeries
from creneau_booking.handlers.manner import PLAINLY, Manner
from creneau_booking.handlers.overbooking import Overbooking
from creneau_booking.handlers.own_holds import OwnHolds
from creneau_booking.handlers.own_word import Change, OwnWord
from creneau_booking.handlers.proxys_word import heard, require_may_hide
from creneau_booking.handlers.telling import acting, tell
from creneau_booking.handlers.waiting import WaitingList
from creneau_booking.storage.agendas.ownership import owners_among
from creneau_booking.storage.agendas.slots_of_agendas import agendas_of
from creneau_booking.storage.mapping.appointment import said as said_over
from creneau_booking.storage.mapping.appointment import with_reason_in_code, without_ours
from creneau_booking.storage.visits.appointments import AppointmentRepository, Whose
from creneau_booking.storage.visits.holds import Hold, forget_hold, hold_of
from creneau_booking.storage.visits.known_references import with_known_references
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext


@dataclass(frozen=True, slots=True)
class Heard:
    """A checked change: the stored version, the wanted one, and the hold of the appointment."""

    current: Stored
    said_before: Resource
    before: Appointment
    said: Resource
    after: Appointment
    hold: Hold | None

    @property
    def waits(self) -> bool:
        """Whether it waits for the practice's answer."""
        return self.hold is not None and self.hold.confirmation == "asked"

    @property
    def in_line_since(self) -> datetime | None:
        """Since when the person has waited, if they accepted an offer that the practice has not confirmed yet; else None."""
        return self.hold.in_line_since if self.hold is not None and self.waits else None

    @property
    def was_in_line(self) -> bool:
        """Whether it was on the waiting list: waiting, with an offer, or with an accepted offer that waits for the practice.
        The appointment that it would replace was checked before, when its author named it."""
        return self.before.status == "waitlist" or self.before.is_offer or self.in_line_since is not None


class AppointmentHandlers:
    """The commands on appointments. Stateless; one a process. A request for a series becomes all of it (`series`)."""

    series: Beginning

    def __init__(
        self, repository: AppointmentRepository, holds: HoldPolicy, quotas: Quotas, patience: Patience
    ) -> None:
        self._repository = self.repository = repository
        self.patience = holds.confirmation
        self._word = self.word = OwnWord(repository, quotas)
        self.expiry = HoldExpiry(repository)
        claiming = Claiming(self.expiry, quotas)
        self._overbooking = Overbooking(claiming)
        self._exchange = Exchange(claiming, OwnHolds(repository), self._word, holds)
        self.holding = Holding(repository, self._word, self._exchange, holds)
        self._in_place_of = InPlaceOf(repository)
        self.waiting = WaitingList(repository, claiming, patience)
        self.expiry.line = self.waiting

    def bind(self, series: Beginning) -> None:
        """Completes the commands: a series is made of them (`handlers.series`), and begins in them."""
        self.series = self.holding.series = series

    # -- new -------------------------------------------------------------------------------------------------

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        replaces: str | None = None,
        place: InSeries = ALONE,
        own_id: str | None = None,
    ) -> Stored:
        """Stores a new appointment and takes what its status claims: all of it, or nothing and a refusal.

        `replaces`: the id of the appointment that was cancelled for it; `own_id`: a generated id, which nobody else can be
        using; `place`: its place in a series that is taken as a whole.
        """
        understood = await self._understood(connection, context, resource)
        resource, wanted = self._repository.new(understood, id_ or own_id)
        wanted = place.of(wanted).replacing(replaces)
        after, whose = await self._begin(connection, context, resource, wanted)
        stored = await self._repository.insert(
            connection, context, resource, after, whose, own_id=id_ is None
        )
        await self._tell_begun(connection, context, after, whose)
        return stored

    async def restore(
        self,
        connection: Connection,
        context: WriteContext,
        deleted: Stored,
        resource: Resource,
        *,
        place: InSeries = ALONE,
    ) -> Stored:
        """Stores an appointment under the id of a deleted one, and takes what a new one would take."""
        resource = await self._understood(connection, context, resource)
        resource, wanted = self._repository.new(resource, deleted.id, deleted.version + 1)
        after, whose = await self._begin(connection, context, resource, place.of(wanted))
        stored = await self._repository.update(connection, context, deleted, resource, after, whose)
        await self._tell_begun(connection, context, after, whose)
        return stored

    async def _understood(
        self, connection: Connection, context: WriteContext, resource: Resource
    ) -> Resource:
        return await with_known_references(connection, context, resource, self._repository.base_url)

    async def _begin(
        self, connection: Connection, context: WriteContext, resource: Resource, wanted: Appointment
    ) -> tuple[Appointment, Whose]:
        """Takes what a new appointment claims. Returns the appointment afterwards, its agendas and their owners."""
        wanted = await self._in_place_of.as_hidden(connection, context, wanted)
        require_may_hide(context, wanted)
        changes.require_allowed_status(wanted.status, by_patient=context.by_patient)
        changes.require_missed(None, wanted, context.now)
        participants.require_somebody_comes(None, wanted)
        takes = TRANSITIONS[None, wanted.status].time == "takes"
        await self._word.hear_new(connection, context, resource, wanted, "booked" if takes else "asked")
        if takes:
            beside = await self._overbooking.over(connection, context, wanted)
            if beside is not None:
                return beside
            reach = await self._exchange.reach(connection, context, wanted)
            return await self._exchange.take(connection, context, wanted, reach)
        await require_known_patients(connection, context, wanted)
        wanted = await self._word.with_asked_company(connection, context, wanted)
        if wanted.status == "waitlist":
            wanted, whose = await self.waiting.joining(connection, context, wanted, resource)
        else:
            whose = Whose(*await agendas_of(connection, context, wanted.slots), alone=True)
        require_apart(wanted, whose.schedules)
        return wanted, whose

    async def _tell_begun(
        self, connection: Connection, context: WriteContext, after: Appointment, whose: Whose
    ) -> None:
        if after.confirmation == "asked":
            await ask_practice(connection, context, after, whose, whose.owners)
            return
        kind = told(None, after.status)
        if kind is not None:
            await tell(connection, context, AppointmentEvent(kind, after, whose.schedules, owners=whose.told))

    # -- changes ---------------------------------------------------------------------------------------------

    async def change(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        how: Manner = PLAINLY,
    ) -> Stored:
        """Stores the next version of a locked appointment; gives back and takes time as the change requires. A request for a
        series that is to take its time becomes the whole series: the first is returned."""
        template = self._repository.series_begun(current, resource)
        if template is not None and how.place is ALONE:
            return await self.series.book(connection, context, current, resource, template, how)
        if await self._books_held_series(connection, current, resource, how):
            return await self.series.book_held(connection, context, current, resource, how)
        if context.by_patient:
            resource, words = with_reason_in_code(resource)
            how = replace(how, note=how.note or words)
        change = await self._hear(connection, context, current, resource, how)
        before = change.before
        after = how.place.of(await self._next(connection, context, change, how))
        replacing = after.replacing(how.replaces)
        await self._in_place_of.require_as_hidden(connection, context, before, replacing)
        moved = changes.is_moved(before, after)
        await self._require_still_theirs(connection, context, before, after)
        if change.was_in_line:
            await self._give_up_replaced(connection, context, before, after)
        after, whose = await self._exchange.between(connection, context, before, after, move=how.move)
        require_still_apart(before, after, whose.schedules)
        if not whose.alone:
            whose = await self._whose_by_now(connection, context, change, after, whose)
        after = after.replacing(how.replaces)
        if moved and claims(before.status) and not how.with_series:
            after = after.off_pattern()
        stored = await self._repository.update(connection, context, current, change.said, after, whose)
        if change.in_line_since is not None:
            await self.waiting.left(connection, after)
        await self._settle(connection, context, change, after, whose, how)
        return stored

    async def _books_held_series(
        self, connection: Connection, current: Stored, resource: Resource, how: Manner
    ) -> bool:
        """Whether the change books one of a held series at its time: then all of it. What waits for the practice's answer is
        answered visit by visit, as is what an AppointmentResponse names."""
        before = self._repository.stored_facts(current)
        if before.occurrence is None or (before.status, resource["status"]) != ("pending", "booked"):
            return False
        if how.with_series or how.by_itself or how.answered is not None or how.place is not ALONE:
            return False
        if changes.is_moved(before, self._repository.next(current, resource)):
            return False
        hold = await hold_of(connection, current.id)
        return hold is None or hold.confirmation != "asked"

    async def _whose_by_now(
        self, connection: Connection, context: WriteContext, change: Heard, after: Appointment, whose: Whose
    ) -> Whose:
        """The owners after a change that takes no new time. A wish may name other agendas; a request to several practices
        belongs, once it is booked, to the owners of its slots' agendas."""
        if after.status == "waitlist" == change.before.status:
            return await self.waiting.amended(connection, context, after, change.said_before, change.said)
        settled = after.status == "booked" != change.before.status
        if settled and after.slots and len(owners_among(change.current.terms or ())) > 1:
            everywhere = WriteContext(now=context.now, by_service=True)
            return Whose(*await agendas_of(connection, everywhere, after.slots), alone=True)
        return whose

    async def _hear(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        how: Manner,
    ) -> Heard:
        """Completes the wanted version, and refuses changes that this caller may not make."""
        said_before = self._repository.resource(current)
        before = self._repository.stored_facts(current)
        resource = await with_known_references(
            connection, context, resource, self._repository.base_url, before=said_before
        )
        after = self._repository.next(current, resource)
        resource = heard(context, said_before, before, resource, after, moving=how.move)
        after = self._repository.next(current, resource)
        self._require_allowed(context, before, after, move=how.move)
        changes.require_unended(before.status, without_ours(said_before), without_ours(resource))
        changes.require_cancelled_as_it_stands(before, after)
        hold = await self._hold_after(connection, before, after)
        change = Heard(current, said_before, before, resource, after, hold)
        from_line = change.was_in_line and before.status != "waitlist"
        if from_line and after.status == "cancelled" and (how.by or acting(context)) != "patient":
            # A practice that cancels gives the time back; only the patient gives up the place in line.
            rest = {name: value for name, value in resource.items() if name != "cancelationReason"}
            resource = {**rest, "status": "waitlist"}
            after = self._repository.next(current, resource)
        own_hold = None if change.waits else hold
        said = await self._word.hear_change(
            connection, context, Change(said_before, before, resource, after, own_hold, moving=how.move)
        )
        if from_line and after.status == "waitlist":
            said = await self.waiting.wish_again(connection, said_before, before.id)
        if change.waits and hold is not None and (after.status == "booked" or how.asks_until is not None):
            confirmation.require_in_time(hold.expires_at, context.now)
        return replace(change, said=said, after=self._repository.next(current, said))

    async def _hold_after(
        self, connection: Connection, before: Appointment, after: Appointment
    ) -> Hold | None:
        """Returns the hold of a pending appointment, and ends it if the appointment is pending no more."""
        if before.status != "pending":
            return None
        if after.status == "pending":
            return await hold_of(connection, before.id)
        return await forget_hold(connection, before.id)

    def _require_allowed(
        self, context: WriteContext, before: Appointment, after: Appointment, *, move: bool
    ) -> None:
        by_patient = context.by_patient
        changes.require_transition(before.status, after.status, by_patient=by_patient)
        participants.require_somebody_comes(before, after)
        if by_patient:
            changes.require_same_patient(before, after)
            if not move:
                changes.require_unmoved(before, after)
        if claims(before.status) and (after.status == "cancelled" or changes.is_moved(before, after)):
            changes.require_to_come(before, context.now, by_patient=by_patient)
        changes.require_missed(before.status, after, context.now)

    async def _next(
        self, connection: Connection, context: WriteContext, change: Heard, how: Manner
    ) -> Appointment:
        """The next version's facts: accepted, asked for, waiting, cancelled or answered, depending on the change."""
        before = change.before
        book = how.book or (change.waits and how.answered is None)
        after = self._carried_on(context, change, book=book)
        after = await self.waiting.standing(
            connection, context, before, after, change.said_before, change.said, change.in_line_since
        )
        if after.status == "cancelled" != before.status:
            whose_act = how.by or acting(context)
            cancellation = Cancellation(context.now, whose_act, how.note)
            after = replace(after, cancellation=cancellation, replaced_by=how.replaced_by)
        if how.answered is not None:
            after = replace(after, counter=how.answered.counter)
        if how.asks_until is not None:
            after = replace(after, held_until=how.asks_until, confirmation="asked")
        return after

    def _carried_on(self, context: WriteContext, change: Heard, *, book: bool) -> Appointment:
        """The next version with the state that it keeps from the last one. If a patient or `$book` books it, everyone has
        accepted. A hold keeps its end, or becomes a request to the practice."""
        before, after, hold = change.before, change.after, change.hold
        if (book or context.by_patient) and after.status == "booked" != before.status:
            after = after.booked()
        kept = before.held_until if before.status == after.status == "pending" else None
        goes_on = after.status == "pending" or (after.status == "booked" and context.by_patient)
        asks = hold.confirmation if hold is not None and goes_on else None
        stays = after.status == before.status and not changes.is_moved(before, after)
        after = replace(
            after,
            held_until=kept,
            confirmation=asks,
            counter=before.counter if stays else None,
            cancellation=before.cancellation if stays else None,
            replaced_by=before.replaced_by if stays else None,
        )
        if asks == "later" and after.status == "booked" and not changes.is_moved(before, after):
            if practice_has_accepted(before):
                return replace(after, confirmation=None)
            return after.asked(confirmation.deadline(context.now, after.start, self.patience))
        return after

    async def _require_still_theirs(
        self, connection: Connection, context: WriteContext, before: Appointment, after: Appointment
    ) -> None:
        """Refuses a patient's move of an offer, and cancelling or moving a visit after the practice's deadline."""
        moved = changes.is_moved(before, after)
        if before.is_offer and moved and claims(after.status) and context.by_patient:
            raise OfferNotMovable
        if claims(before.status) and (after.status == "cancelled" or moved):
            await require_changeable(connection, context, before)

    async def _give_up_replaced(
        self, connection: Connection, context: WriteContext, before: Appointment, accepted: Appointment
    ) -> None:
        """Cancels the visit that a booked wish (`before`: its last version) replaces, if it still exists and the practice's
        deadline allows it. That visit is locked already, together with the wish (`AppointmentRepository.lock`). Its people
        are waited for together with those of the booked time."""
        if accepted.replaces is None or accepted.status != "booked":
            return
        current = await self._repository.store.lock(connection, accepted.replaces)
        if current is None or current.deleted:
            return
        replaced = self._repository.stored_facts(current)
        if replaced.status not in MOVABLE or set(replaced.patients) != set(accepted.patients):
            return
        if replaced.hidden and not accepted.hidden:
            return  # a representative who accepts for the person must not learn of the hidden visit
        changes.require_to_come(replaced, context.now, by_patient=context.by_patient)
        await require_changeable(connection, context, replaced)
        await self.series.lock(connection, context, [accepted], [before, replaced])
        # A visible appointment does not name a hidden one.
        by = accepted.id if replaced.hidden or not accepted.hidden else None
        context.effects.besides.append(await self.withdraw(connection, context, current, replaced_by=by))

    async def _settle(
        self,
        connection: Connection,
        context: WriteContext,
        change: Heard,
        after: Appointment,
        whose: Whose,
        how: Manner,
    ) -> None:
        """After storing: asks the practice, continues or ends a hold, and publishes the event."""
        before, terms = change.before, change.current.terms
        owners = owners_among(terms) if terms is not None else None
        if whose.alone:
            owners = whose.told
        moved = changes.is_moved(before, after)
        anew = how.asks_until is not None or (moved and context.by_patient)
        if after.confirmation == "asked" and (anew or not change.waits):
            await ask_practice(connection, context, after, whose, owners, before)
            return
        if change.hold is not None and before.status == "pending":
            await keep_asking(connection, after, change.hold)
        ended = change.waits and after.status in ("cancelled", "waitlist")
        # The requested visit does not take place, even if the person waits on.
        kind = "cancelled" if ended else told(before.status, after.status, moved=moved)
        if kind is None:
            return
        event = AppointmentEvent(
            kind,
            after,
            whose.schedules,
            (before.start, before.end) if kind == "moved" and before.start and before.end else None,
            how.by or acting(context),
            owners=owners,
            awaits_practice=ended,
        )
        await tell(connection, context, event, before)

    async def agree(
        self, connection: Connection, context: WriteContext, current: Stored, offered: Appointment
    ) -> Stored | None:
        """Records that the practice agrees to an offer of the waiting list before the patient has answered. Returns None if
        the practice need not agree."""
        hold = await hold_of(connection, offered.id)
        if hold is None or hold.confirmation != "later":
            return None
        people = tuple(
            p if p.type in OF_PERSONS or p.status == "declined" else replace(p, status="accepted")
            for p in offered.participants
        )
        agreed = said_over(replace(offered, participants=people), self._repository.resource(current))
        return await self.change(connection, context, current, agreed)

    # -- ends ------------------------------------------------------------------------------------------------

    async def withdraw(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        *,
        by: Actor = "patient",
        reason: str | None = None,
        replaced_by: str | None = None,
        record_ended: bool = False,
    ) -> Stored:
        """Cancels a locked appointment without applying the practice's deadline: a person of it leaves, or it is replaced.

        Slots are given back and the event is published as usual. `reason`: a code of CANCELLATION_REASONS; `record_ended`:
        see `AppointmentEvent`.
        """
        before = self._repository.stored_facts(current)
        if claims(before.status):
            await self._exchange.give_back(connection, context, before)
        hold = await forget_hold(connection, before.id)
        awaited = hold is not None and hold.confirmation == "asked"
        if hold is not None and hold.in_line_since is not None:
            await self.waiting.left(connection, before.cancelled())
        cancellation = Cancellation(context.now, by)
        after = replace(
            before.cancelled(),
            version=current.version + 1,
            cancellation=cancellation,
            replaced_by=replaced_by,
        )
        resource = self._repository.resource(current)
        if reason is not None:
            coding = {"system": CANCELLATION_REASONS, "code": reason}
            resource = {**resource, "cancelationReason": {"coding": [coding]}}
            after = replace(after, cancelation_reason=reason)
        stored = await self._repository.update(connection, context, current, resource, after)
        if told(before.status, after.status) is not None:
            event = AppointmentEvent(
                "cancelled", after, by=by, record_ended=record_ended, awaits_practice=awaited
            )
            await tell(connection, context, event, before)
        return stored

    async def remove(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Deletes a locked appointment and gives its time back. A patient deletes only what they could cancel: a practice
        corrects a visit that has begun or is over."""
        before = self._repository.stored_facts(current)
        await self._word.hear_removal(connection, context, before)
        if context.by_patient:
            changes.require_not_over(before.status)
            changes.require_transition(before.status, "cancelled", by_patient=True)
        if not claims(before.status):
            return await self._repository.delete(connection, context, current)
        changes.require_to_come(before, context.now, by_patient=context.by_patient)
        await require_changeable(connection, context, before)
        await self._exchange.give_back(connection, context, before)
        hold = await forget_hold(connection, before.id)
        awaited = hold is not None and hold.confirmation == "asked"
        if hold is not None and hold.in_line_since is not None:
            await self.waiting.left(connection, before.cancelled())
        stored = await self._repository.delete(connection, context, current)
        gone = replace(before.cancelled(), version=stored.version)
        event = AppointmentEvent("cancelled", gone, by=acting(context), awaits_practice=awaited)
        await tell(connection, context, event)
        return stored

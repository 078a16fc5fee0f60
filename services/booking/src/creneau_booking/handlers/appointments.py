"""Booking, holding, changing and cancelling: command → rules → what is taken → what is told.

The only place that orchestrates. Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from creneau_booking.domain import changes, confirmation
from creneau_booking.domain.answers import practice_has_accepted
from creneau_booking.domain.appointment import (
    CANCELLATION_REASONS,
    OF_PERSONS,
    Appointment,
    Cancellation,
    Occurrence,
)
from creneau_booking.domain.events import Actor, AppointmentEvent
from creneau_booking.domain.quotas import Quotas
from creneau_booking.domain.refusals import HoldNotExtensible, NotAHold, OfferNotMovable, TooManyHolds
from creneau_booking.domain.rehearsal import require_apart, require_still_apart
from creneau_booking.domain.status import SLOT_STATUS_OF, claims
from creneau_booking.domain.transitions import MOVABLE, TRANSITIONS, EventKind, told
from creneau_booking.domain.waiting import Patience
from creneau_booking.handlers.access import require_changeable, require_known_patients
from creneau_booking.handlers.claiming import Claiming, LockedSlots, schedules
from creneau_booking.handlers.expiry import HoldExpiry
from creneau_booking.handlers.overbooking import Overbooking
from creneau_booking.handlers.own_holds import OwnHold, OwnHolds
from creneau_booking.handlers.own_word import Change, OwnWord
from creneau_booking.handlers.proxys_word import heard, require_may_hide
from creneau_booking.handlers.telling import acting, tell
from creneau_booking.handlers.waiting import WaitingList
from creneau_booking.storage.agenda import agendas_of
from creneau_booking.storage.appointment_mapper import said, with_reason_in_code, without_ours
from creneau_booking.storage.appointments import NOBODY_ELSE, AppointmentRepository, Whose
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import give_back, set_status
from creneau_booking.storage.holds import (
    Hold,
    await_practice,
    extensions_of,
    forget_hold,
    hold_of,
    keep_hold,
    set_confirmation,
)
from creneau_booking.storage.ownership import owners_among
from creneau_booking.storage.slot_references import with_known_slots
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext


@dataclass(frozen=True)
class HoldPolicy:
    """How long a hold lasts, how often it may be put off, and how many one account or client may have at once."""

    duration: timedelta
    extensions_max: int
    per_subject_max: int
    """of a patient's account"""
    per_client_max: int
    """of a practice's software, or of any other"""
    confirmation: timedelta
    """how long a practice that confirms may take to answer"""

    def term(self, now: datetime, instead: Sequence[OwnHold]) -> tuple[datetime, int]:
        """Until when a hold that begins `now` lasts, and how often it was put off. In the place of others of the same account
        it goes on with them: as one that is put off, or when that is no longer possible until they would have ended."""
        extensions = max((own.extensions for own in instead), default=-1)
        if extensions >= self.extensions_max:
            return min(own.until for own in instead), extensions
        return now + self.duration, extensions + 1


@dataclass(frozen=True, slots=True)
class Reach:
    """What an appointment finds: the slots, and the caller's own holds on them, which may give way."""

    locked: LockedSlots
    own: tuple[OwnHold, ...] = ()


@dataclass(frozen=True, slots=True)
class InSeries:
    """Which one of a series a new appointment is, and the ids of those that were taken before it: they are held, and to
    come, as one with it."""

    occurrence: Occurrence | None = None
    fellows: tuple[str, ...] = ()

    def of(self, wanted: Appointment) -> Appointment:
        if self.occurrence is None:
            return wanted
        return replace(wanted, occurrence=self.occurrence, fellows=self.fellows)


ALONE = InSeries()


class AppointmentHandlers:
    """The commands on appointments. Stateless; one a process."""

    def __init__(
        self, repository: AppointmentRepository, holds: HoldPolicy, quotas: Quotas, patience: Patience
    ) -> None:
        self._repository = self.repository = repository
        self._holds = holds
        self.patience = holds.confirmation
        self._word = self.word = OwnWord(repository, quotas)
        self.expiry = HoldExpiry(repository)
        self._claiming = Claiming(self.expiry, quotas)
        self._overbooking = Overbooking(self._claiming)
        self._own_holds = OwnHolds(repository)
        self.waiting = WaitingList(repository, self._claiming, patience)
        self.expiry.line = self.waiting

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
        """Store a new appointment and take what its status claims: all of it, or nothing and a refusal.

        `replaces`: the id of the one that was cancelled for it; `own_id`: an id of ours, which nobody else can be using;
        `place`: in a series that is taken as a whole.
        """
        understood = await self._understood(connection, context, resource)
        resource, wanted = self._repository.new(understood, id_ or own_id)
        wanted = place.of(wanted)
        after, whose = await self._begin(connection, context, resource, wanted)
        after = after.replacing(replaces)
        stored = await self._repository.insert(
            connection, context, resource, after, whose, own_id=id_ is None
        )
        await self._tell_begun(connection, context, after, whose)
        return stored

    async def restore(
        self, connection: Connection, context: WriteContext, deleted: Stored, resource: Resource
    ) -> Stored:
        """Store an appointment anew under the id of one that was deleted: it takes what a new one would."""
        resource = await self._understood(connection, context, resource)
        resource, wanted = self._repository.new(resource, deleted.id, deleted.version + 1)
        after, whose = await self._begin(connection, context, resource, wanted)
        stored = await self._repository.update(connection, context, deleted, resource, after, whose)
        await self._tell_begun(connection, context, after, whose)
        return stored

    async def _understood(
        self, connection: Connection, context: WriteContext, resource: Resource
    ) -> Resource:
        return await with_known_slots(connection, context, resource, self._repository.base_url)

    async def _begin(
        self, connection: Connection, context: WriteContext, resource: Resource, wanted: Appointment
    ) -> tuple[Appointment, Whose]:
        """Take what a new appointment claims; what it has become, its agendas and whose they are."""
        require_may_hide(context, wanted)
        changes.require_allowed_status(wanted.status, by_patient=context.patient_ids is not None)
        takes = TRANSITIONS[None, wanted.status].time == "takes"
        await self._word.hear_new(connection, context, resource, wanted, "booked" if takes else "asked")
        if takes:
            beside = await self._overbooking.over(connection, context, wanted)
            if beside is not None:
                return beside
            reach = await self._reach(connection, context, wanted)
            return await self._take(connection, context, wanted, reach)
        await require_known_patients(connection, context, wanted)
        wanted = await self._word.with_asked_company(connection, context, wanted)
        whose = Whose(*await agendas_of(connection, context, wanted.slots))
        if wanted.status == "waitlist":
            wanted, awaited = await self.waiting.joining(connection, context, wanted, resource)
            whose = awaited or whose
        require_apart(wanted, whose.schedules)
        return wanted, whose

    async def _reach(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        before: Appointment | None = None,
        *,
        holding: bool = False,
    ) -> Reach:
        """Lock what an appointment wants and, of `before`, has; what the caller's own account holds of it may give way."""
        holder = (context.issuer, context.subject) if holding or context.patient_ids is not None else None
        # What it asked for before, or keeps pending, the scheduler of an agenda may have marked; nothing else is booked there.
        asks = (
            before.status in ("proposed", "waitlist", "pending")
            if before is not None
            else wanted.status == "pending"
        )
        marked = asks and not holding and schedules(context)
        locked = await self._claiming.lock(connection, context.now, wanted, before, holder, marked=marked)
        return Reach(locked, await self._own_holds.among(connection, context, wanted, locked.own_holds))

    async def _cleared(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        reach: Reach,
        had: Appointment | None = None,
        *,
        holding: bool = False,
    ) -> LockedSlots:
        """What is within reach, the caller's own holds out of the way."""
        if not reach.own:
            return reach.locked
        await self._own_holds.give_up(connection, context, reach.own, wanted, had)
        return (await self._reach(connection, context, wanted, had, holding=holding)).locked

    async def _take(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        reach: Reach,
        before: Appointment | None = None,
        *,
        holding: bool = False,
    ) -> tuple[Appointment, Whose]:
        """`before`: the request that becomes an appointment. `holding`: for a while."""
        locked = await self._cleared(connection, context, wanted, reach, holding=holding)
        # Before anything is said of the slots: whether a stranger is free at some hour is nobody's to learn.
        await require_known_patients(connection, context, wanted, locked.patients)
        if holding:
            self._require_hold_quota(context, locked.holds - len(wanted.fellows))
            await self._count_no_more(connection, context, wanted, reach)
        wanted = self._as_its_practice_has_it(context, wanted, locked)
        wanted = await self._word.with_company(connection, context, wanted, locked.wanted, before)
        claim = await self._claiming.take(connection, context, wanted, locked)
        require_apart(wanted, claim.schedules)
        whose = Whose(claim.schedules, claim.owners, locked.patients or {})
        return wanted.within(claim.start, claim.end), whose

    def _as_its_practice_has_it(
        self, context: WriteContext, wanted: Appointment, locked: LockedSlots
    ) -> Appointment:
        return confirmation.as_its_practice_has_it(
            wanted,
            locked.wanted,
            by_patient=context.patient_ids is not None,
            now=context.now,
            patience=self._holds.confirmation,
        )

    async def _ask_practice(
        self,
        connection: Connection,
        context: WriteContext,
        asked: Appointment,
        whose: Whose,
        owners: frozenset[str] | None,
        before: Appointment | None = None,
    ) -> None:
        """Keep what was taken until the practice answers, and tell that it is asked."""
        assert asked.held_until is not None
        await await_practice(connection, asked.id, asked.held_until)
        context.undecided.add(asked.id)
        # What was booked is so no longer: whoever plans by it has to know.
        kind: EventKind = "updated" if before is not None and before.status == "booked" else "held"
        event = AppointmentEvent(
            kind, asked, whose.schedules, held_until=asked.held_until, awaits_practice=True, owners=owners
        )
        await tell(connection, context, event)

    async def _tell_begun(
        self,
        connection: Connection,
        context: WriteContext,
        after: Appointment,
        whose: Whose,
    ) -> None:
        if after.confirmation == "asked":
            await self._ask_practice(connection, context, after, whose, whose.owners)
            return
        kind = told(None, after.status)
        if kind is not None:
            known = whose.owners if whose.schedules else None
            await tell(connection, context, AppointmentEvent(kind, after, whose.schedules, owners=known))

    # -- holds -----------------------------------------------------------------------------------------------

    async def hold(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        place: InSeries = ALONE,
    ) -> tuple[Stored, datetime]:
        """Store a pending appointment whose slots nobody else gets until the hold runs out; until when. What the account
        holds already, and in the same way, is answered as it is."""
        resource, wanted = self._repository.new(await self._understood(connection, context, resource), id_)
        wanted = place.of(wanted)
        await self._word.hear_new(connection, context, resource, wanted, "held")
        require_may_hide(context, wanted)
        reach = await self._reach(connection, context, wanted, holding=True)
        if id_ is None and len(reach.own) == 1 and reach.own[0].is_for(wanted, resource):
            await self._count_no_more(connection, context, wanted, reach)
            return reach.own[0].stored, reach.own[0].until
        until, extensions = self._holds.term(context.now, reach.own)
        after, whose = await self._take(connection, context, wanted.held(until), reach, holding=True)
        stored = await self._repository.insert(
            connection, context, resource, after, whose, own_id=id_ is None
        )
        await self._keep_hold(connection, context, after, until, whose, extensions)
        return stored, until

    async def hold_stored(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> tuple[Stored, datetime]:
        """Hold for a locked request, or extend the hold that it already has; until when."""
        before = self._repository.stored_facts(current)
        changes.require_transition(before.status, "pending", by_patient=context.patient_ids is not None)
        if before.is_offer:
            raise OfferNotMovable
        until = context.now + self._holds.duration
        resource = {**self._heard(context, current, before, resource), "status": "pending"}
        after = self._repository.next(current, resource)
        if context.patient_ids is not None:
            changes.require_same_patient(before, after)
        hold = await hold_of(connection, current.id) if before.status == "pending" else None
        change = Change(self._repository.resource(current), before, resource, after, hold, moving=False)
        resource = await self._word.hear_hold(connection, context, change)
        after = self._repository.next(current, resource)
        whose, extensions = NOBODY_ELSE, 0
        if TRANSITIONS[before.status, "pending"].time == "takes":
            reach = await self._reach(connection, context, after, holding=True)
            until, extensions = self._holds.term(context.now, reach.own)
            after, whose = await self._take(
                connection, context, after.held(until), reach, before, holding=True
            )
        else:
            after = replace(after.held(until), confirmation=hold.confirmation if hold is not None else None)
            await self._require_extensible(connection, current.id)
        stored = await self._repository.update(connection, context, current, resource, after, whose)
        await self._keep_hold(connection, context, after, until, whose, extensions)
        return stored, until

    async def _keep_hold(
        self,
        connection: Connection,
        context: WriteContext,
        held: Appointment,
        until: datetime,
        whose: Whose,
        extensions: int,
    ) -> None:
        await keep_hold(
            connection, held.id, until, context.issuer, context.subject, extensions, held.confirmation
        )
        known = whose.owners if whose.schedules else None
        event = AppointmentEvent("held", held, whose.schedules, held_until=until, owners=known)
        await tell(connection, context, event)

    async def _count_no_more(
        self, connection: Connection, context: WriteContext, wanted: Appointment, reach: Reach
    ) -> None:
        """A hold in the place of one's own on the same slots is none that begins."""
        if reach.own:
            [patient] = set(wanted.patients)
            await self._word.take_back(connection, context, patient, hidden=wanted.hidden)

    def _require_hold_quota(self, context: WriteContext, held: int) -> None:
        by_patient = context.patient_ids is not None
        most = self._holds.per_subject_max if by_patient else self._holds.per_client_max
        # A patient's account waits its turn already (`OwnWord`). Software has its holds counted without waiting for its
        # other requests: its limit is there to stop a mistake.
        if held >= most:
            raise TooManyHolds(held, self._holds.duration)

    async def _require_extensible(self, connection: Connection, id_: str) -> None:
        extensions = await extensions_of(connection, id_)
        if extensions is None:
            raise NotAHold()
        if extensions >= self._holds.extensions_max:
            raise HoldNotExtensible(extensions)

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
        with_series: bool = False,
        by: Actor | None = None,
        answered: Appointment | None = None,
        asks_until: datetime | None = None,
        note: str | None = None,
        replaced_by: str | None = None,
    ) -> Stored:
        """Store the next version of a locked appointment; give back and take what the change means. `with_series`: all of
        its series change alike.

        `move` is `$reschedule`: the one way for a patient to change when, and the agenda's people follow. Software
        may move by a plain update, and then says itself who takes part. `book` is `$book`: everyone whom a booked
        appointment takes has accepted. `replaces`: the id of the one that was cancelled for it. `answered`: the facts to
        which an answer has led (`handlers.answers`), which is `by` somebody; `asks_until`: until when its practice is asked.
        `note`: what whoever cancels says to the other side; `replaced_by`: the id of the one for which they do.
        """
        said_before = self._repository.resource(current)
        before = self._repository.stored_facts(current)
        if context.patient_ids is not None and before.status != "cancelled":
            resource, words = with_reason_in_code(resource)
            note = note or words
        if resource.get("slot") != said_before.get("slot"):
            resource = await self._understood(connection, context, resource)
        resource = self._heard(context, current, before, resource, move=move)
        after = self._repository.next(current, resource)
        self._require_allowed(context, before, after, move=move)
        changes.require_unended(before.status, without_ours(said_before), without_ours(resource))
        hold = None
        if before.status == "pending":
            hold = await (forget_hold if after.status != "pending" else hold_of)(connection, before.id)
        waits = hold is not None and hold.confirmation == "asked"
        in_line = hold.in_line_since if hold is not None and waits else None
        from_line = before.is_offer or in_line is not None
        if from_line and after.status == "cancelled" and (by or acting(context)) != "patient":
            # A practice that has no time for somebody gives the time back: their place in line is theirs to leave.
            resource = {n: v for n, v in resource.items() if n != "cancelationReason"} | {
                "status": "waitlist"
            }
            after = self._repository.next(current, resource)
        change = Change(said_before, before, resource, after, None if waits else hold, moving=move)
        resource = await self._word.hear_change(connection, context, change)
        if from_line and after.status == "waitlist":
            resource = await self.waiting.wish_again(connection, said_before, before.id)
        if waits and hold is not None and after.status == "booked":
            confirmation.require_in_time(hold.expires_at, context.now)
        after = self._next(
            context, current, before, resource, book=book or (waits and answered is None), hold=hold
        )
        after = await self.waiting.standing(
            connection, context, before, after, said_before, resource, in_line
        )
        if after.status == "cancelled" != before.status:
            whose_act = by or acting(context)
            after = replace(after, cancellation=Cancellation(context.now, whose_act, note))
            after = replace(after, replaced_by=replaced_by)
        if answered is not None:
            after = replace(after, counter=answered.counter)
        if asks_until is not None:
            after = replace(after, held_until=asks_until, confirmation="asked")
        moved = changes.is_moved(before, after)
        if before.is_offer and moved and claims(after.status) and context.patient_ids is not None:
            raise OfferNotMovable
        if claims(before.status) and (after.status == "cancelled" or moved):
            await require_changeable(connection, context, before)
        if (
            after.status == "booked"
            and before.status in ("waitlist", "pending")
            and after.replaces is not None
        ):
            await self._give_up_replaced(connection, context, after)
        after, whose = await self._exchange(connection, context, before, after, move=move)
        require_still_apart(before, after, whose.schedules)
        after = after.replacing(replaces)
        if moved and claims(before.status) and not with_series:
            after = after.off_pattern()
        stored = await self._repository.update(connection, context, current, resource, after, whose)
        if in_line is not None:
            await self.waiting.left(connection, after)
        owners = whose.owners | owners_among(current.terms) if current.terms is not None else None
        anew = asks_until is not None or (moved and context.patient_ids is not None)
        if after.confirmation == "asked" and (anew or not waits):
            await self._ask_practice(connection, context, after, whose, owners, before)
            return stored
        if hold is not None and before.status == "pending":
            await self._keep_asking(connection, after, hold)
        ended = waits and after.status in ("cancelled", "waitlist")
        await self._tell_changed(
            connection, context, before, after, whose.schedules, owners, by=by, awaited=ended
        )
        return stored

    async def agree(
        self, connection: Connection, context: WriteContext, current: Stored, offered: Appointment
    ) -> Stored | None:
        """A practice that confirms agrees to what is offered to somebody who waits, before they have answered. None where it
        has not to agree."""
        hold = await hold_of(connection, offered.id)
        if hold is None or hold.confirmation != "later":
            return None
        people = tuple(
            p if p.type in OF_PERSONS or p.status == "declined" else replace(p, status="accepted")
            for p in offered.participants
        )
        agreed = said(replace(offered, participants=people), self._repository.resource(current))
        return await self.change(connection, context, current, agreed)

    async def _keep_asking(self, connection: Connection, after: Appointment, hold: Hold) -> None:
        """A hold that went to another agenda has its practice asked, or no longer; one that waited and is booked ends."""
        if hold.confirmation == "asked" and after.status != "pending":
            await forget_hold(connection, after.id)
        elif after.status == "pending" and hold.confirmation != after.confirmation:
            await set_confirmation(connection, after.id, after.confirmation)

    def _heard(
        self,
        context: WriteContext,
        current: Stored,
        before: Appointment,
        resource: Resource,
        *,
        move: bool = False,
    ) -> Resource:
        after = self._repository.next(current, resource)
        return heard(context, self._repository.resource(current), before, resource, after, moving=move)

    def _next(
        self,
        context: WriteContext,
        current: Stored,
        before: Appointment,
        resource: Resource,
        *,
        book: bool,
        hold: Hold | None,
    ) -> Appointment:
        """What is to be: booked by a patient or by `$book`, everyone has accepted; a hold ends when it did, or goes on as
        what its practice is asked for."""
        after = self._repository.next(current, resource)
        if (book or context.patient_ids is not None) and after.status == "booked" != before.status:
            after = after.booked()
        kept = before.held_until if before.status == after.status == "pending" else None
        goes_on = after.status == "pending" or (after.status == "booked" and context.patient_ids is not None)
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
            return after.asked(confirmation.deadline(context.now, after.start, self._holds.confirmation))
        return after

    async def _tell_changed(
        self,
        connection: Connection,
        context: WriteContext,
        before: Appointment,
        after: Appointment,
        schedules: tuple[str, ...],
        owners: frozenset[str] | None,
        *,
        by: Actor | None,
        awaited: bool,
    ) -> None:
        kind = told(before.status, after.status, moved=changes.is_moved(before, after))
        if awaited:
            kind = "cancelled"  # what was asked for does not take place, whether or not they wait on
        if kind is not None:
            previous = (before.start, before.end) if kind == "moved" and before.start and before.end else None
            event = AppointmentEvent(
                kind,
                after,
                schedules,
                previous,
                by or acting(context),
                owners=owners,
                awaits_practice=awaited,
            )
            await tell(connection, context, event, before)

    async def withdraw(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        *,
        by: Actor = "patient",
        reason: str | None = None,
        replaced_by: str | None = None,
    ) -> Stored:
        """Cancel a locked appointment because the person for whom it was, or with whom, is leaving.

        No rule of the practice on late cancellations keeps them; slots come back and everybody is told as ever. `reason`: a
        code of CANCELLATION_REASONS.
        """
        before = self._repository.stored_facts(current)
        if claims(before.status):
            await self._give_back(connection, context, before)
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
            event = AppointmentEvent("cancelled", after, by=by, awaits_practice=awaited)
            await tell(connection, context, event, before)
        return stored

    async def _give_up_replaced(
        self, connection: Connection, context: WriteContext, accepted: Appointment
    ) -> None:
        """Whoever accepts what they waited for gives up the visit that it replaces, if there still is one, by the rule of
        the practice on late cancellations."""
        assert accepted.replaces is not None
        current = await self._repository.store.lock(connection, accepted.replaces)
        if current is None or current.deleted:
            return
        before = self._repository.stored_facts(current)
        if before.status not in MOVABLE or set(before.patients) != set(accepted.patients):
            return
        changes.require_cancellable(before, context.now, by_patient=context.patient_ids is not None)
        await require_changeable(connection, context, before)
        context.besides.append(await self.withdraw(connection, context, current, replaced_by=accepted.id))

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
        *,
        move: bool,
    ) -> tuple[Appointment, Whose]:
        """Give back and take what lies between two versions; what it has become, the agendas that it took, and whose."""
        time = TRANSITIONS[before.status, after.status].time
        if time == "gives back":
            return after, Whose(await self._give_back(connection, context, before))
        if time == "none":
            after = await self._word.with_asked_company(connection, context, after, before)
            return after, NOBODY_ELSE
        if (
            time == "keeps"
            and not changes.is_moved(before, after)
            and not changes.takes_others(before, after)
            and not changes.is_for_others(before, after)
        ):
            if SLOT_STATUS_OF[before.status] != SLOT_STATUS_OF[after.status]:
                status = SLOT_STATUS_OF[after.status]
                schedules = await set_status(connection, before.id, after.slots, status, context.now)
                return after, Whose(schedules)
            return after, NOBODY_ELSE
        reach = await self._reach(connection, context, after, before)
        locked = await self._cleared(connection, context, after, reach, before)
        after = self._as_its_practice_has_it(context, after, locked)
        if move and locked.held:
            leaving, joining = await self._claiming.successors(connection, after, locked)
            after = after.in_other_agendas(leaving, joining)
        after = await self._word.with_company(connection, context, after, locked.wanted, before)
        claim = await self._claiming.take(connection, context, after, locked)
        return after.within(claim.start, claim.end), Whose(
            claim.schedules, claim.owners, locked.patients or {}
        )

    async def remove(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Delete a locked appointment; what it had taken is given back."""
        before = self._repository.stored_facts(current)
        await self._word.hear_removal(connection, context, before)
        if not claims(before.status):
            return await self._repository.delete(connection, context, current)
        changes.require_cancellable(before, context.now, by_patient=context.patient_ids is not None)
        await require_changeable(connection, context, before)
        await self._give_back(connection, context, before)
        hold = await forget_hold(connection, before.id)
        if hold is not None and hold.in_line_since is not None:
            await self.waiting.left(connection, before.cancelled())
        stored = await self._repository.delete(connection, context, current)
        gone = replace(before.cancelled(), version=stored.version)
        await tell(connection, context, AppointmentEvent("cancelled", gone, by=acting(context)))
        return stored

    async def _give_back(
        self, connection: Connection, context: WriteContext, before: Appointment
    ) -> tuple[str, ...]:
        """The agendas of the slots that are free to be taken by others."""
        await wait_for_turn(connection, before.id)
        return await give_back(connection, before.id, before.slots, context.now)

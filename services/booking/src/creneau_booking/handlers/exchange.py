"""Takes and gives back the slots and people of an appointment, in the caller's transaction.

`handlers.claiming` locks and takes. This module adds the rest: the caller's own holds give way, participants follow the
slots, and a practice that confirms is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from creneau_booking.domain import changes, confirmation
from creneau_booking.domain.appointment import Appointment, patient_actor
from creneau_booking.domain.rehearsal import require_apart
from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.domain.transitions import TRANSITIONS
from creneau_booking.handlers.access import require_known_patients
from creneau_booking.handlers.claiming import Claiming, LockedSlots, schedules
from creneau_booking.handlers.hold_policy import HoldPolicy
from creneau_booking.handlers.own_holds import OwnHold, OwnHolds
from creneau_booking.handlers.own_word import OwnWord
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import give_back, release_persons, set_status
from creneau_booking.storage.visits.appointments import NOBODY_ELSE, Whose
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, WriteContext


@dataclass(frozen=True, slots=True)
class Reach:
    """The locked slots, and the caller's own holds on them, which may give way."""

    locked: LockedSlots
    own: tuple[OwnHold, ...] = ()

    def has(self, wanted: Appointment, said: Resource) -> OwnHold | None:
        """The caller's own hold, if it is already exactly what is wanted."""
        alike = len(self.own) == 1 and self.own[0].is_for(wanted, said)
        return self.own[0] if alike else None


class Exchange:
    """Takes and gives back."""

    def __init__(self, claiming: Claiming, own_holds: OwnHolds, word: OwnWord, policy: HoldPolicy) -> None:
        self._claiming = claiming
        self._own_holds = own_holds
        self._word = word
        self._policy = policy

    async def reach(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        before: Appointment | None = None,
        *,
        holding: bool = False,
        again: bool = False,
    ) -> Reach:
        """Locks what an appointment wants and what `before` has; finds the holds of the caller's own account on it. `again`:
        see `lock_slots`."""
        holder = (context.issuer, context.subject) if holding or context.by_patient else None
        # The scheduler of an agenda may have marked the slots of a request or a pending appointment, but of no other.
        asks = (
            before.status in ("proposed", "waitlist", "pending")
            if before is not None
            else wanted.status == "pending"
        )
        marked = asks and not holding and schedules(context)
        locked = await self._claiming.lock(
            connection, context.now, wanted, before, holder, marked=marked, again=again
        )
        return Reach(locked, await self._own_holds.among(connection, context, wanted, locked.own_holds))

    async def take(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Appointment,
        reach: Reach,
        before: Appointment | None = None,
        *,
        holding: bool = False,
    ) -> tuple[Appointment, Whose]:
        """Takes what `reach` has locked. Returns the appointment with its times, and its agendas and owners.

        `before`: the request from which it is made; `holding`: it is only held.
        """
        locked = await self._cleared(connection, context, wanted, reach, holding=holding)
        # First, so that nobody learns from a refusal whether a patient unknown to them is free at that time.
        await require_known_patients(connection, context, wanted, locked.patients)
        if holding:
            others = locked.holds - len(wanted.fellows)
            self._policy.require_one_more(others, by_patient=context.by_patient)
            await self.count_no_more(connection, context, wanted, reach)
        wanted = self._as_its_practice_has_it(context, wanted, locked)
        wanted = await self._word.with_company(connection, context, wanted, locked.wanted, before)
        claim = await self._claiming.take(connection, context, wanted, locked)
        require_apart(wanted, claim.schedules)
        whose = Whose(claim.schedules, claim.owners, locked.patients or {}, alone=_leaves(before, wanted))
        return wanted.within(claim.start, claim.end), whose

    async def between(
        self,
        connection: Connection,
        context: WriteContext,
        before: Appointment,
        after: Appointment,
        *,
        move: bool,
    ) -> tuple[Appointment, Whose]:
        """Gives back and takes the difference between two versions. Returns the new facts, the agendas taken and owners."""
        time = TRANSITIONS[before.status, after.status].time
        same = not changes.is_moved(before, after) and not changes.takes_others(before, after)
        if time == "gives back":
            return after, Whose(await self.give_back(connection, context, before))
        if time == "none":
            after = await self._word.with_asked_company(connection, context, after, before)
            return after, NOBODY_ELSE
        left = changes.who_leaves(before, after)
        if time == "keeps" and same and (left or not changes.is_for_others(before, after)):
            if left:
                persons = [patient_actor(reference, hidden=before.hidden) for reference in left]
                await wait_for_turn(connection, before.id)
                await release_persons(connection, before.id, before.slots, persons, context.now)
            if SLOT_STATUS_OF[before.status] != SLOT_STATUS_OF[after.status]:
                status = SLOT_STATUS_OF[after.status]
                schedules = await set_status(connection, before.id, after.slots, status, context.now)
                return after, Whose(schedules)
            return after, NOBODY_ELSE
        if time == "keeps" and same and context.by_patient:
            context = context.unlimited()  # their own answer, which has been judged, and no booking
        reach = await self.reach(connection, context, after, before)
        locked = await self._cleared(connection, context, after, reach, before)
        after = self._as_its_practice_has_it(context, after, locked)
        if move and locked.held:
            leaving, joining = await self._claiming.successors(connection, after, locked)
            after = after.in_other_agendas(leaving, joining)
        after = await self._word.with_company(connection, context, after, locked.wanted, before)
        claim = await self._claiming.take(connection, context, after, locked)
        whose = Whose(claim.schedules, claim.owners, locked.patients or {}, alone=_leaves(before, after))
        return after.within(claim.start, claim.end), whose

    async def give_back(
        self, connection: Connection, context: WriteContext, before: Appointment
    ) -> tuple[str, ...]:
        """Gives the slots and people back. Returns the agendas of the slots that are free for others."""
        await wait_for_turn(connection, before.id)
        return await give_back(connection, before.id, before.slots, context.now)

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
        """Gives up the caller's own holds, and returns the locked slots."""
        if not reach.own:
            return reach.locked
        await self._own_holds.give_up(connection, context, reach.own, wanted, had, reach.locked)
        again = await self.reach(connection, context, wanted, had, holding=holding, again=True)
        return again.locked

    async def count_no_more(
        self, connection: Connection, context: WriteContext, wanted: Appointment, reach: Reach
    ) -> None:
        """Takes the new hold out of the count if it replaces the caller's own hold on the same slots."""
        if reach.own:
            [patient] = set(wanted.patients)
            await self._word.take_back(connection, context, patient, hidden=wanted.hidden)

    def _as_its_practice_has_it(
        self, context: WriteContext, wanted: Appointment, locked: LockedSlots
    ) -> Appointment:
        return confirmation.as_its_practice_has_it(
            wanted,
            locked.wanted,
            by_patient=context.by_patient,
            now=context.now,
            patience=self._policy.confirmation,
        )


def _leaves(before: Appointment | None, after: Appointment) -> bool:
    """Whether the new owners replace the old ones: a request to several practices stays theirs until it is booked."""
    asked = before is not None and (before.status in ("proposed", "waitlist") or before.is_offer)
    return not asked or after.status == "booked"

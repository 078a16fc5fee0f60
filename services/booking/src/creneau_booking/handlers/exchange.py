"""What an appointment takes and gives back: time of people and slots changes hands, in the caller's transaction.

`handlers.claiming` locks and takes; here is what stands around it: the caller's own holds give way, who takes part follows
the slots, and an agenda that confirms is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from creneau_booking.domain import changes, confirmation
from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.rehearsal import require_apart
from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.domain.transitions import TRANSITIONS
from creneau_booking.handlers.access import require_known_patients
from creneau_booking.handlers.claiming import Claiming, LockedSlots, schedules
from creneau_booking.handlers.hold_policy import HoldPolicy
from creneau_booking.handlers.own_holds import OwnHold, OwnHolds
from creneau_booking.handlers.own_word import OwnWord
from creneau_booking.storage.appointments import NOBODY_ELSE, Whose
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import give_back, set_status
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, WriteContext


@dataclass(frozen=True, slots=True)
class Reach:
    """What an appointment finds: the slots, and the caller's own holds on them, which may give way."""

    locked: LockedSlots
    own: tuple[OwnHold, ...] = ()

    def has(self, wanted: Appointment, said: Resource) -> OwnHold | None:
        """The caller's own hold that is what is asked for already."""
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
        """Takes what `reach` has locked. Returns the appointment with its times, and whose it is.

        `before`: the request that it is made from; `holding`: it is only held.
        """
        locked = await self._cleared(connection, context, wanted, reach, holding=holding)
        # Before anything is said of the slots: whether a stranger is free at some hour is nobody's to learn.
        await require_known_patients(connection, context, wanted, locked.patients)
        if holding:
            others = locked.holds - len(wanted.fellows)
            self._policy.require_one_more(others, by_patient=context.patient_ids is not None)
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
        """Give back and take what lies between two versions; what it has become, the agendas that it took, and whose."""
        time = TRANSITIONS[before.status, after.status].time
        if time == "gives back":
            return after, Whose(await self.give_back(connection, context, before))
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
        """The agendas of the slots that are free to be taken by others."""
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
        """What is within reach, the caller's own holds out of the way."""
        if not reach.own:
            return reach.locked
        await self._own_holds.give_up(connection, context, reach.own, wanted, had)
        return (await self.reach(connection, context, wanted, had, holding=holding)).locked

    async def count_no_more(
        self, connection: Connection, context: WriteContext, wanted: Appointment, reach: Reach
    ) -> None:
        """A hold in the place of one's own on the same slots is none that begins."""
        if reach.own:
            [patient] = set(wanted.patients)
            await self._word.take_back(connection, context, patient, hidden=wanted.hidden)

    def _as_its_practice_has_it(
        self, context: WriteContext, wanted: Appointment, locked: LockedSlots
    ) -> Appointment:
        return confirmation.as_its_practice_has_it(
            wanted,
            locked.wanted,
            by_patient=context.patient_ids is not None,
            now=context.now,
            patience=self._policy.confirmation,
        )


def _leaves(before: Appointment | None, after: Appointment) -> bool:
    """Whether it is no longer whose it was: what was asked of several practices is theirs until one of them has it."""
    asked = before is not None and (before.status in ("proposed", "waitlist") or before.is_offer)
    return not asked or after.status == "booked"

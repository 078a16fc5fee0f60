"""An account's own hold gives way to the same account, which may want the slot again, perhaps for somebody else.

The patient of a visit is often chosen after its time, and people go back and choose again. So the hold gives way in the
transaction that takes the slot again: no other booking comes in between. This holds for patients' accounts only, and for
people for whom they act at that moment. A practice's software holds for many people in turn, and so does a counsellor,
whose token is for one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from creneau_booking.domain import rules
from creneau_booking.domain.appointment import Appointment, Occurrence
from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.refusals.slots import PeopleBusy
from creneau_booking.handlers.claiming import LockedSlots
from creneau_booking.handlers.telling import acting, tell
from creneau_booking.storage.availability.actors import try_turn, wait_for_turn
from creneau_booking.storage.availability.taking import give_back
from creneau_booking.storage.visits.appointments import AppointmentRepository, Whose
from creneau_booking.storage.visits.holds import HeldAppointment, forget_hold, lock_live_hold
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

SAID_OF_A_HOLD = (*SAID_BY_SLOT, "reasonCode", "basedOn", "description", "comment")
"""the elements that a patient states in a held appointment, beside time and participants"""


@dataclass(frozen=True, slots=True)
class OwnHold:
    """A live hold of the caller's, locked."""

    stored: Stored
    facts: Appointment
    said: Resource
    until: datetime
    extensions: int

    def is_for(self, wanted: Appointment, said: Resource) -> bool:
        """Whether it is already exactly what is wanted: then there is nothing to do."""
        return (
            set(self.facts.slots) == set(wanted.slots)
            and _people(self.facts) == _people(wanted)
            and self.facts.hidden == wanted.hidden
            and (wanted.start is None or wanted.start == self.facts.start)
            and (wanted.end is None or wanted.end == self.facts.end)
            and _place(self.facts.occurrence) == _place(wanted.occurrence)
            and all(self.said.get(element) == said.get(element) for element in SAID_OF_A_HOLD)
        )

    def tells_of(self, wanted: Appointment) -> bool:
        """Whether it would show representatives the time of `wanted`, which is hidden from them."""
        return wanted.hidden and not set(self.facts.patients).isdisjoint(wanted.patients)


class OwnHolds:
    """Finds and gives up the caller's own holds."""

    def __init__(self, repository: AppointmentRepository) -> None:
        self._repository = repository

    async def among(
        self, connection: Connection, context: WriteContext, wanted: Appointment, ids: Sequence[str]
    ) -> tuple[OwnHold, ...]:
        """The caller's holds, among these appointments (ids), that may give way to `wanted`: they must cover all its slots.
        Does not wait for a hold that another request locks: that request confirms it or gives it up."""
        acts_for = context.patient_ids
        if acts_for is None or not ids:
            return ()
        found = []
        for id_ in sorted(ids):
            held = await lock_live_hold(connection, id_, context.now, context.issuer, context.subject)
            own = self._own(held) if held is not None else None
            if own is not None and {p.removeprefix("Patient/") for p in own.facts.patients} <= acts_for:
                found.append(own)
        held_slots = {slot for own in found for slot in own.facts.slots}
        return tuple(found) if held_slots.issuperset(wanted.slots) else ()

    def _own(self, held: HeldAppointment) -> OwnHold:
        facts, said = self._repository.stored_facts(held.stored), self._repository.resource(held.stored)
        return OwnHold(held.stored, facts, said, held.until, held.extensions)

    async def give_up(
        self,
        connection: Connection,
        context: WriteContext,
        holds: Sequence[OwnHold],
        wanted: Appointment,
        before: Appointment | None,
        locked: LockedSlots,
    ) -> None:
        """Cancels the holds, so that `wanted` (last version: `before`) can take their slots. Nobody else can before this
        transaction ends, because all people concerned are locked at once. If `locked` has people already, because a group
        has room beside the hold, the hold's other people are not waited for: raises PeopleBusy. A hold that gives way to a
        hidden appointment of the same person would reveal its time and place, and becomes hidden too."""
        versions = [wanted] if before is None else [wanted, before]
        people = sorted({one for v in versions for one in rules.exclusive_actors(v, (), locked.resolved)})
        ids = [own.stored.id for own in holds] + ([before.id] if before is not None else [])
        if locked.out_of_reach:
            await wait_for_turn(connection, *ids, people=people)
        elif not await try_turn(connection, *ids, people=people):
            raise PeopleBusy()
        for own in holds:
            schedules = await give_back(connection, own.stored.id, own.facts.slots, context.now)
            await forget_hold(connection, own.stored.id)
            hidden = own.facts.hidden or own.tells_of(wanted)
            after = replace(own.facts.cancelled(), version=own.stored.version + 1, hidden=hidden)
            await self._repository.update(connection, context, own.stored, own.said, after, Whose(schedules))
            if hidden and not own.facts.hidden:
                await self._repository.hide_earlier(connection, own.stored.id)
            event = AppointmentEvent("cancelled", after, schedules, by=acting(context))
            await tell(connection, context, event, own.facts)


def _place(occurrence: Occurrence | None) -> tuple[object, ...] | None:
    """The number in the series, and what identifies the series: its first appointment, and its template."""
    if occurrence is None:
        return None
    return occurrence.number, occurrence.origin, occurrence.template


def _people(appointment: Appointment) -> set[str | None]:
    return {p.reference for p in appointment.participants if p.type in ("Patient", "RelatedPerson")}

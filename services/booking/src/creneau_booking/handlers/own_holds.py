"""One's own hold stands in nobody's own way: who holds a slot and wants it again, for somebody else perhaps, gets it.

For whom a visit is, is often chosen after its time, and whoever goes back chooses again. So the hold of an account gives
way to that account, in the transaction that takes the slot anew: no rival comes in between. Only accounts of patients,
and only for whom they act at that moment: software of a practice holds for one person after the other, and so does a
counsellor, whose token is for one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from creneau_booking.domain import rules
from creneau_booking.domain.appointment import Appointment, Occurrence
from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.handlers.telling import acting, tell
from creneau_booking.storage.appointments import AppointmentRepository, Whose
from creneau_booking.storage.availability.actors import wait_for_turn
from creneau_booking.storage.availability.taking import give_back
from creneau_booking.storage.holds import HeldAppointment, forget_hold, lock_live_hold
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

SAID_OF_A_HOLD = (*SAID_BY_SLOT, "reasonCode", "description", "comment")
"""what a patient says of an appointment that is held, beside when, with whom and for whom"""


@dataclass(frozen=True, slots=True)
class OwnHold:
    """A live hold of the caller's, locked."""

    stored: Stored
    facts: Appointment
    said: Resource
    until: datetime
    extensions: int

    def is_for(self, wanted: Appointment, said: Resource) -> bool:
        """Whether it is what is asked for: then there is nothing to do."""
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
        """Whether it shows the representatives of somebody what is hidden from them."""
        return wanted.hidden and not set(self.facts.patients).isdisjoint(wanted.patients)


class OwnHolds:
    """Finds and gives up the caller's own holds."""

    def __init__(self, repository: AppointmentRepository) -> None:
        self._repository = repository

    async def among(
        self, connection: Connection, context: WriteContext, wanted: Appointment, ids: Sequence[str]
    ) -> tuple[OwnHold, ...]:
        """Those of these appointments (ids), which the caller holds, that may give way to `wanted`: all that is wanted
        must be held by them. None of them is waited for: whoever changes one at this moment is confirming it, or giving it
        up."""
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
    ) -> None:
        """Cancel the holds; their slots are free for `wanted` (its last version: `before`), and for nobody else before this
        transaction ends: whose time is given up and whose is to be taken is waited for at once. What gives way to what is
        hidden of the same person tells of its time and its place, and is hidden with it."""
        versions = [wanted] if before is None else [wanted, before]
        people = sorted({person for v in versions for person in rules.exclusive_actors(v, (), {})})
        ids = [own.stored.id for own in holds] + ([before.id] if before is not None else [])
        await wait_for_turn(connection, *ids, people=people)
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
    """Which one of a series it is, and of which: what has the same first one is of the same."""
    if occurrence is None:
        return None
    return occurrence.number, occurrence.origin, occurrence.template


def _people(appointment: Appointment) -> set[str | None]:
    return {p.reference for p in appointment.participants if p.type in ("Patient", "RelatedPerson")}

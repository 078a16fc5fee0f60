"""The waiting list: freed time is offered to the first in line, in the transaction that frees it.

Code that frees time notes it (`storage.availability.freed`). Before the transaction commits, each slot is held for the first
wish that it suits, until the offer ends. An ended offer frees its time again. The offer never waits for a lock: a wish that is
being changed at this moment is passed over, and keeps its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime

import structlog

from creneau_booking.domain import changes
from creneau_booking.domain.appointment import Appointment, Confirmation, patient_actor
from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.refusals.waiting import (
    AwaitedUnknown,
    ReplacedNotTheirs,
    SeriesNotAwaited,
    WishOver,
)
from creneau_booking.domain.transitions import MOVABLE
from creneau_booking.domain.waiting import Patience, Wish
from creneau_booking.handlers.access import require_changeable
from creneau_booking.handlers.claiming import Claiming
from creneau_booking.handlers.statements import is_seen
from creneau_booking.handlers.telling import tell
from creneau_booking.storage.agendas.ownership import owners_among
from creneau_booking.storage.agendas.slots_of_agendas import agendas_of, schedules_of
from creneau_booking.storage.availability.freed import Freed, take_freed
from creneau_booking.storage.mapping.series import (
    RECURRENCE_TEMPLATE,
    occurrence_of,
    template_of,
    without_series,
)
from creneau_booking.storage.mapping.wishes import WAITING_AGENDA, at_other_times, said_in, wish_of
from creneau_booking.storage.visits import waiting as storage
from creneau_booking.storage.visits.appointments import NOBODY_ELSE, AppointmentRepository, Whose
from creneau_booking.storage.visits.holds import OFFER, keep_hold
from creneau_booking.storage.visits.waiting import FreeSlot
from creneau_shared.clock import PARIS, zone_named
from creneau_shared.database.closing import Savepoint
from creneau_shared.database.pool import Connection
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.refusal import Refusal

log = structlog.get_logger(__name__)

OF_THE_OFFER = ("start", "end", "slot", "participant", *SAID_BY_SLOT)
"""the elements that an offer sets in an Appointment, and that are restored if the offer is not accepted"""
PERSONS = ("Patient", "RelatedPerson")
_offering: ContextVar[bool] = ContextVar("time is being offered", default=False)


class WaitingList:
    """Keeps the waiting list, and offers freed time to the first in line."""

    def __init__(self, repository: AppointmentRepository, claiming: Claiming, patience: Patience) -> None:
        self._repository = repository
        self._claiming = claiming
        self._patience = patience

    # -- who waits -------------------------------------------------------------------------------------------

    async def joining(
        self, connection: Connection, context: WriteContext, wanted: Appointment, resource: Resource
    ) -> tuple[Appointment, Whose]:
        """Puts a new appointment on the waiting list from now on. Returns it, and its agendas and owners.

        Raises UnreadableWish, WishOver, AwaitedUnknown, SeriesNotAwaited; ReplacedNotTheirs if the appointment to be replaced
        is not the same person's, or its author does not see it.
        """
        await self._require_own_replaced(connection, context, wanted)
        await self._require_possible(connection, context, None, resource)
        whose = await self._awaited(connection, context, wanted, resource)
        return replace(wanted, waiting_since=context.now), whose

    async def amended(
        self,
        connection: Connection,
        context: WriteContext,
        after: Appointment,
        said_before: Resource,
        said: Resource,
    ) -> Whose:
        """The owners of an amended wish: new ones if it names other agendas. A practice adds itself, and removes nobody."""
        before, wish = (wish_of(one, self._repository.base_url) for one in (said_before, said))
        if wish.place_in_line == before.place_in_line:
            return NOBODY_ELSE
        whose = await self._awaited(connection, context, after, said)
        return whose if context.organizations is None else replace(whose, alone=False)

    async def _awaited(
        self, connection: Connection, context: WriteContext, waits: Appointment, said: Resource
    ) -> Whose:
        """The agendas that a wish names, or those of its slots, and their owners; for a practice only its own."""
        agendas = wish_of(said, self._repository.base_url).agendas
        terms = await storage.agendas_named(connection, sorted(agendas)) if agendas else {}
        if not terms:
            return Whose(*await agendas_of(connection, context, waits.slots), alone=True)
        owners = context.owners(owners_among([term for of in terms.values() for term in of]))
        return Whose(tuple(f"Schedule/{id_}" for id_ in sorted(terms)), owners, alone=True)

    async def standing(
        self,
        connection: Connection,
        context: WriteContext,
        before: Appointment,
        after: Appointment,
        said_before: Resource,
        resource: Resource,
        in_line_since: datetime | None = None,
    ) -> Appointment:
        """Sets since when a changed appointment waits. If it names another agenda, professional, place or speciality, it
        goes to the end of the line. `in_line_since`: for an accepted offer that waits for the practice."""
        stood = before.status == "waitlist" or before.is_offer or in_line_since is not None
        if after.replaces != before.replaces if stood else after.status == "waitlist":
            await self._require_own_replaced(connection, context, after)
        if after.status == "pending" == before.status:
            asks = after.confirmation == "asked"
            return replace(after, waiting_since=None if asks else before.waiting_since)
        if after.status != "waitlist":
            return replace(after, waiting_since=None)
        if not (stood and before.status == "pending"):  # the periods of a restored wish may be over by now
            await self._require_possible(connection, context, said_before if stood else None, resource)
        wish = wish_of(resource, self._repository.base_url)
        since = before.waiting_since or in_line_since
        if since is None:
            return replace(after, waiting_since=context.now)
        same = before.status == "pending" or (
            wish.place_in_line == wish_of(said_before, self._repository.base_url).place_in_line
        )
        return replace(after, waiting_since=since if same else context.now)

    async def say_again(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        times: Sequence[str],
        end: datetime | None,
    ) -> Stored:
        """Changes the wanted times of a locked wish or offer, as `at_other_times`. It keeps its place in line. Returns the
        same version if nothing changes."""
        said = self._repository.resource(current)
        resource = at_other_times(said, times, end)
        if wish_of(resource, self._repository.base_url) == wish_of(said, self._repository.base_url):
            return current
        await self._require_possible(connection, context, said, resource)
        after = self._repository.next(current, resource)
        return await self._repository.update(connection, context, current, resource, after)

    async def _require_possible(
        self, connection: Connection, context: WriteContext, before: Resource | None, said: Resource
    ) -> None:
        """Raises WishOver if all wanted periods are over, AwaitedUnknown if an agenda does not exist, SeriesNotAwaited if a
        series is asked for. Values that `before` had already are not checked again."""
        if _asks_for_series(said) and not (before is not None and _asks_for_series(before)):
            raise SeriesNotAwaited(RECURRENCE_TEMPLATE)
        wish = wish_of(said, self._repository.base_url)
        had = wish_of(before, self._repository.base_url) if before is not None else Wish()
        if wish.periods != had.periods and wish.is_over(context.now):
            raise WishOver()
        new = sorted(wish.agendas - had.agendas)
        there = await storage.agendas_named(connection, new) if new else {}
        if unknown := tuple(id_ for id_ in new if id_ not in there):
            raise AwaitedUnknown(WAITING_AGENDA, unknown)

    async def wish_again(self, connection: Connection, offered: Resource, id_: str) -> Resource:
        """The resource as it was before the offer: the wish restored, with status `waitlist`."""
        wish = await storage.wish_before(connection, id_)
        if wish is None:
            return {**offered, "status": "waitlist"}
        rest = {name: value for name, value in offered.items() if name not in OF_THE_OFFER}
        return {**rest, **wish, "status": "waitlist"}

    async def left(self, connection: Connection, after: Appointment) -> None:
        """Removes an accepted offer from the line, unless it waits for the practice or is on the waiting list again."""
        if after.status not in ("pending", "waitlist"):
            await storage.leave_line(connection, after.id)

    async def put_back(
        self, connection: Connection, context: WriteContext, current: Stored, before: Appointment
    ) -> Appointment:
        """Stores an Appointment whose offer has ended, and whose time is given back, as a wish again. What was proposed in the
        place of that time ends with it."""
        resource = await self.wish_again(connection, self._repository.resource(current), before.id)
        wish = self._repository.next(current, resource)
        after = replace(wish, waiting_since=before.waiting_since, counter=None)
        await self._repository.update(connection, context, current, resource, after)
        return replace(after, start=before.start, end=before.end, slots=before.slots)

    async def _require_own_replaced(
        self, connection: Connection, context: WriteContext, wanted: Appointment
    ) -> None:
        if wanted.replaces is None:
            return
        stored = await self._repository.store.read(connection, wanted.replaces)
        if stored is None or stored.content is None or not is_seen(context, stored.terms or ()):
            raise ReplacedNotTheirs
        other = self._repository.stored_facts(stored)
        if other.status != "booked" or set(other.patients) != set(wanted.patients):
            raise ReplacedNotTheirs

    # -- freed time ------------------------------------------------------------------------------------------

    async def offer_freed(self, connection: Connection) -> None:
        """Holds the slots that were freed in this transaction, and are free, for those who wait for them."""
        if _offering.get():
            return  # the running call looks again for freed time
        token = _offering.set(True)
        try:
            while freed := take_freed(connection):
                for one in freed:
                    await self._offer(connection, one)
        finally:
            _offering.reset(token)

    async def _offer(self, connection: Connection, freed: Freed) -> None:
        tried: list[str] = []
        while len(tried) < self._patience.tried_max:
            slot = await storage.line_for(
                connection, freed.slot, freed.start, freed.now, tried, self._patience.at_once
            )
            if slot is None or not slot.line:
                return
            until = self._patience.answer.until(freed.now, slot.start, zone_named(slot.zone) or PARIS)
            if until is None:
                return
            for id_ in slot.line:
                tried.append(id_)
                if await self._offer_to(connection, freed, slot, id_, until):
                    if not slot.shared:
                        return
                    break  # a group slot may have another place, for the next in line
        log.warning("nobody in line takes a slot", slot=slot.id if slot else None, tried=len(tried))

    async def _offer_to(
        self, connection: Connection, freed: Freed, slot: FreeSlot, id_: str, until: datetime
    ) -> bool:
        """Offers the slot to a wish (id). Returns False if the wish is locked, or a rule forbids the slot."""
        row = await storage.lock_waiting(connection, id_)
        if row is None:
            return False
        current = Stored("Appointment", *row)
        before = self._repository.stored_facts(current)
        patient = patient_actor(before.patients[0], hidden=before.hidden)
        if not await storage.try_turn_for(connection, freed.slot, freed.start, patient):
            return False
        replaced = await self._replaced(connection, before)
        if replaced is not None and await _is_shorter(connection, slot, replaced):
            return False
        try:
            async with connection.transaction():
                with Savepoint():
                    await self._require_replaceable(connection, replaced, before, until)
                    await self._hold_for(connection, freed, slot, current, before, until)
        except (Refusal, CreneauError) as refusal:
            log.info("passed over", appointment=id_, slot=slot.id, why=type(refusal).__name__)
            return False
        return True

    async def _replaced(self, connection: Connection, wish: Appointment) -> Appointment | None:
        """The visit that would be given up for the wish, if it still exists."""
        stored = wish.replaces and await self._repository.store.read(connection, wish.replaces)
        if not stored or stored.content is None:
            return None
        visit = self._repository.stored_facts(stored)
        return visit if visit.status in MOVABLE and set(visit.patients) == set(wish.patients) else None

    async def _require_replaceable(
        self, connection: Connection, replaced: Appointment | None, wish: Appointment, until: datetime
    ) -> None:
        """Refuses an offer if the visit that it replaces could not be cancelled until the offer ends: it has begun by then,
        or the practice's deadline has passed."""
        if replaced is None:
            return
        then = WriteContext(
            now=until,
            by_service=True,
            patient_ids=frozenset(p.removeprefix("Patient/") for p in wish.patients),
        )
        changes.require_to_come(replaced, until, by_patient=True)
        await require_changeable(connection, then, replaced)

    async def _hold_for(
        self,
        connection: Connection,
        freed: Freed,
        slot: FreeSlot,
        current: Stored,
        before: Appointment,
        until: datetime,
    ) -> None:
        [patient] = set(before.patients)
        # Checked as if the person booked it themselves: a slot that they could not book is not offered.
        own = WriteContext(
            now=freed.now, by_service=True, patient_ids=frozenset({patient.removeprefix("Patient/")})
        )
        said = self._repository.resource(current)
        resource = self._offered(said, slot)
        wanted = self._repository.next(current, resource).within(slot.start, slot.end)
        wanted = replace(wanted, held_until=until, waiting_since=before.waiting_since)
        locked = await self._claiming.lock(connection, freed.now, wanted, again=True)
        agenda = tuple(dict.fromkeys(actor for one in locked.wanted for actor in one.actors))
        wanted = wanted.with_people(agenda, agenda, None)
        claim = await self._claiming.take(connection, own, wanted, locked)
        whose = Whose(claim.schedules, claim.owners, locked.patients or {})
        await self._repository.update(connection, own, current, resource, wanted, whose)
        confirmation: Confirmation | None = (
            "later" if any(one.confirmed_by_practice for one in locked.wanted) else None
        )
        await keep_hold(connection, wanted.id, until, *OFFER, confirmation=confirmation)
        wish = {name: said[name] for name in OF_THE_OFFER if name in said}
        await storage.note_offer(connection, wanted.id, freed.slot, wish)
        event = AppointmentEvent("offered", wanted, claim.schedules, held_until=until, owners=claim.owners)
        await tell(connection, own, event)

    def _offered(self, said: Resource, slot: FreeSlot) -> Resource:
        """The Appointment in this slot: with its persons, who have not answered. It takes from the slot what the visit is
        for if the wish states nothing, or several alternatives."""
        # What is offered is one visit: requests for a series that are older than SeriesNotAwaited are still in line.
        alone = without_series(said) if _asks_for_series(said) else said
        rest = {name: value for name, value in alone.items() if name not in ("start", "end", "slot")}
        persons = [
            {**one, "status": "needs-action"}
            for one in said["participant"]
            if "/".join(str(one.get("actor", {}).get("reference", "")).split("/")[-2:]).startswith(PERSONS)
        ]
        return {
            **rest,
            **said_in(slot.said, said),
            "status": "pending",
            "slot": [{"reference": f"Slot/{slot.id}"}],
            "participant": persons,
        }


async def _is_shorter(connection: Connection, slot: FreeSlot, visit: Appointment) -> bool:
    """Whether the slot is in an agenda of the visit and shorter than it. In other agendas the needed time is unknown."""
    if visit.start is None or visit.end is None or slot.end - slot.start >= visit.end - visit.start:
        return False
    theirs = await schedules_of(connection, visit.slots)
    return not set(theirs).isdisjoint(await schedules_of(connection, (slot.id,)))


def _asks_for_series(said: Resource) -> bool:
    """Whether a series is asked for that is not taken yet."""
    return template_of(said) is not None and occurrence_of(said) is None

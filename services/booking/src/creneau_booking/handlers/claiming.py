"""Takes what an appointment needs: lock, judge, take. All of it, or a refusal that undoes everything.

Every command locks people and slots in one order (`storage.availability`), so that concurrent ones wait without deadlock.
An expired hold gives way, even if the sweeper has not ended it yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from creneau_booking.domain import rules
from creneau_booking.domain.appointment import Appointment, SlotFact
from creneau_booking.domain.quotas import Quotas
from creneau_booking.domain.refusals.registered import PatientsUnavailable
from creneau_booking.domain.refusals.slots import ActorsTaken, AgendaChangesHands, SlotTaken
from creneau_booking.domain.status import claims
from creneau_booking.handlers.access import require_bookable
from creneau_booking.handlers.expiry import HoldExpiry
from creneau_booking.storage.availability import taking as storage
from creneau_booking.storage.availability.actors import resolve
from creneau_booking.storage.availability.locking import Holder, lock_slots
from creneau_booking.storage.visits.holds import expired_holds_on_actors, expired_holds_on_slots
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSlots:
    """The slots that an appointment wants, and those that it has: all locked, unless somebody else has one of them."""

    wanted: tuple[SlotFact, ...]
    held: tuple[SlotFact, ...] = ()
    has_time: bool = False
    """whether the appointment takes time already, with or without slots"""
    resolved: Mapping[str, str] = field(default_factory=dict)
    """role or room among the participants → the actor taken with it"""
    asked_after: Collection[str] = ()
    """the roles and places that were looked up for `resolved`"""
    patients: Mapping[str, frozenset[str]] | None = None
    """existing Patients of `wanted` (id) → the practices that know them (Organization ids); None: not looked up"""
    holds: int = 0
    """how many live holds the holder has"""
    marked: bool = False
    """whether slots that their agenda has marked may be taken (`rules.claim_for`)"""
    came: frozenset[str] = frozenset()
    """the patients (Patient ids) who came to it before"""
    out_of_reach: bool = False
    """whether nothing is locked, because somebody else has one of the slots"""
    own_holds: Sequence[str] = ()
    """ids of the holder's other held appointments that have one of the slots"""

    def leaving(self) -> frozenset[str]:
        """The actors of the agendas that the appointment leaves, except those of its new agendas."""
        return _actors(self.held) - _actors(self.wanted)

    def joining(self) -> frozenset[str]:
        """The actors of its new agendas, except those of the ones that it leaves."""
        return _actors(self.wanted) - _actors(self.held)


class Claiming:
    """Locks and takes slots and people for an appointment."""

    def __init__(self, expiry: HoldExpiry, quotas: Quotas) -> None:
        self._expiry = expiry
        self._quotas = quotas

    async def lock(
        self,
        connection: Connection,
        now: datetime,
        wanted: Appointment,
        before: Appointment | None = None,
        holder: Holder | None = None,
        *,
        marked: bool = False,
        again: bool = False,
    ) -> LockedSlots:
        """Locks the slots of `wanted` and those of `before`, its last version. Slots that somebody else has are only read,
        to be refused. `holder`: who is to hold them; `marked`: see `rules.claim_for`; `again`: see `lock_slots`."""
        has_time = before is not None and claims(before.status)
        had = before.slots if before is not None and has_time else ()
        ids = tuple(dict.fromkeys((*wanted.slots, *had)))
        both = [version for version in (wanted, before) if version is not None]
        named = sorted({reference for version in both for reference in rules.to_resolve(version)})
        people = sorted({p for v in both for p in rules.exclusive_actors(v, (), {})})
        patients = [reference.removeprefix("Patient/") for reference in wanted.patients]
        lock = partial(
            lock_slots,
            connection,
            ids,
            wanted.start,
            people,
            patients,
            named,
            holder,
            by=wanted.id,
            had=had,
            now=now,
            marked=marked,
        )
        locked = await lock(again=again)
        free_to_take = [slot for slot in locked.slots if slot.id not in had]
        if not locked.out_of_reach and await self._clear(connection, now, free_to_take, wanted.id):
            locked = await lock(again=True)
        facts = locked.slots
        if not locked.out_of_reach:
            facts = await self._undisplaced(connection, wanted, facts)
        return LockedSlots(
            wanted=_named(facts, wanted.slots),
            held=_named(facts, had),
            has_time=has_time,
            resolved=locked.resolved or {},
            asked_after=named if locked.resolved is not None else (),
            patients=locked.patients,
            holds=locked.holds,
            marked=marked,
            came=_patients(before) if before is not None and has_time else frozenset(),
            out_of_reach=locked.out_of_reach,
            own_holds=locked.own_holds,
        )

    async def _clear(
        self, connection: Connection, now: datetime, slots: Sequence[SlotFact], mover: str
    ) -> bool:
        """Ends expired holds that block some of these slots; returns whether there were any. The hold of `mover`, the
        appointment that wants the slots, is left alone."""
        held = [
            slot.id
            for slot in slots
            if slot.taken_by is not None
            and (slot.status == "busy-tentative" or (slot.is_group and slot.status == "busy"))
        ]
        in_the_way = await expired_holds_on_slots(connection, held, now) if held else []
        for slot in slots:
            if slot.displaced:
                in_the_way += await expired_holds_on_actors(
                    connection, slot.exclusive, slot.start, slot.end, now
                )
        others = sorted(set(in_the_way) - {mover})
        return bool(others and await self._expiry.expire_at_once(connection, now, others))

    async def _undisplaced(
        self, connection: Connection, wanted: Appointment, facts: Sequence[SlotFact]
    ) -> list[SlotFact]:
        """Returns the facts with those slots free that are displaced only by `wanted` itself: it may take them."""
        displaced = [slot.id for slot in facts if slot.displaced]
        if not displaced:
            return list(facts)
        others = await storage.displaced_by_others(connection, displaced, wanted.id)
        return [
            replace(slot, status="free") if slot.displaced and slot.id not in others else slot
            for slot in facts
        ]

    async def successors(
        self, connection: Connection, wanted: Appointment, locked: LockedSlots
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The references who leave and who join when an appointment goes to other agendas.

        A role and its Practitioner leave together, whichever of them the agenda or the participant names.
        """
        leaving, joining = locked.leaving(), locked.joining()
        if not leaving:
            return leaving, joining
        named = leaving | {p.reference for p in wanted.participants if p.reference}
        roles = await resolve(connection, sorted(a for a in named if a.startswith("PractitionerRole/")))
        leaving |= {roles[actor] for actor in leaving if actor in roles}
        leaving |= {role for role, practitioner in roles.items() if practitioner in leaving}
        return leaving - joining, joining

    async def take(
        self, connection: Connection, context: WriteContext, wanted: Appointment, locked: LockedSlots
    ) -> rules.Claim:
        """Takes what `wanted` claims and gives back what it no longer needs.

        Refuses as `rules.claim_for` states. Raises AgendaChangesHands if the people of its agendas have just changed.
        """
        claim = await self._judge(connection, context, wanted, locked)
        if locked.has_time:
            left = [slot.id for slot in locked.held if slot.id not in claim.kept]
            await storage.give_back(connection, wanted.id, left, context.now)
            await storage.set_status(
                connection, wanted.id, sorted(claim.kept), claim.slot_status, context.now
            )
        result = await storage.take(connection, wanted, claim, context.now, marked=locked.marked)
        if result.others:
            raise AgendaChangesHands()
        stay = frozenset() if claim.new_slots else locked.came
        _require_available([id_ for id_ in result.unavailable_patients if id_ not in stay])
        missing = result.missing_actors
        if missing:
            in_the_way = await expired_holds_on_actors(
                connection, missing, claim.start, claim.end, context.now
            )
            if await self._expiry.expire_at_once(connection, context.now, in_the_way):
                of_groups = await storage.occupy_for_groups(connection, claim, context.now)
                own = [actor for actor in missing if actor in claim.actors]
                alone = await storage.occupy(connection, wanted.id, own, claim, context.now)
                missing = (*alone, *sorted(of_groups - set(alone)))
        missing = rules.not_overruled(wanted, missing, by_patient=context.by_patient)
        if missing:
            raise ActorsTaken(tuple(sorted(missing)), claim.start)
        if not result.all_slots:
            slot = claim.new_slots[0]
            raise SlotTaken(slot.id, slot.start, slot.status)
        return replace(claim, owners=result.owners)

    async def _judge(
        self, connection: Connection, context: WriteContext, wanted: Appointment, locked: LockedSlots
    ) -> rules.Claim:
        # For an agenda's own actors, its slots state who is taken with them.
        told = {actor for slot in locked.wanted for actor in slot.actors}
        unknown = sorted(set(rules.to_resolve(wanted)) - set(locked.asked_after) - told)
        resolved = {**locked.resolved, **(await resolve(connection, unknown) if unknown else {})}
        claim = rules.claim_for(
            wanted,
            locked.wanted,
            by_patient=context.by_patient,
            practices=context.organizations,
            now=context.now,
            resolved=resolved,
            kept={slot.id for slot in locked.held},
            adjacent_max=self._quotas.adjacent_slots_max,
            marked=locked.marked,
        )
        await require_bookable(connection, context, self._quotas, wanted, claim)
        return claim


def schedules(context: WriteContext) -> bool:
    """Whether the caller may be the scheduler of an agenda, who may have marked its slots before."""
    return not context.by_patient and context.role in ("system", "software", "practitioner", "secretary")


def _named(facts: Sequence[SlotFact], ids: Sequence[str]) -> tuple[SlotFact, ...]:
    return tuple(slot for slot in facts if slot.id in ids)


def _actors(slots: Sequence[SlotFact]) -> frozenset[str]:
    return frozenset(actor for slot in slots for actor in slot.actors)


def _patients(appointment: Appointment) -> frozenset[str]:
    """The patients (ids) who come to an appointment."""
    return frozenset(reference.removeprefix("Patient/") for reference in appointment.coming)


def _require_available(unavailable: Sequence[str]) -> None:
    if unavailable:
        raise PatientsUnavailable(tuple(unavailable))

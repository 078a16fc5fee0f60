"""The rules of taking slots and people, pure: facts in, a claim or a typed refusal out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES, Appointment, SlotFact, patient_actor
from creneau_booking.domain.participants import (
    require_only_agendas_people,
    require_said_by_slots,
    require_somebody_comes,
)
from creneau_booking.domain.refusals.feeds import AgendaNotUpToDate
from creneau_booking.domain.refusals.participants import NotOnePatient
from creneau_booking.domain.refusals.slots import (
    ActorsTaken,
    AgendaClosed,
    AppointmentOrder,
    GroupFull,
    NoPartOfSlot,
    NoSlot,
    NoTime,
    OutsideHorizon,
    OutsideSlots,
    PartOfSlot,
    SlotBegun,
    SlotsNotAdjacent,
    SlotsOfTwoKinds,
    SlotTaken,
    UnknownSlots,
    VisitOfTooManySlots,
)
from creneau_booking.domain.status import SLOT_STATUS_OF, SlotStatus
from creneau_booking.domain.times import require_sensible

PUBLIC_VISIBILITY = "PUBLIC"


VISIT_MAX = timedelta(hours=2)
"""A shorter slot is one visit, which a patient takes whole, because a cut slot stays cut. A slot of this length or longer
is open time, of which a patient takes what the visit needs."""
PART_MIN = timedelta(minutes=5)
"""The shortest part of open time that a patient takes or leaves: nobody could use a shorter one. Parts begin and end on
multiples of it, counted from the start of the slot."""
OPEN_TIME_MAX = timedelta(days=1)
"""How long after it has begun patients may take parts of open time: a search looks back no further."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A slot of which only a part is taken, or kept: it becomes `[start, end)`, and the rest of its time becomes further
    slots."""

    slot: SlotFact
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """The slots, with their new status, and the people that an appointment takes for a half-open period."""

    slots: tuple[SlotFact, ...]
    slot_status: SlotStatus
    kept: frozenset[str]
    """ids of the slots that the appointment has already (it moves, or changes its status)"""
    actors: tuple[str, ...]
    """in sorted order, so that concurrent bookings take them in the same order"""
    start: datetime
    end: datetime
    cuts: tuple[Cut, ...] = ()
    persons: tuple[str, ...] = ()
    """the persons who take a place in each of its group slots"""
    shared: tuple[str, ...] = ()
    """actors, other than the agendas', whom it adds to its group slots"""
    owners: frozenset[str] = frozenset()
    """the organisations whose agendas it takes, read after it has taken them"""

    @property
    def groups(self) -> tuple[SlotFact, ...]:
        """The slots that have several places."""
        return tuple(slot for slot in self.slots if slot.is_group)

    def people_of(self, group: SlotFact) -> tuple[str, ...]:
        """The actors whom a group slot takes, in sorted order."""
        return tuple(sorted({*group.exclusive, *self.shared}))

    @property
    def new_slots(self) -> tuple[SlotFact, ...]:
        return tuple(slot for slot in self.slots if slot.id not in self.kept)

    @property
    def schedules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"Schedule/{slot.schedule}" for slot in self.slots))


def claim_for(
    appointment: Appointment,
    slots: Sequence[SlotFact],
    *,
    by_patient: bool,
    now: datetime,
    resolved: Mapping[str, str] = {},
    kept: Collection[str] = (),
    practices: Collection[str] | None = None,
    adjacent_max: int = 1,
    marked: bool = False,
) -> Claim:
    """Returns what `appointment` must take to have its status.

    `slots` are the locked facts of its slots. `resolved` maps the roles and rooms of its participants to the actors taken
    with them. `kept` are the ids of slots that it has already. `practices` are the organisations (ids) for which the caller
    acts. `adjacent_max` limits the slots of a patient's visit in an agenda without a limit of its own. `marked`: whether
    the caller may have marked a slot before (`is_marked`).
    Refuses what can never be: a slot unknown to the caller, past or outside the horizon, or times that do not fit. Also
    refuses what somebody else has taken, and people whom a patient takes beside the agendas'. The request itself is judged
    before the slots' state, so that repeating it reveals nothing new.
    """
    new = [slot for slot in slots if slot.id not in kept]
    _require_known(appointment, [s for s in slots if s not in new or _is_shown(s, by_patient, practices)])
    _require_open(new)
    require_somebody_comes(None, appointment)
    if by_patient:
        _require_one_patient(appointment)
        _require_slot(slots)
        _require_few(slots, adjacent_max)
        _require_up_to_date(new, now)
    _require_of_one_kind(slots)
    start, end = period(appointment, slots)
    cuts = _cuts(new, start, end)
    if by_patient:
        _require_to_come(new, start, now)
        _require_usable_parts(cuts)
    persons = persons_of(appointment)
    for slot in new:
        if slot.is_group:
            _require_places(slot, cuts, len(persons))
        if slot.displaced and slot.status != "free":
            raise ActorsTaken(tuple(sorted(slot.exclusive)), slot.start)
        if slot.status != "free" and not (marked and is_marked(slot, practices)):
            raise SlotTaken(slot.id, slot.start, slot.status)
    actors = _actors_of(appointment, slots, resolved, kept)
    if by_patient:
        agendas = [actor for slot in slots for actor in slot.exclusive]
        people = [actor for actor in actors if not actor.startswith("Patient/")]
        require_only_agendas_people(appointment, people, agendas, resolved)
        require_said_by_slots(appointment, new)
    had = [slot for slot in slots if slot.id in kept and slot.taken_by == appointment.id]
    own, shared = _apart(actors, slots)
    return Claim(
        slots=tuple(slots),
        slot_status=SLOT_STATUS_OF[appointment.status],
        kept=frozenset(slot.id for slot in slots if slot.id in kept),
        actors=own,
        start=start,
        end=end,
        cuts=(*cuts, *_no_longer_needed(appointment, had, start, end, now, by_patient=by_patient)),
        persons=persons,
        shared=shared,
    )


def persons_of(appointment: Appointment) -> tuple[str, ...]:
    """The persons who have a place through the appointment: its patients who come, or else the appointment itself."""
    patients = {patient_actor(reference, hidden=appointment.hidden) for reference in appointment.coming}
    return tuple(sorted(patients)) or (f"Appointment/{appointment.id}",)


def _actors_of(
    appointment: Appointment,
    slots: Sequence[SlotFact],
    resolved: Mapping[str, str],
    kept: Collection[str],
) -> tuple[str, ...]:
    """The actors whom the appointment takes. Where it has been put into a slot that another one has (overbooking), it takes
    its patients alone, beside the people of its own slots."""
    others = [slot for slot in slots if slot.id in kept and _is_anothers(slot, appointment)]
    if not others:
        return exclusive_actors(appointment, slots, resolved)
    own = {actor for slot in slots if slot not in others for actor in slot.exclusive}
    named = exclusive_actors(appointment, (), resolved)
    return tuple(sorted(own | {actor for actor in named if actor.startswith("Patient/")}))


def _is_anothers(slot: SlotFact, appointment: Appointment) -> bool:
    return not slot.is_group and slot.taken_by not in (None, appointment.id)


def _apart(actors: Sequence[str], slots: Sequence[SlotFact]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Splits the actors into those whom the appointment takes itself and those whom it adds to its group slots. Where all
    slots are groups, it takes its patients only."""
    groups = [slot for slot in slots if slot.is_group]
    if not groups:
        return tuple(actors), ()
    of_groups = {actor for slot in groups for actor in slot.exclusive}
    alone = {actor for slot in slots if not slot.is_group for actor in slot.exclusive}
    if len(groups) < len(slots):
        return tuple(actor for actor in actors if actor not in of_groups - alone), ()
    patients = [actor for actor in actors if actor.startswith("Patient/")]
    return tuple(patients), tuple(a for a in actors if a not in patients and a not in of_groups)


def _require_places(slot: SlotFact, cuts: Sequence[Cut], wanted: int) -> None:
    """Refuses a part of a group slot (PartOfSlot), or more places than are left (GroupFull)."""
    if any(cut.slot is slot for cut in cuts):
        raise PartOfSlot(slot.id, slot.start)
    if slot.places is not None and slot.places_left < wanted:
        raise GroupFull(slot.id, slot.start, slot.places_left, wanted)
    if slot.capacity < wanted:
        raise GroupFull(slot.id, slot.start, slot.capacity, wanted)


def is_marked(slot: SlotFact, practices: Collection[str] | None) -> bool:
    """Whether the scheduler of an agenda (HL7's choreography) has marked a slot of its own as `busy-tentative` for the
    appointment that is to take it."""
    theirs = practices is None or not slot.owners.isdisjoint(practices)
    return theirs and slot.status == "busy-tentative" and slot.taken_by is None


def may_overbook(appointment: Appointment, *, by_patient: bool) -> bool:
    """Whether a practice puts an appointment where another one is on purpose: it gives a reason, and slots."""
    return not by_patient and bool(appointment.overbooking_reason) and bool(appointment.slots)


def is_overbookable(slot: SlotFact, practices: Collection[str] | None) -> bool:
    """Whether an appointment has the slot, which is no group's, in an open agenda of the practices (organisation ids)."""
    theirs = practices is None or not slot.owners.isdisjoint(practices)
    return theirs and slot.taken_by is not None and slot.places is None and slot.schedule_open


def period(appointment: Appointment, slots: Sequence[SlotFact]) -> tuple[datetime, datetime]:
    """The appointment's period: its own, which every agenda's slots must cover, or else that of its slots.

    Slots of one agenda must follow each other without a gap (GP Connect), unless the practice allows one; a part of a larger
    slot is allowed (ISiK).
    """
    spans = [
        _span(list(group), with_gap=appointment.with_gap)
        for _, group in groupby(sorted(slots, key=_agenda_order), key=lambda s: s.schedule)
    ]
    if appointment.start is not None and appointment.end is not None:
        start, end = appointment.start, appointment.end
    elif spans:
        start, end = spans[0]
    else:
        raise NoTime()
    if end <= start:
        raise AppointmentOrder()
    require_sensible("Appointment", start, end)
    for first, last in spans:
        if start < first or end > last:
            raise OutsideSlots(start, end, first, last)
    return start, end


def _cuts(slots: Sequence[SlotFact], start: datetime, end: datetime) -> tuple[Cut, ...]:
    """The slots that reach beyond `[start, end)`. Raises NoPartOfSlot if one lies outside it completely."""
    for slot in slots:
        if slot.end <= start or slot.start >= end:
            raise NoPartOfSlot(slot.id, slot.start, start, end)
    parts = [Cut(slot, max(slot.start, start), min(slot.end, end)) for slot in slots]
    return tuple(part for part in parts if (part.start, part.end) != (part.slot.start, part.slot.end))


def _no_longer_needed(
    appointment: Appointment,
    had: Sequence[SlotFact],
    start: datetime,
    end: datetime,
    now: datetime,
    *,
    by_patient: bool,
) -> tuple[Cut, ...]:
    """The open time of which a visit to come needs only `[start, end)` any more: the rest is open again. A slot that is one
    visit stays whole, since nobody could use what is left of it; so does everything where the visit keeps a slot outside of
    its time, as its slots would follow each other no more. What a patient leaves is cut only where they could have taken
    that part: nobody cuts a practice's time to pieces by moving to and fro."""
    if appointment.status not in ("pending", "booked") or end <= now:
        return ()
    if any(slot.end <= start or slot.start >= end for slot in had):
        return ()
    open_time = [slot for slot in had if not slot.is_group and is_open_time(slot.start, slot.end, slot.parts)]
    cuts = _cuts(open_time, start, end)
    return tuple(cut for cut in cuts if not by_patient or _is_usable(cut))


def _require_usable_parts(cuts: Sequence[Cut]) -> None:
    for cut in cuts:
        if not _is_usable(cut):
            raise PartOfSlot(cut.slot.id, cut.slot.start)


def _is_usable(cut: Cut) -> bool:
    return is_usable_part(cut.slot.start, cut.slot.end, cut.slot.parts, cut.start, cut.end)


def is_usable_part(
    slot_start: datetime, slot_end: datetime, parts: bool | None, start: datetime, end: datetime
) -> bool:
    """Whether a patient may take `[start, end)` out of a longer free slot; `parts`: as `SlotFact.parts`."""
    lengths = (end - start, start - slot_start, slot_end - end)
    edges = [start - slot_start] + ([end - slot_start] if end < slot_end else [])
    short = any(timedelta(0) < length < PART_MIN for length in lengths)
    return is_open_time(slot_start, slot_end, parts) and not (short or any(edge % PART_MIN for edge in edges))


def is_open_time(slot_start: datetime, slot_end: datetime, parts: bool | None) -> bool:
    """Whether patients take parts of a slot; `parts`: as `SlotFact.parts`."""
    return slot_end - slot_start >= VISIT_MAX if parts is None else parts


def _agenda_order(slot: SlotFact) -> tuple[str, datetime]:
    return slot.schedule, slot.start


def _require_few(slots: Sequence[SlotFact], adjacent_max: int) -> None:
    """Raises VisitOfTooManySlots if a patient's visit has more slots of one agenda than that agenda allows."""
    for _, group in groupby(sorted(slots, key=_agenda_order), key=lambda s: s.schedule):
        of_agenda = list(group)
        said = of_agenda[0].adjacent_max
        most = adjacent_max if said is None else said
        if len(of_agenda) > most:
            raise VisitOfTooManySlots(len(of_agenda), most)


def _span(slots: Sequence[SlotFact], *, with_gap: bool) -> tuple[datetime, datetime]:
    for before, after in pairwise(slots):
        if before.end > after.start or (before.end < after.start and not with_gap):
            raise SlotsNotAdjacent(before.id, after.id, (before.start, after.start))
    return slots[0].start, slots[-1].end


def exclusive_actors(
    appointment: Appointment, slots: Sequence[SlotFact], resolved: Mapping[str, str]
) -> tuple[str, ...]:
    """The actors whom the appointment takes exclusively: its agendas' people, rooms and devices, and its own participants
    who have not declined, patients included."""
    agendas = {actor for slot in slots for actor in slot.exclusive}
    named = {p.reference for p in appointment.participants if p.reference and p.status != "declined"}
    own = {resolved.get(reference, reference) for reference in named}
    people = {
        actor for actor in own if actor.split("/", 1)[0] in EXCLUSIVE_TYPES or actor in resolved.values()
    }
    patients = {
        patient_actor(p.reference, hidden=appointment.hidden)
        for p in appointment.participants
        if p.reference and p.type == "Patient" and p.status != "declined"
    }
    return tuple(sorted(agendas | people | patients))


def not_overruled(appointment: Appointment, missing: Sequence[str], *, by_patient: bool) -> tuple[str, ...]:
    """The actors in `missing` (taken elsewhere) who prevent the appointment. A caller who is no patient may give a patient
    two visits at one time, with a reason that the appointment keeps. For other actors nobody may."""
    if by_patient or not appointment.double_booking_reason:
        return tuple(missing)
    return tuple(actor for actor in missing if not actor.startswith("Patient/"))


def to_resolve(appointment: Appointment) -> tuple[str, ...]:
    """The roles and places among the participants: only the directory knows which person or room is taken with them."""
    return tuple(
        sorted(
            p.reference
            for p in appointment.participants
            if p.reference and p.type in ("PractitionerRole", "Location") and p.status != "declined"
        )
    )


def _require_of_one_kind(slots: Sequence[SlotFact]) -> None:
    """Raises SlotsOfTwoKinds if slots of one agenda differ in what they offer or in visibility."""
    first: dict[str, SlotFact] = {}
    for slot in slots:
        other = first.setdefault(slot.schedule, slot)
        if (slot.offers, slot.visibility) != (other.offers, other.visibility):
            raise SlotsOfTwoKinds(other.id, slot.id, (other.start, slot.start))


def _require_known(appointment: Appointment, slots: Sequence[SlotFact]) -> None:
    missing = set(appointment.slots) - {slot.id for slot in slots}
    if missing:
        raise UnknownSlots(tuple(sorted(missing)))


def _is_shown(slot: SlotFact, by_patient: bool, practices: Collection[str] | None) -> bool:
    """Whether the caller may see a slot: a hidden slot is treated as one that does not exist."""
    if not slot.visibility or PUBLIC_VISIBILITY in slot.visibility:
        return True
    return not by_patient and (practices is None or not slot.owners.isdisjoint(practices))


def _require_open(slots: Sequence[SlotFact]) -> None:
    for slot in slots:
        if not slot.schedule_open:
            raise AgendaClosed(slot.schedule)
        _require_in_horizon(slot)


def _require_one_patient(appointment: Appointment) -> None:
    if len(set(appointment.patients)) != 1:
        raise NotOnePatient()


def _require_slot(slots: Sequence[SlotFact]) -> None:
    if not slots:
        raise NoSlot()


def _require_to_come(slots: Sequence[SlotFact], start: datetime, now: datetime) -> None:
    """Raises SlotBegun if what a visit from `start` on takes of a slot has begun, or the slot so long ago that no part of it
    is found any more."""
    for slot in slots:
        begins = max(slot.start, start)
        if begins <= now:
            raise SlotBegun(begins)
        if slot.start + OPEN_TIME_MAX <= now:
            raise SlotBegun(slot.start)


def _require_up_to_date(slots: Sequence[SlotFact], now: datetime) -> None:
    for slot in slots:
        if slot.fresh_until is not None and slot.fresh_until < now:
            raise AgendaNotUpToDate(slot.schedule)


def _require_in_horizon(slot: SlotFact) -> None:
    before = slot.horizon_start is not None and slot.start < slot.horizon_start
    after = slot.horizon_end is not None and slot.end > slot.horizon_end
    if before or after:
        raise OutsideHorizon(slot.id, slot.start)

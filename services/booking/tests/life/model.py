"""What the rules of booking say of a small town, in a few lines of Python that know nothing of the code or its tables.

| | rule |
|---|---|
| taken | a visit that is held, waits for its practice, is booked or was, has its slots, the agenda's people and its patient |
| free | what the agenda says is free, nobody has, and in whose time nobody of the agenda is taken |
| run out | a hold, a question to the practice or an offer whose end has passed stands in nobody's way |
| line | what frees goes to the first who waits for it, can come then and was not asked before; never to the public first |

Whatever is done to it says whether it is allowed; what is not leaves a model that is to be thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

Keeps = Literal["hold", "asked", "offer"]
Key = tuple[str, datetime, datetime]
"""agenda, start and end: of one agenda no two slots are at the same time"""
TAKING = ("pending", "booked", "arrived", "fulfilled", "noshow")
OPEN_END = datetime(9999, 1, 1, tzinfo=UTC)
ANSWERABLE = timedelta(hours=15)
"""a visit that is no further away may be too near for anybody to be asked, with a night between"""


@dataclass(frozen=True)
class Agenda:
    """What is stated of an agenda and stays so."""

    name: str
    people: frozenset[str]
    """who can be in one place only"""
    capacity: int = 1
    confirms: bool = False
    parts: bool = False
    adjacent_max: int = 4
    deadline: timedelta = timedelta(0)
    """how long before the visit a patient may last change it"""
    stale_after: timedelta | None = None
    stands_on: frozenset[str] = frozenset()
    """without whom it is closed"""


@dataclass
class Slot:
    """`by`: the visit that has it; `guests`: of a group, whose place is by which visit."""

    uid: int
    agenda: str
    start: datetime
    end: datetime
    said: str = "free"
    by: str | None = None
    guests: dict[str, str] = field(default_factory=dict)
    over: list[str] = field(default_factory=list)
    """the visits that the practice has put beside that one, in their order"""
    by_rule: bool = False
    """made by the agenda's rules, and written by nobody since"""
    closed: bool = False
    """blocked by a closure, and by no rule open again"""

    @property
    def key(self) -> Key:
        return self.agenda, self.start, self.end

    @property
    def is_taken(self) -> bool:
        return self.by is not None or bool(self.guests)


@dataclass
class Visit:
    """An appointment, or the wish for one."""

    id: str
    patient: str
    status: str
    slots: list[int] = field(default_factory=list)
    start: datetime | None = None
    end: datetime | None = None
    keeps: Keeps | None = None
    """why it is pending, where that has an end"""
    until: datetime = OPEN_END
    account: str | None = None
    """whose hold it is"""
    waits_for: str | None = None
    rank: int = 5
    since: datetime = OPEN_END
    asked_about: set[int] = field(default_factory=set)
    """the slots that were offered to it"""
    agreed: bool = False
    """offered, and its practice has agreed beforehand"""
    replaces: str | None = None
    extended: int = 0
    brings: frozenset[str] = frozenset()
    """whom a visit without a slot takes beside its patient"""
    series: int | None = None
    number: int = 0

    @property
    def takes(self) -> bool:
        return self.status in TAKING


@dataclass(frozen=True)
class Offer:
    """What was told: a slot is offered to a visit."""

    visit: str
    key: Key
    until: datetime


class DisagreementError(AssertionError):
    """What was done is not what the rules say."""


@dataclass
class Model:
    """The town at one moment. `told`: the offers that were made by what is done now, in order."""

    agendas: dict[str, Agenda]
    now: datetime
    slots: dict[int, Slot] = field(default_factory=dict)
    visits: dict[str, Visit] = field(default_factory=dict)
    busy: dict[str, list[tuple[str, datetime, datetime]]] = field(default_factory=dict)
    """agenda → who is busy elsewhere, and when, as its professional's own calendar says"""
    gone: set[str] = field(default_factory=set)
    """those on whom agendas stand and who are not there now"""
    synchronised: dict[str, datetime] = field(default_factory=dict)
    closed: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    told: list[Offer] = field(default_factory=list)
    answer_time: timedelta = timedelta(days=2)
    """how long a practice may take to answer"""
    hold_time: timedelta = timedelta(minutes=10)
    uids: int = 0
    freed: dict[int, None] = field(default_factory=dict)
    """what has become free, and may be waited for"""
    is_guess: bool = False
    """whether what is done was refused, and so nothing was told of what it would have led to"""
    is_unsure: bool = False
    """whether that would have depended on how much time somebody is given to answer"""

    why: str = ""
    """why it was not allowed"""

    def no(self, why: str) -> bool:
        self.why = self.why or why
        return False

    # -- what is so ------------------------------------------------------------------------------------------

    def add_slot(
        self, agenda: str, start: datetime, end: datetime, said: str = "free", *, by_rule: bool = False
    ) -> Slot:
        self.uids += 1
        slot = Slot(self.uids, agenda, start, end, said, by_rule=by_rule)
        self.slots[slot.uid] = slot
        self.freed[slot.uid] = None
        return slot

    def at(self, key: Key) -> Slot | None:
        return next((slot for slot in self.slots.values() if slot.key == key), None)

    def of(self, visit: Visit) -> list[Slot]:
        return [self.slots[uid] for uid in visit.slots]

    def people(self, slot: Slot) -> frozenset[str]:
        return self.agendas[slot.agenda].people

    def takers(self, who: str, start: datetime, end: datetime) -> set[str]:
        """By what somebody is taken in `[start, end)`: visits, groups (`#` and the slot), other calendars (`@`)."""
        found = set()
        for visit in self.visits.values():
            if not visit.takes or visit.start is None or visit.end is None:
                continue
            if visit.start < end and visit.end > start and who in self._own_people(visit):
                found.add(visit.id)
        for slot in self.slots.values():
            if slot.guests and slot.start < end and slot.end > start and who in self.people(slot):
                found.add(f"#{slot.uid}")
        for agenda, times in self.busy.items():
            if any(one == who and low < end and high > start for one, low, high in times):
                found.add(f"@{agenda}")
        return found

    def _own_people(self, visit: Visit) -> set[str]:
        alone = [slot for slot in self.of(visit) if slot.by == visit.id]
        return {visit.patient, *visit.brings, *(person for slot in alone for person in self.people(slot))}

    def status(self, slot: Slot, besides: str | None = None) -> str:
        """As everybody sees it; `besides` a visit, as it is for that one."""
        if slot.by is not None and slot.by != besides:
            return "busy-tentative" if self.visits[slot.by].status == "pending" else "busy"
        if slot.guests:
            full = len(slot.guests) >= self.agendas[slot.agenda].capacity
            return "busy" if full and slot.said == "free" else slot.said
        if slot.said != "free":
            return slot.said
        own = {besides, f"#{slot.uid}"}
        taken = any(self.takers(who, slot.start, slot.end) - own for who in self.people(slot))
        return "busy-unavailable" if taken else "free"

    def statuses(self) -> dict[Key, str]:
        return {slot.key: self.status(slot) for slot in self.slots.values()}

    def occupied(self) -> set[tuple[str, datetime, datetime]]:
        """Who is somewhere, and when."""
        found = {entry for times in self.busy.values() for entry in times}
        for visit in self.visits.values():
            if visit.takes and visit.start is not None and visit.end is not None:
                found |= {(who, visit.start, visit.end) for who in self._own_people(visit)}
        for slot in self.slots.values():
            if slot.guests:
                found |= {(who, slot.start, slot.end) for who in self.people(slot)}
        return found

    def is_open(self, agenda: str) -> bool:
        return not self.agendas[agenda].stands_on & self.gone

    def is_fresh(self, agenda: str) -> bool:
        within = self.agendas[agenda].stale_after
        return within is None or self.now <= self.synchronised[agenda] + within

    def has_run_out(self, visit: Visit) -> bool:
        return visit.status == "pending" and visit.keeps is not None and visit.until <= self.now

    def run_out(self) -> list[str]:
        return [visit.id for visit in self.visits.values() if self.has_run_out(visit)]

    # -- giving back -----------------------------------------------------------------------------------------

    def _watch(self) -> Callable[[], None]:
        """Call it later: what has become free meanwhile is noted."""
        before = {uid for uid, slot in self.slots.items() if self.status(slot) == "free"}

        def note() -> None:
            for uid, slot in self.slots.items():
                if uid not in before and self.status(slot) == "free":
                    self.freed[uid] = None

        return note

    def _leave(self, visit: Visit, slots: Iterable[Slot]) -> None:
        """It has these slots no more."""
        for slot in slots:
            if slot.by == visit.id:
                slot.by = slot.over.pop(0) if slot.over else None
            elif visit.id in slot.over:
                slot.over.remove(visit.id)
            if visit.id in slot.guests.values():
                slot.guests = {who: by for who, by in slot.guests.items() if by != visit.id}
                self.freed[slot.uid] = None

    def end(self, visit: Visit, status: str = "cancelled") -> None:
        """It takes nothing any more."""
        note = self._watch()
        self._leave(visit, self.of(visit))
        visit.status, visit.keeps, visit.until, visit.slots = status, None, OPEN_END, []
        visit.agreed = False
        if status == "waitlist":
            visit.start = visit.end = None
        note()

    def expire(self, visit: Visit) -> None:
        self.end(visit, "waitlist" if self._is_of_the_line(visit) else "cancelled")
        self.offer()

    def _is_of_the_line(self, visit: Visit) -> bool:
        """Whether it is offered to somebody who waits, or was, and its practice has not agreed yet."""
        return visit.keeps == "offer" or (visit.keeps == "asked" and visit.waits_for is not None)

    # -- the line --------------------------------------------------------------------------------------------

    def offer(self) -> None:
        """What has become free is offered to those who wait for it, in the order of time."""
        while self.freed:
            wanted = self.freed
            self.freed = {}
            slots = sorted((self.slots[uid] for uid in wanted if uid in self.slots), key=self._turn)
            for slot in slots:
                self._offer(slot)

    def _turn(self, slot: Slot) -> tuple[datetime, int]:
        """At one time, whatever was told first: which of two agendas comes first is nobody's right."""
        told = [number for number, offer in enumerate(self.told) if offer.key == slot.key]
        return slot.start, told[0] if told else len(self.told)

    def _offer(self, slot: Slot) -> None:
        if self.status(slot) != "free" or slot.start <= self.now:
            return
        if not self.is_open(slot.agenda) or not self.is_fresh(slot.agenda):
            return
        line = sorted(
            (visit for visit in self.visits.values() if self._suits(visit, slot)),
            key=lambda visit: (visit.rank, visit.since),
        )
        if not line:
            return
        first = line[0]
        if self.is_guess:
            self.is_unsure = self.is_unsure or slot.start - self.now < ANSWERABLE
            self.told.insert(0, Offer(first.id, slot.key, slot.start))
        if not self.told or (self.told[0].visit, self.told[0].key) != (first.id, slot.key):
            if slot.start - self.now < ANSWERABLE and not any(o.key == slot.key for o in self.told[:1]):
                return
            raise DisagreementError(f"{slot.key} is due to {first.id}, and was offered: {self.told[:1]}")
        until = self.told.pop(0).until
        if not self.now < until <= slot.start:
            raise DisagreementError(f"an offer that ends at {until}")
        first.asked_about.add(slot.uid)
        first.status, first.keeps, first.until = "pending", "offer", until
        first.slots, first.start, first.end = [slot.uid], slot.start, slot.end
        self._claim(first, slot)
        if self.agendas[slot.agenda].capacity > 1:
            self._offer(slot)  # there may be a place more

    def _suits(self, visit: Visit, slot: Slot) -> bool:
        return (
            visit.status == "waitlist"
            and visit.waits_for == slot.agenda
            and slot.uid not in visit.asked_about
            and not self.takers(visit.patient, slot.start, slot.end)
        )

    def _claim(self, visit: Visit, slot: Slot) -> None:
        if self.agendas[slot.agenda].capacity > 1:
            slot.guests[visit.patient] = visit.id
        else:
            slot.by = visit.id

    # -- taking ----------------------------------------------------------------------------------------------

    def take(
        self,
        visit: Visit,
        keys: Sequence[Key],
        *,
        by_patient: bool,
        part: tuple[datetime, datetime] | None = None,
    ) -> bool:
        """Whether the visit gets these slots, or a part of one, in the place of those that it has."""
        found = [self.at(key) for key in keys]
        slots = [slot for slot in found if slot is not None]
        if len(slots) < len(keys):
            return self.no("a slot is not there")
        start, end = part or (min(s.start for s in slots), max(s.end for s in slots))
        self._make_way(visit, slots, start, end)
        held = set(visit.slots)
        new = [slot for slot in slots if slot.uid not in held]
        if any(not self.is_open(slot.agenda) for slot in new):
            return self.no("closed")
        if by_patient and not self._is_the_patients(new, slots):
            return self.no("not a patient's to take")
        if any(one.end != other.start for one, other in pairwise(sorted(slots, key=lambda s: s.start))):
            return self.no("not adjacent")
        if (
            part is not None
            and part != (slots[0].start, slots[0].end)
            and not self._is_usable(slots, part, by_patient)
        ):
            return self.no("no such part")
        for slot in new:
            if self.status(slot, visit.id) != "free" or slot.guests.get(visit.patient, visit.id) != visit.id:
                return self.no("not free")
        people = {visit.patient, *visit.brings, *(who for slot in slots for who in self.people(slot))}
        own = {visit.id, *(f"#{slot.uid}" for slot in slots)}
        if any(self.takers(who, start, end) - own for who in people):
            return self.no("somebody is taken")
        self._exchange(visit, slots, start, end)
        return True

    def _is_the_patients(self, new: Sequence[Slot], slots: Sequence[Slot]) -> bool:
        return all(
            slot.start > self.now
            and self.is_fresh(slot.agenda)
            and len(slots) <= self.agendas[slot.agenda].adjacent_max
            for slot in new
        )

    def _is_usable(self, slots: Sequence[Slot], part: tuple[datetime, datetime], by_patient: bool) -> bool:
        [slot] = slots
        agenda = self.agendas[slot.agenda]
        if agenda.capacity > 1 or not slot.start <= part[0] < part[1] <= slot.end:
            return False
        return agenda.parts or not by_patient

    def _exchange(self, visit: Visit, slots: Sequence[Slot], start: datetime, end: datetime) -> None:
        note = self._watch()
        self._leave(visit, [slot for slot in self.of(visit) if slot not in slots])
        visit.slots, visit.start, visit.end = [slot.uid for slot in slots], start, end
        rests: list[int] = []
        for slot in slots:
            for low, high in ((slot.start, start), (end, slot.end)):
                if low < high:
                    rests.append(self.add_slot(slot.agenda, low, high, slot.said).uid)
            slot.by_rule = slot.by_rule and (slot.start, slot.end) == (
                max(slot.start, start),
                min(slot.end, end),
            )
            slot.start, slot.end = max(slot.start, start), min(slot.end, end)
            self._claim(visit, slot)
        note()
        for uid in rests:
            self.freed.pop(uid, None)  # as free as it was before

    def _make_way(self, visit: Visit, slots: Iterable[Slot], start: datetime, end: datetime) -> None:
        """What has run out gives way, and is first offered to those who wait for it."""
        slots = list(slots)
        blocking: set[str] = set()
        for slot in slots:
            blocking |= {slot.by} if slot.by is not None else set(slot.guests.values())
            for who in self.people(slot):
                blocking |= self.takers(who, slot.start, slot.end)
        self._give_way(blocking, visit.id)
        self._make_way_for(
            {visit.patient, *(who for slot in slots for who in self.people(slot))}, start, end, visit.id
        )

    def _make_way_for(self, people: Iterable[str], start: datetime, end: datetime, besides: str) -> None:
        self._give_way({name for who in people for name in self.takers(who, start, end)}, besides)

    def _give_way(self, blocking: set[str], besides: str) -> None:
        groups = [self.slots[int(name[1:])] for name in blocking if name.startswith("#")]
        for id_ in sorted({*blocking, *(by for slot in groups for by in slot.guests.values())} - {besides}):
            other = self.visits.get(id_)
            if other is not None and self.has_run_out(other):
                self.expire(other)

    # -- what may be done ------------------------------------------------------------------------------------

    def new(
        self,
        visit: Visit,
        keys: Sequence[Key],
        status: Literal["held", "booked"],
        *,
        by_patient: bool,
        part: tuple[datetime, datetime] | None = None,
        instead: str | None = None,
    ) -> bool:
        """A new visit is held or booked; `instead` of another one, which it replaces."""
        if instead is not None and not self.cancel(instead, by_patient=by_patient):
            return self.no("not in that state, or not theirs")
        if by_patient:
            self._give_up_own(visit, keys)
        confirms = any(self.agendas[key[0]].confirms for key in keys) and by_patient
        visit.status = "pending"
        self.visits[visit.id] = visit
        if not self.take(visit, keys, by_patient=by_patient, part=part):
            return self.no("not in that state, or not theirs")
        if status == "held":
            visit.keeps, visit.until = "hold", self.now + self.hold_time
        elif confirms:
            self._ask(visit)
        else:
            visit.status = "booked"
        return True

    def put_over(self, visit: Visit, key: Key) -> bool:
        """The practice puts a visit where another one is; where there is none, it is booked as any other."""
        slot = self.at(key)
        if slot is None or slot.by is None or self.has_run_out(self.visits[slot.by]):
            return self.new(visit, [key], "booked", by_patient=False)
        if not self.is_open(slot.agenda) or self.takers(visit.patient, slot.start, slot.end):
            return self.no("closed, or the patient is taken")
        slot.over.append(visit.id)
        visit.status, visit.slots, visit.start, visit.end = "booked", [slot.uid], slot.start, slot.end
        self.visits[visit.id] = visit
        return True

    def walk_in(self, visit: Visit, start: datetime, end: datetime) -> bool:
        """A visit without a slot."""
        self._make_way_for({visit.patient, *visit.brings}, start, end, visit.id)
        if any(self.takers(who, start, end) for who in (visit.patient, *visit.brings)):
            return self.no("somebody is taken")
        visit.status, visit.start, visit.end = "booked", start, end
        self.visits[visit.id] = visit
        return True

    def extend(self, id_: str, *, by_patient: bool) -> bool:
        """What is held is held for as long again, twice at the most."""
        visit = self.visits[id_]
        if visit.status != "pending" or visit.keeps != "hold" or visit.extended >= 2:
            return self.no("no hold, or extended twice")
        if by_patient and (visit.account != visit.patient or self.has_run_out(visit)):
            return self.no("not theirs, or over")
        visit.extended += 1
        visit.until = self.now + self.hold_time
        return True

    def forget(self, id_: str, *, by_patient: bool) -> bool:
        """It is deleted."""
        visit = self.visits[id_]
        if visit.takes:
            if by_patient and (visit.start is None or visit.start <= self.now or not self._may_change(visit)):
                return self.no("not theirs to change any more")
            self.end(visit)
        del self.visits[id_]
        return True

    def same_hold(self, patient: str, keys: Sequence[Key]) -> Visit | None:
        """The patient's own live hold of the same slots, which is answered as it is."""
        return next(
            (
                visit
                for visit in self.visits.values()
                if self._is_own_hold(visit, patient) and [slot.key for slot in self.of(visit)] == list(keys)
            ),
            None,
        )

    def _is_own_hold(self, visit: Visit, patient: str) -> bool:
        return (
            visit.status == "pending"
            and visit.keeps == "hold"
            and visit.account == patient
            and not self.has_run_out(visit)
        )

    def _give_up_own(self, wanted: Visit, keys: Sequence[Key], besides: str | None = None) -> None:
        """What the account holds gives way to what it wants of the same slots."""
        slots = {slot.uid for key in keys if (slot := self.at(key)) is not None}
        own = [
            visit
            for visit in self.visits.values()
            if visit.id != besides and self._is_own_hold(visit, wanted.patient) and slots & set(visit.slots)
        ]
        if slots <= {uid for visit in own for uid in visit.slots}:
            for visit in own:
                self.end(visit)

    def _ask(self, visit: Visit) -> None:
        assert visit.start is not None
        visit.status, visit.keeps = "pending", "asked"
        visit.until = min(self.now + self.answer_time, max(visit.start, self.now))

    def book(self, id_: str, *, by_patient: bool) -> bool:
        """What is held, asked for or offered is booked."""
        visit = self.visits[id_]
        if visit.status != "pending":
            return self.no("not in that state, or not theirs")
        if by_patient and (visit.keeps == "asked" or self.has_run_out(visit)):
            return self.no("not in that state, or not theirs")
        if by_patient and visit.keeps == "hold" and visit.account != visit.patient:
            return self.no("the practice holds it for them")
        if visit.keeps == "asked" and self.has_run_out(visit):
            return self.no("not in that state, or not theirs")
        confirms = any(self.agendas[slot.agenda].confirms for slot in self.of(visit))
        if by_patient and confirms and not visit.agreed:
            if visit.keeps != "offer":
                visit.waits_for = None
            self._ask(visit)
            return True
        if not self._give_up_replaced(visit, by_patient=by_patient):
            return self.no("what it replaces is not theirs to give up any more")
        visit.status, visit.keeps, visit.until = "booked", None, OPEN_END
        visit.waits_for = None
        return True

    def confirm(self, id_: str) -> bool:
        """The practice agrees: to what is only offered, beforehand, and the person has still to say so."""
        visit = self.visits[id_]
        if visit.keeps == "offer" and any(self.agendas[slot.agenda].confirms for slot in self.of(visit)):
            visit.agreed = True
            return True
        return self.book(id_, by_patient=False)

    def _give_up_replaced(self, visit: Visit, *, by_patient: bool) -> bool:
        """Whoever has what they waited for gives up what they had."""
        other = self.visits.get(visit.replaces or "")
        if other is None or other.status not in ("booked", "pending"):
            return True
        if by_patient and not self._may_change(other):
            return False
        self.end(other)
        return True

    def _may_change(self, visit: Visit) -> bool:
        """Whether the patient may still cancel or move it."""
        assert visit.start is not None
        if visit.start <= self.now:
            return self.no("not in that state, or not theirs")
        if visit.status == "pending":
            return True
        return all(self.now <= visit.start - self.agendas[slot.agenda].deadline for slot in self.of(visit))

    def cancel(self, id_: str, *, by_patient: bool) -> bool:
        visit = self.visits[id_]
        if visit.status == "waitlist":
            visit.status, visit.waits_for = "cancelled", None
            return True
        if visit.status not in ("pending", "booked", "arrived"):
            return self.no("not in that state, or not theirs")
        if by_patient and (visit.status == "arrived" or not self._may_change(visit)):
            return self.no("not in that state, or not theirs")
        if not by_patient and self._is_of_the_line(visit):
            self.end(visit, "waitlist")
            return True
        self.end(visit)
        visit.waits_for = None
        return True

    def decline(self, id_: str) -> bool:
        """Who waits does not want what is offered, and waits on."""
        visit = self.visits[id_]
        if visit.keeps != "offer":
            return self.no("not in that state, or not theirs")
        self.end(visit, "waitlist")
        return True

    def move(self, id_: str, keys: Sequence[Key], *, by_patient: bool) -> bool:
        visit = self.visits[id_]
        if visit.status not in ("pending", "booked"):
            return self.no("not in that state, or not theirs")
        if by_patient:
            if visit.keeps == "offer" or not self._may_change(visit):
                return self.no("not in that state, or not theirs")
            if visit.status == "pending" and self.has_run_out(visit):
                return self.no("has run out")
            if visit.keeps == "hold" and visit.account != visit.patient:
                return self.no("the practice holds it for them")
            if [slot.key for slot in self.of(visit)] != list(keys):
                self._give_up_own(visit, keys, besides=visit.id)
        moved = [slot.key for slot in self.of(visit)] != list(keys)
        if not self.take(visit, keys, by_patient=by_patient):
            return self.no("not in that state, or not theirs")
        if by_patient and moved:
            confirms = any(self.agendas[key[0]].confirms for key in keys)
            if confirms and (visit.status == "booked" or visit.keeps == "asked"):
                self._ask(visit)
            elif not confirms and visit.keeps == "asked":
                visit.waits_for = None
                visit.status, visit.keeps, visit.until = "booked", None, OPEN_END
        return True

    def become(self, id_: str, status: str) -> bool:
        """What the practice says of a visit."""
        visit = self.visits[id_]
        before = {
            "arrived": ("booked",),
            "fulfilled": ("booked", "arrived"),
            "noshow": ("booked",),
            "entered-in-error": ("pending", "booked", "arrived", "fulfilled", "noshow"),
        }
        if visit.status == status:
            return True
        if visit.status not in before[status]:
            return self.no("not in that state, or not theirs")
        if status == "noshow" and visit.start is not None and self.now < visit.start:
            return self.no("not in that state, or not theirs")
        if status == "entered-in-error":
            self.end(visit, status)
        else:
            visit.status = status
        return True

    def wait(self, visit: Visit) -> bool:
        """Somebody begins to wait."""
        if visit.replaces is not None:
            other = self.visits[visit.replaces]
            if other.status != "booked" or other.patient != visit.patient:
                return self.no("not in that state, or not theirs")
        visit.status, visit.since = "waitlist", self.now
        self.visits[visit.id] = visit
        return True

    # -- what agendas say ------------------------------------------------------------------------------------

    def say(self, key: Key, said: str) -> bool:
        """The agenda's software says anew what it knows of a slot."""
        slot = self.at(key)
        if slot is None:
            self.add_slot(*key, said)
        else:
            # That somebody knows of what is taken here says nothing more.
            echo = slot.by is not None and said in ("busy", "busy-tentative")
            slot.said, slot.by_rule = slot.said if echo else said, False
            self.freed[slot.uid] = None
        self.synchronised[key[0]] = self.now
        return True

    def remove(self, key: Key) -> bool:
        slot = self.at(key)
        if slot is None or slot.is_taken:
            return False
        del self.slots[slot.uid]
        self.synchronised[key[0]] = self.now
        return True

    def synchronise(
        self, agenda: str, window: tuple[datetime, datetime], said: dict[Key, str]
    ) -> dict[str, int]:
        """What is said is the whole truth of a window, but for what is taken here; what that comes to."""
        counts = dict.fromkeys(("created", "updated", "deleted", "unchanged", "conflicts"), 0)
        if not self.is_fresh(agenda):
            self.free_again(agenda)
        self.synchronised[agenda] = self.now
        closures = [(a, b) for a, b in self.closed.get(agenda, ()) if b > self.now]
        closed = {
            key
            for key, status in said.items()
            if status == "free" and any(key[1] < b and key[2] > a for a, b in closures)
        }
        said = {key: "busy-unavailable" if key in closed else status for key, status in said.items()}
        for slot in [
            s for s in self.slots.values() if s.agenda == agenda and window[0] <= s.start < window[1]
        ]:
            if slot.key not in said:
                counts["conflicts" if slot.is_taken else "deleted"] += 1
                if not slot.is_taken:
                    del self.slots[slot.uid]
        for key, status in said.items():
            known = self.at(key)
            if known is None:
                self.add_slot(*key, status)
                counts["created"] += 1
                continue
            full = known.is_taken and len(known.guests) in (0, self.agendas[agenda].capacity)
            conflict = full and status == "free"
            counts["conflicts"] += conflict
            same = known.said == status or (full and status in ("busy", "busy-tentative"))
            if not same:
                counts["updated"] += 1
                known.said = status
                self.freed[known.uid] = None
            elif not conflict:
                counts["unchanged"] += 1
        for key in closed:
            under = self.at(key)
            if under is not None and under.said == "busy-unavailable":
                under.closed = True
        return counts

    def free_again(self, agenda: str) -> None:
        """The agenda is offered again: so is its free time."""
        self.freed |= {slot.uid: None for slot in self.slots.values() if slot.agenda == agenda}

    def close(self, agenda: str, low: datetime, high: datetime) -> list[str]:
        """A time of the agenda is closed; the visits that are hit, in the order of time."""
        self.closed.setdefault(agenda, []).append((low, high))
        hit: dict[str, datetime] = {}
        for slot in sorted(self.slots.values(), key=lambda s: s.start):
            if slot.agenda != agenda or not (slot.start < high and slot.end > low):
                continue
            if slot.said == "free":
                slot.said, slot.closed = "busy-unavailable", not slot.by_rule
            for id_ in [slot.by] if slot.by else slot.guests.values():
                if self.visits[id_].status in ("booked", "pending") and slot.end > self.now:
                    hit.setdefault(id_, slot.start)
        return sorted(hit, key=lambda id_: hit[id_])

    def calendar(self, agenda: str, times: Collection[tuple[datetime, datetime]]) -> None:
        """Its professionals' own calendar says when they are busy; what is taken here stays so."""
        note = self._watch()
        self.busy.pop(agenda, None)
        pieces = []
        for who in sorted(self.agendas[agenda].people):
            if not who.startswith("Practitioner/"):
                continue
            for low, high in times:
                pieces += [(who, *piece) for piece in self._without(who, low, high)]
        self.busy[agenda] = pieces
        note()

    def _without(self, who: str, low: datetime, high: datetime) -> list[tuple[datetime, datetime]]:
        taken = [
            (visit.start, visit.end)
            for visit in self.visits.values()
            if visit.takes and visit.start and visit.end and who in self._own_people(visit)
        ]
        taken += [(s.start, s.end) for s in self.slots.values() if s.guests and who in self.people(s)]
        taken += [(a, b) for times in self.busy.values() for one, a, b in times if one == who]
        free = []
        for start, end in sorted(taken):
            if end <= low or start >= high:
                continue
            if start > low:
                free.append((low, start))
            low = max(low, end)
        return [*free, (low, high)] if low < high else free

    def restate(self, agenda: str, asked: set[tuple[datetime, datetime]]) -> None:
        """The agenda's rules ask for other times: the difference, and nothing that anybody has or has written."""
        closures = self.closed.get(agenda, [])
        slots = [s for s in self.slots.values() if s.agenda == agenda and s.end > self.now]
        asked = {
            (start, end)
            for start, end in asked
            if start > self.now and not any(start < high and end > low for low, high in closures)
        }

        def ours(slot: Slot) -> bool:
            hit = any(slot.start < high and slot.end > low for low, high in closures)
            return slot.by_rule and slot.start > self.now and not hit

        def is_asked(slot: Slot) -> bool:
            return (slot.start, slot.end) in asked

        stays = [slot for slot in slots if slot.is_taken or not ours(slot)]
        blocks = [s for s in stays if not is_asked(s) or (s.said != "free" and not ours(s))]

        def is_blocked(start: datetime, end: datetime) -> bool:
            return any(start < one.end and end > one.start for one in blocks)

        for slot in slots:
            if slot not in stays and (not is_asked(slot) or is_blocked(slot.start, slot.end)):
                del self.slots[slot.uid]
            elif is_asked(slot):
                if slot.said != "free" and ours(slot):
                    slot.said = "free"
                    self.freed[slot.uid] = None
            elif slot.by_rule and slot.start > self.now and slot.is_taken and slot.said == "free":
                slot.said = "busy-unavailable"
        there = {(slot.start, slot.end) for slot in self.slots.values() if slot.agenda == agenda}
        for start, end in sorted(asked - there):
            if not is_blocked(start, end):
                self.add_slot(agenda, start, end, by_rule=True)

    def reopen(self, agenda: str, low: datetime, high: datetime) -> None:
        """It is closed no more in that time: what its software had pushed is free again; what the rules ask for has to be said
        again."""
        left = []
        for start, end in self.closed.get(agenda, []):
            left += [(start, min(end, low))] if start < low else []
            left += [(max(start, high), end)] if end > high else []
            if end <= low or start >= high:
                left = [piece for piece in left if piece[0] < piece[1]]
        self.closed[agenda] = [piece for piece in left if piece[0] < piece[1]]
        for slot in self.slots.values():
            still = any(slot.start < high and slot.end > low for low, high in self.closed[agenda])
            if slot.agenda != agenda or not slot.closed or still:
                continue
            slot.closed = False
            if slot.said == "busy-unavailable" and slot.start > self.now:
                slot.said = "free"
                self.freed[slot.uid] = None

"""The town at one moment: who has what, what is free, and who is the first in line for what frees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.booking.tests.life.facts import (
    ANSWERABLE,
    OPEN_END,
    Agenda,
    DisagreementError,
    Key,
    Offer,
    Slot,
    Visit,
)

from creneau_booking.domain.waiting import AnswerTime
from creneau_shared.clock import PARIS


@dataclass
class State:
    """The town at one moment. `told`: the offers that were made by what is done now, in order."""

    agendas: dict[str, Agenda]
    now: datetime
    patience: AnswerTime
    """how long somebody may think about an offer"""
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
        visit.agreed, visit.counter, visit.yes = False, None, set()
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
        ends = self.patience.until(self.now, slot.start, PARIS) or slot.start
        line = sorted(
            (v for v in self.visits.values() if self._suits(v, slot) and self._may_replace(v, slot, ends)),
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

    def _may_replace(self, wish: Visit, slot: Slot, ends: datetime) -> bool:
        """Whether what it would replace can be given up until the offer ends, and takes no longer in the same agenda."""
        visit = self.visits.get(wish.replaces or "")
        if visit is None or visit.status not in ("booked", "pending"):
            return True
        assert visit.start is not None
        assert visit.end is not None
        theirs = [self.agendas[one.agenda] for one in self.of(visit)]
        if visit.start <= ends or (
            visit.status == "booked" and any(ends > visit.start - a.deadline for a in theirs)
        ):
            return False
        shorter = slot.end - slot.start < visit.end - visit.start
        return not (shorter and self.agendas[slot.agenda] in theirs)

    def _claim(self, visit: Visit, slot: Slot) -> None:
        if self.agendas[slot.agenda].capacity > 1:
            slot.guests[visit.patient] = visit.id
        else:
            slot.by = visit.id

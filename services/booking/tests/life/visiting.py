"""What becomes of visits: held, booked, moved, given up, over, and waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.booking.tests.life.facts import OPEN_END, Key, Visit
from services.booking.tests.life.saying import Saying
from services.booking.tests.life.taking import Taking


@dataclass
class Visiting(Taking, Saying):
    """The town in which people have visits."""

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
        """The patient's own live hold of the same slots and of no series, which is answered as it is."""
        return next((v for v in self._own_holds(patient, keys) if v.series is None), None)

    def same_series(self, patient: str, keys: Sequence[Key]) -> list[Visit]:
        """As many as there are from the first on of a series whose own live holds are of these slots, one each: they are
        answered as they are."""
        found: list[Visit] = []
        for number, key in enumerate(keys):
            series = found[0].series if found else None
            own = [
                v for v in self._own_holds(patient, [key])
                if v.series is not None and v.number == number and series in (None, v.series)
            ]  # fmt: skip
            if not own:
                break
            found += own
        return found

    def _own_holds(self, patient: str, keys: Sequence[Key]) -> list[Visit]:
        return [
            visit
            for visit in self.visits.values()
            if self._is_own_hold(visit, patient) and [slot.key for slot in self.of(visit)] == list(keys)
        ]

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
        visit.status, visit.keeps, visit.counter, visit.yes = "pending", "asked", None, {"patient"}
        visit.until = self._answer_until(visit.start)

    def _answer_until(self, start: datetime) -> datetime:
        return min(self.now + self.answer_time, max(start, self.now))

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
        self._is_booked(visit)
        return True

    def _is_booked(self, visit: Visit) -> None:
        visit.status, visit.keeps, visit.until, visit.counter = "booked", None, OPEN_END, None
        visit.waits_for = None

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
        whole = (min(key[1] for key in keys), max(key[2] for key in keys))
        moved = [s.key for s in self.of(visit)] != list(keys) or (visit.start, visit.end) != whole
        if not moved and not self.has_run_out(visit):
            return True
        if by_patient:
            if visit.keeps == "offer" or not self._may_change(visit):
                return self.no("not in that state, or not theirs")
            if visit.status == "pending" and self.has_run_out(visit):
                return self.no("has run out")
            if visit.keeps == "hold" and visit.account != visit.patient:
                return self.no("the practice holds it for them")
            if moved:
                self._give_up_own(visit, keys, besides=visit.id)
        if {slot.agenda for slot in self.of(visit)} != {key[0] for key in keys}:
            visit.yes.discard("practice")  # they have said nothing of that agenda
            visit.agreed = False
        if not self.take(visit, keys, by_patient=by_patient):
            return self.no("not in that state, or not theirs")
        if moved:
            visit.counter, visit.agreed = None, visit.agreed and not by_patient
        if by_patient and moved:
            confirms = any(self.agendas[key[0]].confirms for key in keys)
            if confirms and (visit.status == "booked" or visit.keeps == "asked"):
                self._ask(visit)
            elif not confirms and visit.keeps == "asked":
                self._is_booked(visit)
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
            visit.status, visit.counter = status, None
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

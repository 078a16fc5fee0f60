"""What is proposed and answered of another time, until both sides agree on one or nothing comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.booking.tests.life.facts import Counter, Side, Visit
from services.booking.tests.life.visiting import Visiting


@dataclass
class Negotiating(Visiting):
    """The town in which people answer each other."""

    def propose(self, id_: str, by: Side, start: datetime, end: datetime) -> bool:
        """One side would rather come at another time: nobody has agreed to anything any more, and what is taken stays so."""
        visit = self.visits[id_]
        if visit.status not in ("pending", "booked"):
            return self.no("has begun, or is over")
        if start <= self.now:
            return self.no("has passed")
        said = Counter(by, start, end)
        if visit.counter == said:
            return True
        if by == "practice" and not self._have(visit, start, end):
            return self.no("no such time")
        if visit.keeps == "asked" and self.has_run_out(visit):
            return self.no("too late")
        visit.counter, visit.agreed, visit.yes = said, False, set()
        if visit.keeps == "asked":
            assert visit.start is not None
            visit.until = self._answer_until(min(start, visit.start))
        return True

    def _have(self, visit: Visit, start: datetime, end: datetime) -> bool:
        """Whether its agendas have slots for that time, whoever has them."""
        for agenda in {slot.agenda for slot in self.of(visit)}:
            there = [s for s in self.slots.values() if s.agenda == agenda and s.start < end and s.end > start]
            if not there or min(s.start for s in there) > start or max(s.end for s in there) < end:
                return False
        return True

    def accept(self, id_: str, by: Side, *, as_it_is: bool = False) -> bool:
        """One side agrees: to what the other has proposed, or to the time `as_it_is`, which refuses that."""
        visit = self.visits[id_]
        if visit.status not in ("pending", "booked"):
            return self.no("has begun, or is over")
        if visit.counter is not None and visit.counter.by != by and not as_it_is:
            return self._agree_on(visit, visit.counter)
        visit.counter = None
        if visit.keeps == "offer" and by == "patient":
            return self.book(id_, by_patient=True)
        visit.agreed = visit.agreed or (by == "practice" and visit.keeps in ("hold", "offer"))
        visit.yes.add(by)
        if visit.keeps == "asked" and len(visit.yes) == 2:
            return self.book(id_, by_patient=False)
        return True

    def _agree_on(self, visit: Visit, counter: Counter) -> bool:
        """Both sides want it: where one of its slots' agendas has no such time, or somebody else has it, all is as it was."""
        if visit.keeps == "asked" and self.has_run_out(visit):
            return self.no("too late")
        if counter.start <= self.now:
            return self.no("has passed")
        if self._is_of_the_line(visit) and not self._give_up_replaced(visit, by_patient=False):
            return False
        agendas = {slot.agenda for slot in self.of(visit)}
        there = [
            slot.key
            for slot in sorted(self.slots.values(), key=lambda s: s.start)
            if slot.agenda in agendas and slot.start < counter.end and slot.end > counter.start
        ]
        if not there:
            return self.no("no such time")
        whole = (min(key[1] for key in there), max(key[2] for key in there)) == (counter.start, counter.end)
        part = None if whole else (counter.start, counter.end)
        if not self.take(visit, there, by_patient=False, part=part):
            return False
        self._is_booked(visit)
        return True

    def refuse(self, id_: str, by: Side) -> bool:
        """One side does not want it at all."""
        visit = self.visits[id_]
        if visit.status not in ("pending", "booked"):
            return self.no("has begun, or is over")
        if self._is_of_the_line(visit):
            self.end(visit, "waitlist")  # they keep their place in line
            return True
        return self.cancel(id_, by_patient=by == "patient")

"""Taking slots and people, all of what is wanted or nothing; what has run out gives way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from services.booking.tests.life.facts import Key, Slot, Visit
from services.booking.tests.life.state import State


@dataclass
class Taking(State):
    """The town in which times are taken."""

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
        note, had = self._watch(), set(visit.slots)
        self._leave(visit, [slot for slot in self.of(visit) if slot not in slots])
        visit.slots, visit.start, visit.end = [slot.uid for slot in slots], start, end
        rests: list[int] = []
        for slot in slots:
            if slot.uid in had and not self._gives_back(slot):
                self._claim(visit, slot)
                continue
            for low, high in ((slot.start, start), (end, slot.end)):
                if low < high:
                    rest = self.add_slot(slot.agenda, low, high, slot.said).uid
                    rests += [] if slot.uid in had else [rest]
            slot.by_rule = slot.by_rule and (slot.start, slot.end) == (
                max(slot.start, start),
                min(slot.end, end),
            )
            slot.start, slot.end = max(slot.start, start), min(slot.end, end)
            self._claim(visit, slot)
        note()
        for uid in rests:
            self.freed.pop(uid, None)  # as free as it was before

    def _gives_back(self, slot: Slot) -> bool:
        """Whether what a visit no longer needs of its slot is open again: of open time, if nobody else comes then."""
        return self.agendas[slot.agenda].parts and slot.said == "free" and not slot.over

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

"""What agendas say of themselves: by their software, by rules, by closing, by a professional's own calendar."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from services.booking.tests.life.facts import Key, Slot
from services.booking.tests.life.state import State


@dataclass
class Saying(State):
    """The town whose agendas speak."""

    def say(self, key: Key, said: str) -> bool:
        """The agenda's software says anew what it knows of a slot. What the practice has closed it does not open."""
        agenda, start, end = key
        closed = said == "free" and any(start < b and a < end for a, b in self.closed.get(agenda, ()))
        said = "busy-unavailable" if closed else said
        slot = self.at(key)
        if slot is None:
            self.add_slot(*key, said)
        else:
            # That somebody knows of what is taken here says nothing more.
            echo = slot.by is not None and said in ("busy", "busy-tentative")
            slot.said, slot.by_rule = slot.said if echo else said, False
            self.freed[slot.uid] = None
        written = self.at(key)
        if closed and written is not None:
            written.closed = True
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
        closures = self.closed.get(agenda, ())
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
        for key, status in said.items():
            under = self.at(key)
            if under is not None and status == "busy-unavailable":
                under.closed = key in closed
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

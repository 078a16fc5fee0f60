"""What becomes of visits: held, booked, asked for, offered, moved, cancelled, over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.notifications.tests.life.comparing import mostly, picks
from services.notifications.tests.life.facts import PATIENTS, Visit
from services.notifications.tests.life.hearing import Hearing
from services.notifications.tests.life.saying import instant, places, professionals, whens

patients = st.sampled_from(PATIENTS)


def there_is(*statuses: str, **own: bool) -> Callable[[Any], bool]:
    """Whether there is a visit of which that is so."""
    return lambda self: any(
        v.status in statuses and all(getattr(v, name) is value for name, value in own.items())
        for v in self.visits.values()
    )


class Visiting(Hearing):
    """Each act is told; most of them are heard at once."""

    def done(self, visit: Visit, what: str, heard: bool) -> None:
        if heard:
            self.hear_visits([visit.id], what)
        else:
            self.check(f"{visit.id}: {what}")

    @rule(patient=patients, when=whens, place=places, professional=professionals, heard=mostly, by_role=st.booleans(),
          how=st.sampled_from(["book", "book", "book", "hold", "ask", "offer"]))  # fmt: skip
    def begin(
        self,
        patient: str,
        when: tuple[int, time],
        place: str,
        professional: str,
        heard: bool,
        by_role: bool,
        how: str,
    ) -> None:
        if patient in self.erased:
            return
        status = "booked" if how == "book" else "pending"
        actors = (place.replace("Location", "PractitionerRole"),) if by_role else (professional, place)
        visit = self.new_visit(patient, self.when(*when), actors, status)
        match how:
            case "book":
                self.tell(visit, "booked")
            case "hold":
                self.tell(visit, "held", heldUntil=instant(self.model.now + timedelta(minutes=10)))
            case "ask":
                self._ask(visit, "held")
            case _:
                visit.version = 1  # as it began to wait
                self._offer(visit)
        self.done(visit, f"{how} {visit.start:%d %H:%M} {place} for {patient}", heard)

    def _ask(self, visit: Visit, change: str) -> None:
        visit.status, visit.asked, visit.offered = "pending", True, False
        self.tell(visit, change, awaits="practice", heldUntil=instant(self.model.now + timedelta(days=2)))

    def _offer(self, visit: Visit) -> None:
        visit.status, visit.offered = "pending", True
        until = min(visit.start, self.model.now + timedelta(hours=13))
        self.tell(visit, "offered", heldUntil=instant(until))

    @precondition(there_is("pending", asked=False, offered=False))
    @rule(pick=picks, when=whens, heard=mostly, how=st.sampled_from(["book", "end", "move"]))
    def end_hold(self, pick: int, when: tuple[int, time], heard: bool, how: str) -> None:
        visit = self._pending(pick, asked=False, offered=False)
        if visit is None:
            return
        match how:
            case "book":
                visit.status = "booked"
                self.tell(visit, "booked")
            case "end":
                visit.status = "cancelled"
                self.tell(visit, "hold-expired")
            case _:
                visit.start = self.when(*when)
                self.tell(visit, "updated")
        self.done(visit, f"hold: {how}", heard)

    @precondition(there_is("pending", asked=True))
    @rule(pick=picks, when=whens, heard=mostly,
          how=st.sampled_from(["yes", "no", "no answer", "back", "waits on", "another time", "asks anew"]))  # fmt: skip
    def answer_what_is_asked(self, pick: int, when: tuple[int, time], heard: bool, how: str) -> None:
        visit = self._pending(pick, asked=True, offered=False)
        if visit is None:
            return
        match how:
            case "yes":
                visit.status, visit.asked, visit.proposed = "booked", False, None
                self.tell(visit, "booked")
            case "another time":
                visit.proposed, visit.proposed_by_patient = self.when(*when), False
                self.tell(visit, "updated")
            case "asks anew":
                visit.start, visit.proposed = self.when(*when), None
                self._ask(visit, "held")
            case "back":
                self.cancel(visit, "patient")
            case "waits on":
                self.cancel(visit, "provider", status="waitlist")
            case _:
                self.cancel(visit, "provider" if how == "no" else "system")
        self.done(visit, f"asked: {how}", heard)

    @precondition(there_is("pending", offered=True))
    @rule(pick=picks, heard=mostly, how=st.sampled_from(["yes", "asks", "no", "no answer"]))
    def answer_an_offer(self, pick: int, heard: bool, how: str) -> None:
        visit = self._pending(pick, asked=False, offered=True)
        if visit is None:
            return
        match how:
            case "yes":
                visit.status, visit.offered = "booked", False
                self.tell(visit, "booked")
            case "asks":
                self._ask(visit, "held")
            case _:
                visit.status, visit.offered = "waitlist", False
                self.tell(visit, "updated" if how == "no" else "hold-expired")
        self.done(visit, f"offer: {how}", heard)

    @precondition(there_is("waitlist"))
    @rule(pick=picks, when=whens, heard=mostly)
    def offer_again(self, pick: int, when: tuple[int, time], heard: bool) -> None:
        visit = self.some(pick, "waitlist")
        if visit is not None and visit.patient not in self.erased:
            visit.start = self.when(*when)
            self._offer(visit)
            self.done(visit, f"offered again {visit.start:%d %H:%M}", heard)

    def _pending(self, pick: int, *, asked: bool, offered: bool) -> Visit | None:
        found = [
            v
            for v in self.visits.values()
            if v.status == "pending" and (v.asked, v.offered) == (asked, offered)
        ]
        return found[pick % len(found)] if found else None

    @precondition(there_is("booked"))
    @rule(pick=picks, when=whens, heard=mostly, how=st.sampled_from(["moved", "moved", "asks"]))
    def move(self, pick: int, when: tuple[int, time], heard: bool, how: str) -> None:
        """To a time that its practice has, or to one that it has to agree to."""
        visit = self.some(pick, "booked")
        assert visit is not None
        before, visit.start, visit.proposed = visit.start, self.when(*when), None
        if how == "asks":
            self._ask(visit, "updated")
        else:
            previous = {"start": instant(before), "end": instant(before)}
            self.tell(visit, "moved", previous=previous)
        self.done(visit, f"{how} to {visit.start:%d %H:%M}", heard)

    @precondition(there_is("booked"))
    @rule(pick=picks, professional=professionals, place=places, heard=mostly,
          how=st.sampled_from(["professional", "place", "mode", "nothing", "nothing", "hide"]))  # fmt: skip
    def amend(self, pick: int, professional: str, place: str, heard: bool, how: str) -> None:
        visit = self.some(pick, "booked")
        assert visit is not None
        match how:
            case "professional":
                visit.actors = (professional, *visit.actors[1:])
            case "place":
                visit.actors = (visit.actors[0], place)
            case "mode":
                visit.mode = "VR" if visit.mode == "AMB" else "AMB"
            case "hide":
                visit.hidden = True
        self.tell(visit, "updated")
        self.done(visit, f"amended: {how}", heard)

    @precondition(there_is("booked"))
    @rule(pick=picks, when=whens, heard=mostly,
          how=st.sampled_from(["practice", "practice", "patient", "withdrawn", "agreed"]))  # fmt: skip
    def propose(self, pick: int, when: tuple[int, time], heard: bool, how: str) -> None:
        """Another time, of a visit that stands."""
        visit = self.some(pick, "booked")
        if visit is None or (how in ("withdrawn", "agreed") and visit.proposed is None):
            return
        if how == "agreed":
            before, visit.start, visit.proposed = visit.start, visit.proposed or visit.start, None
            self.tell(visit, "moved", previous={"start": instant(before), "end": instant(before)})
        else:
            visit.proposed = None if how == "withdrawn" else self.when(*when)
            visit.proposed_by_patient = how == "patient"
            self.tell(visit, "updated")
        self.done(visit, f"another time, {how}: {visit.proposed}", heard)

    @precondition(there_is("booked"))
    @rule(pick=picks, heard=mostly, status=st.sampled_from(["arrived", "fulfilled", "noshow"]))
    def take_place(self, pick: int, heard: bool, status: str) -> None:
        visit = self.some(pick, "booked")
        if visit is not None:
            visit.status, visit.proposed = status, None
            self.tell(visit, "updated")
            self.done(visit, status, heard)

    @precondition(there_is("booked", "pending", "arrived"))
    @rule(pick=picks, heard=mostly, by=st.sampled_from(["patient", "provider"]), correct=st.booleans())
    def end(self, pick: int, heard: bool, by: str, correct: bool) -> None:
        """Cancelled or deleted, or (by the practice) marked as never meant."""
        visit = self.some(pick, "booked", "pending", "arrived")
        if visit is not None:
            error = correct and by == "provider"
            self.cancel(visit, by, status="entered-in-error" if error else "cancelled")
            self.done(visit, f"{visit.status} by {by}", heard)

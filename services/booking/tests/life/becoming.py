"""What becomes of a visit: confirmed, moved, cancelled, answered, over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.booking.tests.client import Caller
from services.booking.tests.factories import appointment, parameters, ref
from services.booking.tests.life.comparing import (
    Comparing,
    agendas,
    patch,
    patients,
    picks,
    respond,
    sides,
    speakers,
)
from services.booking.tests.life.facts import Side, Visit
from services.booking.tests.life.model import Model
from services.booking.tests.life.world import (
    BLOCKS,
)

from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.mapping.appointment import OVERBOOKING_REASON

AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")


class Becoming(Comparing):
    """What becomes of a visit: confirmed, moved, cancelled, answered, over."""

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides, how=st.sampled_from(["$book", "patch", "$confirm"]))
    def book_what_is_held(self, which: int, by_patient: bool, how: str) -> None:
        visit = self.a_visit(which, "pending")
        if visit is None or (how == "$confirm" and by_patient):
            return
        caller, path = self.caller(visit.patient, by_patient), f"Appointment/{visit.id}"
        send = patch(caller, path, "booked") if how == "patch" else caller.post(f"{path}/{how}", parameters())
        by = "patient" if by_patient else "practice"

        def then(model: Model, _: Any) -> bool:
            if how == "$confirm" and visit.series is None:
                return model.confirm(visit.id)
            return all(model.book(id_, by_patient=by_patient) for id_ in self._booked_with(model, visit, how))

        self.do(f"{by} {how} {visit.id[-6:]}", send, then)

    @staticmethod
    def _booked_with(model: Model, visit: Visit, how: str) -> list[str]:
        """Of a series that is held, whatever books one of it means all; a write and `$confirm` only this one if a part of it
        is booked already, or if it waits for an answer."""
        if visit.series is None:
            return [visit.id]
        members = sorted(
            (v for v in model.visits.values() if v.series == visit.series), key=lambda v: v.number
        )
        begun = any(v.status in SLOT_STATUS_OF and v.status != "pending" for v in members)
        if how != "$book" and (begun or visit.keeps == "asked"):
            return [visit.id]
        return [v.id for v in members if v.status == "pending"]

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides, how=st.sampled_from(["$cancel", "patch"]))
    def cancel(self, which: int, by_patient: bool, how: str) -> None:
        visit = self.a_visit(which, "pending", "booked", "arrived", "waitlist")
        if visit is None:
            return
        caller, path = self.caller(visit.patient, by_patient), f"Appointment/{visit.id}"
        send = (
            patch(caller, path, "cancelled")
            if how == "patch"
            else caller.post(f"{path}/$cancel", parameters())
        )

        def then(model: Model, _: Any) -> bool:
            if how == "$cancel" and visit.keeps == "offer":
                return model.decline(visit.id)
            return model.cancel(visit.id, by_patient=by_patient)

        by = "patient" if by_patient else "practice"
        self.do(f"{by} {how} cancels {visit.id[-6:]}", send, then)

    @precondition(lambda self: any(v.keeps == "offer" for v in self.model.visits.values()))
    @rule(which=picks, yes=sides, how=st.sampled_from(["patch", "response"]))
    def answer_an_offer(self, which: int, yes: bool, how: str) -> None:
        offered = [id_ for id_ in self.order if self.model.visits[id_].keeps == "offer"]
        visit = self.model.visits[offered[which % len(offered)]]
        caller = self.town.patient(visit.patient)
        if how == "patch":
            send = patch(caller, f"Appointment/{visit.id}", "booked" if yes else "waitlist")
        else:
            caller = self.town.callers.with_scopes("answering", f"Patient/{visit.patient}")
            send = respond(caller, visit.id, f"Patient/{visit.patient}", "accepted" if yes else "declined")

        def then(model: Model, _: Any) -> bool:
            if not yes:
                return model.decline(visit.id)
            if how == "patch":
                return model.book(visit.id, by_patient=True)
            return model.accept(visit.id, "patient")  # to what the practice proposes instead, if it does

        self.do(f"patient {'accepts' if yes else 'declines'} the offer {visit.id[-6:]} by {how}", send, then)

    @precondition(lambda self: any(v.keeps == "asked" for v in self.model.visits.values()))
    @rule(which=picks, yes=sides)
    def answer_as_practice(self, which: int, yes: bool) -> None:
        asked = [id_ for id_ in self.order if self.model.visits[id_].keeps == "asked"]
        visit = self.model.visits[asked[which % len(asked)]]
        who = self.professional(self.model.of(visit)[0])
        send = respond(self.town.software(), visit.id, who, "accepted" if yes else "declined")
        self.do(
            f"practice answers {yes} {visit.id[-6:]}",
            send,
            lambda model, _: (
                model.accept(visit.id, "practice") if yes else model.refuse(visit.id, "practice")
            ),
        )

    # -- another time ----------------------------------------------------------------------------------------

    def _one_side(self, visit: Visit, by: Side) -> tuple[Caller, str]:
        """Who answers, and for which participant."""
        if by == "patient":
            who = f"Patient/{visit.patient}"
            return self.town.callers.with_scopes("answering", who), who
        return self.town.software(), self.professional(self.model.of(visit)[0])

    @precondition(lambda self: self.order)
    @rule(which=picks, by=speakers, pick=picks, elsewhere=st.one_of(st.none(), st.none(), st.none(), agendas))
    def propose(self, which: int, by: Side, pick: int, elsewhere: str | None) -> None:
        """Another time of the same agenda; or one that another agenda has, and this one may not."""
        visit = self.a_visit(which, "pending", "booked", "arrived", "cancelled")
        if visit is None or not visit.slots:
            return
        other = self.a_slot(elsewhere or self.model.of(visit)[0].agenda, pick)
        if other is None or (other.start, other.end) == (visit.start, visit.end):
            return
        caller, who = self._one_side(visit, by)
        self.do(
            f"{by} proposes {other.start:%d %H:%M} for {visit.id[-6:]}",
            respond(caller, visit.id, who, "tentative", (other.start, other.end)),
            lambda model, _: model.propose(visit.id, by, other.start, other.end),
        )

    @precondition(lambda self: any(v.counter is not None for v in self.model.visits.values()))
    @rule(which=picks, by=speakers, said=st.sampled_from(["yes", "yes", "yes, then", "as it is", "no"]))
    def answer_a_proposal(self, which: int, by: Side, said: str) -> None:
        proposed = [id_ for id_ in self.order if self.model.visits[id_].counter is not None]
        visit = self.model.visits[proposed[which % len(proposed)]]
        assert visit.counter is not None
        assert visit.start is not None
        assert visit.end is not None
        own = visit.counter.by == by
        if own and (said == "yes, then" or visit.keeps in ("hold", "offer")):
            return  # a yes to what one has proposed oneself; to a hold or an offer: see there
        caller, who = self._one_side(visit, by)
        times = {"yes, then": (visit.counter.start, visit.counter.end), "as it is": (visit.start, visit.end)}
        send = respond(caller, visit.id, who, "declined" if said == "no" else "accepted", times.get(said))

        def then(model: Model, _: Any) -> bool:
            if said == "no":
                return model.refuse(visit.id, by)
            return model.accept(visit.id, by, as_it_is=said == "as it is")

        self.do(f"{by} says {said} to what is proposed for {visit.id[-6:]}", send, then)

    @precondition(lambda self: self.order)
    @rule(which=picks, agenda=agendas, pick=picks, by_patient=sides)
    def move(self, which: int, agenda: str, pick: int, by_patient: bool) -> None:
        visit, wanted = self.a_visit(which, "pending", "booked"), self.a_slot(agenda, pick)
        if visit is None or wanted is None or (visit.keeps == "offer" and not by_patient):
            return
        if visit.brings and by_patient:
            return  # whom the practice has brought, no patient brings elsewhere
        caller = self.caller(visit.patient, by_patient)
        call = {"resourceType": "Parameters",
                "parameter": [{"name": "slot", "valueReference": ref(f"Slot/{self.ids[wanted.key]}")}]}  # fmt: skip
        by = "patient" if by_patient else "practice"
        self.do(
            f"{by} moves {visit.id[-6:]} to {agenda} {wanted.start:%d %H:%M}",
            caller.post(f"Appointment/{visit.id}/$reschedule", call),
            lambda model, _: model.move(visit.id, [wanted.key], by_patient=by_patient),
        )

    @precondition(lambda self: self.order)
    @rule(which=picks, status=st.sampled_from(["arrived", "fulfilled", "noshow", "entered-in-error"]))
    def practice_says(self, which: int, status: str) -> None:
        visit = self.a_visit(which, "pending", "booked", "arrived", "fulfilled", "noshow")
        if visit is not None:
            self.do(
                f"{visit.id[-6:]} is {status}",
                patch(self.town.software(), f"Appointment/{visit.id}", status),
                lambda model, _: model.become(visit.id, status),
            )

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides)
    def extend(self, which: int, by_patient: bool) -> None:
        visit = self.a_visit(which, "pending", "booked")
        if visit is None or visit.keeps == "offer":
            return
        send = self.caller(visit.patient, by_patient).post(f"Appointment/{visit.id}/$hold", parameters())
        by = "patient" if by_patient else "practice"
        self.do(
            f"{by} extends {visit.id[-6:]}",
            send,
            lambda model, _: model.extend(visit.id, by_patient=by_patient),
        )

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides)
    def delete(self, which: int, by_patient: bool) -> None:
        visit = self.a_visit(which, "pending", "booked", "waitlist")
        if visit is None:
            return
        by = "patient" if by_patient else "practice"

        def then(model: Model, _: Any) -> bool:
            return model.forget(visit.id, by_patient=by_patient)

        self.do(
            f"{by} deletes {visit.id[-6:]}",
            self.caller(visit.patient, by_patient).delete(f"Appointment/{visit.id}"),
            then,
        )
        self.order = [id_ for id_ in self.order if id_ in self.model.visits]

    @rule(patient=patients, agenda=st.sampled_from(["cabinet", "annexe", "flux", "regles"]), pick=picks)
    def put_over(self, patient: str, agenda: str, pick: int) -> None:
        """The practice has a reason."""
        wanted = self.a_slot(agenda, pick)
        if wanted is None:
            return
        reason = {"url": OVERBOOKING_REASON, "valueString": "urgence"}
        resource = self.wanted(patient, [wanted], "booked", False, extension=[reason])
        key = wanted.key

        def then(model: Model, body: Any) -> bool:
            return model.put_over(self.begun(lambda id_: Visit(id_, patient, ""), body), key)

        what = f"practice puts {patient} over {agenda} {wanted.start:%d %H:%M}"
        self.do(what, self.town.software().post("Appointment", resource), then)

    @rule(patient=patients, who=st.sampled_from(["Practitioner/one", "Practitioner/three", "Device/scanner"]),
          block=st.integers(0, 3), first=st.integers(0, 5), length=st.integers(1, 3))  # fmt: skip
    def walk_in(self, patient: str, who: str, block: int, first: int, length: int) -> None:
        start = BLOCKS[block] + first * timedelta(minutes=10)
        end = start + length * timedelta(minutes=15)
        resource = appointment(
            "booked", patient=f"Patient/{patient}", actors=[who], start=start, length=end - start
        )

        def then(model: Model, body: Any) -> bool:
            visit = self.begun(lambda id_: Visit(id_, patient, "", brings=frozenset({who})), body)
            return model.walk_in(visit, start, end)

        what = f"{patient} walks in to {who} {start:%d %H:%M}-{end:%H:%M}"
        self.do(what, self.town.software().post("Appointment", resource), then)

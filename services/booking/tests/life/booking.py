"""Somebody takes a time, or several."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.booking.tests.factories import utc
from services.booking.tests.life.comparing import Comparing, agendas, call_of, patients, picks, sides
from services.booking.tests.life.facts import Slot, Visit
from services.booking.tests.life.model import Model
from services.booking.tests.life.world import (
    VISIT,
)

AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")


class Booking(Comparing):
    """Somebody takes a time, or several."""

    def _new(
        self,
        patient: str,
        slots: Sequence[Slot],
        how: str,
        by_patient: bool,
        part: tuple[datetime, datetime] | None = None,
        instead: str | None = None,
    ) -> None:
        caller = self.caller(patient, by_patient)
        times = {"start": utc(part[0]), "end": utc(part[1])} if part else {}
        keys = [s.key for s in slots]
        if how == "hold":
            send = caller.post(
                "Appointment/$hold", {**self.wanted(patient, slots, "proposed", by_patient), **times}
            )
        elif instead is not None:
            wanted = {**self.wanted(patient, slots, "proposed", by_patient), **times}
            call = {"appt-resource": wanted, "cancelled-appt-id": instead}
            send = caller.post("Appointment/$book", call_of(call))
        elif how == "book":
            send = caller.post(
                "Appointment/$book", {**self.wanted(patient, slots, "proposed", by_patient), **times}
            )
        else:
            send = caller.post("Appointment", {**self.wanted(patient, slots, "booked", by_patient), **times})

        def then(model: Model, body: Any) -> bool:
            if how == "hold" and by_patient and (same := model.same_hold(patient, keys)) is not None:
                return body is None or same.id == body["id"]
            account = patient if by_patient else None
            visit = self.begun(lambda id_: Visit(id_, patient, "", account=account), body)
            status: Literal["held", "booked"] = "held" if how == "hold" else "booked"
            return model.new(visit, keys, status, by_patient=by_patient, part=part, instead=instead)

        by = "patient" if by_patient else "practice"
        where = ", ".join(f"{s.agenda} {s.start:%d %H:%M}" for s in slots)
        beside = f" instead of {instead}" if instead else ""
        self.do(f"{by} {how} {patient} {where}{f' part {part}' if part else ''}{beside}", send, then)

    @rule(
        patient=patients,
        agenda=agendas,
        pick=picks,
        how=st.sampled_from(["book", "post", "hold"]),
        by_patient=sides,
    )
    def take(self, patient: str, agenda: str, pick: int, how: str, by_patient: bool) -> None:
        if (wanted := self.a_slot(agenda, pick)) is not None:
            self._new(patient, [wanted], how, by_patient)

    @rule(patient=patients, agenda=st.sampled_from(["cabinet", "annexe"]), pick=picks, how=st.sampled_from(["book", "hold"]),
          by_patient=sides)  # fmt: skip
    def take_two(self, patient: str, agenda: str, pick: int, how: str, by_patient: bool) -> None:
        """Two that follow each other, or do not."""
        one, other = self.a_slot(agenda, pick), self.a_slot(agenda, pick + 1)
        if one is not None and other is not None and one is not other:
            self._new(patient, sorted([one, other], key=lambda s: s.start), how, by_patient)

    @rule(
        patient=patients,
        pick=picks,
        at=st.integers(0, 2),
        how=st.sampled_from(["book", "hold"]),
        by_patient=sides,
    )
    def take_a_part(self, patient: str, pick: int, at: int, how: str, by_patient: bool) -> None:
        wanted = self.a_slot("salle", pick)
        if wanted is None or wanted.end - wanted.start <= VISIT:
            return
        start = wanted.start + at * VISIT
        if start + VISIT <= wanted.end:
            self._new(patient, [wanted], how, by_patient, (start, start + VISIT))

    @precondition(lambda self: self.order)
    @rule(agenda=agendas, pick=picks, which=picks, by_patient=sides)
    def take_instead(self, agenda: str, pick: int, which: int, by_patient: bool) -> None:
        old = self.a_visit(which, "booked", "pending")
        wanted = self.a_slot(agenda, pick)
        if old is not None and wanted is not None and old.keeps != "offer":
            self._new(old.patient, [wanted], "book", by_patient, instead=old.id)

"""Series, and the waiting list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.booking.tests.api.test_series import weekly
from services.booking.tests.factories import appointment, parameters, ref
from services.booking.tests.life.comparing import Comparing, agendas, patients, picks, sides
from services.booking.tests.life.facts import Visit
from services.booking.tests.life.model import Model
from services.booking.tests.life.world import (
    BLOCKS,
    PARIS,
    VISIT,
    WIDTH,
)

from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_booking.storage.mapping.wishes import WAITING_AGENDA
from creneau_shared.fhir.storage.store import Resource

AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")


class Together(Comparing):
    """Series, and the waiting list."""

    @rule(
        patient=patients,
        position=st.integers(0, WIDTH - 1),
        by_patient=sides,
        how=st.sampled_from(["book", "hold"]),
    )
    def take_a_series(
        self, patient: str, position: int, by_patient: bool, how: Literal["book", "hold"]
    ) -> None:
        """Nine in the morning (or a little later) on three Saturdays, of which the clocks change between two."""
        moments = [BLOCKS[n] + position * VISIT for n in (0, 2, 3)]
        keys = [("cabinet", moment, moment + VISIT) for moment in moments]
        first = self.model.at(keys[0])
        if first is None:
            return
        wanted = self.wanted(patient, [first], "proposed", by_patient, extension=[weekly(3)])
        send = self.caller(patient, by_patient).post(f"Appointment/${how}", parameters(appt_resource=wanted))

        def then(model: Model, body: Any) -> bool:
            same = model.same_series(patient, keys) if by_patient and how == "hold" else []
            series = (
                same[0].series if same else 1 + max((v.series or 0 for v in model.visits.values()), default=0)
            )
            ids = [entry["resource"]["id"] for entry in body["entry"]] if body else ["n0", "n1", "n2"]
            if body:
                assert ids[: len(same)] == [visit.id for visit in same]
                self.order += ids[len(same) :]
            for number, (id_, key) in enumerate(zip(ids, keys, strict=True)):
                visit = Visit(
                    id_, patient, "", account=patient if by_patient else None, series=series, number=number
                )
                status: Literal["held", "booked"] = "held" if how == "hold" else "booked"
                if number >= len(same) and not model.new(visit, [key], status, by_patient=by_patient):
                    return False
            return True

        self.do(f"{'patient' if by_patient else 'practice'} {how} series {patient} {position}", send, then)

    def _of_series(self, model: Model, visit: Visit, scope: str) -> list[Visit]:
        """Those that a change is about: of those to come the later ones, or all, and the one that is named."""
        members = sorted(
            (v for v in model.visits.values() if v.series == visit.series), key=lambda v: v.number
        )
        return [
            v
            for v in members
            if (scope == "all" or v.number >= visit.number)
            and (
                v.id == visit.id
                or (v.status in ("pending", "booked", "arrived") and v.start and v.start > model.now)
            )
        ]

    def _of_some_series(self, which: int) -> Visit | None:
        """One of the visits of a series that are held or booked."""
        found = [
            visit
            for id_ in self.order
            if (visit := self.model.visits[id_]).series is not None and visit.status in ("pending", "booked")
        ]
        return found[which % len(found)] if found else None

    @precondition(lambda self: any(v.series is not None for v in self.model.visits.values()))
    @rule(which=picks, scope=st.sampled_from(["all", "this-and-following"]), by_patient=sides)
    def cancel_a_series(self, which: int, scope: str, by_patient: bool) -> None:
        if (visit := self._of_some_series(which)) is None:
            return
        call = parameters(scope=scope)
        send = self.caller(visit.patient, by_patient).post(f"Appointment/{visit.id}/$cancel", call)
        self.do(
            f"{'patient' if by_patient else 'practice'} cancels {scope} from {visit.id[-6:]}",
            send,
            lambda model, _: all(
                model.cancel(v.id, by_patient=by_patient) for v in self._of_series(model, visit, scope)
            ),
        )

    @precondition(lambda self: any(v.series is not None for v in self.model.visits.values()))
    @rule(
        which=picks,
        scope=st.sampled_from(["all", "this-and-following"]),
        position=st.integers(0, 2),
        by_patient=sides,
    )
    def move_a_series(self, which: int, scope: str, position: int, by_patient: bool) -> None:
        if (visit := self._of_some_series(which)) is None:
            return
        assert visit.start is not None
        before = visit.start
        block = max(b for b in BLOCKS if b <= before)
        moment = block + position * VISIT
        if (target := self.model.at(("cabinet", moment, moment + VISIT))) is None:
            return
        call = {"resourceType": "Parameters",
                "parameter": [{"name": "slot", "valueReference": ref(f"Slot/{self.ids[target.key]}")},
                              {"name": "scope", "valueCode": scope}]}  # fmt: skip

        def then(model: Model, _: Any) -> bool:
            members = self._of_series(model, visit, scope)
            if moment > before:
                members.reverse()
            for one in members:
                assert one.start is not None
                start = moment if one.id == visit.id else _by_the_clock(one.start, before, moment)
                if not model.move(one.id, [("cabinet", start, start + VISIT)], by_patient=by_patient):
                    return False
            return True

        send = self.caller(visit.patient, by_patient).post(f"Appointment/{visit.id}/$reschedule", call)
        by = "patient" if by_patient else "practice"
        self.do(f"{by} moves {scope} from {visit.id[-6:]} to {moment:%d %H:%M}", send, then)

    # -- waiting ---------------------------------------------------------------------------------------------

    @rule(patient=patients, agenda=agendas, urgent=sides, replaces=st.one_of(st.none(), picks))
    def wait_for(self, patient: str, agenda: str, urgent: bool, replaces: int | None) -> None:
        """As the practice's who says how urgent it is, else as one's own."""
        old = None if replaces is None else self.a_visit(replaces, "booked", "pending", "cancelled")
        extensions: list[Resource] = [{"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{agenda}")}]
        if old is not None:
            extensions.append({"url": REPLACES, "valueReference": ref(f"Appointment/{old.id}")})
        wanted = appointment("waitlist", patient=f"Patient/{patient}", extension=extensions)
        if urgent:
            wanted["priority"] = 1
        rank = 1 if urgent else 5

        def then(model: Model, body: Any) -> bool:
            return model.wait(
                self.begun(
                    lambda id_: Visit(
                        id_, patient, "", waits_for=agenda, rank=rank, replaces=old.id if old else None
                    ),
                    body,
                )
            )

        what = f"{patient} waits for {agenda}{' urgently' if urgent else ''}{f' instead of {old.id[-6:]}' if old else ''}"
        self.do(what, self.caller(patient, not urgent).post("Appointment", wanted), then)


def _by_the_clock(start: datetime, before: datetime, after: datetime) -> datetime:
    """As much later or earlier as the clock of Paris says from `before` to `after`, whatever the hours did between."""
    wall = start.astimezone(PARIS) + (
        after.astimezone(PARIS).replace(tzinfo=None) - before.astimezone(PARIS).replace(tzinfo=None)
    )
    return wall.astimezone(UTC)

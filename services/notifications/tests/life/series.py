"""Several of a series that are booked, moved or cancelled together."""

from __future__ import annotations

from datetime import time, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from services.notifications.tests.life.comparing import mostly, picks
from services.notifications.tests.life.facts import Visit
from services.notifications.tests.life.saying import instant, places, whens
from services.notifications.tests.life.visiting import Visiting, patients


class Series(Visiting):
    """Told as one."""

    @rule(patient=patients, when=whens, place=places, count=st.integers(2, 3), heard=mostly)
    def book_series(self, patient: str, when: tuple[int, time], place: str, count: int, heard: bool) -> None:
        if patient in self.erased:
            return
        first = self.when(*when)
        visits = [
            self.new_visit(patient, first + timedelta(days=7 * n), ("Practitioner/un", place), "booked")
            for n in range(count)
        ]
        self.series.append([visit.id for visit in visits])
        self.tell_together(visits, "booked")
        self._heard(visits, f"series booked from {first:%d %H:%M}", heard)

    @precondition(lambda self: self.series)
    @rule(pick=picks, days=st.integers(1, 3), heard=mostly, how=st.sampled_from(["moved", "cancelled"]),
          by=st.sampled_from(["patient", "provider"]))  # fmt: skip
    def change_series(self, pick: int, days: int, heard: bool, how: str, by: str) -> None:
        """All of it that still stands."""
        found = [self.visits[id_] for id_ in self.series[pick % len(self.series)]]
        standing = [v for v in found if v.status == "booked" and v.start > self.model.now]
        if len(standing) < 2:
            return
        for visit in standing:
            visit.proposed = None
            visit.start += timedelta(days=days) if how == "moved" else timedelta(0)
            visit.status = "booked" if how == "moved" else "cancelled"
        if how == "moved":
            before = {"start": instant(standing[0].start), "end": instant(standing[0].end)}
            self.tell_together(standing, "moved", previous=before)
        else:
            self.tell_together(standing, "cancelled", cancellation={"by": by})
        self._heard(standing, f"series {how}", heard)

    def _heard(self, visits: list[Visit], what: str, heard: bool) -> None:
        if heard:
            self.hear_visits([visit.id for visit in visits], what)
        else:
            self.check(what)

"""What booking tells of visits: the events of its contract, put into each visit's log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st
from services.notifications.tests.life.comparing import Comparing
from services.notifications.tests.life.facts import PLACES, PROFESSIONALS, VISIT, Said, Visit

ACT_CODES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HOURS = (time(3, 40), time(5, 30), time(9), time(14, 20), time(18, 10), time(22))
whens = st.tuples(st.sampled_from([0, 1, 2, 3, 4, 7, 9, 12, 15, 20]), st.sampled_from(HOURS))
places = st.sampled_from(sorted(PLACES))
professionals = st.sampled_from(PROFESSIONALS)


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Saying(Comparing):
    """Each act of booking ends in `tell`."""

    def when(self, days: int, hour: time) -> datetime:
        """A time to come."""
        found = datetime.combine(self.model.now.date() + timedelta(days=days), hour, UTC)
        return found if found > self.model.now else found + timedelta(days=1)

    def new_visit(self, patient: str, start: datetime, actors: Sequence[str], status: str) -> Visit:
        visit = Visit(f"visit-{len(self.visits) + 1}", patient, status, start, tuple(actors))
        self.visits[visit.id] = visit
        self.logs[visit.id] = []
        return visit

    def tell(self, visit: Visit, change: str, **more: Any) -> Said:
        self.number += 1
        visit.version += 1
        said = Said(self.number, change, self.model.now, {**_data(visit), **more})
        self.logs[visit.id].append(said)
        return said

    def tell_together(self, visits: Sequence[Visit], change: str, **more: Any) -> None:
        """Several of a series: the first in time tells of all. What is hidden is told by itself."""
        for hidden in (visit for visit in visits if visit.hidden):
            self.tell(hidden, change, **more)
        in_order = sorted((visit for visit in visits if not visit.hidden), key=lambda v: (v.start, v.id))
        if len(in_order) < 2:
            for alone in in_order:
                self.tell(alone, change, **more)
            return
        occurrences = [
            {"appointment": v.id, "start": instant(v.start), "end": instant(v.end), "sequence": v.version}
            for v in in_order
        ]
        for visit in in_order:
            own = {"occurrences": occurrences} if visit is in_order[0] else {}
            self.tell(visit, change, series={"id": "series", **own}, **more)

    def cancel(self, visit: Visit, by: str, status: str = "cancelled", **why: Any) -> None:
        """Whoever does it; what waited for its practice says so."""
        awaited = {"awaits": "practice"} if visit.asked else {}
        visit.status, visit.asked, visit.offered, visit.proposed = status, False, False, None
        self.tell(visit, "cancelled", cancellation={"by": by, **why}, **awaited)

    def some(self, pick: int, *statuses: str) -> Visit | None:
        found = [v for v in self.visits.values() if v.status in statuses]
        return found[pick % len(found)] if found else None


def _data(visit: Visit) -> dict[str, Any]:
    data: dict[str, Any] = {
        "appointment": visit.id,
        "version": visit.version,
        "status": visit.status,
        "start": instant(visit.start),
        "end": instant(visit.end),
        "slots": [],
        "schedules": [],
        "patient": visit.patient,
        "actors": [{"reference": actor, "status": "accepted"} for actor in visit.actors],
        "serviceType": [{"system": ACT_CODES, "code": visit.mode, "display": visit.mode}],
        "sequence": visit.version - 1,
        "organizations": ["cabinet"],
    }
    if visit.proposed is not None:
        by = visit.patient if visit.proposed_by_patient else visit.actors[0]
        end = visit.proposed + VISIT
        data["proposal"] = {"by": by, "start": instant(visit.proposed), "end": instant(end)}
    if visit.hidden:
        data["hidden"] = True
    return data

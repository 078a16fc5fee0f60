"""An agenda that states its openings has slots: made, compared and closed over HTTP, as a practice and as a patient."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import unique
from services.booking.tests.openings import WEEK, opening, ruled

from creneau_shared.fhir.storage.store import Resource

MORNINGS = opening("2026-11-16T09:00:00+01:00", "2026-11-16T10:00:00+01:00", freq="WEEKLY", byDay=list(WEEK))


async def slots_of(caller: Caller, agenda: str, **more: str) -> list[Resource]:
    """The slots of an agenda, in order of time."""
    query = {"schedule": f"Schedule/{agenda}", "_sort": "start", "_count": "200", **more}
    answer = await caller.get("Slot", **query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


async def put(caller: Caller, schedule: Resource) -> Any:
    return await caller.put(f"Schedule/{schedule['id']}", schedule)


async def test_an_agenda_of_rules_has_slots(callers: Callers) -> None:
    """Of weekday mornings of an hour, three visits each, from now over sixty days, without a holiday."""
    software, agenda = callers.software(), unique("agenda")
    answer = await put(software, ruled(agenda, [f"Practitioner/{unique('prat')}"], MORNINGS))
    assert answer.status_code == 201, answer.text
    slots = await slots_of(software, agenda)
    assert [slot["start"] for slot in slots[:4]] == [
        "2026-11-16T08:20:00Z",
        "2026-11-16T08:40:00Z",
        "2026-11-17T08:00:00Z",
        "2026-11-17T08:20:00Z",
    ]
    assert timedelta(0) and slots[-1]["start"].startswith("2027-01-15")
    assert not [slot for slot in slots if slot["start"].startswith(("2026-12-25", "2027-01-01"))]

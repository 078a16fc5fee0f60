"""A time that nobody can mean (centuries away, or centuries long) is refused where it is written, so that it can not spoil what
others read and book; a leap second is a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, slot, unique
from services.booking.tests.practice import Agenda, Practice

SPOILING = (
    ("0001-01-01T00:00:00Z", "2026-12-01T09:20:00Z", "time-out-of-reach"),
    ("0001-01-01T00:00:00+14:00", "2026-12-01T09:20:00Z", "time-out-of-reach"),
    ("2026-12-01T09:00:00Z", "9999-12-31T23:59:59Z", "time-out-of-reach"),
    ("2026-12-01T09:00:00Z", "9999-12-31T23:59:59-14:00", "time-out-of-reach"),
    ("2026-12-01T09:00:00Z", "2028-12-01T09:00:00Z", "lasts-too-long"),
)


@pytest.mark.parametrize(("start", "end", "refusal"), SPOILING)
async def test_refused_in_a_slot(
    callers: Callers, agenda: Agenda, start: str, end: str, refusal: str
) -> None:
    """Alone, and in a feed, which then writes nothing."""
    written = {**slot(unique("far"), agenda.id, agenda.at(0)), "start": start, "end": end}
    software = callers.software()
    answer = await software.put(f"Slot/{written['id']}", written)
    assert (answer.status_code, code(answer)) == (422, refusal)
    fed = await software.post(f"Schedule/{agenda.id}/$sync-slots", {"resourceType": "Bundle", "type": "collection",
        "entry": [{"resource": written}]})  # fmt: skip
    assert (fed.status_code, code(fed)) == (422, refusal)


@pytest.mark.parametrize(("start", "end", "refusal"), SPOILING)
async def test_refused_in_a_visit_beside_the_agenda(
    callers: Callers, agenda: Agenda, start: str, end: str, refusal: str
) -> None:
    visit = appointment("booked", actors=[agenda.practitioner], start=agenda.at(0))
    answer = await callers.software().post("Appointment", {**visit, "start": start, "end": end})
    assert (answer.status_code, code(answer)) == (422, refusal)


async def test_an_absence_of_months_lets_its_neighbours_be_booked(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """As long as a slot may be, whoever looks for what reaches into a time finds it."""
    away = slot(
        unique("away"), agenda.id, agenda.at(0) - timedelta(days=300), timedelta(days=299), "busy-unavailable"
    )
    assert (await callers.software().put(f"Slot/{away['id']}", away)).status_code == 201
    camille = await practice.new_patient()
    asked = appointment("booked", slots=[agenda.slots[0]], patient=camille, start=agenda.at(0))
    assert (await callers.patient(camille).post("Appointment", asked)).status_code == 201


async def test_a_leap_second_is_the_second_before_it(callers: Callers, agenda: Agenda) -> None:
    written = {
        **slot(unique("leap"), agenda.id, agenda.at(0)),
        "start": "2027-06-30T23:30:00Z",
        "end": "2027-06-30T23:59:60Z",
    }
    answer = await callers.software().put(f"Slot/{written['id']}", written)
    assert (answer.status_code, answer.json()["end"]) == (201, "2027-06-30T23:59:59Z")


async def test_for_ever_is_a_period(callers: Callers, practice: Practice) -> None:
    """Whoever represents somebody until 9999-12-31, and whoever waits until then."""
    camille = await practice.new_patient()
    for end in ("9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-11:00"):
        waits = {
            **appointment("waitlist", patient=camille),
            "requestedPeriod": [{"start": "2026-12-01", "end": end}],
        }
        assert (await callers.patient(camille).post("Appointment", waits)).status_code == 201
        related = {
            "resourceType": "RelatedPerson",
            "patient": {"reference": camille},
            "name": [{"family": "Martin"}],
            "period": {"end": end},
        }
        assert (await callers.software().post("RelatedPerson", related)).status_code == 201

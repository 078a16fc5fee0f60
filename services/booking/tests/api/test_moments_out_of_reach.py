"""A time that nobody can mean (centuries away, or centuries long) is refused where it is written, so that it can not spoil what
others read and book; a leap second is a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, ref, slot, unique
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


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("Slot/$prefetch", {"start": "9999-12-31"}),
        ("Slot/$prefetch", {"start": "0001-01-01"}),
        ("Slot/$soonest", {"after": "9999-12-31"}),
        ("Slot/$soonest", {"after": "9999-12-31", "days": "7"}),
        ("Appointment/$find", {"start": "9999-12-30", "end": "9999-12-31"}),
    ],
)
async def test_nobody_looks_for_a_time_then(callers: Callers, path: str, query: dict[str, str]) -> None:
    answer = await callers.nobody().get(path, **query)
    assert (answer.status_code, code(answer)) == (422, "time-out-of-reach")


async def test_until_for_ever_is_the_end_of_a_search(callers: Callers, practice: Practice) -> None:
    """And all of a record is from the first of all days to the last."""
    answer = await callers.nobody().get("Slot/$soonest", before="9999-12-31", days="mon", specialty="SM26")
    assert answer.status_code == 200
    camille = await practice.new_patient()
    for _since in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        query = {"start": "0001-01-01", "end": "9999-12-31", "_since": _since}
        answer = await callers.patient(camille).get(f"{camille}/$everything", **query)
        assert answer.status_code == 200


@pytest.mark.parametrize("start", ["0001-01-01", "9999-12-31"])
async def test_no_visit_is_booked_or_moved_there(
    callers: Callers, practice: Practice, agenda: Agenda, start: str
) -> None:
    camille = await practice.new_patient()
    caller = callers.patient(camille)
    asked = appointment("booked", slots=[agenda.slots[0]], patient=camille, start=agenda.at(0))
    booked = (await caller.post("Appointment", asked)).json()
    moved = await caller.post(f"Appointment/{booked['id']}/$reschedule", parameters(start=start))
    assert (moved.status_code, code(moved)) == (422, "time-out-of-reach")

    wish = {
        **appointment("proposed", patient=camille, start=agenda.at(1)),
        "start": f"{start}T00:00:00Z",
        "end": f"{start}T00:20:00Z",
    }
    named = parameters(appt_resource=wish, schedule=ref(f"Schedule/{agenda.id}"))
    held = await caller.post("Appointment/$book", named)
    assert (held.status_code, code(held)) == (422, "time-out-of-reach")


@pytest.mark.parametrize("born", ["9982-01-01", "2199", "9999-12-31"])
async def test_nobody_is_born_in_the_future(callers: Callers, born: str) -> None:
    """When an account registers its second person, the end of parents' authority is reckoned from it."""
    account = callers.patient(subject=unique("parent"))
    for _ in range(2):
        answer = await account.post("Patient", patient(birthDate=born))
        assert (answer.status_code, code(answer)) == (422, "birth-date-to-come")

"""A software that writes milliseconds: its slots are kept as they are, found, shown free, booked whole and in part."""

from __future__ import annotations

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, slot, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource


def sent(agenda: Agenda, start: str, end: str) -> Resource:
    return {**slot(unique("ms"), agenda.id, agenda.at(0)), "start": start, "end": end}


@pytest.mark.parametrize(
    ("start", "end", "served"),
    [
        ("2026-12-01T09:00:00.000+01:00", "2026-12-01T09:20:00.000+01:00", ("08:00:00Z", "08:20:00Z")),
        ("2026-12-01T09:00:00.123+01:00", "2026-12-01T09:20:00.5+01:00", ("08:00:00.123Z", "08:20:00.5Z")),
        ("2026-12-01T08:00:00.000001Z", "2026-12-01T08:20:00.10Z", ("08:00:00.000001Z", "08:20:00.1Z")),
    ],
)
async def test_kept_exactly_found_and_booked(
    callers: Callers, practice: Practice, agenda: Agenda, start: str, end: str, served: tuple[str, str]
) -> None:
    """What the write answers, what a read and a search splice, and what the visit that takes it says are one time."""
    expected = [f"2026-12-01T{time}" for time in served]
    software, camille = callers.software(), await practice.new_patient()
    written = sent(agenda, start, end)
    answer = await software.put(f"Slot/{written['id']}", written)
    assert answer.status_code == 201, answer.text
    found = await callers.nobody().get("Slot", schedule=agenda.id, status="free", start=f"eq{start}")
    (match,) = [entry["resource"] for entry in found.json()["entry"]]
    read = (await callers.nobody().get(f"Slot/{written['id']}")).json()
    for shown in (answer.json(), match, read):
        assert [shown["start"], shown["end"]] == expected
    asked = appointment("proposed", slots=[written["id"]], patient=camille)
    booked = await callers.patient(camille).post("Appointment/$book", asked)
    assert booked.status_code == 201, booked.text
    visit = booked.json()
    assert [visit["start"], visit["end"]] == expected
    assert (await practice.slot(written["id"]))["status"] == "busy"


async def test_written_with_the_time_of_its_slot_as_it_was_sent(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """A plain create that repeats the software's own spelling of the time is for that slot, and takes it."""
    written = sent(agenda, "2026-12-02T09:00:00.123+01:00", "2026-12-02T09:20:00.000+01:00")
    software, camille = callers.software(), await practice.new_patient()
    await software.put(f"Slot/{written['id']}", written)
    visit = appointment("booked", slots=[written["id"]], patient=camille, start=agenda.start)
    answer = await software.post("Appointment", {**visit, "start": written["start"], "end": written["end"]})
    assert answer.status_code == 201, answer.text
    assert (await practice.slot(written["id"]))["status"] == "busy"
    cancelled = {**answer.json(), "status": "cancelled"}
    assert (await software.put(f"Appointment/{cancelled['id']}", cancelled)).status_code == 200
    assert (await practice.slot(written["id"]))["status"] == "free"


async def test_finer_than_what_is_kept_is_refused(callers: Callers, agenda: Agenda) -> None:
    written = sent(agenda, "2026-12-03T09:00:00.1234567Z", utc(agenda.at(0)))
    answer = await callers.software().put(f"Slot/{written['id']}", written)
    assert (answer.status_code, code(answer)) == (422, "slot-fraction")

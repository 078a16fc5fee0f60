"""What is stored as a request is booked, confirmed, held and moved as what is sent new: its slots, people and time are found
however they are named, and what is named is what is taken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import BASE, appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource

SOFTWARE = "urn:logiciel"
WAYS = ["of this base", "contained", "contained, as Medplum", "by identifier"]


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    """Three slots, each with an identifier of the software."""
    opened = await practice.open_agenda(0)
    ids: tuple[str, ...] = ()
    for index in range(3):
        named = {"identifier": [{"system": SOFTWARE, "value": f"{opened.id}-{index}"}]}
        _, one = await practice.fill(opened.id, 1, opened.at(index), **named)
        ids += one
    return Agenda(opened.id, opened.practitioner, opened.location, opened.start, ids)


def naming(way: str, agenda: Agenda, index: int) -> Resource:
    """The members of an Appointment that name a slot in this way."""
    if way == "of this base":
        return {"slot": [ref(f"{BASE}/Slot/{agenda.slots[index]}")]}
    if way == "by identifier":
        return {"slot": [{"identifier": {"system": SOFTWARE, "value": f"{agenda.id}-{index}"}}]}
    inner = {
        "resourceType": "Slot",
        "schedule": ref(f"Schedule/{agenda.id}"),
        "status": "free",
        "start": utc(agenda.at(index)),
        "end": utc(agenda.at(index + 1)),
    }
    if way == "contained":
        return {"contained": [{**inner, "id": "s1"}], "slot": [ref("#s1")]}
    return {"contained": [inner]}


async def asked(caller: Caller, agenda: Agenda, patient: str, **members: Any) -> Resource:
    """A request for the first slot."""
    request = appointment("proposed", slots=agenda.slots[:1], patient=patient, actors=[agenda.practitioner])
    stored = await caller.post("Appointment", {**request, **members})
    assert stored.status_code == 201, stored.text
    found: Resource = stored.json()
    return found


def timed(agenda: Agenda, index: int = 0) -> Resource:
    return {"start": utc(agenda.at(index)), "end": utc(agenda.at(index + 1))}


@pytest.mark.parametrize("way", WAYS)
async def test_booked_in_the_slot_that_is_sent(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    software = callers.software()
    request = await asked(software, agenda, camille, **timed(agenda))
    wanted = {**appointment("proposed", patient=camille), **naming(way, agenda, 1), "id": request["id"]}
    booked = await software.post("Appointment/$book", parameters(appointment=wanted))
    assert booked.status_code == 200, booked.text
    said = booked.json()
    assert (said["id"], said["status"], said["start"]) == (request["id"], "booked", utc(agenda.at(1)))
    assert said["slot"] == [ref(f"Slot/{agenda.slots[1]}")]
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "free"]


async def test_booked_in_no_slot_that_cannot_be_found(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    software = callers.software()
    request = await asked(software, agenda, camille, **timed(agenda))
    elsewhere = [ref("https://ailleurs.example/fhir/Slot/1")]
    wanted = {**appointment("proposed", patient=camille), "slot": elsewhere, "id": request["id"]}
    refused = await software.post("Appointment/$book", parameters(appointment=wanted))
    assert (refused.status_code, code(refused)) == (422, "unknown-slot"), refused.text
    assert await practice.slot_statuses(agenda.slots) == ["free"] * 3


@pytest.mark.parametrize("way", WAYS)
async def test_moved_to_the_slot_that_is_sent(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    visit = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    booked = (await callers.software().post("Appointment", visit)).json()
    wanted = {**appointment("proposed", patient=camille), **naming(way, agenda, 2)}
    moved = await callers.patient(camille).post(
        f"Appointment/{booked['id']}/$reschedule", parameters(appt_resource=wanted)
    )
    assert moved.status_code == 200, moved.text
    assert moved.json()["slot"] == [ref(f"Slot/{agenda.slots[2]}")]
    assert "contained" not in moved.json()
    assert await practice.slot_statuses(agenda.slots) == ["free", "free", "busy"]


@pytest.mark.parametrize("operation", ["$confirm", "$book"])
async def test_a_request_takes_the_time_of_its_slot(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, operation: str
) -> None:
    """R4 app-3 lets a request be without start and end."""
    software = callers.software()
    request = await asked(software, agenda, camille)
    assert "start" not in request
    booked = await software.post(f"Appointment/{request['id']}/{operation}", parameters())
    assert booked.status_code == 200, booked.text
    said = booked.json()
    assert (said["status"], said["start"], said["end"]) == ("booked", *timed(agenda).values())
    assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]


@pytest.mark.parametrize(
    ("status", "names_the_agenda"), [("proposed", False), ("proposed", True), ("booked", True)]
)
async def test_a_known_id_goes_to_the_slots_of_its_time(
    callers: Callers,
    practice: Practice,
    agenda: Agenda,
    camille: str,
    status: str,
    names_the_agenda: bool,
) -> None:
    """ISiK: without slots, the server finds them by agenda, start and end; a known id is updated in place. An Appointment
    that is sent as booked is meant as it stands: then the agenda has to be named."""
    software = callers.software()
    request = await asked(software, agenda, camille, **timed(agenda))
    wanted = appointment(
        status, patient=camille, start=agenda.at(1), length=timedelta(minutes=40), id=request["id"]
    )
    given = {"schedule": ref(f"Schedule/{agenda.id}")} if names_the_agenda else {}
    booked = await software.post("Appointment/$book", parameters(appt_resource=wanted, **given))
    assert booked.status_code == 200, booked.text
    assert booked.json()["slot"] == [ref(f"Slot/{id_}") for id_ in agenda.slots[1:]]
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "busy"]


async def test_booked_for_whom_an_identifier_names(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    number = {"system": SOFTWARE, "value": unique("dossier")}
    who = await practice.new_patient(identifier=[number])
    software = callers.software()
    nobody = appointment("proposed", slots=agenda.slots[:1], actors=[agenda.practitioner])
    request = (await software.post("Appointment", nobody)).json()
    known = {"actor": {"type": "Patient", "identifier": number}, "status": "accepted"}
    wanted = {**request, "status": "booked", **timed(agenda), "participant": [known, *request["participant"]]}
    booked = await software.post("Appointment/$book", parameters(appointment=wanted))
    assert booked.status_code == 200, booked.text
    assert who in [p["actor"].get("reference") for p in booked.json()["participant"]]


@pytest.mark.parametrize("way", ["contained", "by identifier"])
async def test_a_write_holds_the_slot_that_is_sent(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """A patient's `pending` by PUT is a hold: it names its slot like any other write."""
    someone = callers.patient(camille)
    request = await asked(someone, agenda, camille, **timed(agenda))
    wanted = {**request, "status": "pending", **timed(agenda, 1), **naming(way, agenda, 1)}
    held = await someone.put(f"Appointment/{request['id']}", wanted)
    assert held.status_code == 200, held.text
    assert held.json()["slot"] == [ref(f"Slot/{agenda.slots[1]}")]
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy-tentative", "free"]


async def test_a_write_holds_all_slots_that_are_sent(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    someone = callers.patient(camille)
    request = await asked(someone, agenda, camille, **timed(agenda))
    both = [*naming("of this base", agenda, 0)["slot"], *naming("by identifier", agenda, 1)["slot"]]
    wanted = {**request, "status": "pending", "end": utc(agenda.at(2)), "slot": both}
    held = await someone.put(f"Appointment/{request['id']}", wanted)
    assert held.status_code == 200, held.text
    assert await practice.slot_statuses(agenda.slots) == ["busy-tentative", "busy-tentative", "free"]

"""Whoever comes by the link of a message reads, cancels and moves that one appointment, and nothing else (what they
answer: `test_answering_by_link`)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from services.booking.tests.api.test_series import first_of, open_weeks, resources, said, weekly
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, ref
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, HIDDEN
from creneau_booking.storage.mapping.series import OCCURRENCE_CHANGED, SERIES_SCOPE
from creneau_shared.fhir.storage.store import Stored

CANCEL = [{"op": "replace", "path": "/status", "value": "cancelled"}]
LABEL = {"system": CONFIDENTIALITY, "code": HIDDEN}


async def book(practice: Practice, agenda: Agenda, person: str, slot: int = 0) -> Stored:
    people = [agenda.practitioner, agenda.location]
    wanted = appointment("booked", slots=agenda.slots[slot : slot + 1], patient=person, actors=people)
    return await practice.create(wanted)


@pytest.fixture
async def booked(practice: Practice, agenda: Agenda, camille: str) -> Stored:
    return await book(practice, agenda, camille)


@pytest.fixture
def link(callers: Callers, booked: Stored, camille: str) -> Caller:
    return callers.by_link(booked.id, camille)


async def move(caller: Caller, id_: str, slot: str) -> Any:
    return await caller.post(f"Appointment/{id_}/$reschedule", parameters(slot=ref(f"Slot/{slot}")))


async def test_it_reads_moves_and_cancels_its_appointment(
    practice: Practice, agenda: Agenda, booked: Stored, link: Caller
) -> None:
    """P14, as whoever has no account; P16: the slot is free at once."""
    path = f"Appointment/{booked.id}"
    assert (await link.get(path)).json()["status"] == "booked"
    found = (await link.get("Appointment")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [booked.id]
    free = await link.get(f"Slot?schedule=Schedule/{agenda.id}&status=free")
    assert free.json()["total"] == len(agenda.slots) - 1
    moved = await move(link, booked.id, agenda.slots[2])
    assert moved.status_code == 200, moved.text
    assert moved.json()["slot"] == [ref(f"Slot/{agenda.slots[2]}")]
    cancelled = await link.patch(path, CANCEL)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await practice.slot_statuses(agenda.slots) == ["free"] * len(agenda.slots)


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "add", "path": "/comment", "value": "le matin"}],
        [{"op": "replace", "path": "/participant/0/status", "value": "tentative"}],
        [*CANCEL, {"op": "add", "path": "/comment", "value": "et encore"}],
        [{"op": "replace", "path": "/start", "value": "2030-01-01T09:00:00Z"}],
        [{"op": "add", "path": "/meta", "value": {"security": [LABEL]}}],
        [{"op": "replace", "path": "/status", "value": "waitlist"}],
    ],
)
async def test_it_says_nothing_else_of_it(
    callers: Callers, booked: Stored, link: Caller, patch: list[dict[str, object]]
) -> None:
    path = f"Appointment/{booked.id}"
    before = (await callers.software().get(path)).json()
    answer = await link.patch(path, patch)
    assert answer.status_code in (403, 422), answer.text
    assert (await callers.software().get(path)).json() == before


async def test_another_appointment_of_the_same_person_is_not_there(
    practice: Practice, agenda: Agenda, camille: str, link: Caller
) -> None:
    """Nor can it be moved, cancelled, or found out about."""
    other = await book(practice, agenda, camille, 1)
    path = f"Appointment/{other.id}"
    answers = [
        await link.get(path),
        await link.patch(path, CANCEL),
        await move(link, other.id, agenda.slots[2]),
        await link.get("Appointment/never-there"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    for query in (f"_id={other.id}", f"patient={camille}", "status=booked"):
        found = (await link.get(f"Appointment?{query}")).json()
        assert other.id not in [entry["resource"]["id"] for entry in found.get("entry", ())]


@pytest.mark.parametrize(
    "address",
    [
        "Patient/{patient}",
        "Patient",
        "Patient/{patient}/$everything",
        "RelatedPerson?patient={patient}",
        "AppointmentResponse",
        "AuditEvent",
        "Provenance",
        "Appointment/{id}/_history",
        "Appointment/{id}/_history/1",
        "Appointment/_history",
    ],
)
async def test_nothing_else_that_is_personal_is_open(
    booked: Stored, camille: str, link: Caller, address: str
) -> None:
    answer = await link.get(address.format(patient=camille.removeprefix("Patient/"), id=booked.id))
    assert answer.status_code == 403, answer.text


async def test_a_search_leads_to_nobody(booked: Stored, camille: str, link: Caller) -> None:
    found = (await link.get("Appointment?_include=Appointment:patient&_include=Appointment:slot")).json()
    assert {entry["resource"]["resourceType"] for entry in found["entry"]} == {"Appointment", "Slot"}
    by_name = (await link.get("Appointment?patient:Patient.name=Camille")).json()
    assert by_name["total"] == 0
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": camille}}],
    }
    answer = (await link.post("", batch)).json()
    assert answer["entry"][0]["response"]["status"].startswith("403")


async def test_it_takes_and_makes_nothing_new(agenda: Agenda, camille: str, link: Caller) -> None:
    wanted = appointment("proposed", slots=agenda.slots[1:2], patient=camille)
    answers = [
        await link.post("Appointment", wanted),
        await link.post("Appointment/$hold", wanted),
        await link.post("Appointment/$book", wanted),
        await link.post("Patient", patient()),
        await link.post(f"{camille}/$erase", parameters(confirm=True)),
    ]
    assert [answer.status_code for answer in answers] == [403] * 5


async def test_it_does_not_delete_or_take_back(callers: Callers, booked: Stored, link: Caller) -> None:
    path = f"Appointment/{booked.id}"
    said = (await link.get(path)).json()
    assert (await link.delete(path)).status_code == 403
    assert (await callers.software().patch(path, CANCEL)).status_code == 200
    assert (await callers.software().delete(path)).status_code == 204
    assert (await link.put(path, said)).status_code in (403, 404)
    assert (await callers.software().get(path)).status_code == 410


async def test_it_ends_when_the_appointment_is_no_longer_theirs_to_show(
    callers: Callers, practice: Practice, booked: Stored, link: Caller
) -> None:
    """Looked up at each request: the practice has entered somebody else."""
    path, software = f"Appointment/{booked.id}", callers.software()
    said = (await software.get(path)).json()
    said["participant"][0]["actor"] = ref(await practice.new_patient())
    assert (await software.put(path, said)).status_code == 200
    assert (await link.get(path)).status_code == 404
    assert (await link.patch(path, CANCEL)).status_code == 404
    assert (await link.get("Appointment")).json()["total"] == 0


async def test_a_link_to_what_is_hidden_opens_nothing(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """A message goes to an address that may be a representative's."""
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, meta={"security": [LABEL]})
    hidden = (await callers.patient(camille).post("Appointment", wanted)).json()
    link = callers.by_link(hidden["id"], camille)
    assert (await link.get(f"Appointment/{hidden['id']}")).status_code == 404
    assert (await link.get("Appointment")).json()["total"] == 0


async def test_a_link_about_somebody_else_opens_nothing(
    callers: Callers, practice: Practice, booked: Stored
) -> None:
    """Whatever else a token says: the appointment must be of the person to whom the message went."""
    other = callers.by_link(booked.id, await practice.new_patient())
    assert (await other.get(f"Appointment/{booked.id}")).status_code == 404


async def test_rivals_with_one_link_move_it_once_each_to_one_place(
    practice: Practice, agenda: Agenda, booked: Stored, link: Caller
) -> None:
    """Ten tabs, one appointment: it ends in one slot, and the others are free."""
    answers = await asyncio.gather(*(move(link, booked.id, slot) for slot in agenda.slots[1:] * 5))
    assert {answer.status_code for answer in answers} <= {200, 409, 422, 429}
    statuses = await practice.slot_statuses(agenda.slots)
    assert statuses.count("busy") == 1


@pytest.mark.parametrize("way", ["cancel", "patch", "reschedule"])
async def test_of_a_series_it_reaches_the_one_that_it_names(
    callers: Callers, practice: Practice, camille: str, way: str
) -> None:
    """However much of the series is asked for, the others are neither changed nor shown."""
    weeks = await open_weeks(practice)
    wanted = first_of(weeks, camille, template=weekly(3))
    taken = await callers.patient(camille).post("Appointment/$book", parameters(appt_resource=wanted))
    ids = [one["id"] for one in resources(taken)]
    link, path = callers.by_link(ids[1], camille), f"Appointment/{ids[1]}"
    if way == "cancel":
        answer = await link.post(f"{path}/$cancel", parameters(scope="all"))
    elif way == "patch":
        scope = {"url": SERIES_SCOPE, "valueCode": "all"}
        answer = await link.patch(path, [*CANCEL, {"op": "add", "path": "/extension/-", "value": scope}])
    else:
        to = ref(f"Slot/{weeks.slots[3]}")
        answer = await link.post(f"{path}/$reschedule", parameters(slot=to, scope="all"))
    assert answer.status_code == 200, answer.text
    others = [(await callers.software().get(f"Appointment/{id_}")).json() for id_ in (ids[0], ids[2])]
    assert [one["meta"]["versionId"] for one in others] == ["1", "1"]
    shown = [answer.json()] if way == "patch" else resources(answer)
    assert [one["id"] for one in shown] == [ids[1]]
    changed = (await callers.software().get(path)).json()
    assert changed["meta"]["versionId"] == "2"
    assert bool(said(changed, OCCURRENCE_CHANGED)) is (way == "reschedule")

"""Booking and changing (checklist 56-85), by number: the spellings in which an outsider says what is meant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from services.booking.tests.api.test_answers import booked, read
from services.booking.tests.api.test_waiting import agenda_wish
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import BASE, appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery

from creneau_booking.domain.appointment import CANCELLATION_REASONS
from creneau_booking.storage.mapping.appointment import NOTE
from creneau_shared.fhir.storage.store import Resource


async def test_67_whom_a_practice_brings_again_is_who_they_are(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """67: known by an identifier, they are registered once."""
    own, software = {"system": "urn:ipp", "value": unique("ipp")}, callers.software()
    brought = {"resourceType": "Patient", "identifier": [own], "name": [{"family": own["value"]}]}
    for index in range(2):
        wanted = appointment("proposed", slots=agenda.slots[index : index + 1], actors=[agenda.practitioner])
        answer = await software.post(
            "Appointment/$book", parameters(appt_resource=wanted, patient_resource=brought)
        )
        assert answer.status_code == 201, answer.text
    found = await software.get("Patient", identifier=f"{own['system']}|{own['value']}")
    assert found.json()["total"] == 1


async def test_67_an_account_brings_its_own_patient(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """67: name and birth say which of its own; a stranger is to be registered first."""
    camille = await practice.new_patient(birthDate="1984-05-17")
    caller = callers.patient(camille)
    stored = (await caller.get(camille)).json()
    same = {"resourceType": "Patient", "name": stored["name"], "birthDate": stored["birthDate"]}
    wanted = appointment("proposed", slots=agenda.slots[:1], actors=[agenda.practitioner])
    for brought, status in (({**same, "birthDate": "1931-01-01"}, 422), (same, 201)):
        answer = await caller.post(
            "Appointment/$book", parameters(appt_resource=wanted, patient_resource=brought)
        )
        assert answer.status_code == status, answer.text
    assert ref(camille) in [p["actor"] for p in answer.json()["participant"]]


@pytest.mark.parametrize("way", ["code", "concept", "put", "patch"])
async def test_75_why_in_every_spelling(callers: Callers, agenda: Agenda, camille: str, way: str) -> None:
    """75: the code is kept as the reason, a patient's words as a note to the other side."""
    caller = callers.patient(camille)
    path = await booked(caller, agenda, camille)
    coding = {"system": CANCELLATION_REASONS, "code": "pat-ucp"}
    concept: Resource = {"coding": [coding], "text": "J'ai changé de médecin"}
    if way == "code":
        answer = await caller.post(
            f"{path}/$cancel",
            {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueCode": "pat-ucp"}]},
        )
    elif way == "concept":
        said = [{"name": "reason", "valueCodeableConcept": concept}]
        answer = await caller.post(
            "Appointment/$cancel", {"resourceType": "Parameters", "parameter": [*said, _named(path)]}
        )
    elif way == "put":
        stored = await read(caller, path)
        answer = await caller.put(path, {**stored, "status": "cancelled", "cancelationReason": concept})
    else:
        change = [
            {"op": "replace", "path": "/status", "value": "cancelled"},
            {"op": "add", "path": "/cancelationReason", "value": concept},
        ]
        answer = await caller.patch(path, change)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    assert answer.json()["cancelationReason"] == {"coding": [coding]}
    notes = [e["valueAnnotation"]["text"] for e in answer.json()["extension"] if e["url"] == NOTE]
    assert notes == ([] if way == "code" else [concept["text"]])


def _named(path: str) -> Resource:
    return {"name": "appointment", "valueReference": {"reference": path}}


@pytest.mark.parametrize(
    "way",
    ["start", "start and end", "type", "bare", "in time alone", "known id", "known id by schedule time"],
)
async def test_77_moved_in_every_spelling(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """77: in the same agenda where none is named; on the type; ISiK's `$book` of an id that is known updates it."""
    caller = callers.patient(camille)
    path = await booked(caller, agenda, camille)
    start, end = utc(agenda.at(2)), utc(agenda.at(3))
    if way.startswith("known id"):
        wanted: dict[str, Any] = {
            **appointment("proposed", slots=agenda.slots[2:3], patient=camille),
            "id": path.partition("/")[2],
        }
        if way.endswith("time"):
            wanted |= {"start": agenda.at(2).isoformat(), "end": agenda.at(3).isoformat()}
        answer = await caller.post("Appointment/$book", wanted)
    elif way in ("bare", "in time alone"):
        rest = {name: value for name, value in (await read(caller, path)).items() if name != "slot"}
        slot = {"slot": [ref(f"Slot/{agenda.slots[2]}")]} if way == "bare" else {}
        wanted = {**rest, **slot, "start": start, "end": end}
        given = {"name": "appt-resource", "resource": wanted}
        address = f"{path}/$reschedule" if way == "bare" else "Appointment/$reschedule"
        answer = await caller.post(
            address, wanted if way == "bare" else {"resourceType": "Parameters", "parameter": [given]}
        )
    else:
        said = {"start": start} if way == "start" else {"start": start, "end": end}
        whole = parameters(**said)
        if way == "type":
            whole["parameter"].append(_named(path))
        address = "Appointment/$reschedule" if way == "type" else f"{path}/$reschedule"
        answer = await caller.post(address, whole)
    assert answer.status_code == 200, answer.text
    moved = await read(caller, path)
    times = [datetime.fromisoformat(moved[name]) for name in ("start", "end")]
    assert (times, moved["status"]) == ([agenda.at(2), agenda.at(3)], "booked")
    assert await practice.slot_statuses(agenda.slots) == ["free", "free", "busy"]


async def test_82_a_practice_puts_its_patient_on_its_own_list(callers: Callers, practice: Practice) -> None:
    """82: for an agenda of its own and nobody in particular; on another's it does not."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    staff = callers.staff(ours.organization)
    registered = await staff.post("Patient", {"resourceType": "Patient", "name": [{"family": unique("x")}]})
    who = f"Patient/{registered.json()['id']}"
    for surgery, status in ((theirs, 403), (ours, 201)):
        wish = appointment("waitlist", patient=who, extension=[agenda_wish(surgery.agenda)], priority=2)
        answer = await staff.post("Appointment", wish)
        assert answer.status_code == status, answer.text
    listed = await staff.get("Appointment", status="waitlist", patient=who)
    assert [e["resource"]["priority"] for e in listed.json()["entry"]] == [2]


async def test_82_a_request_that_goes_on_the_list(callers: Callers, agenda: Agenda, camille: str) -> None:
    """82: what is waited for may be said before one waits."""
    caller = callers.patient(camille)
    asked = await caller.post(
        "Appointment", appointment("proposed", patient=camille, extension=[agenda_wish(agenda.id)])
    )
    assert asked.status_code == 201, asked.text
    waits = await caller.patch(
        f"Appointment/{asked.json()['id']}", [{"op": "replace", "path": "/status", "value": "waitlist"}]
    )
    assert (waits.status_code, waits.json()["status"]) == (200, "waitlist"), waits.text


async def test_f_sync_takes_its_period_as_one(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    """F: `period` says from when to when as `from` and `to` do: what is missing in it is deleted."""
    end = utc(agenda.at(2) + timedelta(minutes=1))
    said = [{"name": "period", "valuePeriod": {"start": utc(agenda.start), "end": end}}]
    answer = await callers.software().post(
        f"Schedule/{agenda.id}/$sync-slots", {"resourceType": "Parameters", "parameter": said}
    )
    told = {p["name"]: p.get("valueInteger") for p in answer.json()["parameter"]}
    assert (answer.status_code, told["deleted"]) == (200, 3), answer.text


async def test_83_a_closure_takes_its_period_as_a_feed_does(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """83: from and to, which `$sync-slots` takes, mean what start and end do."""
    answer = await callers.software().post(
        f"Schedule/{agenda.id}/$close",
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "from", "valueInstant": utc(agenda.at(1))},
                {"name": "to", "valueInstant": utc(agenda.at(2))},
                {"name": "confirm", "valueBoolean": True},
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy-unavailable", "free"]


async def test_82_who_is_waited_for_by_a_number(callers: Callers, practice: Practice, camille: str) -> None:
    """82: a professional whom only a national identifier names (a logical reference) is who has it."""
    surgery, number = await open_surgery(practice, 0), {"system": "urn:numéro", "value": unique("n")}
    person = {
        "resourceType": "Practitioner",
        "id": surgery.practitioner.partition("/")[2],
        "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
        "identifier": [number],
    }
    await hear(practice, person)
    wish = appointment("waitlist", patient=camille)
    wish["participant"].append({"actor": {"identifier": number}, "status": "needs-action"})
    caller = callers.patient(camille)
    joined = await caller.post("Appointment", wish)
    assert joined.status_code == 201, joined.text
    await practice.fill(surgery.agenda, 1)
    assert (await read(caller, f"Appointment/{joined.json()['id']}"))["status"] == "pending"


@pytest.mark.parametrize("spelling", ["{base}/{who}", "{who}/_history/1", "{base}/{who}/_history/1"])
async def test_whoever_is_of_this_base_is_named_by_type_and_id(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, spelling: str
) -> None:
    """By the whole address or a version, as some software spells it: read back as everybody else's, by pages as well."""
    software = callers.software()
    wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
    people = (camille, agenda.practitioner)
    wanted["participant"] = [
        {"actor": ref(spelling.format(base=BASE, who=who)), "status": "accepted"} for who in people
    ]
    answer = await software.post("Appointment", wanted)
    assert answer.status_code == 201, answer.text
    assert [p["actor"] for p in answer.json()["participant"]] == [ref(who) for who in people]
    again = await software.put(f"Appointment/{answer.json()['id']}", {**answer.json(), **wanted})
    assert again.status_code == 200, again.text
    assert [p["actor"] for p in again.json()["participant"]] == [ref(who) for who in people]


@pytest.mark.parametrize("status", ["proposed", "waitlist", "pending", "booked"])
@pytest.mark.parametrize("by", ["patient", "practice"])
async def test_a_version_of_a_slot_is_the_slot_and_of_one_that_never_was_nothing(
    callers: Callers, agenda: Agenda, camille: str, status: str, by: str
) -> None:
    """Asked for or taken, by whomever: `Slot/[id]/_history/99` means the slot, if there is one."""
    caller = callers.patient(camille) if by == "patient" else callers.software()
    slot, never = f"Slot/{agenda.slots[0]}", f"Slot/{uuid4()}"
    assert (await caller.get(f"{never}/_history/99")).status_code == 404
    wanted = appointment(status, slots=agenda.slots[:1], patient=camille, start=agenda.start)
    for missing in ("Slot/x/_history/99", f"{BASE}/{never}/_history/99", never):
        refused = await caller.post("Appointment", {**wanted, "slot": [ref(missing)]})
        assert (refused.status_code, code(refused)) == (422, "unknown-slot"), refused.text
    answer = await caller.post("Appointment", {**wanted, "slot": [ref(f"{slot}/_history/99")]})
    assert answer.status_code == 201, answer.text
    assert answer.json()["slot"] == [ref(slot)]
    if status in ("proposed", "waitlist"):
        elsewhere = {**answer.json(), "slot": [ref(f"{never}/_history/99")]}
        changed = await caller.put(f"Appointment/{answer.json()['id']}", elsewhere)
        assert (changed.status_code, code(changed)) == (422, "unknown-slot"), changed.text

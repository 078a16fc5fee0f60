"""Moving, cancelling, and the rest of an appointment's life over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.client import Caller, code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SKIN, VIDEO, appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource, Stored

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]


@pytest.fixture
async def booked(practice: Practice, agenda: Agenda, camille: str) -> Stored:
    people = [agenda.practitioner, agenda.location]
    return await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=camille, actors=people)
    )


def fhirpath(path: str, value: str) -> Resource:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", "valueCode": value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


async def reschedule(caller: Caller, id_: str, **given: object) -> Resource:
    answer = await caller.post(f"Appointment/{id_}/$reschedule", parameters(**given))
    assert answer.status_code == 200, answer.text
    moved: Resource = answer.json()
    return moved


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/comment", "value": "après coup"},
        {"path": "/start", "value": "2030-01-01T09:00:00Z"},
        {"path": "/slot/0/reference", "value": "Slot/un-autre"},
        {"path": "/participant/1/status", "value": "tentative"},
    ],
)
async def test_what_is_cancelled_is_not_amended(
    callers: Callers, booked: Stored, camille: str, change: dict[str, str]
) -> None:
    """Nor by software: a list would show a cancelled visit at a time that never was. Its reason may follow."""
    path, software = f"Appointment/{booked.id}", callers.software()
    assert (await software.patch(path, CANCELLED)).status_code == 200
    kept = (await software.get(path)).json()
    for caller in (software, callers.patient(camille)):
        answer = await caller.patch(path, [{"op": "add", **change}])
        assert (answer.status_code, code(answer)) == (422, "already-ended"), answer.text
    assert (await software.get(path)).json() == kept
    why = {"op": "add", "path": "/cancelationReason", "value": {"text": "cabinet fermé"}}
    assert (await software.patch(path, [why])).status_code == 200


@pytest.mark.parametrize("how", ["$reschedule", "put", "patch"])
async def test_moved_to_a_time_of_another_length_it_lasts_as_long(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, how: str
) -> None:
    """`minutesDuration` follows; what a practice states besides stays: a visit may be shorter than its time."""
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.at(0))
    software = callers.software()
    stored = (await software.post("Appointment", {**wanted, "minutesDuration": 20})).json()
    path = f"Appointment/{stored['id']}"
    two: Resource = {
        "slot": [ref(f"Slot/{slot}") for slot in agenda.slots[1:3]],
        "start": utc(agenda.at(1)),
        "end": utc(agenda.at(3)),
    }
    if how == "$reschedule":
        moved = await software.post(f"{path}/$reschedule", parameters(slot=two["slot"]))
    elif how == "put":
        moved = await software.put(path, {**stored, **two})
    else:
        steps = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in two.items()]
        moved = await software.patch(path, steps)
    assert moved.status_code == 200, moved.text
    assert (moved.json()["end"], moved.json()["minutesDuration"]) == (two["end"], 40)
    shorter = await software.put(path, {**moved.json(), "minutesDuration": 30})
    assert shorter.json()["minutesDuration"] == 30
    same = {"op": "replace", "path": "/comment", "value": "au fond du couloir"}
    assert (await software.patch(path, [{**same, "op": "add"}])).json()["minutesDuration"] == 30


@pytest.mark.parametrize("how", ["patch", "put"])
@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("start", "2030-01-01T09:00:00Z"),
        ("end", "2030-01-01T10:00:00Z"),
        ("slot", [{"reference": "Slot/un-autre"}]),
        ("participant", []),
    ],
)
async def test_a_cancellation_changes_nothing_else(
    callers: Callers,
    practice: Practice,
    booked: Stored,
    camille: str,
    how: str,
    status: str,
    element: str,
    value: object,
) -> None:
    """Else the mail tells a time that never was, or goes to somebody who had no visit. What is left out is not changed."""
    path, software = f"Appointment/{booked.id}", callers.software()
    kept = (await software.get(path)).json()
    if element == "participant":
        other = await practice.new_patient()
        value = [
            {**p, "actor": ref(other)} if p["actor"]["reference"] == camille else p for p in kept[element]
        ]
    said = {**kept, "status": status, element: value}
    if how == "patch":
        steps = [{"op": "replace", "path": f"/{name}", "value": said[name]} for name in ("status", element)]
        answer = await software.patch(path, steps)
    else:
        answer = await software.put(path, said)
    assert (answer.status_code, code(answer)) == (422, "cancelled-otherwise"), answer.text
    assert (await software.get(path)).json() == kept
    bare = {name: v for name, v in kept.items() if name not in ("start", "end", "slot")}
    assert (await software.put(path, {**bare, "status": "cancelled"})).status_code == 200


class TestReschedule:
    async def test_to_another_slot(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored, camille: str
    ) -> None:
        """Same id, same patient, another time; the old slot free, one event that says when it was to be."""
        moved = await reschedule(callers.patient(camille), booked.id, slot=ref(f"Slot/{agenda.slots[2]}"))
        assert (moved["id"], moved["status"]) == (booked.id, "booked")
        assert (moved["start"], moved["end"]) == (utc(agenda.at(2)), utc(agenda.at(3)))
        assert moved["meta"]["versionId"] == "2"
        assert await practice.slot_statuses(agenda.slots) == ["free", "free", "busy"]
        assert [row[:2] for row in await practice.occupied(agenda.practitioner)] == [
            (agenda.at(2), agenda.at(3))
        ]
        assert await practice.kinds(booked.id) == ["booked", "moved"]

    async def test_medplum_by_start_and_agenda(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored, camille: str
    ) -> None:
        given = {"start": utc(agenda.at(1)), "schedule": ref(f"Schedule/{agenda.id}")}
        moved = await reschedule(callers.patient(camille), booked.id, **given)
        assert [s["reference"] for s in moved["slot"]] == [f"Slot/{agenda.slots[1]}"]

    async def test_a_part_of_a_larger_slot_keeps_its_length(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """Twenty minutes in a free morning, moved by an hour, are still twenty minutes."""
        morning = await practice.open_agenda(0)
        id_ = f"matin-{morning.id}"
        resource = {
            "resourceType": "Slot",
            "id": id_,
            "schedule": ref(f"Schedule/{morning.id}"),
            "status": "free",
        }
        times = {"start": utc(morning.start), "end": utc(morning.start + timedelta(hours=4))}
        await practice.put({**resource, **times})
        stored = await practice.create(
            appointment("booked", slots=[id_], patient=camille, start=morning.start)
        )
        later = utc(morning.start + timedelta(hours=1))
        given = {"start": later, "schedule": ref(f"Schedule/{morning.id}")}
        moved = await reschedule(callers.patient(camille), stored.id, **given)
        assert (moved["start"], moved["end"]) == (later, utc(morning.start + timedelta(minutes=80)))

    async def test_overlapping_its_own_slots(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """From slots 0 and 1 to slots 1 and 2: the one that it keeps is never free in between."""
        agenda = await practice.open_agenda(3)
        stored = await practice.create(appointment("booked", slots=agenda.slots[:2], patient=camille))
        slots = [ref(f"Slot/{id_}") for id_ in agenda.slots[1:]]
        await reschedule(callers.patient(camille), stored.id, slot=slots)
        assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "busy"]
        assert (await practice.slot(agenda.slots[1]))["meta"]["versionId"] == "2"

    async def test_the_people_of_the_agenda_follow(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored, camille: str
    ) -> None:
        """To a colleague's agenda: the colleague and their place stand in, what the slot says of the visit holds."""
        other = await practice.open_agenda(slot_members={"serviceType": [VIDEO], "specialty": [SKIN]})
        moved = await reschedule(callers.patient(camille), booked.id, slot=ref(f"Slot/{other.slots[0]}"))
        actors = {p["actor"]["reference"]: p["status"] for p in moved["participant"]}
        assert actors == {camille: "accepted", other.practitioner: "accepted", other.location: "accepted"}
        assert (moved["serviceType"], moved["specialty"]) == ([VIDEO], [SKIN])
        assert await practice.occupied(agenda.practitioner) == []
        assert len(await practice.occupied(other.practitioner)) == 1

    async def test_a_role_leaves_with_its_practitioner(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """The appointment names the role, the agenda its practitioner: both mean the same person."""
        role = {
            "resourceType": "PractitionerRole",
            "id": unique("role"),
            "practitioner": ref(agenda.practitioner),
        }
        people = [await practice.put(role), agenda.location]
        stored = await practice.create(
            appointment("booked", slots=agenda.slots[:1], patient=camille, actors=people)
        )
        other = await practice.open_agenda()
        moved = await reschedule(callers.patient(camille), stored.id, slot=ref(f"Slot/{other.slots[0]}"))
        actors = {p["actor"]["reference"] for p in moved["participant"]}
        assert actors == {camille, other.practitioner, other.location}
        assert await practice.occupied(agenda.practitioner) == []

    async def test_refused_it_stays_where_it_was(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored, camille: str
    ) -> None:
        await practice.create(appointment("booked", slots=agenda.slots[1:2]))
        answer = await callers.patient(camille).post(
            f"Appointment/{booked.id}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}"))
        )
        assert (answer.status_code, code(answer)) == (409, "slot-taken")
        assert await practice.slot_statuses(agenda.slots) == ["busy", "busy", "free"]
        assert await practice.kinds(booked.id) == ["booked"]

    async def test_what_cannot_be_moved(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored
    ) -> None:
        software = callers.software()
        path = f"Appointment/{booked.id}/$reschedule"
        assert (await software.post(path, parameters())).status_code == 400
        assert (
            await software.post(path, parameters(start="un jour", schedule=ref("Schedule/x")))
        ).status_code == 400
        await practice.change(booked.id, status="cancelled")
        answer = await software.post(path, parameters(slot=ref(f"Slot/{agenda.slots[1]}")))
        assert (answer.status_code, code(answer)) == (422, "not-movable")


class TestCancel:
    @pytest.mark.parametrize("way", ["json-patch", "fhirpath-patch", "put", "delete"])
    async def test_every_way(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored, camille: str, way: str
    ) -> None:
        """The slot and the people are free at once, and one event tells who cancelled."""
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        if way == "json-patch":
            answer = await caller.patch(path, CANCELLED)
        elif way == "fhirpath-patch":
            answer = await caller.patch(
                path, fhirpath("Appointment.status", "cancelled"), "application/fhir+json"
            )
        elif way == "put":
            answer = await caller.put(path, {**(await caller.get(path)).json(), "status": "cancelled"})
        else:
            answer = await caller.delete(path)
        assert answer.status_code == (204 if way == "delete" else 200), answer.text
        assert await practice.slot_statuses(agenda.slots) == ["free", "free", "free"]
        assert await practice.occupied(agenda.practitioner) == []
        assert await practice.kinds(booked.id) == ["booked", "cancelled"]
        seen = await caller.get(path)
        if way == "delete":
            assert seen.status_code in (404, 410)
        else:
            assert seen.json()["slot"], "a cancelled appointment keeps its references"

    async def test_a_patient_does_not_delete_what_is_cancelled(
        self, callers: Callers, practice: Practice, booked: Stored, camille: str
    ) -> None:
        """The practice would read 410 instead of who cancelled, and when."""
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        assert (await caller.patch(path, CANCELLED)).status_code == 200
        refused = await caller.delete(path)
        assert (refused.status_code, code(refused)) == (422, "already-ended")
        assert (await callers.software().get(path)).json()["status"] == "cancelled"

    async def test_a_patient_does_not_cancel_the_past(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """Neither by a status nor by deleting it; the practice may."""
        past = await practice.open_agenda(1, start=practice.clock.now() - timedelta(hours=1))
        stored = await practice.create(appointment("booked", slots=past.slots, patient=camille))
        caller, path = callers.patient(camille), f"Appointment/{stored.id}"
        for answer in (await caller.patch(path, CANCELLED), await caller.delete(path)):
            assert (answer.status_code, code(answer)) == (422, "already-started")
        assert (await callers.software().patch(path, CANCELLED)).status_code == 200


class TestRules:
    async def test_an_illegal_transition_names_both_ends(
        self, callers: Callers, practice: Practice, booked: Stored
    ) -> None:
        await practice.change(booked.id, status="cancelled")
        again = [{"op": "replace", "path": "/status", "value": "booked"}]
        answer = await callers.software().patch(f"Appointment/{booked.id}", again)
        assert (answer.status_code, code(answer)) == (422, "illegal-transition")
        assert "cancelled" in reason(answer)
        assert "booked" in reason(answer)

    async def test_the_practice_follows_the_visit(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored
    ) -> None:
        path = f"Appointment/{booked.id}"
        for status in ("arrived", "checked-in", "fulfilled"):
            answer = await callers.software().patch(
                path, [{"op": "replace", "path": "/status", "value": status}]
            )
            assert answer.status_code == 200, answer.text
        assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
        assert await practice.kinds(booked.id) == ["booked", "updated", "updated", "updated"]

    async def test_nobody_misses_a_visit_of_tomorrow(self, callers: Callers, booked: Stored) -> None:
        missed = [{"op": "replace", "path": "/status", "value": "noshow"}]
        answer = await callers.software().patch(f"Appointment/{booked.id}", missed)
        assert (answer.status_code, code(answer)) == (422, "not-started")

    async def test_a_patient_does_not_say_who_arrived(
        self, callers: Callers, booked: Stored, camille: str
    ) -> None:
        arrived = [{"op": "replace", "path": "/status", "value": "arrived"}]
        answer = await callers.patient(camille).patch(f"Appointment/{booked.id}", arrived)
        assert (answer.status_code, code(answer)) == (403, "status-not-yours")

    async def test_who_has_arrived_is_the_practices_to_send_away(
        self, callers: Callers, booked: Stored, camille: str
    ) -> None:
        """As the table of the states says: a patient cancels what is to come."""
        path = f"Appointment/{booked.id}"
        arrived = [{"op": "replace", "path": "/status", "value": "arrived"}]
        assert (await callers.software().patch(path, arrived)).status_code == 200
        for cancel in (callers.patient(camille).patch(path, CANCELLED),
                       callers.patient(camille).post(f"{path}/$cancel", parameters())):  # fmt: skip
            answer = await cancel
            assert (answer.status_code, code(answer)) == (403, "status-not-yours")
        assert (await callers.software().patch(path, CANCELLED)).status_code == 200

    async def test_what_has_begun_is_moved_by_the_practice_alone(
        self, callers: Callers, agenda: Agenda, practice: Practice, camille: str
    ) -> None:
        """Whoever did not come does not make it another day's: the hints say the same (`reschedulable-until`)."""
        wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.at(0))
        missed = await practice.create(wanted)
        practice.clock.advance(agenda.at(0) - practice.clock.now())
        path = f"Appointment/{missed.id}/$reschedule"
        call = parameters(slot=ref(f"Slot/{agenda.slots[2]}"))
        answer = await callers.patient(camille).post(path, call)
        assert (answer.status_code, code(answer)) == (422, "already-started"), answer.text
        assert (await callers.software().post(path, call)).status_code == 200

    async def test_a_patient_changes_time_only_by_reschedule(
        self, callers: Callers, agenda: Agenda, booked: Stored, camille: str
    ) -> None:
        """ISiK: PATCH must not touch slot, start, end or who takes part; a comment may change."""
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        for change in (
            {"op": "replace", "path": "/slot", "value": [ref(f"Slot/{agenda.slots[1]}")]},
            {"op": "replace", "path": "/end", "value": utc(agenda.start + timedelta(minutes=10))},
            {"op": "replace", "path": "/participant/1/actor/reference", "value": "Practitioner/autre"},
        ):
            answer = await caller.patch(path, [change])
            assert (answer.status_code, code(answer)) == (422, "use-reschedule"), change
        answer = await caller.patch(path, [{"op": "add", "path": "/comment", "value": "au 2e étage ?"}])
        assert answer.status_code == 200

    async def test_software_may_move_by_a_plain_update(
        self, callers: Callers, practice: Practice, agenda: Agenda, booked: Stored
    ) -> None:
        software, path = callers.software(), f"Appointment/{booked.id}"
        current = (await software.get(path)).json()
        moved = {
            "slot": [ref(f"Slot/{agenda.slots[1]}")],
            "start": utc(agenda.at(1)),
            "end": utc(agenda.at(2)),
        }
        assert (await software.put(path, {**current, **moved})).status_code == 200
        assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "free"]
        assert await practice.kinds(booked.id) == ["booked", "moved"]

"""A patient's word gives rights over nobody but the patient: who takes part, what is said, what is confirmed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    BASE,
    CONSULTATION,
    SKIN,
    VIDEO,
    appointment,
    parameters,
    ref,
    slot,
    unique,
    utc,
)
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.domain.patient_elements import CANCELATION_SYSTEM, HIDDEN_FROM_PROXIES, RIGHTS
from creneau_shared.fhir.storage.store import Resource, Stored

HIDDEN = {"system": HIDDEN_FROM_PROXIES[0], "code": HIDDEN_FROM_PROXIES[1]}
URGENT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActPriority", "code": "EM"}


@pytest.fixture
async def booked(practice: Practice, agenda: Agenda, camille: str) -> Stored:
    people = [agenda.practitioner, agenda.location]
    return await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=camille, actors=people)
    )


def expressions(answer: httpx.Response) -> list[str]:
    return [path for issue in answer.json()["issue"] for path in issue.get("expression", ())]


def who(resource: Resource) -> dict[str, str]:
    """Each participant's answer."""
    return {p["actor"]["reference"]: p["status"] for p in resource["participant"]}


async def relative_of(practice: Practice, patient: str) -> str:
    return await practice.put(
        {"resourceType": "RelatedPerson", "id": unique("proche"), "active": True, "patient": ref(patient)}
    )


Way = Callable[[Caller, Resource], Any]


async def by_transaction(caller: Caller, wanted: Resource) -> httpx.Response:
    entry = {"request": {"method": "POST", "url": "Appointment"}, "resource": {**wanted, "status": "booked"}}
    return await caller.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


async def by_patch(caller: Caller, wanted: Resource) -> httpx.Response:
    """A request that is allowed, then changed into what is wanted."""
    asked = {**wanted, "participant": wanted["participant"][:1]}
    stored = (await caller.post("Appointment", asked)).json()
    return await caller.patch(
        f"Appointment/{stored['id']}",
        [
            {"op": "replace", "path": "/status", "value": "booked"},
            {"op": "replace", "path": "/participant", "value": wanted["participant"]},
        ],
    )


async def by_put(caller: Caller, wanted: Resource) -> httpx.Response:
    asked = {**wanted, "participant": wanted["participant"][:1]}
    stored = (await caller.post("Appointment", asked)).json()
    return await caller.put(f"Appointment/{stored['id']}", {**wanted, "id": stored["id"], "status": "booked"})


WAYS: dict[str, Way] = {
    "post": lambda caller, wanted: caller.post("Appointment", {**wanted, "status": "booked"}),
    "pending": lambda caller, wanted: caller.post("Appointment", {**wanted, "status": "pending"}),
    "proposed": lambda caller, wanted: caller.post("Appointment", wanted),
    "waitlist": lambda caller, wanted: caller.post("Appointment", {**wanted, "status": "waitlist"}),
    "hold": lambda caller, wanted: caller.post("Appointment/$hold", parameters(appointment=wanted)),
    "hold-ihe": lambda caller, wanted: caller.post(
        "Appointment/$hold", parameters(appointment_resource=wanted)
    ),
    "book": lambda caller, wanted: caller.post("Appointment/$book", wanted),
    "book-argonaut": lambda caller, wanted: caller.post(
        "Appointment/$book", parameters(appt_resource=wanted)
    ),
    "book-ihe": lambda caller, wanted: caller.post(
        "Appointment/$book", parameters(appointment_resource=wanted)
    ),
    "transaction": by_transaction,
    "patch": by_patch,
    "put": by_put,
}

OTHERS: dict[str, Resource] = {
    "practitioner": ref("Practitioner/autre"),
    "absolute": ref(f"{BASE}/Practitioner/autre"),
    "versioned": ref("Practitioner/autre/_history/3"),
    "elsewhere": ref("https://ailleurs.example/fhir/Practitioner/1"),
    "role": ref("PractitionerRole/autre"),
    "device": ref("Device/autre"),
    "place": ref("Location/autre"),
    "offer": ref("HealthcareService/autre"),
    "relative": ref("RelatedPerson/autre"),
    "by number": {"type": "Practitioner", "identifier": {"system": "urn:rpps", "value": "1"}},
    "urn": ref("urn:uuid:0b2b31ca-5a3c-4b9d-8b7e-6a7a0f3c5d11"),
    "in words": {"display": "Dr Martin"},
}


class TestWhoTakesPart:
    @pytest.mark.parametrize("way", WAYS)
    async def test_not_another_practitioner(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
    ) -> None:
        """By no way: refused with the participant's place, the other's half hour free, the slot untouched."""
        other = await practice.open_agenda()
        wanted = appointment(
            "proposed",
            slots=agenda.slots[:1],
            patient=camille,
            actors=[other.practitioner],
            start=agenda.start,
        )
        answer = await WAYS[way](callers.patient(camille), wanted)
        assert (answer.status_code, code(answer)) == (403, "participant-not-yours"), answer.text
        assert any("participant[1].actor" in path for path in expressions(answer))
        assert await practice.occupied(other.practitioner) == []
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

    @pytest.mark.parametrize("way", ["post", "hold", "book", "proposed"])
    @pytest.mark.parametrize("other", OTHERS)
    async def test_nobody_else_however_named(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str, other: str
    ) -> None:
        wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille, start=agenda.start)
        wanted["participant"].append({"actor": OTHERS[other], "status": "needs-action"})
        answer = await WAYS[way](callers.patient(camille), wanted)
        assert (answer.status_code, code(answer)) in [
            (403, "participant-not-yours"),
            (422, "reference-form"),
        ], answer.text
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

    async def test_384_practitioners_in_one_slot(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """The attack as it was made: 201 then, and 384 half hours gone."""
        others = [f"Practitioner/{unique('prat')}" for _ in range(384)]
        wanted = appointment(
            "booked", slots=agenda.slots[:1], patient=camille, actors=others, start=agenda.start
        )
        answer = await callers.patient(camille).post("Appointment", wanted)
        assert answer.status_code == 403
        taken = "SELECT count(*) FROM occupancy WHERE actor = ANY($1)"
        assert await practice.database.pool.fetchval(taken, others) == 0

    async def test_who_is_taken_is_who_is_shown(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """The agenda's actors stand in the appointment, agreed as far as it goes, whatever the patient says of them."""
        caller = callers.patient(camille)
        accepted = [agenda.practitioner]
        wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille, actors=accepted)
        asked = (await caller.post("Appointment", wanted)).json()
        assert who(asked) == {
            camille: "accepted",
            agenda.practitioner: "needs-action",
            agenda.location: "needs-action",
        }
        held = (await caller.post(f"Appointment/{asked['id']}/$hold", parameters())).json()
        assert who(held) == {
            camille: "accepted",
            agenda.practitioner: "tentative",
            agenda.location: "tentative",
        }
        assert len(held["participant"]) == 3
        booked = (await caller.post(f"Appointment/{asked['id']}/$book", parameters())).json()
        assert who(booked) == {
            camille: "accepted",
            agenda.practitioner: "accepted",
            agenda.location: "accepted",
        }
        assert [p.get("required") for p in booked["participant"]] == [None, "required", "required"]
        assert len(await practice.occupied(agenda.practitioner)) == 1

    async def test_a_declined_practitioner_is_no_way_round(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
        wanted["participant"].append({"actor": ref(agenda.practitioner), "status": "declined"})
        answer = (await callers.patient(camille).post("Appointment", wanted)).json()
        assert who(answer)[agenda.practitioner] == "accepted"
        assert len(await practice.occupied(agenda.practitioner)) == 1

    async def test_the_practitioner_for_whom_an_agendas_role_stands(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """An agenda that names a role: its Practitioner may be named as well; that of another role may not."""
        one, two = f"Practitioner/{unique('prat')}", f"Practitioner/{unique('prat')}"
        roles = [
            await practice.put(
                {"resourceType": "PractitionerRole", "id": unique("role"), "practitioner": ref(practitioner)}
            )
            for practitioner in (one, two)
        ]
        agenda = await practice.open_agenda(practitioner=roles[0])
        caller = callers.patient(camille)
        for other in (two, roles[1]):
            wanted = appointment(
                "booked", slots=agenda.slots[:1], patient=camille, actors=[other], start=agenda.start
            )
            answer = await caller.post("Appointment", wanted)
            assert (answer.status_code, code(answer)) == (403, "participant-not-yours")
        wanted = appointment(
            "booked", slots=agenda.slots[:1], patient=camille, actors=[one], start=agenda.start
        )
        assert (await caller.post("Appointment", wanted)).status_code == 201
        assert len(await practice.occupied(one)) == 1
        assert await practice.occupied(two) == []

    async def test_ones_own_relative_comes_along_and_nobody_elses(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        yann = await practice.new_patient(given="Yann")
        own, others = await relative_of(practice, camille), await relative_of(practice, yann)
        for relative, status in ((others, 403), (own, 201)):
            wanted = appointment(
                "booked", slots=agenda.slots[:1], patient=camille, actors=[relative], start=agenda.start
            )
            assert (await callers.patient(camille).post("Appointment", wanted)).status_code == status

    @pytest.mark.parametrize("status", ["proposed", "waitlist", "pending", "booked"])
    async def test_one_patient_and_no_other_whatever_the_status(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, status: str
    ) -> None:
        """What lies in somebody's list is in their compartment: not even both of one's own at once."""
        yann = await practice.new_patient(given="Yann")
        both = appointment(status, slots=agenda.slots[:1], patient=camille, actors=[yann], start=agenda.start)
        answer = await callers.patient(camille).post("Appointment", both)
        assert answer.status_code in (403, 422), answer.text
        assert (await callers.patient(yann).get("Appointment", _total="accurate")).json()["total"] == 0

    async def test_a_second_patient_is_not_added_later(
        self, callers: Callers, practice: Practice, camille: str, booked: Stored
    ) -> None:
        """Nor with a cancellation, nor by who shares the appointment: what is of several, the practice changes."""
        yann = await practice.new_patient(given="Yann")
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        added = {"op": "add", "path": "/participant/-", "value": {"actor": ref(yann), "status": "accepted"}}
        for status in ("booked", "cancelled"):
            replaced = {"op": "replace", "path": "/status", "value": status}
            assert (await caller.patch(path, [added, replaced])).status_code in (403, 422)
        shared = [*(await caller.get(path)).json()["participant"], {"actor": ref(yann), "status": "accepted"}]
        await practice.change(booked.id, participant=shared)
        answer = await caller.patch(path, [{"op": "replace", "path": "/status", "value": "cancelled"}])
        assert answer.status_code == 403
        response = {
            "resourceType": "AppointmentResponse",
            "appointment": ref(f"Appointment/{booked.id}"),
            "actor": ref(camille),
            "participantStatus": "declined",
        }
        assert (await callers.answering(camille).post("AppointmentResponse", response)).status_code == 201
        stored = (await callers.software().get(path)).json()
        assert (stored["status"], who(stored)[camille], who(stored)[yann]) == (
            "booked",
            "declined",
            "accepted",
        )

    async def test_a_request_without_a_slot_says_for_whom(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """The waiting list of somebody who has an agenda here; they are asked, not taken. Nobody who has none."""
        caller = callers.patient(camille)
        wish = appointment("waitlist", patient=camille, actors=[agenda.practitioner])
        asked = (await caller.post("Appointment", wish)).json()
        assert who(asked) == {camille: "accepted", agenda.practitioner: "needs-action"}
        nobody = appointment("waitlist", patient=camille, actors=["Practitioner/sans-agenda"])
        assert (await caller.post("Appointment", nobody)).status_code == 403
        unknown = appointment("proposed", patient=camille, slots=["inconnu"])
        assert code(await caller.post("Appointment", unknown)) == "unknown-slot"
        # … and whom it was addressed to is not taken through somebody else's slot.
        other = await practice.open_agenda()
        taking = [
            {"op": "replace", "path": "/status", "value": "booked"},
            {"op": "add", "path": "/slot", "value": [ref(f"Slot/{other.slots[0]}")]},
            {"op": "add", "path": "/start", "value": utc(other.at(0))},
            {"op": "add", "path": "/end", "value": utc(other.at(1))},
        ]
        answer = await caller.patch(f"Appointment/{asked['id']}", taking)
        assert (answer.status_code, code(answer)) == (403, "participant-not-yours")
        assert await practice.occupied(agenda.practitioner) == []

    async def test_not_even_a_cancelled_request_lies_in_anothers_list(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        caller = callers.patient(camille)
        wish = appointment("proposed", slots=agenda.slots[:1], patient=camille)
        other = {"actor": ref("Practitioner/autre"), "status": "accepted"}
        cancelled = {**wish, "status": "cancelled", "participant": [*wish["participant"], other]}
        assert code(await caller.post("Appointment", cancelled)) == "status-not-yours"
        stored = (await caller.post("Appointment", wish)).json()
        answer = await caller.put(f"Appointment/{stored['id']}", {**cancelled, "id": stored["id"]})
        assert (answer.status_code, code(answer)) == (403, "participant-not-yours")
        withdrawn = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        assert (await caller.patch(f"Appointment/{stored['id']}", withdrawn)).status_code == 200

    async def test_nothing_begins_as_cancelled(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """A visit that never was is nobody's to tell but software's, which brings what there was elsewhere."""
        ended = appointment("cancelled", slots=agenda.slots[:1], patient=camille, start=agenda.start)
        answer = await callers.patient(camille).post("Appointment", ended)
        assert (answer.status_code, code(answer)) == (403, "status-not-yours")
        assert (await callers.software().post("Appointment", ended)).status_code == 201

    async def test_a_move_takes_nobody_along_whom_the_practice_added(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """A second practitioner, by the practice's word: the patient's move would take them at another time."""
        second = f"Practitioner/{unique('prat')}"
        stored = await practice.create(
            appointment(
                "booked", slots=agenda.slots[:1], patient=camille, actors=[agenda.practitioner, second]
            )
        )
        answer = await callers.patient(camille).post(
            f"Appointment/{stored.id}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}"))
        )
        assert (answer.status_code, code(answer)) == (403, "participant-not-yours")
        assert [row[0] for row in await practice.occupied(second)] == [agenda.at(0)]


PRACTICES: dict[str, Any] = {
    "priority": 1,
    "minutesDuration": 600,
    "created": "2020-01-01",
    "identifier": [{"system": "urn:x", "value": "1"}],
    "patientInstruction": "Venez à jeun.",
    "supportingInformation": [ref("DocumentReference/1")],
    "reasonReference": [ref("Condition/1")],
    "language": "en",
    "text": {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "extension": [{"url": "https://example.org/x", "valueString": "x"}],
    "_comment": {"extension": [{"url": "https://example.org/x", "valueString": "x"}]},
}
FROZEN: dict[str, Any] = {
    **PRACTICES,
    "serviceType": [VIDEO],
    "serviceCategory": [{"text": "x"}],
    "specialty": [SKIN],
    "appointmentType": {"text": "x"},
    "requestedPeriod": [{"start": "2026-12-01"}],
    "reasonCode": [{"text": "x"}],
    "basedOn": [ref("ServiceRequest/1")],
    "description": "x",
}


class TestWhatIsSaid:
    @pytest.mark.parametrize("element", PRACTICES)
    async def test_not_the_practices_part_of_a_new_one(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, element: str
    ) -> None:
        wanted = appointment(
            "booked", slots=agenda.slots[:1], patient=camille, start=agenda.start, comment="x"
        )
        body = {**wanted, element: PRACTICES[element]}
        for answer in (
            await callers.patient(camille).post("Appointment", body),
            await callers.patient(camille).post("Appointment/$book", {**body, "status": "proposed"}),
            await callers.patient(camille).post("Appointment/$hold", parameters(appointment=body)),
        ):
            assert (answer.status_code, code(answer)) == (403, "element-not-yours"), answer.text
            assert expressions(answer) == [f"Appointment.{element}"]
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

    @pytest.mark.parametrize("element", FROZEN)
    async def test_not_the_practices_part_of_a_booked_one(
        self, callers: Callers, camille: str, booked: Stored, element: str
    ) -> None:
        """By PUT and by PATCH, set or changed; each element is named."""
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        current = (await caller.get(path)).json()
        added = [{"op": "add", "path": f"/{element}", "value": FROZEN[element]}]
        if element == "_comment":
            added.append({"op": "add", "path": "/comment", "value": "x"})
            current["comment"] = "x"
        for answer in (
            await caller.put(path, {**current, element: FROZEN[element]}),
            await caller.patch(path, added),
        ):
            assert (answer.status_code, code(answer)) == (403, "element-not-yours"), answer.text
            assert expressions(answer) == [f"Appointment.{element}"]

    @pytest.mark.parametrize("name", ["security", "tag", "profile"])
    async def test_labels_are_the_practices(
        self, callers: Callers, practice: Practice, camille: str, booked: Stored, name: str
    ) -> None:
        """A patient neither adds nor removes one; a PUT that does not speak of them leaves them."""
        label = {"system": "urn:x", "code": "x"}
        profile = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-appointment"
        value = [profile] if name == "profile" else [label]
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        current = (await caller.get(path)).json()
        answer = await caller.put(path, {**current, "meta": {name: value}})
        assert (answer.status_code, expressions(answer)) == (403, [f"Appointment.meta.{name}"]), answer.text
        if name == "profile":
            return
        await practice.change(booked.id, meta={name: value})
        emptied = await caller.put(path, {**current, "meta": {name: []}, "comment": "x"})
        assert emptied.status_code in (400, 403)
        silent = await caller.put(path, {**{k: v for k, v in current.items() if k != "meta"}, "comment": "y"})
        assert (silent.status_code, silent.json()["meta"][name]) == (200, value)

    async def test_what_is_the_patients(
        self, callers: Callers, practice: Practice, camille: str, booked: Stored
    ) -> None:
        """A comment, their own answer; and to cancel with a reason that is theirs to give."""
        caller, path = callers.patient(camille), f"Appointment/{booked.id}"
        for change in (
            {"op": "add", "path": "/comment", "value": "au 2e étage ?"},
            {"op": "replace", "path": "/participant/0/status", "value": "tentative"},
            {"op": "replace", "path": "/participant/0/status", "value": "accepted"},
        ):
            answer = await caller.patch(path, [change])
            assert answer.status_code == 200, (change, answer.text)
        other = [{"op": "replace", "path": "/participant/2/status", "value": "tentative"}]
        answer = await caller.patch(path, other)
        assert (answer.status_code, expressions(answer)) == (403, ["Appointment.participant[2]"])
        cancelled = {"op": "replace", "path": "/status", "value": "cancelled"}
        for reason in (
            {"coding": [{"system": CANCELATION_SYSTEM, "code": "prov"}]},
            {"coding": [{"system": CANCELATION_SYSTEM, "code": "pat-dec"}]},
            {"coding": [{"system": "urn:x", "code": "pat"}]},
        ):
            given = {"op": "add", "path": "/cancelationReason", "value": reason}
            answer = await caller.patch(path, [cancelled, given])
            assert (answer.status_code, expressions(answer)) == (403, ["Appointment.cancelationReason"])
        given = {
            "op": "add",
            "path": "/cancelationReason",
            "value": {"coding": [{"system": CANCELATION_SYSTEM, "code": "pat"}]},
        }
        assert (await caller.patch(path, [cancelled, given])).status_code == 200
        late = await caller.patch(path, [{"op": "add", "path": "/comment", "value": "trop tard"}])
        assert (late.status_code, code(late)) == (422, "already-ended")

    async def test_no_extension_hides_within(
        self, callers: Callers, agenda: Agenda, camille: str, booked: Stored
    ) -> None:
        hidden = {"extension": [{"url": "https://example.org/x", "valueString": "x"}]}
        wanted = appointment("booked", slots=agenda.slots[1:2], patient=camille, start=agenda.at(1))
        caller = callers.patient(camille)
        for element, value, where in (
            ("reasonCode", [{"text": "x", **hidden}], "reasonCode"),
            ("participant", [{**wanted["participant"][0], **hidden}], "participant[0]"),
        ):
            answer = await caller.post("Appointment", {**wanted, element: value})
            assert (answer.status_code, expressions(answer)) == (403, [f"Appointment.{where}"])

    async def test_the_booking_of_a_minor_is_hidden_at_once(
        self, callers: Callers, agenda: Agenda, camille: str
    ) -> None:
        wanted = appointment(
            "booked", slots=agenda.slots[:1], patient=camille, start=agenda.start, meta={"security": [HIDDEN]}
        )
        answer = await callers.patient(camille).post("Appointment", wanted)
        assert (answer.status_code, answer.json()["meta"]["security"]) == (201, [HIDDEN])

    async def test_a_patient_comes_for_what_the_slot_offers(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
        answer = await callers.patient(camille).post("Appointment", {**wanted, "serviceType": [VIDEO]})
        assert (answer.status_code, expressions(answer)) == (403, ["Appointment.serviceType"])
        kept = (await practice.slot(agenda.slots[0]))["serviceType"]
        answer = await callers.patient(camille).post("Appointment", {**wanted, "serviceType": kept})
        assert answer.status_code == 201

    async def test_what_a_slot_says_only_in_words_is_offered_too(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """Many agendas name their reasons for coming without a code: one books by them, moves by them, and no others."""
        said: list[Resource] = [CONSULTATION, {"text": "Bilan initial"}]
        ids = [unique("creneau") for _ in range(2)]
        for place, id_ in enumerate(ids):
            await practice.put(slot(id_, agenda.id, agenda.at(20 + place), serviceType=said))
        wanted = appointment("booked", slots=ids[:1], patient=camille, start=agenda.at(20))
        other = {**wanted, "serviceType": [{"text": "Tout autre chose"}]}
        answer = await callers.patient(camille).post("Appointment", other)
        assert (answer.status_code, expressions(answer)) == (403, ["Appointment.serviceType"])
        booked = await callers.patient(camille).post("Appointment", {**wanted, "serviceType": said})
        assert booked.status_code == 201, booked.text
        path = f"Appointment/{booked.json()['id']}/$reschedule"
        moved = await callers.patient(camille).post(path, parameters(slot=ref(f"Slot/{ids[1]}")))
        assert (moved.status_code, moved.json()["serviceType"]) == (200, said), moved.text

    async def test_while_it_is_held_the_reason_may_still_be_given(
        self, callers: Callers, agenda: Agenda, camille: str
    ) -> None:
        caller = callers.patient(camille, subject=unique("citoyen"))
        wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
        held = (await caller.post("Appointment/$hold", parameters(appointment=wanted))).json()
        path = f"Appointment/{held['id']}"
        filled = {**held, "description": "douleur au genou", "comment": "en fauteuil"}
        assert (await caller.put(path, filled)).status_code == 200
        booked = (await caller.post(f"{path}/$book", parameters())).json()
        assert (booked["status"], booked["description"]) == ("booked", "douleur au genou")
        changed = [{"op": "replace", "path": "/description", "value": "autre"}]
        assert expressions(await caller.patch(path, changed)) == ["Appointment.description"]

    def test_the_list_names_no_element_that_is_the_practices(self) -> None:
        assert not set(RIGHTS) & set(PRACTICES)


class TestConfirming:
    async def test_what_waits_for_the_practice_is_the_practices(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """Software's `pending` has no hold: by no way does the patient confirm it; they may withdraw."""
        stored = await practice.create(
            appointment("pending", slots=agenda.slots[:1], patient=camille, actors=[agenda.practitioner])
        )
        caller, path = callers.patient(camille), f"Appointment/{stored.id}"
        current = (await caller.get(path)).json()
        for answer in (
            await caller.post(f"{path}/$book", parameters()),
            await caller.patch(path, [{"op": "replace", "path": "/status", "value": "booked"}]),
            await caller.put(path, {**current, "status": "booked"}),
            await caller.post("Appointment/$book", {**current, "status": "booked"}),
        ):
            assert (answer.status_code, code(answer)) == (403, "waits-for-practice"), answer.text
        assert (await callers.software().post(f"{path}/$book", parameters())).status_code == 200

    async def test_a_hold_is_the_accounts_that_began_it(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """The same subject of another issuer is somebody else, though both act for the patient."""
        subject = unique("citoyen")
        context = practice.context(subject, [camille], issuer="https://autre.example")
        held = await practice.hold(appointment("proposed", slots=agenda.slots[:1], patient=camille), context)
        caller, path = callers.patient(camille, subject=subject), f"Appointment/{held.id}"
        for operation in ("$book", "$hold"):
            answer = await caller.post(f"{path}/{operation}", parameters())
            assert (answer.status_code, code(answer)) == (403, "hold-not-yours"), answer.text


class TestAnswering:
    @staticmethod
    def response(appointment_id: str, actor: str, status: str = "declined") -> Resource:
        return {
            "resourceType": "AppointmentResponse",
            "appointment": ref(f"Appointment/{appointment_id}"),
            "actor": ref(actor),
            "participantStatus": status,
        }

    async def test_an_answer_is_ones_participants_status(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, booked: Stored
    ) -> None:
        caller = callers.answering(camille)
        answer = await caller.post("AppointmentResponse", self.response(booked.id, camille, "tentative"))
        assert answer.status_code == 201, answer.text
        seen = (await caller.get(f"Appointment/{booked.id}")).json()
        assert (who(seen)[camille], seen["status"]) == ("tentative", "booked")
        path = f"AppointmentResponse/{answer.json()['id']}"
        changed = await caller.put(path, {**answer.json(), "participantStatus": "accepted"})
        assert changed.status_code == 200
        assert who((await caller.get(f"Appointment/{booked.id}")).json())[camille] == "accepted"
        assert len(await practice.occupied(agenda.practitioner)) == 1

    async def test_not_for_the_practitioner_not_for_a_stranger_not_where_one_has_no_part(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, booked: Stored
    ) -> None:
        """A stranger's appointment answers as one that does not exist; nothing has changed."""
        yann = await practice.new_patient(given="Yann")
        caller, stranger = callers.answering(camille), callers.answering(yann)
        theirs = await stranger.post("AppointmentResponse", self.response(booked.id, yann))
        unknown = await stranger.post("AppointmentResponse", self.response("inconnu", yann))
        assert (theirs.status_code, code(theirs)) == (422, "unknown-appointment")
        assert theirs.json()["issue"] == unknown.json()["issue"]
        for actor, status in (
            (agenda.practitioner, "accepted"),
            (yann, "accepted"),
        ):
            answer = await caller.post("AppointmentResponse", self.response(booked.id, actor, status))
            assert answer.status_code == 403, answer.text
        assert await practice.kinds(booked.id) == ["booked"]


async def test_a_subject_called_system_is_a_patient_like_others(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """What they cancel is announced as the patient's act: no word of a token makes it the service's own."""
    stored = await practice.create(appointment("booked", slots=agenda.slots[:1], patient=camille))
    caller = callers.patient(camille, subject="system")
    await caller.patch(
        f"Appointment/{stored.id}", [{"op": "replace", "path": "/status", "value": "cancelled"}]
    )
    [_, cancelled] = await practice.events(stored.id)
    assert orjson.loads(cancelled["data"])["cancellation"]["by"] == "patient"
    held = await practice.hold(appointment("proposed", slots=agenda.slots[1:2]))
    practice.clock.advance(timedelta(seconds=practice.settings.hold_duration_s))
    async with practice.database.transaction() as connection:
        await practice.handlers.expiry.expire(connection, practice.clock.now(), [held.id])
    assert await practice.kinds(held.id) == ["held", "hold-expired"]

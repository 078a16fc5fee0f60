"""What is booked is taken: however the slot is named, whoever it is for, whatever part of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    CONSULTATION,
    VIDEO,
    appointment,
    for_professionals,
    parameters,
    patient,
    ref,
    schedule,
    unique,
    utc,
)
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import Surgery, hear, open_surgery

from creneau_shared.fhir.storage.store import Resource

META = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda(3)


def contained(agenda: Agenda, index: int, **changed: object) -> Resource:
    """A booking that names its slot by containing it, as Medplum's `$book` does."""
    inner = {
        "resourceType": "Slot",
        "id": "s1",
        "schedule": ref(f"Schedule/{agenda.id}"),
        "status": "busy",
        "start": utc(agenda.at(index)),
        "end": utc(agenda.at(index + 1)),
        **changed,
    }
    return {"contained": [inner], "slot": [{"reference": "#s1"}]}


class TestHoweverTheSlotIsNamed:
    async def test_a_contained_slot_is_the_one_of_that_agenda_at_that_time(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        wanted = {**appointment("booked", patient=camille, start=agenda.start), **contained(agenda, 0)}
        first = await callers.patient(camille).post("Appointment/$book", parameters(appointment=wanted))
        assert first.status_code == 201, first.text
        assert first.json()["slot"] == [{"reference": f"Slot/{agenda.slots[0]}"}]
        assert "contained" not in first.json()
        assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]
        other = await practice.new_patient()
        again = {**appointment("booked", patient=other, start=agenda.start), **contained(agenda, 0)}
        refused = await callers.software().post("Appointment", again)
        assert refused.status_code == 409

    async def test_by_identifier(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        value = unique("n")
        named = {"identifier": [{"system": "urn:logiciel", "value": value}]}
        start, [own] = await practice.fill(agenda.id, 1, agenda.at(5), **named)
        wanted = appointment("booked", patient=camille, start=start)
        wanted["slot"] = [{"identifier": {"system": "urn:logiciel", "value": value}}]
        booked = await callers.software().post("Appointment", wanted)
        assert booked.status_code == 201, booked.text
        assert await practice.slot_statuses([own]) == ["busy"]

    @pytest.mark.parametrize(
        "reference",
        [
            {"reference": "https://ailleurs.example/fhir/Slot/1"},
            {"reference": "urn:uuid:0199aaaa-bbbb-7ccc-8ddd-000000000001"},
            {"identifier": {"system": "urn:logiciel", "value": "personne"}},
            {"display": "mardi à 9 h"},
        ],
    )
    async def test_what_cannot_be_found_is_refused(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, reference: Resource
    ) -> None:
        """201 for a slot that stays free is the worst answer of all; to patient and software alike."""
        wanted = appointment("booked", patient=camille, start=agenda.start, actors=[agenda.practitioner])
        wanted["slot"] = [reference]
        for caller in (callers.software(), callers.patient(camille)):
            refused = await caller.post("Appointment", wanted)
            assert (refused.status_code, code(refused)) == (422, "unknown-slot")
            assert refused.json()["issue"][0]["expression"] == ["Appointment.slot[0]"]
        assert await practice.slot_statuses(agenda.slots) == ["free"] * 3

    async def test_what_one_does_not_see_is_as_what_is_not_there(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """A slot for professionals, named by time or by identifier: a patient and a neighbouring practice are told the
        same as of a slot that there is not."""
        value = unique("n")
        members: dict[str, Any] = {
            "meta": for_professionals(),
            "identifier": [{"system": "urn:logiciel", "value": value}],
        }
        ours = await open_surgery(practice, 1, **members)
        theirs = await open_surgery(practice, 1)
        neighbour = callers.staff(theirs.organization)
        who = (await neighbour.post("Patient", patient("Lou"))).json()["id"]
        agenda = Agenda(ours.agenda, ours.practitioner, "", ours.start, ours.slots)
        for caller, person in ((callers.patient(camille), camille), (neighbour, f"Patient/{who}")):
            wanted = appointment("booked", patient=person, start=ours.start)
            told = []
            for named in (
                contained(agenda, 0),
                contained(agenda, 5),
                {"slot": [{"identifier": {"system": "urn:logiciel", "value": value}}]},
                {"slot": [{"identifier": {"system": "urn:logiciel", "value": "personne"}}]},
            ):
                refused = await caller.post("Appointment", {**wanted, **named})
                assert refused.status_code == 422, refused.text
                told.append(refused.json()["issue"])
            assert told[0] == told[1]
            assert told[2] == told[3]
        assert await practice.slot_statuses(ours.slots) == ["free"]

    async def test_a_change_is_read_the_same_way(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """A PUT that moves to a contained slot takes that one and gives the old one back."""
        booked = (await callers.software().post(
            "Appointment", appointment("booked", patient=camille, slots=agenda.slots[:1], start=agenda.start)
        )).json()  # fmt: skip
        moved = {**booked, **contained(agenda, 1), "start": utc(agenda.at(1)), "end": utc(agenda.at(2))}
        answer = await callers.software().put(f"Appointment/{booked['id']}", moved)
        assert answer.status_code == 200, answer.text
        assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "free"]


class TestForWhom:
    async def test_nobody(self, callers: Callers, practice: Practice, agenda: Agenda) -> None:
        wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
        refused = await callers.software().post("Appointment/$book", parameters(appointment=wanted))
        assert (refused.status_code, code(refused)) == (422, "no-patient")
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

    async def test_somebody_whom_the_call_brings(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """`patient-resource` registers the person and books for them, in one transaction."""
        wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
        asked = parameters(appointment=wanted, patient_resource=patient("Yann"))
        booked = await callers.software().post("Appointment/$book", asked)
        assert booked.status_code == 201, booked.text
        people = [p["actor"]["reference"] for p in booked.json()["participant"] if "reference" in p["actor"]]
        [who] = [p for p in people if p.startswith("Patient/")]
        assert (await callers.software().get(who)).json()["name"][0]["given"] == ["Yann"]
        taken = parameters(appointment=wanted, patient_resource=patient("Lou"))
        before = await practice.database.pool.fetchval("SELECT count(*) FROM patient")
        assert (await callers.software().post("Appointment/$book", taken)).status_code == 409
        assert await practice.database.pool.fetchval("SELECT count(*) FROM patient") == before

    async def test_somebody_known_by_an_ins_however_it_is_typed(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """It is kept without blanks; whoever is known by it is booked for, and not refused as registered already."""
        number = {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "2000099000021"}
        known = await callers.software().post("Patient", patient("Yann", identifier=[number]))
        assert known.status_code == 201, known.text
        wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
        typed = patient("Yann", identifier=[{**number, "value": "2 00 00 99 000 021"}])
        asked = parameters(appointment=wanted, patient_resource=typed)
        booked = await callers.software().post("Appointment/$book", asked)
        assert booked.status_code == 201, booked.text
        people = [p["actor"].get("reference") for p in booked.json()["participant"]]
        assert f"Patient/{known.json()['id']}" in people

    async def test_a_person_registers_before_they_book(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
        asked = parameters(appointment=wanted, patient_resource=patient("Yann"))
        refused = await callers.patient(camille).post("Appointment/$book", asked)
        assert (refused.status_code, code(refused)) == (422, "unknown-patient")
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


class TestHoweverAnAgendaNamesItsPeople:
    """Nobody is given twice: whom an agenda names by a number is whoever bears it."""

    NUMBER = "urn:oid:1.2.250.1.71.4.2.1"

    async def doctor(self, practice: Practice, surgery: Surgery) -> Resource:
        """The number of the professional of a practice, of whom the directory has told us."""
        number = {"system": self.NUMBER, "value": unique("8999")}
        id_ = surgery.practitioner.removeprefix("Practitioner/")
        await hear(
            practice, {"resourceType": "Practitioner", "id": id_, "meta": META, "identifier": [number]}
        )
        return {"identifier": number}

    @pytest.mark.parametrize("said", [{}, {"type": "Practitioner"}])
    async def test_their_time_is_theirs(
        self, callers: Callers, practice: Practice, camille: str, said: Resource
    ) -> None:
        surgery = await open_surgery(practice)
        us, who = callers.staff(surgery.organization, role="software"), await self.doctor(practice, surgery)
        body = {"resourceType": "Schedule", "active": True, "actor": [{**who, **said}]}
        made = await us.post("Schedule", body)
        assert made.status_code == 201, made.text
        named = {**who, **said, "reference": surgery.practitioner}
        assert made.json()["actor"] == [named]
        again = await us.put(f"Schedule/{made.json()['id']}", {**body, "id": made.json()["id"]})
        assert again.json()["actor"] == [named]
        start, slots = await practice.fill(made.json()["id"], 1, start=surgery.start)
        wanted = appointment("booked", slots=surgery.slots[:1], patient=camille, start=surgery.start)
        assert (await callers.patient(camille).post("Appointment", wanted)).status_code == 201
        assert await practice.slot_statuses(slots) == ["busy-unavailable"]
        other = await practice.new_patient()
        second = appointment("booked", slots=slots, patient=other, start=start)
        refused = await callers.patient(other).post("Appointment", second)
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")

    async def test_anothers_are_in_no_agenda_of_ones_own(self, callers: Callers, practice: Practice) -> None:
        """As by their reference; nor is somebody of whom the directory has not told."""
        ours, theirs = await open_surgery(practice), await open_surgery(practice)
        us = callers.staff(ours.organization, role="software")
        stranger = {"identifier": {"system": self.NUMBER, "value": unique("8999")}}
        for who, status, said in (
            (await self.doctor(practice, theirs), 403, "not-yours"),
            (stranger, 422, "unknown-actor"),
        ):
            for actors in ([who], [ref(ours.role), who]):
                body = {"resourceType": "Schedule", "active": True, "actor": actors}
                for path, sent in (("Schedule", body), ("Schedule/$preview-slots", body)):
                    answer = await us.post(path, sent)
                    assert (answer.status_code, code(answer)) == (status, said), (path, answer.text)

    async def test_software_names_by_a_number_only_whom_the_directory_has(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Nobody would look again, and their time would never be taken; told in a moment, the same agenda is theirs."""
        surgery = await open_surgery(practice)
        number = {"system": self.NUMBER, "value": unique("8999")}
        id_ = surgery.practitioner.removeprefix("Practitioner/")
        body = {"resourceType": "Schedule", "actor": [{"identifier": number}]}
        refused = await callers.software().post("Schedule", body)
        assert (refused.status_code, code(refused)) == (422, "unknown-actor"), refused.text
        person = {"resourceType": "Practitioner", "id": id_, "meta": META, "identifier": [number]}
        await hear(practice, person)
        made = await callers.software().post("Schedule", body)
        assert made.status_code == 201, made.text
        assert made.json()["actor"] == [{"identifier": number, "reference": surgery.practitioner}]
        other = {"identifier": {**number, "value": unique("8999")}}
        joined = {**made.json(), "actor": [*made.json()["actor"], other]}
        refused = await callers.software().put(f"Schedule/{joined['id']}", joined)
        assert (refused.status_code, code(refused)) == (422, "unknown-actor"), refused.text


class TestHoweverThePersonIsNamed:
    """A visit is somebody's of this base, who then is in one place and finds it in their list, or it is refused."""

    WAYS = ("Appointment", "Appointment/$book", "Appointment/$hold")

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("typed", [True, False])
    async def test_by_identifier(
        self, callers: Callers, practice: Practice, agenda: Agenda, way: str, *, typed: bool
    ) -> None:
        number = {"system": "https://logiciel.example/dossier", "value": unique("n")}
        id_ = unique("patient")
        await practice.put({**patient(), "id": id_, "identifier": [number]})
        actor = {"identifier": number, **({"type": "Patient"} if typed else {})}
        wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
        wanted = {**wanted, "participant": [{"actor": actor, "status": "accepted"}]}
        software = callers.software()
        answer = await software.post(way, wanted if way == "Appointment" else parameters(appointment=wanted))
        assert answer.status_code == 201, answer.text
        [who] = [one["actor"] for one in answer.json()["participant"] if "identifier" in one["actor"]]
        assert who == {**actor, "reference": f"Patient/{id_}"}
        elsewhere = await practice.open_agenda(1, start=agenda.start)
        second = appointment("booked", slots=elsewhere.slots, patient=f"Patient/{id_}", start=elsewhere.start)
        refused = await software.post("Appointment", second)
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "actor",
        [
            {"reference": "#p"},
            {"reference": "https://ailleurs.example/fhir/Patient/1"},
            {"reference": "urn:uuid:2d6a9a3e-8b1f-4a55-9a35-0c8a1f4b8e11"},
            {
                "type": "Patient",
                "identifier": {"system": "https://logiciel.example/dossier", "value": "nobody"},
            },
            {"type": "Patient", "display": "Camille Martin"},
        ],
    )
    async def test_nobody_of_this_base(
        self, callers: Callers, practice: Practice, agenda: Agenda, way: str, actor: Resource
    ) -> None:
        wanted = appointment("booked", slots=agenda.slots[:1], start=agenda.start)
        wanted |= {"participant": [{"actor": actor, "status": "accepted"}]}
        if actor.get("reference") == "#p":
            wanted |= {"contained": [{"resourceType": "Patient", "id": "p", "name": [{"family": "Martin"}]}]}
        answer = await callers.software().post(
            way, wanted if way == "Appointment" else parameters(appointment=wanted)
        )
        assert (answer.status_code, code(answer)) == (422, "unknown-patient")
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

    async def test_a_change_is_read_the_same_way(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        software = callers.software()
        made = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
        stored = (await software.post("Appointment", made)).json()
        other = {"actor": {"type": "Patient", "display": "Dominique"}, "status": "accepted"}
        stored["participant"].append(other)
        answer = await software.put(f"Appointment/{stored['id']}", stored)
        assert (answer.status_code, code(answer)) == (422, "unknown-patient")

    async def test_a_practice_learns_of_nobody_by_their_number(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Whom it does not know is answered as who is not there."""
        surgery = await open_surgery(practice)
        number = {"system": "https://logiciel.example/dossier", "value": unique("n")}
        await practice.put({**patient(), "id": unique("patient"), "identifier": [number]})
        answers = []
        for value in (number["value"], "nobody"):
            actor = {"type": "Patient", "identifier": {**number, "value": value}}
            wanted = appointment("booked", slots=surgery.slots[:1], start=surgery.start)
            wanted |= {"participant": [{"actor": actor, "status": "accepted"}]}
            answer = await callers.staff(surgery.organization).post("Appointment", wanted)
            answers.append((answer.status_code, answer.json()["issue"][0]["details"]))
        assert answers[0] == answers[1]
        assert answers[0][0] == 422


class TestAPartOfALargerSlot:
    async def test_the_rest_is_given_back(self, callers: Callers, practice: Practice, camille: str) -> None:
        """Half an hour within eleven takes half an hour, by `$book` with the agenda and the times (ISiK)."""
        id_, start = unique("agenda"), practice.clock.now() + timedelta(days=8)
        await practice.put(schedule(id_, [f"Practitioner/{unique('prat')}"]))
        whole = {
            "resourceType": "Slot",
            "id": unique("journee"),
            "schedule": ref(f"Schedule/{id_}"),
            "serviceType": [CONSULTATION],
            "status": "free",
            "start": utc(start),
            "end": utc(start + timedelta(hours=11)),
        }
        await practice.put(whole)
        three = start + timedelta(hours=3)
        wanted = appointment("booked", patient=camille, start=three, length=timedelta(minutes=30))
        asked = parameters(appointment=wanted, schedule=ref(f"Schedule/{id_}"))
        booked = await callers.software().post("Appointment/$book", asked)
        assert booked.status_code == 201, booked.text
        found = (await callers.software().get(f"Slot?schedule={id_}&_sort=start")).json()
        slots = [entry["resource"] for entry in found["entry"]]
        half = timedelta(minutes=30)
        edges = [start, three, three + half, start + timedelta(hours=11)]
        assert [(s["start"], s["end"]) for s in slots] == [(utc(a), utc(b)) for a, b in pairwise(edges)]
        assert [s["status"] for s in slots] == ["free", "busy", "free"]
        assert all(s["serviceType"] == [CONSULTATION] for s in slots)
        assert booked.json()["slot"] == [{"reference": f"Slot/{whole['id']}"}]

    async def test_a_patient_takes_no_visit_to_pieces(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        wanted = appointment(
            "booked",
            patient=camille,
            slots=agenda.slots[:1],
            start=agenda.start,
            length=timedelta(minutes=10),
        )
        refused = await callers.patient(camille).post("Appointment", wanted)
        assert (refused.status_code, code(refused)) == (422, "part-of-slot")


class TestOneVisitOfOneKind:
    async def test_slots_of_two_modes_do_not_make_one_visit(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        _, [video] = await practice.fill(agenda.id, 1, agenda.at(3), serviceType=[VIDEO])
        wanted = appointment(
            "booked",
            patient=camille,
            slots=[agenda.slots[2], video],
            start=agenda.at(2),
            length=timedelta(minutes=40),
        )
        refused = await callers.software().post("Appointment", wanted)
        assert (refused.status_code, code(refused)) == (422, "slots-of-two-kinds")
        assert await practice.slot_statuses([agenda.slots[2], video]) == ["free", "free"]


async def test_nobody_is_booked_who_has_declined(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Neither by whichever way of booking, nor afterwards: who does not come cancels, and the slot is free again. Their time is
    theirs, so that one patient would have been booked in two places."""
    caller, software = callers.patient(camille), callers.software()
    declined = [{"actor": ref(camille), "status": "declined"}]
    wanted = {
        **appointment("proposed", slots=agenda.slots[:1], patient=camille, start=agenda.start),
        "participant": declined,
    }
    for who in (caller, software):
        answers = [
            await who.post("Appointment", {**wanted, "status": "booked"}),
            await who.post("Appointment/$book", wanted),
            await who.post("Appointment/$hold", parameters(appointment=wanted)),
        ]
        assert [(answer.status_code, code(answer)) for answer in answers] == [(422, "patient-declined")] * 3
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    booked = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    stored = (await caller.post("Appointment", booked)).json()
    place = next(n for n, one in enumerate(stored["participant"]) if one["actor"] == ref(camille))
    decline = [{"op": "replace", "path": f"/participant/{place}/status", "value": "declined"}]
    for who in (caller, software):
        refused = await who.patch(f"Appointment/{stored['id']}", decline)
        assert (refused.status_code, code(refused)) == (422, "patient-declined")
    both = [*decline, {"op": "replace", "path": "/status", "value": "cancelled"}]
    assert (await caller.patch(f"Appointment/{stored['id']}", both)).status_code == 200
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

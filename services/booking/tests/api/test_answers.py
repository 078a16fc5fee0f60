"""AppointmentResponse: what each participant answers, and what becomes of the appointment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.api.test_access_rules import deadline
from services.booking.tests.api.test_confirmation import (
    CANCELLED,
    CONFIRMS,
    answers,
    asked,
    asked_at,
    told,
    until,
)
from services.booking.tests.api.test_series import first_of, open_weeks, resources, weekly
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, appointment, parameters, ref, schedule, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import open_surgery
from services.booking.tests.telling import in_words

from creneau_booking.api.responses import ResponseStore
from creneau_booking.app import create_stores
from creneau_booking.storage.mapping.appointment import COUNTER_PROPOSAL
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import Resource, WriteContext


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    """One whose practice confirms."""
    return await practice.open_agenda(extension=CONFIRMS)


def response(path: str, actor: str, status: str, at: tuple[str, str] | None = None, **more: Any) -> Resource:
    times = {"start": at[0], "end": at[1]} if at else {}
    return {
        "resourceType": "AppointmentResponse",
        "appointment": ref(path),
        "actor": ref(actor),
        "participantStatus": status,
        **times,
        **more,
    }


async def given(
    caller: Caller, path: str, actor: str, status: str, at: tuple[str, str] | None = None, **more: Any
) -> httpx.Response:
    return await caller.post("AppointmentResponse", response(path, actor, status, at, **more))


def time_of(agenda: Agenda, index: int) -> tuple[str, str]:
    return utc(agenda.at(index)), utc(agenda.at(index + 1))


def proposal(resource: Resource) -> Resource:
    """The parts of the counter-proposal that an Appointment says."""
    for extension in resource.get("extension", ()):
        if extension["url"] == COUNTER_PROPOSAL:
            return {
                part["url"]: part.get("valueInstant") or part["valueReference"]["reference"]
                for part in extension["extension"]
            }
    return {}


async def read(caller: Caller, path: str) -> Resource:
    found: Resource = (await caller.get(path)).json()
    return found


async def booked(caller: Caller, agenda: Agenda, who: str, index: int = 0) -> str:
    wanted = appointment("booked", slots=agenda.slots[index : index + 1], patient=who, start=agenda.at(index))
    answer = await caller.post("Appointment", wanted)
    assert answer.status_code == 201, answer.text
    return f"Appointment/{answer.json()['id']}"


class TestAccepting:
    async def test_72_the_practitioner_accepts(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """72, 74: all who are required have accepted: booked, the slot busy, told once; sent twice it changes nothing."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        software = callers.software()
        answer = await given(software, path, agenda.practitioner, "accepted")
        assert answer.status_code == 201, answer.text
        seen = await read(software, path)
        assert (seen["status"], set(answers(seen).values()), until(seen)) == ("booked", {"accepted"}, None)
        assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
        assert (await given(software, path, agenda.practitioner, "accepted")).status_code == 201
        assert (await read(software, path))["meta"] == seen["meta"]
        assert await practice.kinds(seen["id"]) == ["held", "booked"]

    async def test_72_each_of_several_is_waited_for(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """72: two practitioners, one after the other; who is optional is not waited for."""
        free = await practice.open_agenda()
        second, guest = (
            (await practice.open_agenda()).practitioner,
            (await practice.open_agenda()).practitioner,
        )
        wanted = appointment(
            "pending",
            slots=free.slots[:1],
            patient=camille,
            actors=[free.practitioner, second],
            start=free.start,
        )
        for participant in wanted["participant"]:
            participant["status"] = "needs-action"
        wanted["participant"].append({"actor": ref(guest), "required": "optional", "status": "needs-action"})
        software = callers.software()
        path = f"Appointment/{(await software.post('Appointment', wanted)).json()['id']}"
        for who, status in ((second, "pending"), (camille, "pending"), (free.practitioner, "booked")):
            assert (await given(software, path, who, "accepted")).status_code == 201
            assert (await read(software, path))["status"] == status
        assert answers(await read(software, path))[guest] == "needs-action"

    async def test_72_a_role_answers_for_its_practitioner(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """72, 74: a practice whose agenda names both answers once; another practice never."""
        ours, theirs = await open_surgery(practice), await open_surgery(practice)
        confirming = schedule(ours.agenda, [ours.practitioner, ours.role], extension=CONFIRMS)
        assert (await callers.software().put(f"Schedule/{ours.agenda}", confirming)).status_code == 200
        wanted = appointment("proposed", slots=ours.slots[:1], patient=camille)
        path = (
            f"Appointment/{(await callers.patient(camille).post('Appointment/$book', wanted)).json()['id']}"
        )
        them = callers.staff(theirs.organization, role="software")
        for who in (ours.practitioner, theirs.practitioner, camille):
            refused = await given(them, path, who, "accepted")
            assert (refused.status_code, code(refused)) == (422, "unknown-appointment"), refused.text
        us = callers.staff(ours.organization, role="software")
        stranger = await given(us, path, theirs.practitioner, "accepted")
        assert (stranger.status_code, code(stranger)) == (403, "actor-not-yours"), stranger.text
        assert (await given(us, path, ours.role, "accepted")).status_code == 201
        assert (await read(us, path))["status"] == "booked"

    async def test_74_a_patients_yes_does_not_book_for_the_practice(
        self, callers: Callers, agenda: Agenda, camille: str
    ) -> None:
        """74: the patient answers for themselves only, and not what they hold only; what software asks them, they accept."""
        caller = callers.patient(camille)
        path = f"Appointment/{(await asked(caller, agenda, camille))['id']}"
        answering = callers.answering(camille)
        refused = await given(answering, path, agenda.practitioner, "accepted")
        assert refused.status_code == 403, refused.text
        assert (await given(answering, path, camille, "accepted")).status_code == 201
        assert (await read(caller, path))["status"] == "pending"
        offered = appointment(
            "pending",
            slots=agenda.slots[1:2],
            patient=camille,
            actors=[agenda.practitioner],
            start=agenda.at(1),
        )
        offered["participant"][0]["status"] = "needs-action"
        theirs = f"Appointment/{(await callers.software().post('Appointment', offered)).json()['id']}"
        assert (await given(answering, theirs, camille, "accepted")).status_code == 201
        assert (await read(caller, theirs))["status"] == "booked"

    async def test_74_what_the_practice_accepted_is_not_another_time(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74: a request that the practice has accepted and the patient then changes waits for the practice again."""
        free = await practice.open_agenda()
        caller, software = callers.patient(camille), callers.software()
        wanted = appointment("proposed", slots=free.slots[:1], patient=camille, start=free.at(0))
        wanted["participant"][0]["status"] = "needs-action"
        path = f"Appointment/{(await caller.post('Appointment', wanted)).json()['id']}"
        assert (await given(software, path, free.practitioner, "accepted")).status_code == 201
        start, end = time_of(free, 1)
        other = {"slot": [ref(f"Slot/{free.slots[1]}")], "start": start, "end": end}
        changes = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in other.items()]
        changed = await caller.patch(path, changes)
        assert changed.status_code == 200, changed.text
        assert answers(changed.json())[free.practitioner] == "needs-action"
        for who, status in ((camille, "proposed"), (free.practitioner, "booked")):
            given_by = callers.answering(camille) if who == camille else software
            assert (await given(given_by, path, who, "accepted")).status_code == 201
            assert (await read(software, path))["status"] == status


class TestDeclining:
    async def test_74_the_practice_declines(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: cancelled with by whom, the time free, told; sent again nothing changes, and nothing else is answered."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        software = callers.software()
        for _ in range(2):
            assert (await given(software, path, agenda.practitioner, "declined")).status_code == 201
        seen = await read(software, path)
        assert (seen["status"], answers(seen)[agenda.practitioner]) == ("cancelled", "declined")
        assert seen["cancelationReason"]["coding"][0]["code"] == "prov"
        assert seen["meta"]["versionId"] == "2"
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
        [_, (kind, data)] = await told(practice, seen["id"])
        assert (kind, data["cancellation"]["by"], data["awaits"]) == ("cancelled", "provider", "practice")
        for caller, who, status in (
            (software, agenda.practitioner, "accepted"),
            (callers.answering(camille), camille, "accepted"),
            (callers.answering(camille), camille, "declined"),
        ):
            late = await given(caller, path, who, status)
            assert (late.status_code, code(late)) == (422, "already-ended"), late.text

    async def test_74_the_patient_declines_within_the_deadline(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74, 76: what is booked is cancelled by them, as long as the agenda lets it go."""
        free = await practice.open_agenda(extension=[deadline(24 * 6)])
        path = await booked(callers.patient(camille), free, camille)
        answering = callers.answering(camille)
        practice.clock.advance(timedelta(days=2))
        late = await given(answering, path, camille, "declined")
        practice.clock.advance(-timedelta(days=2))
        assert (late.status_code, code(late)) == (422, "change-too-late"), late.text
        assert (await given(answering, path, camille, "declined")).status_code == 201
        assert (await read(callers.software(), path))["status"] == "cancelled"
        assert await practice.slot_statuses(free.slots[:1]) == ["free"]
        [_, (kind, data)] = await told(practice, path.partition("/")[2])
        assert (kind, data["cancellation"]) == ("cancelled", {"reason": "pat", "by": "patient"})


class TestCounterProposals:
    async def test_74_another_time_is_proposed_and_accepted(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: kept, visible, told; the other side accepts, and the visit is at that time, the old one free."""
        caller, answering, software = callers.patient(camille), callers.answering(camille), callers.software()
        path = f"Appointment/{(await asked(caller, agenda, camille))['id']}"
        said = await given(
            software, path, agenda.practitioner, "tentative", time_of(agenda, 2), comment="plutôt"
        )
        assert said.status_code == 201, said.text
        seen = await read(caller, path)
        start, end = time_of(agenda, 2)
        assert proposal(seen) == {
            "response": f"AppointmentResponse/{said.json()['id']}",
            "by": agenda.practitioner,
            "start": start,
            "end": end,
        }
        assert (seen["status"], answers(seen)[camille], answers(seen)[agenda.practitioner]) == (
            "pending",
            "needs-action",
            "tentative",
        )
        assert await practice.slot_statuses(agenda.slots) == ["busy-tentative", "free", "free"]
        _, (kind, data) = await told(practice, seen["id"])
        assert (kind, data["proposal"]["start"]) == ("held", start)
        assert (await given(answering, path, camille, "accepted")).status_code == 201
        moved = await read(caller, path)
        assert (moved["status"], moved["start"], proposal(moved), until(moved)) == ("booked", start, {}, None)
        assert set(answers(moved).values()) == {"accepted"}
        assert await practice.slot_statuses(agenda.slots) == ["free", "free", "busy"]

    @pytest.mark.parametrize("agenda_names", ["Practitioner", "PractitionerRole"])
    async def test_74_who_is_of_the_agenda_need_not_be_named(
        self, callers: Callers, practice: Practice, camille: str, agenda_names: str
    ) -> None:
        """74: software that names nobody but the patient takes the agenda's people all the same, and they answer."""
        who = await practice.put({"resourceType": "Practitioner", "id": unique("prat")})
        role = {"resourceType": "PractitionerRole", "id": unique("role"), "practitioner": ref(who)}
        of_agenda = {"Practitioner": who, "PractitionerRole": await practice.put(role)}[agenda_names]
        agenda, software = await practice.open_agenda(practitioner=of_agenda), callers.software()
        path = await booked(software, agenda, camille)
        assert set(answers(await read(software, path))) == {camille}
        assert (await given(software, path, who, "accepted")).status_code == 201
        assert (await read(software, path))["status"] == "booked"
        said = await given(software, path, who, "tentative", time_of(agenda, 2))
        assert said.status_code == 201, said.text
        assert proposal(await read(software, path))["by"] == of_agenda
        assert (await given(callers.answering(camille), path, camille, "accepted")).status_code == 201
        moved = await read(software, path)
        assert (moved["status"], moved["start"], proposal(moved)) == ("booked", time_of(agenda, 2)[0], {})
        assert await practice.slot_statuses(agenda.slots) == ["free", "free", "busy"]
        assert (await given(software, path, who, "declined")).status_code == 201
        assert (await read(software, path))["status"] == "cancelled"
        assert await practice.slot_statuses(agenda.slots) == ["free", "free", "free"]

    async def test_74_only_the_practice_answers_for_its_agendas_people(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74: of a visit that names nobody but its patient: no neighbour, no other patient, and not its own patient."""
        ours, theirs = await open_surgery(practice), await open_surgery(practice)
        us = callers.staff(ours.organization, role="software")
        wanted = appointment("booked", slots=ours.slots[:1], patient=camille, start=ours.start)
        path = f"Appointment/{(await callers.software().post('Appointment', wanted)).json()['id']}"
        before = await read(us, path)
        assert before["status"] == "booked"
        other = await practice.slot(ours.slots[1])
        times = (other["start"], other["end"])
        rival = await practice.new_patient()
        for caller in (
            callers.staff(theirs.organization, role="software"),
            callers.staff(theirs.organization),
            callers.answering(rival),
            callers.answering(camille),
        ):
            for who in (ours.practitioner, ours.role, theirs.practitioner):
                for status, at in (("declined", None), ("tentative", times)):
                    refused = await given(caller, path, who, status, at)
                    assert refused.status_code in (403, 422), refused.text
        stranger = await given(us, path, theirs.practitioner, "declined")
        assert (stranger.status_code, code(stranger)) == (403, "actor-not-yours"), stranger.text
        assert await read(us, path) == before
        assert (await given(us, path, ours.practitioner, "tentative", times)).status_code == 201
        assert proposal(await read(us, path))["start"] == times[0]

    async def test_74_a_proposed_time_that_is_gone(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: 409, and all is as it was."""
        answering, software = callers.answering(camille), callers.software()
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        await given(software, path, agenda.practitioner, "tentative", time_of(agenda, 1))
        rival = await practice.new_patient()
        await booked(software, agenda, rival, 1)
        refused = await given(answering, path, camille, "accepted", time_of(agenda, 1))
        assert refused.status_code == 409, refused.text
        nowhere = (utc(agenda.at(20)), utc(agenda.at(21)))
        await given(answering, path, camille, "tentative", nowhere)
        refused = await given(software, path, agenda.practitioner, "accepted")
        assert (refused.status_code, code(refused)) == (409, "proposal-not-free"), refused.text
        seen = await read(software, path)
        assert (seen["status"], seen["slot"]) == ("pending", [ref(f"Slot/{agenda.slots[0]}")])
        assert await practice.slot_statuses(agenda.slots) == ["busy-tentative", "busy", "free"]

    async def test_74_a_practice_proposes_what_its_agenda_has(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: nobody is asked to accept a time that cannot be had; its own slot is one, however it is cut. A patient may ask
        for what the agenda has not yet."""
        answering, software = callers.answering(camille), callers.software()
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        before = await read(software, path)
        half = SLOT_LENGTH / 2
        for start, end in (
            (agenda.at(20), agenda.at(21)),
            (agenda.at(3), agenda.at(4)),
            (agenda.at(2), agenda.at(4)),
            (agenda.at(0) - half, agenda.at(1)),
        ):
            at = (utc(start), utc(end))
            refused = await given(software, path, agenda.practitioner, "tentative", at)
            assert (refused.status_code, code(refused)) == (422, "proposal-not-in-agenda"), refused.text
        assert await read(software, path) == before
        own = (utc(agenda.at(0)), utc(agenda.at(0) + half))
        assert (await given(software, path, agenda.practitioner, "tentative", own)).status_code == 201
        assert proposal(await read(software, path))["end"] == own[1]
        wished = time_of(agenda, 20)
        assert (await given(answering, path, camille, "tentative", wished)).status_code == 201
        assert proposal(await read(software, path))["start"] == wished[0]

    @pytest.mark.parametrize("by_patient", [True, False])
    async def test_74_what_has_run_out_is_not_proposed_for_any_more(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, by_patient: bool
    ) -> None:
        """74, 61: another proposal would keep the time beyond the practice's deadline, from whoever may have it now."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        caller = callers.answering(camille) if by_patient else callers.software()
        actor = camille if by_patient else agenda.practitioner
        ahead = timedelta(seconds=practice.settings.confirmation_deadline_s)
        practice.clock.advance(ahead)
        try:
            late = await given(caller, path, actor, "tentative", time_of(agenda, 1))
        finally:
            practice.clock.advance(-ahead)
        assert (late.status_code, code(late)) == (422, "answered-too-late"), late.text
        assert proposal(await read(callers.software(), path)) == {}

    async def test_74_a_patient_proposes_for_what_is_booked(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74: the visit stays as it is until the practice accepts; who accepts the time as it is refuses the other."""
        free = await practice.open_agenda()
        path = await booked(callers.patient(camille), free, camille)
        answering, software = callers.answering(camille), callers.software()
        for _ in range(2):
            assert (await given(answering, path, camille, "tentative", time_of(free, 1))).status_code == 201
        seen = await read(software, path)
        assert (seen["status"], seen["meta"]["versionId"]) == ("booked", "2")
        assert proposal(seen)["by"] == camille
        as_it_is = time_of(free, 0)
        assert (await given(software, path, free.practitioner, "accepted", as_it_is)).status_code == 201
        seen = await read(software, path)
        assert (proposal(seen), seen["start"]) == ({}, as_it_is[0])
        assert (await given(answering, path, camille, "tentative", time_of(free, 2))).status_code == 201
        assert (await given(software, path, free.practitioner, "accepted")).status_code == 201
        seen = await read(software, path)
        assert (seen["status"], seen["start"]) == ("booked", time_of(free, 2)[0])
        assert await practice.slot_statuses(free.slots) == ["free", "free", "busy"]
        assert (await practice.kinds(seen["id"]))[-1] == "moved"

    async def test_74_a_practitioner_who_is_named_twice_proposes_once(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74: by the role as well as by the person: the other side's yes is enough."""
        ours = await open_surgery(practice)
        confirming = schedule(ours.agenda, [ours.practitioner, ours.role], extension=CONFIRMS)
        software, answering = callers.software(), callers.answering(camille)
        assert (await software.put(f"Schedule/{ours.agenda}", confirming)).status_code == 200
        wanted = appointment("proposed", slots=ours.slots[:1], patient=camille)
        path = (
            f"Appointment/{(await callers.patient(camille).post('Appointment/$book', wanted)).json()['id']}"
        )
        other = await practice.slot(ours.slots[1])
        times = (other["start"], other["end"])
        assert (await given(software, path, ours.practitioner, "tentative", times)).status_code == 201
        assert (await given(answering, path, camille, "accepted")).status_code == 201
        seen = await read(software, path)
        assert (seen["status"], seen["start"], set(answers(seen).values())) == (
            "booked",
            times[0],
            {"accepted"},
        )

    @pytest.mark.parametrize("says_when", [False, True], ids=["by-slot", "by-slot-and-time"])
    @pytest.mark.parametrize("scope", ["this", "all"])
    async def test_74_who_moves_to_where_they_are_changes_nothing(
        self, callers: Callers, practice: Practice, camille: str, scope: str, says_when: bool
    ) -> None:
        """A move that is asked for again, or leads nowhere, is answered; what is proposed of the visit stands."""
        agenda = await open_weeks(practice)
        someone, staff = callers.patient(camille), callers.software()
        recurs = parameters(appt_resource=first_of(agenda, camille, template=weekly(2)))
        paths = [
            f"Appointment/{one['id']}" for one in resources(await someone.post("Appointment/$book", recurs))
        ]
        answer = await given(staff, paths[1], agenda.practitioner, "tentative", time_of(agenda, 1))
        assert answer.status_code == 201, answer.text
        before = [await read(someone, path) for path in paths]
        assert proposal(before[1])
        when = [{"name": "start", "valueDateTime": before[1]["start"]}] if says_when else []
        call = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "slot", "valueReference": before[1]["slot"][0]},
                {"name": "scope", "valueCode": scope},
                *when,
            ],
        }
        for caller in (someone, staff):
            moved = await caller.post(f"{paths[1]}/$reschedule", call)
            assert moved.status_code == 200, moved.text
            assert [await read(someone, path) for path in paths] == before

    async def test_74_times_that_nobody_proposed(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: a yes to another time is no yes; half a time is none; who has no part in it changes nothing."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        software, start = callers.software(), utc(agenda.at(1))
        refused = await given(software, path, agenda.practitioner, "accepted", time_of(agenda, 1))
        assert (refused.status_code, code(refused)) == (422, "answer-times"), refused.text
        half = response(path, agenda.practitioner, "tentative", start=start)
        refused = await software.post("AppointmentResponse", half)
        assert (refused.status_code, code(refused)) == (422, "appointment-order"), refused.text
        kept = await read(software, path)
        elsewhere = (await practice.open_agenda(1)).practitioner
        stranger = await given(software, path, elsewhere, "accepted")
        assert (stranger.status_code, await read(software, path)) == (201, kept), stranger.text

    async def test_74_a_time_that_has_passed_is_no_proposal(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: the request stands as it was, with its deadline; a wrong year is easily typed."""
        patient, software = callers.answering(camille), callers.software()
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        before = await read(software, path)
        now = practice.clock.now()
        for start, refusal in (
            (now - timedelta(days=365), "proposal-begun"),
            (now, "proposal-begun"),
            (datetime(9999, 1, 1, tzinfo=UTC), "time-out-of-reach"),
        ):
            at = (utc(start), utc(start + SLOT_LENGTH))
            refused = await given(patient, path, camille, "tentative", at)
            assert (refused.status_code, code(refused)) == (422, refusal), refused.text
        assert await read(software, path) == before

    async def test_74_a_proposed_time_that_has_come_is_accepted_no_more(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74: the visit stays where it is, and its patient may still keep it."""
        free = await practice.open_agenda()
        path = await booked(callers.patient(camille), free, camille, 2)
        patient, software = callers.answering(camille), callers.software()
        said = await given(software, path, free.practitioner, "tentative", time_of(free, 0))
        assert said.status_code == 201, said.text
        ahead = free.at(0) - practice.clock.now()
        practice.clock.advance(ahead)
        try:
            for at in (None, time_of(free, 0)):
                late = await given(patient, path, camille, "accepted", at)
                assert (late.status_code, code(late)) == (422, "proposal-begun"), late.text
            assert (await read(software, path))["start"] == time_of(free, 2)[0]
            assert await practice.slot_statuses(free.slots) == ["free", "free", "busy"]
            kept = await given(patient, path, camille, "accepted", time_of(free, 2))
        finally:
            practice.clock.advance(-ahead)
        assert kept.status_code == 201, kept.text
        assert proposal(await read(software, path)) == {}

    async def test_74_a_request_whose_time_has_come_is_accepted_no_more(
        self, callers: Callers, practice: Practice, camille: str
    ) -> None:
        """74: no visit is made in the past; the request may be refused."""
        free = await practice.open_agenda()
        wanted = appointment(
            "proposed", slots=free.slots[:1], patient=camille, start=free.at(0), actors=[free.practitioner]
        )
        made = await callers.patient(camille).post("Appointment", wanted)
        assert made.status_code == 201, made.text
        path, software = f"Appointment/{made.json()['id']}", callers.software()
        ahead = free.at(0) - practice.clock.now()
        practice.clock.advance(ahead)
        try:
            late = await given(software, path, free.practitioner, "accepted")
            assert (late.status_code, code(late)) == (422, "already-started"), late.text
            assert (await read(software, path))["status"] == "proposed"
            assert await practice.slot_statuses(free.slots) == ["free", "free", "free"]
            refused = await given(software, path, free.practitioner, "declined")
        finally:
            practice.clock.advance(-ahead)
        assert refused.status_code == 201, refused.text
        assert (await read(software, path))["status"] == "cancelled"


@pytest.mark.parametrize("by_practice", [True, False], ids=["practice", "patient"])
async def test_74_a_hold_that_is_extended_keeps_what_is_proposed(
    callers: Callers, practice: Practice, by_practice: bool
) -> None:
    """74: whoever needs longer to decide has not answered a proposal by that; whose hold it is makes no difference."""
    agenda, person = await practice.open_agenda(), await practice.new_patient()
    holder = callers.software() if by_practice else callers.patient(person)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=person, actors=[agenda.practitioner])
    held = await holder.post("Appointment/$hold", wanted)
    assert held.status_code == 201, held.text
    path = f"Appointment/{held.json()['id']}"
    proposed = await given(
        callers.software(), path, agenda.practitioner, "tentative", time_of(agenda, 1), comment="plutôt"
    )
    assert proposed.status_code == 201, proposed.text
    before = proposal(await read(holder, path))
    extended = await holder.post(f"{path}/$hold", parameters())
    assert (extended.status_code, proposal(extended.json())) == (200, before), extended.text
    assert (await given(callers.answering(person), path, person, "accepted")).status_code == 201
    assert (await read(holder, path))["start"] == time_of(agenda, 1)[0]


class TestWithdrawing:
    @pytest.mark.parametrize("way", ["delete", "put", "post"])
    async def test_74_the_practice_withdraws_its_yes(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
    ) -> None:
        """74: what was booked waits for the practice again, with a deadline."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        software = callers.software()
        yes = (await given(software, path, agenda.practitioner, "accepted")).json()
        own = f"AppointmentResponse/{yes['id']}"
        if way == "delete":
            answer = await software.delete(own)
        elif way == "put":
            answer = await software.put(own, {**yes, "participantStatus": "needs-action"})
        else:
            answer = await given(software, path, agenda.practitioner, "needs-action")
        assert answer.status_code in (200, 201, 204), answer.text
        seen = await read(software, path)
        assert (seen["status"], answers(seen)[agenda.practitioner]) == ("pending", "needs-action")
        assert until(seen)
        assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
        assert (await practice.kinds(seen["id"]))[-1] == "updated"
        assert (await given(software, path, agenda.practitioner, "accepted")).status_code == 201
        assert (await read(software, path))["status"] == "booked"

    async def test_74_a_yes_to_what_has_begun_is_withdrawn_and_nothing_comes_of_it(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """74: the patient has come, or not; nobody is told that the practice did not answer."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        software = callers.software()
        yes = (await given(software, path, agenda.practitioner, "accepted")).json()
        practice.clock.advance(agenda.at(0) - practice.clock.now())
        assert (await software.delete(f"AppointmentResponse/{yes['id']}")).status_code == 204
        seen = await read(software, path)
        assert (seen["status"], answers(seen)[agenda.practitioner]) == ("booked", "needs-action")

    async def test_74_what_is_over_is_only_forgotten(
        self, callers: Callers, agenda: Agenda, camille: str
    ) -> None:
        """74: an answer to what was cancelled since may be deleted."""
        path = f"Appointment/{(await asked(callers.patient(camille), agenda, camille))['id']}"
        software = callers.software()
        yes = (await given(software, path, agenda.practitioner, "accepted")).json()
        assert (await software.patch(path, CANCELLED)).status_code == 200
        assert (await software.delete(f"AppointmentResponse/{yes['id']}")).status_code == 204
        assert (await read(software, path))["status"] == "cancelled"


async def test_74_decline_against_accept(fresh: Practice) -> None:
    """74, 58: 64 at once, half accepting for the practice, half declining for the patient: what is stored, taken and told
    agrees, and nothing fails but by a refusal."""
    agenda = await fresh.open_agenda(8, extension=CONFIRMS)
    patients = [await fresh.new_patient() for _ in agenda.slots]
    waiting = [
        await fresh.create(
            appointment("booked", slots=[slot], patient=patient), fresh.context(patient, [patient])
        )
        for slot, patient in zip(agenda.slots, patients, strict=True)
    ]
    store: ResponseStore = create_stores(fresh.settings).responses

    async def answer(context: WriteContext, id_: str, actor: str, status: str) -> str:
        try:
            with in_words():
                async with fresh.database.transaction() as connection:
                    await store.create(connection, context, response(f"Appointment/{id_}", actor, status))
        except CreneauError as refused:
            return refused.issues[0].details_code or "?"
        return "heard"

    attempts = []
    for stored, patient in zip(waiting, patients, strict=True):
        for _ in range(4):
            attempts.append(answer(fresh.context(), stored.id, agenda.practitioner, "accepted"))
            attempts.append(answer(fresh.context(patient, [patient]), stored.id, patient, "declined"))
    said = await asyncio.gather(*attempts)
    assert set(said) <= {"heard", "already-ended"}
    for stored, slot in zip(waiting, agenda.slots, strict=True):
        kinds, status = await fresh.kinds(stored.id), (await fresh.slot(slot))["status"]
        assert status == "free"  # the patient's no is the last word, before or after the yes
        assert kinds in (["held", "cancelled"], ["held", "booked", "cancelled"])
    assert await fresh.occupied(agenda.practitioner) == []


def answering(path: str, status: str = "accepted", **actor: object) -> Resource:
    return {**response(path, "", status), "actor": actor}


async def test_74_whoever_an_identifier_names_has_answered(callers: Callers, practice: Practice) -> None:
    """A practice accepts for its professional, and declines for its patient, by the identifier that they bear; it is stored
    with whom it means."""
    surgery, number = await open_surgery(practice), {"system": "urn:rpps", "value": unique("8")}
    person = {"resourceType": "Practitioner", "id": surgery.practitioner.partition("/")[2]}
    await practice.put({**person, "identifier": [number]})
    _, path = await asked_at(callers, practice, surgery)
    staff = callers.staff(surgery.organization, role="practitioner")
    answer = await staff.post("AppointmentResponse", answering(path, identifier=number))
    assert answer.status_code == 201, answer.text
    assert answer.json()["actor"] == {"identifier": number, "reference": surgery.practitioner}
    assert (await read(staff, path))["status"] == "booked"
    own = {"system": "urn:ipp", "value": unique("ipp")}
    camille = await practice.new_patient(identifier=[own])
    wanted = appointment(
        "booked", slots=surgery.slots[1:2], patient=camille, start=surgery.start + SLOT_LENGTH
    )
    visit = await callers.software().post("Appointment", wanted)
    assert visit.status_code in (201, 202), visit.text
    path = f"Appointment/{visit.json()['id']}"
    answer = await staff.post("AppointmentResponse", answering(path, "declined", identifier=own))
    assert answer.status_code == 201, answer.text
    assert (await read(staff, path))["status"] == "cancelled"


async def test_74_an_answer_for_somebody_unknown_is_refused_and_one_for_a_kind_changes_nothing(
    callers: Callers, practice: Practice
) -> None:
    """Who is told that it was stored believes to have answered."""
    surgery = await open_surgery(practice)
    _, path = await asked_at(callers, practice, surgery)
    staff = callers.staff(surgery.organization, role="practitioner")
    for actor in ({"identifier": {"system": "urn:rpps", "value": unique("8")}}, {"display": "le docteur"}):
        answer = await staff.post("AppointmentResponse", answering(path, **actor))
        assert (answer.status_code, code(answer)) == (422, "unknown-actor"), answer.text
    of_a_kind = {**answering(path), "participantType": [{"text": "PPRF"}]}
    del of_a_kind["actor"]
    assert (await staff.post("AppointmentResponse", of_a_kind)).status_code == 201
    assert (await read(staff, path))["status"] == "pending"

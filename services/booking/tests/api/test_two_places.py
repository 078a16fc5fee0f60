"""Nobody and nothing is in two places at once: patients, practitioners, devices, rooms."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, patient, schedule, unique
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery

from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, DOUBLE_BOOKING_REASON, HIDDEN
from creneau_shared.fhir.storage.store import Resource

PHYSICAL_TYPE = "http://terminology.hl7.org/CodeSystem/location-physical-type"


def booking(agenda: Agenda, who: str, index: int = 0, **more: Any) -> Resource:
    return appointment("booked", slots=[agenda.slots[index]], patient=who, start=agenda.at(index), **more)


def a_room(id_: str, version: int = 1, physical: str | None = "ro") -> Resource:
    kind = {"physicalType": {"coding": [{"system": PHYSICAL_TYPE, "code": physical}]}} if physical else {}
    return {
        "resourceType": "Location",
        "id": id_,
        "meta": {"versionId": str(version), "lastUpdated": "2026-11-01T08:00:00Z"},
        "status": "active",
        "name": "Salle 3",
        **kind,
    }


async def shown(callers: Callers, who: str | None, *agendas: str) -> set[str]:
    """The slots that a search shows as free."""
    caller = callers.patient(who) if who else callers.nobody()
    answer = await caller.get(f"Slot?schedule={','.join(agendas)}&status=free&_count=100")
    assert answer.status_code == 200, answer.text
    return {e["resource"]["id"] for e in answer.json().get("entry", ()) if e["search"]["mode"] == "match"}


class TestPatients:
    async def test_a_person_has_one_visit_at_a_time(self, callers: Callers, practice: Practice) -> None:
        """Elsewhere and overlapping: refused, and that slot stays free for others; right after: accepted."""
        camille, lou = await practice.new_patient(), await practice.new_patient()
        one = await practice.open_agenda(1)
        two = await practice.open_agenda(2, start=one.start + timedelta(minutes=10))
        after = await practice.open_agenda(1, start=one.start + timedelta(minutes=20))
        caller = callers.patient(camille)
        assert (await caller.post("Appointment", booking(one, camille))).status_code == 201
        refused = await caller.post("Appointment", booking(two, camille))
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")
        assert await practice.slot_statuses(two.slots) == ["free", "free"]
        assert two.slots[0] not in await shown(callers, camille, two.id)
        assert two.slots[0] in await shown(callers, lou, two.id)
        assert (await caller.post("Appointment", booking(after, camille))).status_code == 201
        assert (await callers.patient(lou).post("Appointment", booking(two, lou))).status_code == 201

    async def test_however_many_processes_ask_at_once(self, fresh: Practice) -> None:
        agendas = [await fresh.open_agenda(1) for _ in range(12)]
        who = await fresh.new_patient()
        ended = await asyncio.gather(
            *(fresh.create(booking(agenda, who)) for agenda in agendas), return_exceptions=True
        )
        assert sum(not isinstance(one, BaseException) for one in ended) == 1
        assert len(await fresh.occupied(who)) == 1

    async def test_a_practice_gives_two_for_a_reason_that_stays(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Of the patient's time, not of anybody else's; the patient cannot."""
        ours = await open_surgery(practice)
        room = await practice.open_agenda(1, start=ours.start)
        us = callers.staff(ours.organization)
        mine = f"Patient/{(await us.post('Patient', patient('Yann'))).json()['id']}"
        assert (await callers.software().post("Appointment", booking(room, mine))).status_code == 201
        reason = {"url": DOUBLE_BOOKING_REASON, "valueString": "deux examens à la suite"}
        wanted = appointment("booked", slots=ours.slots[:1], patient=mine, start=ours.start)
        refused = await us.post("Appointment", wanted)
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")
        booked = await us.post("Appointment", {**wanted, "extension": [reason]})
        assert booked.status_code == 201, booked.text
        assert reason in booked.json()["extension"]
        other = await practice.new_patient()
        again = appointment("booked", slots=ours.slots[:1], patient=other, start=ours.start)
        refused = await callers.software().post("Appointment", {**again, "extension": [reason]})
        assert refused.status_code == 409
        by_patient = {**booking(room, other), "extension": [reason]}
        assert (await callers.patient(other).post("Appointment", by_patient)).status_code == 403

    async def test_what_is_hidden_is_told_by_no_refusal(self, callers: Callers, practice: Practice) -> None:
        """A parent who books for a minor at the time of a hidden visit learns nothing of it."""
        camille = await practice.new_patient()
        hidden, other = await practice.open_agenda(1), await practice.open_agenda(1)
        label = {"security": [{"system": CONFIDENTIALITY, "code": HIDDEN}]}
        software = callers.software()
        assert (await software.post("Appointment", booking(hidden, camille, meta=label))).status_code == 201
        assert (await software.post("Appointment", booking(other, camille))).status_code == 201
        third = await practice.open_agenda(1)
        again = await software.post("Appointment", booking(third, camille, meta=label))
        assert again.status_code == 409

    async def test_moving_within_one_s_own_time(self, callers: Callers, practice: Practice) -> None:
        """To a slot that is not free because of the appointment itself."""
        camille = await practice.new_patient()
        one = await practice.open_agenda(2)
        two = await practice.open_agenda(
            1, practitioner=one.practitioner, start=one.start + timedelta(minutes=10)
        )
        booked = await practice.create(booking(one, camille))
        assert await practice.slot_statuses([*one.slots, *two.slots]) == ["busy", "free", "busy-unavailable"]
        await practice.change(
            booked.id, move=True, slot=[{"reference": f"Slot/{two.slots[0]}"}], start=None, end=None
        )
        assert await practice.slot_statuses([*one.slots, *two.slots]) == [
            "busy-unavailable",
            "busy-unavailable",
            "busy",
        ]
        await practice.change(booked.id, status="cancelled")
        assert await practice.slot_statuses([*one.slots, *two.slots]) == ["free"] * 3


class TestRooms:
    async def test_a_room_receives_one_visit_and_a_site_many(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Two practitioners in one room; and the same at one site."""
        room, site = unique("salle"), unique("site")
        await hear(practice, a_room(room))
        await hear(practice, a_room(site, physical="si"))
        for place, second in ((room, 409), (site, 201)):
            agendas = []
            for _ in range(2):
                id_ = unique("agenda")
                await practice.put(schedule(id_, [f"Practitioner/{unique('prat')}", f"Location/{place}"]))
                start, slots = await practice.fill(id_, 1)
                agendas.append(Agenda(id_, "", f"Location/{place}", start, slots))
            answers = []
            for agenda in agendas:
                who = await practice.new_patient()
                answers.append(await callers.patient(who).post("Appointment", booking(agenda, who)))
            assert [a.status_code for a in answers] == [201, second]
            free = await shown(callers, None, *(a.id for a in agendas))
            assert free == set(), place

    async def test_a_place_that_becomes_a_room(self, practice: Practice) -> None:
        """From then on what is booked there makes the rest of that time unavailable."""
        place = unique("lieu")
        await hear(practice, a_room(place, physical=None))
        ids = []
        for _ in range(2):
            id_ = unique("agenda")
            await practice.put(schedule(id_, [f"Location/{place}"]))
            ids += list((await practice.fill(id_, 1))[1])
        await hear(practice, a_room(place, version=2))
        await practice.create(appointment("booked", slots=ids[:1]))
        assert await practice.slot_statuses(ids) == ["busy", "busy-unavailable"]
        await hear(practice, a_room(place, version=3, physical="si"))
        assert await practice.slot_statuses(ids) == ["busy", "free"]


@pytest.mark.parametrize("said", ["free", "busy"])
async def test_a_feed_that_publishes_into_taken_time(practice: Practice, said: str) -> None:
    """A slot that is published while its practitioner is taken elsewhere is not free; later it is what was said."""
    one = await practice.open_agenda(1)
    booked = await practice.create(appointment("booked", slots=one.slots))
    two = await practice.open_agenda(1, practitioner=one.practitioner, slot_members={"status": said})
    assert await practice.slot_statuses(two.slots) == ["busy-unavailable" if said == "free" else "busy"]
    await practice.change(booked.id, status="cancelled")
    assert await practice.slot_statuses(two.slots) == [said]

"""What a page of a patient asks, as the guide for frontends says it: one request each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.api.test_deadlines import until
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    GENERAL,
    SKIN,
    appointment,
    parameters,
    ref,
    schedule,
    unique,
    utc,
)
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, role_resource

from creneau_booking.api.schedules import ScheduleStore
from creneau_shared.fhir.storage.store import Resource

META = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}


async def included(caller: Caller, **query: str) -> dict[str, Resource]:
    answer = await caller.get("Appointment", **query)
    assert answer.status_code == 200, answer.text
    resources = [entry["resource"] for entry in answer.json()["entry"]]
    return {f"{r['resourceType']}/{r['id']}": r for r in resources}


async def test_ones_appointments_come_with_people_places_and_slots(
    callers: Callers, practice: Practice
) -> None:
    """Who, where and for what, in one answer: booking knows what the directory says of its agendas' actors. With a role,
    its professional comes by iteration."""
    organization, who = unique("cabinet"), await practice.new_patient()
    practitioner, place, role = (
        f"{kind}/{unique('x')}" for kind in ("Practitioner", "Location", "PractitionerRole")
    )
    await hear(practice, {"resourceType": "Organization", "id": organization, "meta": META, "active": True})
    for reference, members in (
        (practitioner, {"name": [{"family": "Exemple"}]}),
        (place, {"name": "Cabinet"}),
    ):
        kind, _, id_ = reference.partition("/")
        await hear(practice, {"resourceType": kind, "id": id_, "meta": META, **members})
    await hear(practice, role_resource(role.partition("/")[2], practitioner, organization))
    agenda = unique("agenda")
    async with practice.database.transaction() as connection:
        said = schedule(agenda, [role, place])
        await ScheduleStore(practice.settings.public_base_url).create(
            connection, practice.context(), said, agenda
        )
    start, slots = await practice.fill(agenda, 1)
    patient = callers.patient(who)
    booked = await patient.post("Appointment", appointment("booked", slots=slots, patient=who, start=start))
    assert booked.status_code == 201, booked.text
    answer = await patient.get(
        f"Appointment?date=ge{utc(practice.clock.now())}&_sort=date&_include=Appointment:slot"
        "&_include=Appointment:actor&_include:iterate=PractitionerRole:practitioner"
    )
    found = {
        f"{e['resource']['resourceType']}/{e['resource']['id']}": e["resource"]
        for e in answer.json()["entry"]
    }
    assert set(found) == {
        f"Appointment/{booked.json()['id']}",
        f"Slot/{slots[0]}",
        who,
        role,
        practitioner,
        place,
    }
    assert found[place]["name"] == "Cabinet"
    assert None not in until(found[f"Appointment/{booked.json()['id']}"])


@pytest.mark.parametrize("by", ["patient", "practice"])
async def test_another_visit_for_the_same_speciality_is_found_before_booking(
    callers: Callers, practice: Practice, by: str
) -> None:
    """P22: of the visits within some days, the slot says the speciality, whoever booked and whatever they said."""
    who, other = await practice.new_patient(), await practice.new_patient()
    general = await practice.open_agenda(1)
    skin = await practice.open_agenda(
        1, start=general.start + timedelta(days=1), slot_members={"specialty": [SKIN]}
    )
    caller = callers.patient(who) if by == "patient" else callers.software()
    for agenda in (general, skin):
        body = appointment("booked", slots=agenda.slots, patient=who, start=agenda.start)
        assert (await caller.post("Appointment", body)).status_code == 201
    near = {
        "patient": who,
        "status": "booked,pending,proposed,waitlist",
        "_include": "Appointment:slot",
        "_filter": f"date ge {utc(general.start - timedelta(days=6))} and date le {utc(general.start + timedelta(days=6))}",
    }
    found = await included(callers.patient(who), **near)
    by_specialty = {
        resource["specialty"][0]["coding"][0]["code"]: reference
        for reference, resource in found.items()
        if reference.startswith("Slot/")
    }
    assert by_specialty == {
        GENERAL["coding"][0]["code"]: f"Slot/{general.slots[0]}",
        SKIN["coding"][0]["code"]: f"Slot/{skin.slots[0]}",
    }
    assert (await callers.patient(other).get("Appointment", **near)).json().get("entry", []) == []


async def test_after_a_refusal_the_three_nearest_are_one_search_each_way(
    callers: Callers, practice: Practice
) -> None:
    """P7: somebody was faster; three free times before and three after it, in the order of nearness."""
    agenda = await practice.open_agenda(11)
    who, faster = await practice.new_patient(), await practice.new_patient()
    for index in (4, 5):
        wanted = appointment("proposed", slots=agenda.slots[index : index + 1], patient=faster)
        held = await callers.patient(faster).post("Appointment/$hold", parameters(appointment=wanted))
        assert held.status_code == 201
    patient = callers.patient(who)
    refused = await patient.post(
        "Appointment/$hold",
        parameters(appointment_reference=ref(f"Appointment/proposal.{agenda.slots[5]}")),
    )
    assert refused.json()["total"] == 0
    wanted = appointment("proposed", slots=agenda.slots[5:6], patient=who)
    answer = await patient.post("Appointment/$hold", parameters(appointment=wanted))
    assert (answer.status_code, code(answer)) == (409, "slot-held")
    lost, day = utc(agenda.at(5)), timedelta(days=14)
    until_then, since_then = utc(agenda.at(5) + day), utc(agenda.at(5) - day)
    for query, expected in (
        (f"start=gt{lost}&start=lt{until_then}&_sort=start", [6, 7, 8]),
        (f"start=lt{lost}&start=gt{since_then}&_sort=-start", [3, 2, 1]),
    ):
        found = await patient.get(
            f"Slot?schedule=Schedule/{agenda.id}&status=free&{query}&_count=3&_total=none"
        )
        ids = [entry["resource"]["id"] for entry in found.json()["entry"]]
        assert ids == [agenda.slots[index] for index in expected]

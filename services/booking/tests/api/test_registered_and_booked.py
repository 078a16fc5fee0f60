"""A Patient who is registered and booked for in one transaction; and Patients whom nobody has registered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, appointment, patient, ref, unique
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, open_surgery

from creneau_shared.fhir.storage.store import Resource

PERSON = "urn:uuid:5f0ab4a8-6a0d-4c55-9d6e-000000000001"
LOCAL = "urn:example:dossier"


def transaction(*entries: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def registering(person: Resource, **request: Any) -> Resource:
    return {
        "fullUrl": PERSON,
        "resource": person,
        "request": {"method": "POST", "url": "Patient", **request},
    }


def booking(surgery: Surgery, who: str = PERSON, index: int = 0) -> Resource:
    wanted = visit(surgery, who, index)
    return {"resource": wanted, "request": {"method": "POST", "url": "Appointment"}}


def visit(surgery: Surgery, who: str, index: int = 0) -> Resource:
    start = surgery.start + index * SLOT_LENGTH
    return appointment("booked", slots=surgery.slots[index : index + 1], patient=who, start=start)


def outcome(answer: httpx.Response) -> tuple[list[str], list[Resource]]:
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    return [e["response"]["status"] for e in entries], [e.get("resource", {}) for e in entries]


def booked_for(resource: Resource) -> list[str]:
    actors = [p.get("actor", {}).get("reference", "") for p in resource["participant"]]
    return [actor for actor in actors if actor.startswith("Patient/")]


@pytest.mark.parametrize("reverse", [False, True])
async def test_by_the_persons_own_account(callers: Callers, practice: Practice, reverse: bool) -> None:
    """The account acts for the person from the registration on, within the transaction and after it."""
    surgery, caller = await open_surgery(practice), callers.patient()
    entries = [registering(patient("Lou")), booking(surgery)]
    if reverse:
        entries.reverse()
    statuses, resources = outcome(await caller.post("", transaction(*entries)))
    assert statuses == ["201", "201"]
    made = {resource["resourceType"]: resource for resource in resources}
    assert booked_for(made["Appointment"]) == [f"Patient/{made['Patient']['id']}"]
    assert (await caller.get(f"Appointment/{made['Appointment']['id']}")).status_code == 200
    assert await practice.slot_statuses(surgery.slots[:1]) == ["busy"]


async def test_by_the_persons_own_account_unless_they_are_registered(
    callers: Callers, practice: Practice
) -> None:
    """`ifNoneExist` on the Patient: created once, and the second booking is for the same person."""
    surgery, caller = await open_surgery(practice), callers.patient()
    family = unique("Nom")
    person = {**patient("Lou"), "name": [{"family": family, "given": ["Lou"]}]}
    made = []
    for index in range(2):
        answer = await caller.post(
            "",
            transaction(registering(person, ifNoneExist=f"family={family}"), booking(surgery, index=index)),
        )
        statuses, resources = outcome(answer)
        assert statuses == [["201", "200"][index], "201"]
        made.append(booked_for(resources[1]))
    assert made[0] == made[1]


async def test_by_the_practice(callers: Callers, practice: Practice) -> None:
    """Plain, and with `ifNoneExist` in two spellings of its own number: one record."""
    surgery = await open_surgery(practice)
    us, number = callers.staff(surgery.organization), unique("dossier")
    person = {**patient("Lou"), "identifier": [{"system": LOCAL, "value": number}]}
    conditions: list[dict[str, str]] = [
        {"ifNoneExist": f"identifier={LOCAL}|{number}"},
        {"ifNoneExist": f"identifier={LOCAL}%7C{number}&"},
        {},
    ]
    found = []
    for index, condition in enumerate(conditions):
        who = registering(person, **condition) if condition else registering(patient("Sacha"))
        statuses, resources = outcome(await us.post("", transaction(who, booking(surgery, index=index))))
        assert statuses == ["200" if index == 1 else "201", "201"]
        assert booked_for(resources[1]) == [f"Patient/{resources[0]['id']}"]
        found.append(resources[0]["id"])
    assert found[0] == found[1] != found[2]


async def test_what_fails_undoes_the_right_too(callers: Callers, practice: Practice) -> None:
    """The slot is taken: the person is not registered, the account acts for nobody."""
    surgery = await open_surgery(practice)
    outcome(await callers.patient().post("", transaction(registering(patient()), booking(surgery))))
    caller = callers.patient()
    refused = await caller.post("", transaction(registering(patient()), booking(surgery)))
    assert (refused.status_code, code(refused)) == (409, "slot-taken")
    assert (await caller.get("Patient")).json()["total"] == 0


async def test_registering_somebody_opens_nobody_else(callers: Callers, practice: Practice) -> None:
    """The rights that a registration adds are over that person alone."""
    surgery, stranger = await open_surgery(practice), await practice.new_patient()
    refused = await callers.patient().post(
        "", transaction(registering(patient()), booking(surgery, stranger))
    )
    assert refused.status_code == 403
    assert await practice.slot_statuses(surgery.slots[:1]) == ["free"]


# -- who is not there ------------------------------------------------------------------------------------------


async def nobody(practice: Practice, callers: Callers, how: str) -> str:
    """A reference to a Patient who is not there."""
    if how == "never":
        return f"Patient/{unique('personne')}"
    if how == "version":
        return f"Patient/{unique('personne')}/_history/1"
    reference = await practice.new_patient()
    answer = await callers.software().delete(reference)
    assert answer.status_code == 204, answer.text
    return reference


@pytest.mark.parametrize("how", ["never", "version", "deleted"])
@pytest.mark.parametrize("role", ["system", "practice", "patient"])
async def test_nobody_is_booked_for(callers: Callers, practice: Practice, role: str, how: str) -> None:
    """By the deployment's software, by a practice, by an account whose token names a Patient who is not there."""
    surgery, who = await open_surgery(practice), await nobody(practice, callers, how)
    caller: Caller = {
        "system": callers.software(),
        "practice": callers.staff(surgery.organization),
        "patient": callers.patient(who.split("/_history")[0]),
    }[role]
    for refused in (
        await caller.post("Appointment", visit(surgery, who)),
        await caller.post("", transaction(booking(surgery, who))),
    ):
        told = (403, "not-yours") if (role, how) == ("patient", "version") else (422, "unknown-patient")
        assert (refused.status_code, code(refused)) == told, refused.text
    assert await practice.slot_statuses(surgery.slots[:1]) == ["free"]


@pytest.mark.parametrize("how", ["never", "version", "deleted"])
async def test_nothing_is_said_of_nobody(callers: Callers, practice: Practice, how: str) -> None:
    """RelatedPerson, AppointmentResponse, Provenance, and an appointment that comes to be somebody else's."""
    surgery, who = await open_surgery(practice), await nobody(practice, callers, how)
    system, us = callers.software(), callers.staff(surgery.organization)
    somebody = await practice.new_patient()
    made = await system.post("Appointment", visit(surgery, somebody))
    assert made.status_code == 201, made.text
    stored = made.json()
    related = {"resourceType": "RelatedPerson", "patient": ref(who), "relationship": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "CAREGIVER"}]}]}  # fmt: skip
    response = {
        "resourceType": "AppointmentResponse",
        "appointment": ref(f"Appointment/{stored['id']}"),
        "actor": ref(who),
        "participantStatus": "accepted",
    }
    statement = {
        "resourceType": "Provenance",
        "target": [ref(f"Appointment/{stored['id']}")],
        "recorded": "2026-11-16T08:00:00Z",
        "agent": [{"who": ref(who)}],
    }
    others = [p for p in stored["participant"] if "Patient/" not in p.get("actor", {}).get("reference", "")]
    moved = {**stored, "participant": [*others, {"actor": ref(who), "status": "accepted"}]}
    for refused in (
        await system.post("RelatedPerson", related),
        await system.post("AppointmentResponse", response),
        await us.post("AppointmentResponse", response),
        await system.post("Provenance", statement),
        await system.put(f"Appointment/{stored['id']}", moved),
    ):
        assert (refused.status_code, code(refused)) == (422, "unknown-patient"), refused.text
    assert (await us.post("RelatedPerson", related)).status_code == 403, "as of who is not theirs"

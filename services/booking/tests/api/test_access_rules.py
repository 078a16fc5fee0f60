"""The practice's rules over HTTP: patients are held to them and shown only what they could book; staff are not."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller, code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    SLOT_LENGTH,
    appointment,
    parameters,
    ref,
    schedule,
    slot,
    unique,
    utc,
)
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.storage.test_agenda_rules import age, notice, window

from creneau_booking.api.slots import ConsumersSlots
from creneau_booking.storage.agendas import access_extensions as said
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import Rights
from creneau_shared.security.principal import ANONYMOUS, Principal, Role, Scope

CHILDREN = age(low=(0, "a"), high=(16, "a"))


def at_most(number: int) -> Resource:
    return {"url": said.APPOINTMENTS_MAX, "valuePositiveInt": number}


def deadline(hours: int) -> Resource:
    return {"url": said.CHANGE_DEADLINE, "valueDuration": {"value": hours, "system": said.UCUM, "code": "h"}}


async def ruled(
    callers: Callers, practice: Practice, *rules: Resource, days: int = 7, count: int = 3
) -> Agenda:
    """An agenda under rules, as its software publishes it, with slots so many days from now."""
    start = practice.clock.now().replace(hour=9, minute=0) + timedelta(days=days)
    agenda = await practice.open_agenda(count, start=start)
    members = {"extension": list(rules)} if rules else {}
    resource = schedule(agenda.id, [agenda.practitioner, agenda.location], **members)
    answer = await callers.software().put(f"Schedule/{agenda.id}", resource)
    assert answer.status_code == 200, answer.text
    return agenda


def booked(agenda: Agenda, patient: str, index: int = 0) -> Resource:
    return wanted(agenda, patient, index, "booked")


def wanted(agenda: Agenda, patient: str, index: int = 0, status: str = "proposed") -> Resource:
    return appointment(status, slots=[agenda.slots[index]], patient=patient, start=agenda.at(index))


def matches(bundle: Resource) -> list[Resource]:
    """What was found, without what is said of it."""
    return [entry["resource"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]


async def free_slots(caller: Caller, agenda: Agenda, **query: str) -> list[str]:
    answer = await caller.get("Slot", schedule=agenda.id, **query)
    assert answer.status_code == 200, answer.text
    return [found["id"] for found in matches(answer.json())]


async def proposed(caller: Caller, agenda: Agenda, **given: Any) -> list[str]:
    period = {"start": utc(agenda.start), "end": utc(agenda.start + timedelta(days=1))}
    answer = await caller.post(
        "Appointment/$find", parameters(**period, schedule=ref(f"Schedule/{agenda.id}"), **given)
    )
    assert answer.status_code == 200, answer.text
    return [found["slot"][0]["reference"].removeprefix("Slot/") for found in matches(answer.json())]


@pytest.fixture
async def adult(practice: Practice) -> str:
    return await practice.new_patient(birthDate="1980-02-29")


@pytest.fixture
async def child(practice: Practice) -> str:
    return await practice.new_patient(birthDate="2015-06")


NOT_YET = (window(3, "07:00:00"), 7, "not-open-yet")
TOO_LATE = (notice(24 * 8), 7, "notice-too-short")


@pytest.mark.parametrize(("rule", "days", "refusal"), [NOT_YET, TOO_LATE])
async def test_every_way_to_book_is_held_to_the_rules(
    callers: Callers, practice: Practice, adult: str, rule: Resource, days: int, refusal: str
) -> None:
    """POST, $hold, $book, PUT of a proposal, PATCH of a proposal, $reschedule: 422, and nothing is taken."""
    agenda, other = await ruled(callers, practice, rule, days=days), await ruled(callers, practice)
    patient = callers.patient(adult)
    proposal = wanted(agenda, adult)
    stored = (await patient.post("Appointment", proposal)).json()
    elsewhere = (await patient.post("Appointment", booked(other, adult))).json()
    book = [{"op": "replace", "path": "/status", "value": "booked"}]
    answers = [
        await patient.post("Appointment", booked(agenda, adult)),
        await patient.post("Appointment/$hold", parameters(appointment=proposal)),
        await patient.post("Appointment", {**proposal, "status": "pending"}),
        await patient.post("Appointment/$book", proposal),
        await patient.post(f"Appointment/{stored['id']}/$book", parameters()),
        await patient.put(f"Appointment/{stored['id']}", {**stored, "status": "booked"}),
        await patient.patch(f"Appointment/{stored['id']}", book),
        await patient.post(
            f"Appointment/{elsewhere['id']}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[0]}"))
        ),
    ]
    assert [(answer.status_code, code(answer)) for answer in answers] == [(422, refusal)] * len(answers)
    assert answers[0].json()["issue"][0]["expression"] == ["Appointment.slot"]
    assert await practice.slot_statuses(agenda.slots) == ["free"] * 3
    assert await practice.slot_statuses(other.slots[:1]) == ["busy"]


@pytest.mark.parametrize(
    ("rules", "hours"), [((), 5), ((notice(24),), -23)], ids=["it has begun", "it begins too soon"]
)
async def test_of_open_time_a_part_to_come_is_shown_and_booked(
    callers: Callers, practice: Practice, adult: str, rules: tuple[Resource, ...], hours: int
) -> None:
    """From nine to seven in the evening, five hours after it began, or twenty-three before with a notice of a day: a slot
    says that it is free, and a part that begins in time is to be had; the whole is neither proposed nor booked. A slot that
    is one visit is over."""
    begun = practice.clock.now() - timedelta(hours=hours, minutes=2)
    agenda = await practice.open_agenda(0, start=begun, extension=list(rules))
    day, visit = unique("journee"), unique("visite")
    await practice.put(slot(day, agenda.id, agenda.start, timedelta(hours=10)))
    await practice.put(slot(visit, agenda.id, agenda.start - timedelta(hours=1)))
    patient = callers.patient(adult)
    for query in ({"status": "free"}, {"bookable": "true"}):
        assert await free_slots(patient, agenda, **query) == [day]
    for caller in (patient, callers.nobody()):
        assert await free_slots(caller, agenda, status="free", bookable="whole") == []
        assert await free_slots(caller, agenda, **{"status": "free", "bookable:not": "whole"}) == [visit, day]
        assert await free_slots(caller, agenda, status="free", bookable="true,whole") == [day]
        assert await free_slots(caller, agenda, status="free", bookable="false,whole") == [visit]
    assert (await patient.get(f"Slot/{day}")).json()["status"] == "free"
    assert (await patient.get(f"Slot/{visit}")).json()["status"] == "busy-unavailable"
    assert await proposed(patient, agenda) == []
    soonest = await patient.get("Slot/$soonest", schedule=agenda.id)
    assert matches(soonest.json()) == []

    def part(minutes: int, length: timedelta = SLOT_LENGTH) -> Resource:
        begins = agenda.start + timedelta(minutes=minutes)
        return appointment("booked", slots=[day], patient=adult, start=begins, length=length)

    refusal = "slot-in-the-past" if hours > 0 else "notice-too-short"
    whole = await patient.post("Appointment", part(0, timedelta(hours=10)))
    assert (whole.status_code, code(whole)) == (422, refusal)
    too_soon = 300 if hours > 0 else 60
    early = await patient.post("Appointment", part(too_soon))
    assert (early.status_code, code(early)) == (422, refusal)
    booked = await patient.post("Appointment", part(too_soon + 5))
    assert booked.status_code == 201, booked.text


@pytest.mark.parametrize(("rule", "days", "refusal"), [NOT_YET, TOO_LATE])
async def test_the_practice_books_on_the_phone_whatever_its_rules(
    callers: Callers, practice: Practice, adult: str, rule: Resource, days: int, refusal: str
) -> None:
    agenda = await ruled(callers, practice, rule, CHILDREN, days=days)
    staff = callers.with_scopes("practice", "Patient/aucun")
    assert await free_slots(staff, agenda, status="free") == list(agenda.slots)
    assert await proposed(staff, agenda) == list(agenda.slots)
    assert (await staff.post("Appointment", booked(agenda, adult))).status_code == 201
    assert (await callers.software().post("Appointment", booked(agenda, adult, 1))).status_code == 201


@pytest.mark.parametrize(("rule", "days", "refusal"), [NOT_YET, TOO_LATE])
async def test_consumers_are_not_shown_what_they_could_not_book(
    callers: Callers, practice: Practice, adult: str, rule: Resource, days: int, refusal: str
) -> None:
    """Neither as free slots, beside others or alone, nor as proposals; but by id, and whoever asks for what they could not."""
    agenda = await ruled(callers, practice, rule, days=days)
    for caller in (callers.nobody(), callers.patient(adult)):
        assert await free_slots(caller, agenda) == []
        assert await free_slots(caller, agenda, status="free") == []
        assert await proposed(caller, agenda) == []
        assert await free_slots(caller, agenda, bookable="false") == list(agenda.slots)
        assert await free_slots(caller, agenda, status="free,busy") == []
        assert (await caller.get(f"Slot/{agenda.slots[0]}")).status_code == 200
    answer = await callers.nobody().get("Slot", schedule=agenda.id)
    own = next(link["url"] for link in answer.json()["link"] if link["relation"] == "self")
    assert "status=free" in own
    assert "bookable=true" in own


async def test_a_window_opens_by_itself(callers: Callers, practice: Practice, adult: str) -> None:
    """Seven days ahead: the slots of that day are there, those of the next are not yet."""
    agenda = await ruled(callers, practice, window(7), days=7)
    late = slot(unique("creneau"), agenda.id, agenda.start + timedelta(days=1))
    await practice.put(late)
    assert await free_slots(callers.nobody(), agenda) == list(agenda.slots)
    assert await free_slots(callers.nobody(), agenda, **{"bookable:not": "true"}) == [late["id"]]
    refused = await callers.patient(adult).post(
        "Appointment",
        appointment("booked", slots=[late["id"]], patient=adult, start=agenda.start + timedelta(days=1)),
    )
    assert "2026-11-17 00:00 (Europe/Paris)" in reason(refused)
    assert (await callers.patient(adult).post("Appointment", booked(agenda, adult))).status_code == 201


async def test_what_is_held_is_confirmed_after_the_notice(
    callers: Callers, practice: Practice, adult: str
) -> None:
    """The rules are asked when the slot is taken; between hold and confirmation nobody can lose it to them."""
    agenda = await ruled(callers, practice)
    patient = callers.patient(adult)
    held = (await patient.post("Appointment/$hold", parameters(appointment=wanted(agenda, adult)))).json()
    resource = schedule(agenda.id, [agenda.practitioner], extension=[notice(24 * 30)])
    await callers.software().put(f"Schedule/{agenda.id}", resource)
    assert (await patient.post(f"Appointment/{held['id']}/$book", parameters())).status_code in (200, 201)


# -- ages --------------------------------------------------------------------------------------------------------


async def test_an_agenda_for_children(callers: Callers, practice: Practice, adult: str, child: str) -> None:
    """The patient's age on the day decides; a birth date that is not given is asked for."""
    agenda = await ruled(callers, practice, CHILDREN)
    grown = await callers.patient(adult, language="en").post("Appointment", booked(agenda, adult))
    assert (grown.status_code, code(grown)) == (422, "age-outside-limit")
    assert "younger than 17 years" in reason(grown)
    unknown = await practice.new_patient()
    asked = await callers.patient(unknown).post("Appointment", booked(agenda, unknown))
    assert (asked.status_code, code(asked)) == (422, "birthdate-unknown")
    assert (await callers.patient(child).post("Appointment", booked(agenda, child))).status_code == 201


async def test_a_search_knows_the_ages_of_those_for_whom_it_is(
    callers: Callers, practice: Practice, adult: str, child: str
) -> None:
    """A parent sees what fits one of the family; who is not known sees everything; `$find` takes a person described."""
    agenda = await ruled(callers, practice, CHILDREN)
    every = list(agenda.slots)
    parent = callers.patient(adult)
    assert await free_slots(parent, agenda) == []
    assert await proposed(parent, agenda) == []
    assert await free_slots(callers.patient(child), agenda) == every
    assert await proposed(callers.patient(child), agenda) == every
    assert await free_slots(callers.nobody(), agenda) == every
    assert await proposed(callers.nobody(), agenda) == every
    for born, found in (("1980-05-12", []), ("2020", every)):
        described = {"resourceType": "Patient", "birthDate": born}
        assert await proposed(callers.nobody(), agenda, patient_resource=described) == found


async def test_one_account_with_a_child(callers: Callers, practice: Practice) -> None:
    """The account's Patients are its own and its child's: slots that fit either; `bookable-by` asks for one of them."""
    agenda = await ruled(callers, practice, CHILDREN)
    account = callers.patient(subject=unique("famille"))
    made = [
        (
            await account.post(
                "Patient", {"resourceType": "Patient", "name": [{"family": "Exemple"}], "birthDate": day}
            )
        )
        for day in ("1981-01-01", "2019-03-04")
    ]
    old, young = (f"Patient/{answer.json()['id']}" for answer in made)
    assert await free_slots(account, agenda) == list(agenda.slots)
    assert await free_slots(account, agenda, **{"bookable-by": young}) == list(agenda.slots)
    assert await free_slots(account, agenda, **{"bookable-by": old}) == []
    assert await proposed(account, agenda, patient_reference=ref(old)) == []
    assert await proposed(account, agenda, patient_reference=ref(young)) == list(agenda.slots)


async def test_nobody_learns_a_strangers_age(
    callers: Callers, practice: Practice, adult: str, child: str
) -> None:
    """A patient who is not the caller's is as one who does not exist, by whatever way the search is put."""
    agenda = await ruled(callers, practice, CHILDREN)
    for caller in (callers.nobody(), callers.patient(adult)):
        stranger = await free_slots(caller, agenda, **{"bookable-by": child})
        assert stranger == await free_slots(caller, agenda, **{"bookable-by": "Patient/personne"}) == []
        for id_ in (child.removeprefix("Patient/"), "personne"):
            path = "_has:Slot:schedule:bookable-by:Patient._id"
            answer = await caller.get("Schedule", _id=agenda.id, **{path: id_})
            assert answer.json()["total"] == 0
        assert await proposed(caller, agenda, patient_reference=ref(child)) == await proposed(caller, agenda)
    assert await free_slots(callers.software(), agenda, **{"bookable-by": child}) == list(agenda.slots)
    assert await free_slots(callers.software(), agenda, **{"bookable-by": adult}) == []
    number = unique("dossier")
    await practice.new_patient(
        birthDate="2020-01-01", identifier=[{"system": "urn:dossier", "value": number}]
    )
    by_number = {"bookable-by:identifier": f"urn:dossier|{number}"}
    assert await free_slots(callers.software(), agenda, **by_number) == list(agenda.slots)
    assert await free_slots(callers.nobody(), agenda, **by_number) == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("Slot", {"bookable": "maybe"}),
        ("Slot", {"bookable:missing": "perhaps"}),
        ("Schedule", {"_has:Slot:schedule:bookable-by": "Patient/1"}),
    ],
)
async def test_what_cannot_be_answered_is_refused(callers: Callers, path: str, query: dict[str, str]) -> None:
    answer = await callers.software().get(path, **query)
    assert answer.status_code == 400, answer.text
    assert reason(answer)


async def test_a_token_that_does_not_reach_patients_is_shown_all_ages(
    callers: Callers, practice: Practice, child: str
) -> None:
    agenda = await ruled(callers, practice, CHILDREN)
    assert await free_slots(callers.with_scopes("reader", child), agenda) == list(agenda.slots)


# -- how many ----------------------------------------------------------------------------------------------------


async def test_one_to_come_at_a_time(callers: Callers, practice: Practice, adult: str) -> None:
    """A second one is refused and no longer proposed, until the first is cancelled; moving the first is no second."""
    agenda = await ruled(callers, practice, at_most(1))
    patient = callers.patient(adult)
    first = (await patient.post("Appointment", booked(agenda, adult))).json()
    second = await patient.post("Appointment", booked(agenda, adult, 1))
    assert (second.status_code, code(second)) == (422, "too-many-appointments")
    assert await proposed(patient, agenda) == []
    assert await proposed(patient, agenda, ignore_appointment=ref(f"Appointment/{first['id']}")) != []
    moved = await patient.post(
        f"Appointment/{first['id']}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[2]}"))
    )
    assert moved.status_code == 200, moved.text
    await patient.put(f"Appointment/{first['id']}", {**moved.json(), "status": "cancelled"})
    assert await proposed(patient, agenda) == list(agenda.slots)
    assert (await patient.post("Appointment", booked(agenda, adult, 1))).status_code == 201


async def test_two_at_once_are_not_both_the_last_one(
    callers: Callers, practice: Practice, adult: str
) -> None:
    """The second waits until the first has committed or failed, and then counts it."""
    agenda = await ruled(callers, practice, at_most(1))
    context = practice.context("citoyen", [adult.removeprefix("Patient/")])
    async with practice.database.transaction() as connection:
        await practice.handlers.create(connection, context, booked(agenda, adult))
        second = asyncio.create_task(practice.create(booked(agenda, adult, 1), context))
        await waiting_for_a_lock(practice, second)
    with pytest.raises(Unprocessable, match="has 1 appointment to come in this agenda"):
        await second


async def waiting_for_a_lock(practice: Practice, task: asyncio.Task[Any], number: int = 1) -> None:
    """Until the task's transaction waits for another one, as the `number`-th that waits, or the task has ended without."""
    deadline = time.monotonic() + 60
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not task.done() and await practice.database.pool.fetchval(waiting) < number:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


# -- cancelling and moving ---------------------------------------------------------------------------------------


async def test_patients_change_until_the_deadline(callers: Callers, practice: Practice, adult: str) -> None:
    """Cancel by PUT, PATCH or DELETE, move, replace: 422 after it; the practice may; a hold may always be released."""
    agenda, other = await ruled(callers, practice, deadline(24 * 8)), await ruled(callers, practice)
    patient = callers.patient(adult)
    made = (await patient.post("Appointment", booked(agenda, adult))).json()
    path = f"Appointment/{made['id']}"
    cancelled = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    replaced = parameters(appointment=wanted(other, adult))
    replaced["parameter"].append({"name": "cancelled-appt-id", "valueUri": path})
    answers: list[httpx.Response] = [
        await patient.put(path, {**made, "status": "cancelled"}),
        await patient.patch(path, cancelled),
        await patient.delete(path),
        await patient.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}"))),
        await patient.post("Appointment/$book", replaced),
    ]
    assert [(a.status_code, code(a)) for a in answers] == [(422, "change-too-late")] * 5
    assert await practice.slot_statuses([*agenda.slots, other.slots[0]]) == ["busy", "free", "free", "free"]
    assert (await patient.put(path, {**made, "comment": "Avec mes lunettes"})).status_code == 200
    held = await patient.post(
        "Appointment/$hold",
        parameters(appointment=wanted(agenda, adult, 2)),
    )
    assert (await patient.patch(f"Appointment/{held.json()['id']}", cancelled)).status_code == 200
    assert (await callers.software().patch(path, cancelled)).status_code == 200


# -- publishing --------------------------------------------------------------------------------------------------


async def test_a_rule_that_cannot_be_read_is_refused_with_the_agenda(
    callers: Callers, practice: Practice
) -> None:
    """422 by the path of the extension; nothing is stored."""
    id_ = unique("agenda")
    broken = {"url": said.MINIMUM_NOTICE, "valueDuration": {"value": 2, "system": said.UCUM, "code": "wk"}}
    resource = schedule(id_, ["Practitioner/p"], extension=[broken])
    answer = await callers.software().put(f"Schedule/{id_}", resource)
    assert (answer.status_code, code(answer)) == (422, "access-rule")
    assert answer.json()["issue"][0]["expression"] == ["Schedule.extension[0].valueDuration.code"]
    assert (await callers.software().get(f"Schedule/{id_}")).status_code == 404


@pytest.mark.parametrize(("role", "added"), [("public", True), ("regulator", False), ("system", False)])
def test_the_sas_is_bound_as_whoever_its_token_says(role: Role, added: bool) -> None:
    """A regulator is shown every practice's slots as a practice is its own; without a token one is one of the public."""
    pairs = [("status", "free"), ("schedule.actor:Practitioner.identifier", "urn:oid:1.2.250.1.71.4.2.1|8")]
    scopes = (Scope("user", "*", frozenset("rs")),)
    principal = ANONYMOUS if role == "public" else Principal("test", "sas", scopes, role=role)
    narrowed = ConsumersSlots(14, 2).narrow(Rights(principal).access("Slot", "s"), pairs)
    assert (("bookable", "true") in narrowed) == added

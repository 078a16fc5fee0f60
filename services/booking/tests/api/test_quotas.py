"""Quotas that a person understands: what one account or one patient may take, said in words, held against rivals."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller, code, reason, serving
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import SKIN, appointment, parameters, patient, ref, schedule, unique
from services.booking.tests.issuer import Issuer, running_issuer
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.app import create_app, create_erasure, create_rehearsal
from creneau_booking.jobs import Jobs
from creneau_booking.storage.actions import account_key, forget_actions
from creneau_booking.storage.agendas.access_extensions import APPOINTMENTS_MAX
from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, HIDDEN
from creneau_shared.fhir.storage.store import Resource

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]


@dataclass
class Offices:
    """Two processes of the API over one database, with small quotas."""

    practice: Practice
    issuer: Issuer
    clients: list[httpx.AsyncClient]

    def patient(self, reference: str | None, subject: str | None = None, *, process: int = 0) -> Caller:
        id_ = reference.removeprefix("Patient/") if reference else None
        return Caller(self.clients[process], self.issuer.token("patient", subject or unique("citoyen"), id_))

    def software(self) -> Caller:
        return Caller(self.clients[0], self.issuer.token("software", unique("logiciel")))


QUOTAS = {
    "future_appointments_per_patient_max": 4,
    "future_appointments_per_specialty_max": 3,
    "future_appointments_per_agenda_max": 2,
    "bookings_per_account_per_hour_max": 6,
    "bookings_per_patient_per_hour_max": 5,
    "bookings_per_counsellor_per_hour_max": 3,
    "holds_begun_per_account_per_hour_max": 4,
    "cancellations_per_account_per_day_max": 3,
    "requests_per_patient_max": 2,
    "requests_per_account_max": 3,
    "patients_per_account_max": 3,
    "patient_changes_per_day_max": 3,
    "holds_per_subject_max": 10,
}


@pytest.fixture
async def offices(fresh: Practice) -> AsyncIterator[Offices]:
    async with running_issuer() as issuer, AsyncExitStack() as stack:
        settings = settings_for(str(fresh.settings.database_url), issuer.url).model_copy(update=QUOTAS)
        clients = [
            await stack.enter_async_context(serving(create_app(settings, fresh.clock))) for _ in range(2)
        ]
        yield Offices(Practice(fresh.database, settings, fresh.clock), issuer, clients)


@pytest.fixture
async def camille(offices: Offices) -> str:
    return await offices.practice.new_patient()


def booking(agenda: Agenda, patient_: str, index: int = 0, status: str = "booked") -> Resource:
    return appointment(status, slots=[agenda.slots[index]], patient=patient_, start=agenda.at(index))


async def agendas(
    offices: Offices, count: int, slots: int = 8, slot_members: Resource | None = None
) -> list[Agenda]:
    """Each at another hour, so that one person can go to all of them."""
    first = offices.practice.clock.now().replace(hour=9, minute=0) + timedelta(days=7)
    return [
        await offices.practice.open_agenda(
            slots, slot_members=slot_members, start=first + n * timedelta(hours=6)
        )
        for n in range(count)
    ]


async def test_forty_at_once_for_the_slots_of_one_doctor(offices: Offices, camille: str) -> None:
    """One patient, two accounts, two processes, forty requests at the same moment: two appointments, as is allowed."""
    agenda = await offices.practice.open_agenda(40)
    subjects = [unique("citoyen"), unique("parent")]
    answers = await asyncio.gather(
        *(
            offices.patient(camille, subjects[i % 2], process=i // 2 % 2).post(
                "Appointment", booking(agenda, camille, i)
            )
            for i in range(40)
        )
    )
    ended = Counter((a.status_code, code(a) if a.status_code != 201 else "") for a in answers)
    assert ended[201, ""] == QUOTAS["future_appointments_per_agenda_max"]
    assert ended == {(201, ""): 2, (422, "too-many-appointments"): 38}
    assert (await offices.practice.slot_statuses(agenda.slots)).count("busy") == 2


async def test_forty_holds_at_once(offices: Offices, camille: str) -> None:
    """Begun and given back at once counts as begun: the quota by the hour holds over both processes."""
    doctors = await agendas(offices, 10, 4)
    subject = unique("citoyen")

    async def hold_and_cancel(i: int) -> int:
        caller = offices.patient(camille, subject, process=i % 2)
        wanted = booking(doctors[i // 4], camille, i % 4, "proposed")
        held = await caller.post("Appointment/$hold", parameters(appointment=wanted))
        if held.status_code == 201:
            await caller.patch(f"Appointment/{held.json()['id']}", CANCELLED)
        return held.status_code

    ended = Counter(await asyncio.gather(*(hold_and_cancel(i) for i in range(40))))
    assert ended[201] == QUOTAS["holds_begun_per_account_per_hour_max"]
    assert set(ended) <= {201, 422, 429}


async def test_so_many_in_an_hour(offices: Offices, camille: str) -> None:
    """By account, whoever it is for; the refusal says how many and when again, and then it works again."""
    yann = await offices.practice.new_patient(given="Yann")
    lou = await offices.practice.new_patient(given="Lou")
    subject = unique("parent")
    slots = [
        (a, i) for a in await agendas(offices, 4, 2, slot_members={"specialty": [SKIN]}) for i in range(2)
    ]
    for n in range(6):
        who = (camille, yann, lou)[n % 3]
        agenda, index = slots[n]
        answer = await offices.patient(who, subject).post("Appointment", booking(agenda, who, index))
        assert answer.status_code == 201, answer.text
    offices.practice.clock.advance(timedelta(minutes=20))
    agenda, index = slots[6]
    refused = await offices.patient(lou, subject).post("Appointment", booking(agenda, lou, index))
    assert (refused.status_code, code(refused)) == (429, "too-many-bookings")
    assert refused.headers["retry-after"] == "2400"
    assert "6 rendez-vous en une heure" in reason(refused)
    assert "40 minutes" in reason(refused)
    other = await offices.patient(lou).post("Appointment", booking(agenda, lou, index))
    assert other.status_code == 201, "another account is not meant"
    offices.practice.clock.advance(timedelta(minutes=41))
    agenda, index = slots[7]
    assert (
        await offices.patient(camille, subject).post("Appointment", booking(agenda, camille, index))
    ).status_code == 201


async def test_a_move_counts_as_a_booking_and_so_does_every_account_of_a_patient(
    offices: Offices, camille: str
) -> None:
    agenda = await offices.practice.open_agenda(8)
    stored = (await offices.patient(camille).post("Appointment", booking(agenda, camille))).json()
    for n in range(1, 6):
        answer = await offices.patient(camille).post(
            f"Appointment/{stored['id']}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[n]}"))
        )
        assert answer.status_code == (200 if n < 5 else 429), answer.text
    assert code(answer) == "too-many-bookings"


async def test_what_is_refused_does_not_count(offices: Offices, camille: str) -> None:
    agenda = await offices.practice.open_agenda(2)
    await offices.practice.create(booking(agenda, await offices.practice.new_patient()))
    subject = unique("citoyen")
    caller = offices.patient(camille, subject)
    for _ in range(8):
        assert (await caller.post("Appointment", booking(agenda, camille))).status_code == 409
    assert (await caller.post("Appointment", booking(agenda, camille, 1))).status_code == 201
    rows = await offices.practice.database.pool.fetch(
        "SELECT cardinality(booked) AS n FROM booking_action WHERE key = $1",
        account_key(offices.issuer.url, subject),
    )
    assert [row["n"] for row in rows] == [1]


async def test_appointments_to_come_by_agenda_by_speciality_and_in_all(
    offices: Offices, camille: str
) -> None:
    """Two with one doctor, three of one speciality, four in all; an agenda's own number goes before; one that is
    cancelled makes room."""
    general = await agendas(offices, 3)
    skin = await agendas(offices, 1, slot_members={"specialty": [SKIN]})
    caller = offices.patient(camille)

    async def book(agenda: Agenda, index: int) -> httpx.Response:
        offices.practice.clock.advance(timedelta(minutes=30))
        return await offices.patient(camille).post("Appointment", booking(agenda, camille, index))

    first = await book(general[0], 0)
    assert first.status_code == 201
    assert (await book(general[0], 1)).status_code == 201
    third = await book(general[0], 2)
    assert (third.status_code, code(third)) == (422, "too-many-appointments")
    assert "2 rendez-vous à venir dans cet agenda" in reason(third)
    assert (await book(general[1], 3)).status_code == 201
    fourth = await book(general[2], 4)
    assert (fourth.status_code, code(fourth)) == (422, "too-many-in-specialty")
    assert (await book(skin[0], 5)).status_code == 201
    fifth = await book(skin[0], 6)
    assert (fifth.status_code, code(fifth)) == (422, "too-many-appointments-to-come")
    assert "appelez le cabinet" in reason(fifth)
    assert (await caller.patch(f"Appointment/{first.json()['id']}", CANCELLED)).status_code == 200
    assert (await book(general[2], 4)).status_code == 201
    software = await offices.software().post("Appointment", booking(general[2], camille, 7))
    assert software.status_code == 201, "the practice sees the person and is not limited"


async def test_an_agendas_own_number_goes_before_ours(offices: Offices, camille: str) -> None:
    generous = await offices.practice.open_agenda(4)
    rule = {"url": APPOINTMENTS_MAX, "valuePositiveInt": 3}
    resource = schedule(generous.id, [generous.practitioner], extension=[rule])
    assert (await offices.software().put(f"Schedule/{generous.id}", resource)).status_code == 200
    ended = []
    for index in range(4):
        offices.practice.clock.advance(timedelta(minutes=30))
        ended.append(await offices.patient(camille).post("Appointment", booking(generous, camille, index)))
    assert [code(a) if a.status_code != 201 else "" for a in ended] == ["", "", "", "too-many-in-specialty"]


async def test_who_cancels_much_books_no_more_today_but_always_cancels(
    offices: Offices, camille: str
) -> None:
    subject = unique("citoyen")
    caller = offices.patient(camille, subject)
    doctors = await agendas(offices, 5)
    for n in range(3):
        stored = (await caller.post("Appointment", booking(doctors[n], camille, n))).json()
        assert (await caller.patch(f"Appointment/{stored['id']}", CANCELLED)).status_code == 200
    kept = await offices.practice.create(booking(doctors[3], camille, 3))
    refused = await caller.post("Appointment", booking(doctors[4], camille, 4))
    assert (refused.status_code, code(refused)) == (429, "too-many-cancellations")
    assert "3 rendez-vous en un jour" in reason(refused)
    assert (await caller.patch(f"Appointment/{kept.id}", CANCELLED)).status_code == 200
    offices.practice.clock.advance(timedelta(days=1, minutes=1))
    assert (await caller.post("Appointment", booking(doctors[4], camille, 4))).status_code == 201


async def test_requests_that_wait(offices: Offices, camille: str) -> None:
    """Two at a time, proposed or on a list, sent at once or not; one withdrawn makes room."""
    agenda = await offices.practice.open_agenda()
    wish = appointment("waitlist", patient=camille, actors=[agenda.practitioner])
    answers = await asyncio.gather(
        *(offices.patient(camille, process=i % 2).post("Appointment", wish) for i in range(10))
    )
    ended = Counter(answer.status_code for answer in answers)
    assert ended == {201: 2, 422: 8}
    caller = offices.patient(camille)
    refused = await caller.post("Appointment", {**wish, "status": "proposed"})
    assert (refused.status_code, code(refused)) == (422, "too-many-requests")
    assert "2 demandes" in reason(refused)
    first = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    await caller.patch(f"Appointment/{first}", CANCELLED)
    assert (await caller.post("Appointment", wish)).status_code == 201


async def test_requests_of_all_the_people_of_an_account(offices: Offices) -> None:
    """Three wait for two people, and a fourth does not; what one of them hides from the account is not counted."""
    agenda = await offices.practice.open_agenda()
    caller = offices.patient(None, unique("parent"))
    people = [(await caller.post("Patient", patient(f"P{i}"))).json()["id"] for i in range(3)]

    async def ask(who: str, by: Caller = caller, **more: Any) -> httpx.Response:
        wish = appointment("waitlist", patient=f"Patient/{who}", actors=[agenda.practitioner], **more)
        return await by.post("Appointment", wish)

    hidden = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": HIDDEN}]}}
    assert (await ask(people[1], offices.patient(f"Patient/{people[1]}"), **hidden)).status_code == 201
    assert [(await ask(who)).status_code for who in (people[0], people[1], people[1])] == [201] * 3
    refused = await ask(people[2])
    assert (refused.status_code, code(refused)) == (422, "too-many-requests")
    assert "Les personnes de ce compte ont déjà 3 demandes" in reason(refused)


async def test_whom_an_account_lays_down_counts_as_registered(offices: Offices) -> None:
    """For thirty days: registering, asking and laying down again makes room for nobody."""
    scope = "patient/Patient.crus patient/RelatedPerson.cruds"
    caller = Caller(offices.clients[0], offices.issuer.token("patient", unique("parent"), scope=scope))
    for i in range(3):
        assert (await caller.post("Patient", patient(f"P{i}"))).status_code == 201
        stated = (await caller.get("RelatedPerson", active="true")).json().get("entry", ())
        assert len(stated) == min(i, 1)
        for one in stated:
            left = await caller.post(f"RelatedPerson/{one['resource']['id']}/$renounce", parameters())
            assert left.status_code == 200, left.text
    assert code(await caller.post("Patient", patient("P3"))) == "too-many-patients"
    offices.practice.clock.advance(timedelta(days=29))
    async with offices.practice.database.transaction() as connection:
        await forget_actions(connection, offices.practice.clock.now())
    assert code(await caller.post("Patient", patient("P3"))) == "too-many-patients"
    offices.practice.clock.advance(timedelta(days=2))
    assert (await caller.post("Patient", patient("P3"))).status_code == 201


async def test_people_on_one_account(offices: Offices) -> None:
    """Three, registered at once in two processes or one after the other."""
    subject = unique("parent")
    answers = await asyncio.gather(
        *(offices.patient(None, subject, process=i % 2).post("Patient", patient(f"P{i}")) for i in range(8))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 3, 422: 5}
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert code(refused) == "too-many-patients"
    assert "3 personnes" in reason(refused)
    rows = await offices.practice.database.pool.fetchval(
        "SELECT count(*) FROM patient_account WHERE subject = $1", subject
    )
    assert rows == 3


async def test_changes_of_a_person_in_a_day(offices: Offices) -> None:
    """Each is kept, whatever it is worth: by the account's own hand so many a day, by a practice's any number."""
    subject = unique("citoyen")
    born = (await offices.patient(None, subject).post("Patient", patient("P"))).json()
    caller, path = offices.patient(born["id"], subject), f"Patient/{born['id']}"
    for n in range(3):
        changed = await caller.put(path, born | {"text": {"status": "generated", "div": DIV.format(n)}})
        assert changed.status_code == 200, changed.text
    refused = await caller.put(path, born | {"text": {"status": "generated", "div": DIV.format("x")}})
    assert (refused.status_code, code(refused)) == (429, "too-many-changes")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert (await caller.get(path)).json()["text"]["div"] == DIV.format(2)
    assert (await offices.software().put(path, born)).status_code == 200
    offices.practice.clock.advance(timedelta(days=1, seconds=1))
    assert (await caller.put(path, born | {"language": "fr"})).status_code == 200


async def test_a_counsellor_is_limited_by_the_hour_only(offices: Offices) -> None:
    """Booking for one person after the other; not by what one person may have."""
    agenda = await offices.practice.open_agenda(8)
    camille = await offices.practice.new_patient()
    context = offices.practice.context("conseillere", [camille], role="counsellor")
    for index in range(3):
        await offices.practice.create(booking(agenda, camille, index), context)
    with pytest.raises(Exception, match="counsellor may") as refused:
        await offices.practice.create(booking(agenda, camille, 3), context)
    assert getattr(refused.value, "status", None) == 429


async def test_what_is_shown_free_is_what_could_be_booked(offices: Offices, camille: str) -> None:
    """`$find` no longer proposes an agenda of which the patient has enough, though it states no number itself."""
    agenda = await offices.practice.open_agenda(4)
    for index in range(2):
        await offices.patient(camille).post("Appointment", booking(agenda, camille, index))
    period = {
        "start": agenda.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": (agenda.start + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    given = parameters(**period, schedule=ref(f"Schedule/{agenda.id}"))
    for who, found in ((camille, 0), (await offices.practice.new_patient(), 2)):
        answer = await offices.patient(who).post("Appointment/$find", given)
        assert answer.json()["total"] == found, answer.text


async def test_the_house_forgets_who_has_not_acted_for_a_day(offices: Offices, camille: str) -> None:
    practice = offices.practice
    agenda = await practice.open_agenda()
    await offices.patient(camille).post("Appointment", booking(agenda, camille))
    erasure = create_erasure(practice.settings)
    jobs = Jobs(
        practice.database,
        practice.settings,
        practice.handlers.expiry,
        erasure,
        create_rehearsal(practice.settings),
        practice.clock,
    )
    rows = "SELECT count(*) FROM booking_action"
    for advance, left in ((timedelta(hours=23), 2), (timedelta(hours=2), 0)):
        practice.clock.advance(advance)
        await jobs.keep_house()
        assert await practice.database.pool.fetchval(rows) == left

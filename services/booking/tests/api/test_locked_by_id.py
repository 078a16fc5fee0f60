"""Whoever changes two appointments at once waits for both by id: nobody waits for another in a circle."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from services.booking.tests.api.test_access_rules import waiting_for_a_lock
from services.booking.tests.api.test_by_link import book
from services.booking.tests.api.test_waiting import ACCEPTED, agenda_wish
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, HIDDEN, REPLACES
from creneau_shared.fhir.storage.store import Resource, Stored

LABEL = {"system": CONFIDENTIALITY, "code": HIDDEN}


@pytest.fixture
async def late(practice: Practice, agenda: Agenda, camille: str) -> Stored:
    """The last time of the agenda is theirs."""
    return await book(practice, agenda, camille, len(agenda.slots) - 1)


async def wish_of(callers: Callers, agenda: Agenda, camille: str, late: str, *, hidden: bool) -> Resource:
    """What they wait for instead of a visit."""
    said = [agenda_wish(agenda.id), {"url": REPLACES, "valueReference": ref(f"Appointment/{late}")}]
    labels: Resource = {"meta": {"security": [LABEL]}} if hidden else {}
    answer = await callers.patient(camille).post(
        "Appointment", appointment("waitlist", patient=camille, extension=said, **labels)
    )
    assert answer.status_code == 201, answer.text
    wish: Resource = answer.json()
    return wish


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("way", ["patch", "answer"])
async def test_who_accepts_an_offer_waits_for_the_visit_that_they_give_up_before_they_have_theirs(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, late: Stored, way: str, hidden: bool
) -> None:
    """The older one is locked by who then wants the other, an erasure or a departure."""
    wish = await wish_of(callers, agenda, camille, late.id, hidden=hidden)
    await practice.fill(agenda.id, 1, agenda.start - timedelta(days=1))
    patient = callers.patient(camille)
    answered = {
        "resourceType": "AppointmentResponse",
        "appointment": ref(f"Appointment/{wish['id']}"),
        "actor": ref(camille),
        "participantStatus": "accepted",
    }
    async with practice.database.transaction() as rival:
        await practice.repository.store.lock(rival, late.id)
        accepting = asyncio.create_task(
            patient.patch(f"Appointment/{wish['id']}", ACCEPTED)
            if way == "patch"
            else callers.answering(camille).post("AppointmentResponse", answered)
        )
        await waiting_for_a_lock(practice, accepting)
        await practice.repository.store.lock(rival, wish["id"])
    assert (await accepting).status_code in (200, 201), accepting.result().text
    assert (await patient.get(f"Appointment/{wish['id']}")).json()["status"] == "booked"
    assert (await patient.get(f"Appointment/{late.id}")).json()["status"] == "cancelled"


async def test_who_waits_for_something_earlier_waits_for_an_older_request_before_they_have_the_visit(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """It was there before the visit, which it was then to replace."""
    older = (
        await callers.patient(camille).post("Appointment", appointment("waitlist", patient=camille))
    ).json()
    visit = await book(practice, agenda, camille, 2)
    replacing = {"url": REPLACES, "valueReference": ref(f"Appointment/{visit.id}")}
    said = [{"op": "add", "path": "/extension/-", "value": replacing}]
    assert (await callers.patient(camille).patch(f"Appointment/{older['id']}", said)).status_code == 200
    async with practice.database.transaction() as rival:
        await practice.repository.store.lock(rival, older["id"])
        waiting = asyncio.create_task(
            callers.patient(camille).post(f"Appointment/{visit.id}/$wait", parameters())
        )
        await waiting_for_a_lock(practice, waiting)
        await practice.repository.store.lock(rival, visit.id)
    assert ((await waiting).status_code, waiting.result().json()["id"]) == (200, older["id"])


async def test_who_books_what_they_hold_and_cancels_another_waits_for_both_by_id(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, late: Stored
) -> None:
    patient = callers.patient(camille)
    held = await patient.post(
        "Appointment/$hold",
        parameters(appointment=appointment("proposed", slots=agenda.slots[:1], patient=camille)),
    )
    id_ = held.json()["id"]
    said = parameters(cancelled_appt_id=f"Appointment/{late.id}")
    async with practice.database.transaction() as rival:
        await practice.repository.store.lock(rival, late.id)
        booking = asyncio.create_task(patient.post(f"Appointment/{id_}/$book", said))
        await waiting_for_a_lock(practice, booking)
        await practice.repository.store.lock(rival, id_)
    assert (await booking).status_code == 200, booking.result().text
    assert (await patient.get(f"Appointment/{late.id}")).json()["status"] == "cancelled"

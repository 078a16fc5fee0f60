"""The waiting list: what frees is offered to the first in line, before anybody else can see it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, ref, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.appointment_mapper import HELD_UNTIL, WAITING_SINCE
from creneau_booking.storage.wishes import WAITING_AGENDA
from creneau_shared.fhir.storage.store import Resource

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]
ACCEPTED = [{"op": "replace", "path": "/status", "value": "booked"}]
REFUSED = [{"op": "replace", "path": "/status", "value": "waitlist"}]


def agenda_wish(agenda: str) -> Resource:
    return {"url": WAITING_AGENDA, "valueReference": {"reference": f"Schedule/{agenda}"}}


async def join(callers: Callers, patient: str, **more: Any) -> str:
    """A wish of the patient's; its id."""
    answer = await callers.patient(patient).post(
        "Appointment", appointment("waitlist", patient=patient, **more)
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def taken(callers: Callers, practice: Practice, agenda: Agenda, index: int = 0) -> tuple[str, Caller]:
    """Somebody's appointment in one of the slots: its id, and they."""
    patient = await practice.new_patient()
    someone = callers.patient(patient)
    answer = await someone.post(
        "Appointment",
        appointment("booked", slots=agenda.slots[index : index + 1], patient=patient, start=agenda.at(index)),
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]), someone


async def cancel(callers: Callers, practice: Practice, agenda: Agenda, index: int = 0) -> None:
    """Time frees: somebody had the slot, and gives it up."""
    id_, someone = await taken(callers, practice, agenda, index)
    answer = await someone.patch(f"Appointment/{id_}", CANCELLED)
    assert answer.status_code == 200, answer.text


async def read(callers: Callers, patient: str, id_: str) -> Resource:
    answer = await callers.patient(patient).get(f"Appointment/{id_}")
    assert answer.status_code == 200, answer.text
    found: Resource = answer.json()
    return found


def extension(resource: Resource, url: str) -> Any:
    said = next((e for e in resource.get("extension", ()) if e["url"] == url), {})
    return next((value for name, value in said.items() if name != "url"), None)


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await practice.open_agenda()


async def test_what_frees_is_offered_to_who_waits(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """Never public: pending with the slot and an end, told; accepted by one PATCH, and booked."""
    camille = await practice.new_patient()
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    assert extension(await read(callers, camille, wish), WAITING_SINCE) == utc(practice.clock.now())
    await cancel(callers, practice, agenda)
    offer = await read(callers, camille, wish)
    assert (offer["status"], offer["start"], offer["slot"]) == (
        "pending",
        utc(agenda.at(0)),
        [ref(f"Slot/{agenda.slots[0]}")],
    )
    until = datetime.fromisoformat(extension(offer, HELD_UNTIL))
    assert until == practice.clock.now() + timedelta(hours=12)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    assert await practice.kinds(wish) == ["offered"]
    accepted = await callers.patient(camille).patch(f"Appointment/{wish}", ACCEPTED)
    assert accepted.status_code == 200, accepted.text
    assert {p["status"] for p in accepted.json()["participant"]} == {"accepted"}
    assert extension(accepted.json(), WAITING_SINCE) is None
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
    assert await practice.kinds(wish) == ["offered", "booked"]


async def test_a_refusal_is_the_next_ones_offer(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    """Who refuses stays on the list as they were, and is not asked about that slot again; after the last it is free."""
    first, second = [await practice.new_patient() for _ in range(2)]
    wishes = [
        await join(callers, one, actors=[agenda.practitioner], comment="le plus tôt possible")
        for one in (first, second)
    ]
    before = await read(callers, first, wishes[0])
    await cancel(callers, practice, agenda)
    assert [(await read(callers, *one))["status"] for one in zip((first, second), wishes, strict=True)] == [
        "pending",
        "waitlist",
    ]
    refused = await callers.patient(first).patch(f"Appointment/{wishes[0]}", REFUSED)
    assert refused.status_code == 200, refused.text
    after = await read(callers, first, wishes[0])
    assert {name: value for name, value in after.items() if name != "meta"} == {
        name: value for name, value in before.items() if name != "meta"
    }
    assert (await read(callers, second, wishes[1]))["status"] == "pending"
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    left = await callers.patient(second).patch(f"Appointment/{wishes[1]}", CANCELLED)
    assert left.status_code == 200, left.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    await cancel(callers, practice, agenda)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    await cancel(callers, practice, agenda, 1)
    assert (await read(callers, first, wishes[0]))["slot"] == [ref(f"Slot/{agenda.slots[1]}")]


async def test_ten_in_line_let_their_offers_run_out(fresh: Practice) -> None:
    """Each in turn, once; in the end it is everybody's, and all ten still wait. Nothing but the database remembers."""
    agenda = await fresh.open_agenda(start=fresh.clock.now() + timedelta(days=40))
    wishes = []
    for index in range(10):
        fresh.clock.advance(timedelta(seconds=1))
        patient = await fresh.new_patient()
        stored = await fresh.create(
            appointment("waitlist", patient=patient, actors=[agenda.practitioner], priority=9 - index // 5)
        )
        wishes.append(stored.id)
    booked = await fresh.create(
        appointment("booked", slots=agenda.slots[:1], patient=await fresh.new_patient(), start=agenda.at(0))
    )
    await fresh.change(booked.id, status="cancelled")
    seen = []
    for _ in range(10):
        pending = await fresh.database.pool.fetch(
            "SELECT id FROM appointment WHERE terms @> ARRAY['status=pending']"
        )
        [offered] = [row["id"] for row in pending]
        seen.append(offered)
        assert await fresh.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
        until = await fresh.database.pool.fetchval("SELECT expires_at FROM hold")
        fresh.clock.advance(until - fresh.clock.now())
        again = Practice(fresh.database, fresh.settings, fresh.clock)
        assert await again.jobs().expire_holds() == 1
    assert seen == [*wishes[5:], *wishes[:5]]
    assert await fresh.slot_statuses(agenda.slots[:1]) == ["free"]
    assert await fresh.kinds(wishes[0]) == ["offered", "hold-expired"]
    waiting = await fresh.database.pool.fetch(
        "SELECT id FROM appointment WHERE terms @> ARRAY['status=waitlist']"
    )
    assert {row["id"] for row in waiting} == set(wishes)

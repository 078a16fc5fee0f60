"""What only a practice does: a visit without a slot, and one where there is one already."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from services.booking.tests.api.test_cancel import said
from services.booking.tests.api.test_confirmation import CANCELLED
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, appointment, parameters, ref, slot, unique, utc
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, open_surgery

from creneau_booking.storage.mapping.appointment import OVERBOOKING_REASON
from creneau_shared.fhir.storage.store import Resource

FEVER = [{"url": OVERBOOKING_REASON, "valueString": "fièvre d'un nourrisson"}]


@pytest.fixture
async def surgery(practice: Practice) -> Surgery:
    return await open_surgery(practice)


def at_first(surgery: Surgery, patient: str, status: str = "booked", **more: Any) -> Resource:
    return appointment(status, slots=surgery.slots[:1], patient=patient, start=surgery.start, **more)


async def overbooked(practice: Practice, surgery: Surgery) -> bool:
    return bool((await practice.slot(surgery.slots[0])).get("overbooked", False))


async def test_63_a_visit_without_a_slot_occupies_its_people(
    callers: Callers, practice: Practice, surgery: Surgery
) -> None:
    """63: by the practice, with a start, an end and its own people; the slots of that time are no longer offered, and are
    again when it is off. A patient cannot."""
    us, who = callers.staff(surgery.organization, role="software"), await practice.new_patient()
    wanted = appointment("booked", patient=who, actors=[surgery.practitioner], start=surgery.start)
    assert (await callers.patient(who).post("Appointment", wanted)).status_code in (403, 422)
    known = f"Patient/{(await us.post('Patient', {'resourceType': 'Patient', 'active': True})).json()['id']}"
    walked_in = appointment("booked", patient=known, actors=[surgery.practitioner], start=surgery.start)
    answer = await us.post("Appointment", walked_in)
    assert answer.status_code == 201, answer.text
    assert "slot" not in answer.json()
    assert await practice.slot_statuses(surgery.slots) == ["busy-unavailable", "free", "free"]
    refused = await callers.patient(who).post(
        "Appointment/$book", {**at_first(surgery, who), "status": "proposed"}
    )
    assert (refused.status_code, code(refused)) == (409, "actor-occupied"), refused.text
    assert (await us.patch(f"Appointment/{answer.json()['id']}", CANCELLED)).status_code == 200
    assert await practice.slot_statuses(surgery.slots) == ["free", "free", "free"]


@pytest.mark.parametrize("to", ["a slot", "a little later"])
async def test_63_it_goes_to_another_time_whole(
    callers: Callers, practice: Practice, surgery: Surgery, to: str
) -> None:
    """63: nobody is still expected where it was, and where it goes it is not in its own way."""
    software, who = callers.software(), await practice.new_patient()
    wanted = appointment("booked", patient=who, actors=[surgery.practitioner], start=surgery.start)
    visit = (await software.post("Appointment", wanted)).json()
    path = f"Appointment/{visit['id']}"
    if to == "a slot":
        moved = await software.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{surgery.slots[2]}")))
        expected = ["free", "free", "busy"]
    else:
        later = {
            name: utc(datetime.fromisoformat(visit[name]) + SLOT_LENGTH / 2) for name in ("start", "end")
        }
        moved = await software.put(path, {**visit, **later})
        expected = ["busy-unavailable", "busy-unavailable", "free"]
    assert moved.status_code == 200, moved.text
    assert await practice.slot_statuses(surgery.slots) == expected
    [(start, end, _)] = await practice.occupied(surgery.practitioner)
    assert (utc(start), utc(end)) == (moved.json()["start"], moved.json()["end"])
    await require_one_truth(practice.database.pool, practice.clock.now())


async def test_71_a_practice_overbooks_for_a_reason(
    callers: Callers, practice: Practice, surgery: Surgery
) -> None:
    """71: the slot stays the first one's and says that it is overbooked, whatever a feed says; the reason stays. When the
    first is off the second has the slot, and only when both are off is it free."""
    one, two, three = [await practice.new_patient() for _ in range(3)]
    first = await callers.patient(one).post("Appointment", at_first(surgery, one))
    software = callers.software()
    refused = await software.post("Appointment", at_first(surgery, two))
    assert (refused.status_code, code(refused)) == (409, "slot-taken"), refused.text
    second = await software.post("Appointment", at_first(surgery, two, extension=FEVER))
    assert second.status_code == 201, second.text
    assert said(second.json())[OVERBOOKING_REASON] == "fièvre d'un nourrisson"
    assert await overbooked(practice, surgery)
    fed = slot(surgery.slots[0], surgery.agenda, surgery.start)
    assert (await software.put(f"Slot/{surgery.slots[0]}", fed)).status_code == 200
    assert await overbooked(practice, surgery)
    ids = [answer.json()["id"] for answer in (first, second)]
    assert (await software.patch(f"Appointment/{ids[0]}", CANCELLED)).status_code == 200
    assert await practice.slot_statuses(surgery.slots[:1]) == ["busy"]
    assert not await overbooked(practice, surgery)
    assert [taken[2] for taken in await practice.occupied(surgery.practitioner)] == [ids[1]]
    late = await callers.patient(three).post("Appointment", at_first(surgery, three))
    assert (late.status_code, code(late)) == (409, "slot-taken"), late.text
    assert (await software.patch(f"Appointment/{ids[1]}", CANCELLED)).status_code == 200
    assert await practice.slot_statuses(surgery.slots[:1]) == ["free"]
    assert await practice.occupied(surgery.practitioner) == []


async def test_71_one_over_two_visits_takes_the_time_of_the_first_that_goes(
    callers: Callers, practice: Practice, surgery: Surgery
) -> None:
    """71: a visit that lies over two others has the slot of the one that is off, and with it the professional at that time
    and no longer: nobody is sent to them in another agenda, and the other visit keeps them."""
    software = callers.software()
    one, two, three, four = [await practice.new_patient() for _ in range(4)]
    start, half, end = (surgery.start + n * SLOT_LENGTH for n in range(3))
    both = [
        (await callers.patient(who).post("Appointment", wanted)).json()["id"]
        for who, wanted in (
            (one, at_first(surgery, one)),
            (two, appointment("booked", slots=surgery.slots[1:2], patient=two, start=half)),
        )
    ]
    over = appointment(
        "booked",
        slots=surgery.slots[:2],
        patient=three,
        start=start,
        length=2 * SLOT_LENGTH,
        extension=FEVER,
    )
    answer = await software.post("Appointment", over)
    assert answer.status_code == 201, answer.text
    third = answer.json()["id"]
    elsewhere = await practice.open_agenda(2, practitioner=surgery.practitioner, start=start)
    assert (await software.patch(f"Appointment/{both[0]}", CANCELLED)).status_code == 200
    assert await practice.occupied(surgery.practitioner) == [(start, half, third), (half, end, both[1])]
    assert await practice.slot_statuses(elsewhere.slots) == ["busy-unavailable"] * 2
    # A colleague joins the agenda, and leaves it: they are taken with each visit as the professional is.
    colleague = f"Practitioner/{unique('prat')}"
    agenda = (await software.get(f"Schedule/{surgery.agenda}")).json()
    joined = {**agenda, "actor": [*agenda["actor"], ref(colleague)]}
    assert (await software.put(f"Schedule/{surgery.agenda}", joined)).status_code == 200
    assert await practice.occupied(colleague) == await practice.occupied(surgery.practitioner)
    assert (await software.put(f"Schedule/{surgery.agenda}", agenda)).status_code == 200
    assert await practice.occupied(colleague) == []
    there = appointment("booked", slots=elsewhere.slots[:1], patient=four, start=start)
    refused = await callers.patient(four).post("Appointment", there)
    assert (refused.status_code, code(refused)) == (409, "actor-occupied"), refused.text
    assert (await software.patch(f"Appointment/{both[1]}", CANCELLED)).status_code == 200
    assert await practice.occupied(surgery.practitioner) == [(start, half, third), (half, end, third)]
    await require_one_truth(practice.database.pool)
    assert (await software.patch(f"Appointment/{third}", CANCELLED)).status_code == 200
    assert await practice.occupied(surgery.practitioner) == []
    assert await practice.slot_statuses(elsewhere.slots) == ["free"] * 2
    assert await practice.slot_statuses(surgery.slots[:2]) == ["free"] * 2


async def test_71_the_second_goes_first(callers: Callers, practice: Practice, surgery: Surgery) -> None:
    """71: moved elsewhere or off, it leaves the first one's slot as it was."""
    one, two = [await practice.new_patient() for _ in range(2)]
    await callers.patient(one).post("Appointment", at_first(surgery, one))
    software = callers.software()
    second = (await software.post("Appointment", at_first(surgery, two, extension=FEVER))).json()
    moved = await software.post(
        f"Appointment/{second['id']}/$reschedule", parameters(slot=ref(f"Slot/{surgery.slots[1]}"))
    )
    assert moved.status_code == 200, moved.text
    assert await practice.slot_statuses(surgery.slots) == ["busy", "busy", "free"]
    assert not await overbooked(practice, surgery)
    third = (
        await software.post("Appointment", at_first(surgery, await practice.new_patient(), extension=FEVER))
    ).json()
    assert await overbooked(practice, surgery)
    assert (await software.post(f"Appointment/{third['id']}/$cancel", parameters())).status_code == 200
    assert not await overbooked(practice, surgery)
    assert await practice.slot_statuses(surgery.slots[:1]) == ["busy"]


async def test_71_nobody_else_overbooks(callers: Callers, practice: Practice, surgery: Surgery) -> None:
    """71: neither a patient nor another practice; and nobody gives a patient two visits so."""
    one, two = [await practice.new_patient() for _ in range(2)]
    await callers.patient(one).post("Appointment", at_first(surgery, one))
    by_patient = await callers.patient(two).post("Appointment", at_first(surgery, two, extension=FEVER))
    assert (by_patient.status_code, code(by_patient)) == (403, "element-not-yours"), by_patient.text
    theirs = await open_surgery(practice)
    them = callers.staff(theirs.organization, role="software")
    known = (
        f"Patient/{(await them.post('Patient', {'resourceType': 'Patient', 'active': True})).json()['id']}"
    )
    foreign = await them.post("Appointment", at_first(surgery, known, extension=FEVER))
    assert foreign.status_code in (403, 409), foreign.text
    twice = await callers.software().post("Appointment", at_first(surgery, one, extension=FEVER))
    assert (twice.status_code, code(twice)) == (409, "actor-occupied"), twice.text
    assert not await overbooked(practice, surgery)

"""A visit that has all of an open time, and later needs only a part of it: the rest is open again at once."""

from __future__ import annotations

from typing import Any

import pytest
from services.booking.tests.api.test_answers import given
from services.booking.tests.api.test_open_time_sent_again import OPEN, shown, whole
from services.booking.tests.api.test_sync_slots import in_agenda, said, sync
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import OVERBOOKING_REASON


async def with_all_of_it(
    practice: Practice, software: Caller, agenda: Agenda, **slot: Any
) -> tuple[str, dict[str, Any]]:
    """A patient, and their visit from the slot's start to its end."""
    await sync(software, agenda, [slot or whole(agenda)], OPEN)
    [there] = (await in_agenda(software, agenda)).values()
    person = await practice.new_patient()
    wanted = appointment("booked", slots=[there["id"]], patient=person, start=agenda.start)
    answer = await software.post("Appointment", wanted | {"end": there["end"]})
    assert answer.status_code == 201, answer.text
    return person, answer.json()


async def shorten(software: Caller, visit: dict[str, Any], agenda: Agenda, first: int, last: int) -> None:
    times = {"start": utc(agenda.at(first)), "end": utc(agenda.at(last))}
    answer = await software.put(f"Appointment/{visit['id']}", {**visit, **times})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["start"], answer.json()["end"]) == tuple(times.values())


@pytest.mark.parametrize(
    ("first", "last", "rest"),
    [
        (0, 1, [(0, 1, "busy"), (1, 12, "free")]),
        (11, 12, [(0, 11, "free"), (11, 12, "busy")]),
        (3, 5, [(0, 3, "free"), (3, 5, "busy"), (5, 12, "free")]),
    ],
)
async def test_what_it_no_longer_needs_is_open_again(
    callers: Callers, practice: Practice, first: int, last: int, rest: list[tuple[int, int, str]]
) -> None:
    agenda, software = await practice.open_agenda(0), callers.software()
    _, visit = await with_all_of_it(practice, software, agenda)
    assert await shown(software, agenda) == [(0, 12, "busy")]
    await shorten(software, visit, agenda, first, last)
    assert await shown(software, agenda) == rest
    other = await practice.new_patient()
    free = next(start for start, _, status in rest if status == "free")
    there = (await in_agenda(software, agenda))[utc(agenda.at(free))]
    wanted = appointment("booked", slots=[there["id"]], patient=other, start=agenda.at(free))
    assert (
        await callers.patient(other).post("Appointment", wanted | {"end": there["end"]})
    ).status_code == 201


async def test_as_both_sides_have_agreed(callers: Callers, practice: Practice) -> None:
    """The practice proposes an hour of the four, and the patient accepts."""
    agenda, software = await practice.open_agenda(0), callers.software()
    person, visit = await with_all_of_it(practice, software, agenda)
    path, times = f"Appointment/{visit['id']}", (utc(agenda.at(3)), utc(agenda.at(6)))
    said = await given(software, path, agenda.practitioner, "tentative", times)
    assert said.status_code == 201, said.text
    yes = await given(callers.answering(person), path, person, "accepted")
    assert yes.status_code == 201, yes.text
    assert await shown(software, agenda) == [(0, 3, "free"), (3, 6, "busy"), (6, 12, "free")]


async def test_a_slot_that_is_one_visit_stays_whole(callers: Callers, practice: Practice) -> None:
    """A visit that is over sooner than its slot leaves nothing that could be booked."""
    agenda, software = await practice.open_agenda(0), callers.software()
    one = {**said(agenda, 0), "end": utc(agenda.at(3))}
    _, visit = await with_all_of_it(practice, software, agenda, **one)
    await shorten(software, visit, agenda, 0, 2)
    assert await shown(software, agenda) == [(0, 3, "busy")]


async def cancel(software: Caller, visit: dict[str, Any]) -> None:
    answer = await software.post(f"Appointment/{visit['id']}/$cancel", parameters())
    assert answer.status_code == 200, answer.text


async def test_a_visit_beside_it_keeps_the_whole(callers: Callers, practice: Practice) -> None:
    """Somebody else is expected in that time."""
    agenda, software = await practice.open_agenda(0), callers.software()
    _, visit = await with_all_of_it(practice, software, agenda)
    [there] = (await in_agenda(software, agenda)).values()
    other = await practice.new_patient()
    beside = appointment("booked", slots=[there["id"]], patient=other, start=agenda.at(6))
    beside["extension"] = [{"url": OVERBOOKING_REASON, "valueString": "urgence"}]
    answer = await software.post("Appointment", beside)
    assert answer.status_code == 201, answer.text
    await shorten(software, visit, agenda, 0, 1)
    assert await shown(software, agenda) == [(0, 12, "busy")]
    await cancel(software, visit)
    assert await shown(software, agenda) == [(0, 12, "busy")]


async def test_what_its_agenda_does_not_offer_stays_whole(callers: Callers, practice: Practice) -> None:
    """It is given back as it was before the visit had it, and can be opened again as a whole."""
    agenda, software = await practice.open_agenda(0), callers.software()
    _, visit = await with_all_of_it(practice, software, agenda)
    await sync(software, agenda, [whole(agenda) | {"status": "busy-unavailable"}], OPEN)
    await shorten(software, visit, agenda, 0, 1)
    assert await shown(software, agenda) == [(0, 12, "busy")]
    await cancel(software, visit)
    assert await shown(software, agenda) == [(0, 12, "busy-unavailable")]


async def test_nothing_is_cut_beside_a_slot_outside(callers: Callers, practice: Practice) -> None:
    """A visit that keeps a slot which it does not need can be moved as before."""
    agenda, software = await practice.open_agenda(0), callers.software()
    later = {**said(agenda, OPEN), "end": utc(agenda.at(OPEN + 2))}
    await sync(software, agenda, [whole(agenda), later], OPEN + 2)
    slots = [one["id"] for one in (await in_agenda(software, agenda)).values()]
    wanted = appointment("booked", slots=slots, patient=await practice.new_patient(), start=agenda.start)
    visit = (await software.post("Appointment", wanted | {"end": utc(agenda.at(OPEN + 2))})).json()
    await shorten(software, visit, agenda, 0, 3)
    await shorten(software, visit, agenda, 0, OPEN + 2)


async def test_who_waits_is_offered_it_first(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(0), callers.software()
    _, visit = await with_all_of_it(practice, software, agenda)
    waiting = await practice.new_patient()
    wish = appointment("waitlist", slots=[], patient=waiting) | {
        "requestedPeriod": [{"start": utc(agenda.at(0)), "end": utc(agenda.at(OPEN))}]
    }
    wish["participant"].append(
        {"actor": {"reference": agenda.practitioner}, "status": "accepted", "required": "required"}
    )
    answer = await callers.patient(waiting).post("Appointment", wish)
    assert answer.status_code == 201, (code(answer), answer.text)
    await shorten(software, visit, agenda, 0, 3)
    assert (await callers.patient(waiting).get(f"Appointment/{answer.json()['id']}")).json()[
        "status"
    ] == "pending"

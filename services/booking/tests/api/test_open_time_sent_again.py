"""Open time of which a part is taken here, and which its software sends again as it knows it: whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_sync_slots import counted, counts, in_agenda, said, sync
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, appointment, schedule, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource

OPEN = 12
"""lengths of a slot: four hours, of which patients take parts"""


def whole(agenda: Agenda, known_by: str = "nothing", **members: Any) -> Resource:
    """The open time, which its software knows by this."""
    one = {**said(agenda, 0), "end": utc(agenda.at(OPEN)), **members}
    if known_by != "identifier":
        del one["identifier"]
    return {**one, "id": f"{agenda.id}-open"} if known_by == "id" else one


async def book(
    callers: Callers, practice: Practice, agenda: Agenda, index: int
) -> tuple[Caller, dict[str, Any]]:
    """A patient takes one length of the time that is open there."""
    person = await practice.new_patient()
    there = await in_agenda(callers.software(), agenda)
    around = next(
        one
        for start, one in there.items()
        if start <= utc(agenda.at(index)) < one["end"] and one["status"] == "free"
    )
    patient = callers.patient(person)
    answer = await patient.post(
        "Appointment",
        appointment("booked", slots=[around["id"]], patient=person, start=agenda.at(index)),
    )
    assert answer.status_code == 201, answer.text
    return patient, answer.json()


async def shown(caller: Caller, agenda: Agenda) -> list[tuple[int, int, str]]:
    """From which to which length the agenda has slots, and their status."""
    found = [(one["start"], one["end"], one["status"]) for one in (await in_agenda(caller, agenda)).values()]
    at = {utc(agenda.at(n)): n for n in range(OPEN + 1)}
    return sorted((at[start], at[end], status) for start, end, status in found)


@pytest.mark.parametrize("known_by", ["id", "identifier", "nothing"])
async def test_what_is_left_of_it_stays(callers: Callers, practice: Practice, known_by: str) -> None:
    """However its software knows it, and as often as it says it: the rest is free, and keeps its ids."""
    agenda, software = await practice.open_agenda(0), callers.software()
    sent = [whole(agenda, known_by)]
    assert counted(await sync(software, agenda, sent, OPEN)) == counts(created=1)
    _, visit = await book(callers, practice, agenda, 3)
    _, later = await book(callers, practice, agenda, 6)
    before = await in_agenda(software, agenda)
    for _ in range(2):
        answer = await sync(software, agenda, sent, OPEN)
        assert counted(answer) == counts(unchanged=3, conflicts=2)
        assert set(answer["told"].values()) == {(visit["id"], "said-free"), (later["id"], "said-free")}
        assert await in_agenda(software, agenda) == before
    assert await shown(software, agenda) == [
        (0, 3, "free"),
        (3, 4, "busy"),
        (4, 6, "free"),
        (6, 7, "busy"),
        (7, 12, "free"),
    ]


async def test_nothing_is_free_over_a_visit_where_nobody_is_in_one_place_only(
    callers: Callers, practice: Practice
) -> None:
    """In the agenda of an offer or a site only the slots say what is taken: no second patient is let into the same time."""
    id_, start = unique("agenda"), (await practice.open_agenda(0)).start
    await practice.put(schedule(id_, [f"Location/{unique('lieu')}"]))
    agenda, software = Agenda(id_, "", "", start, ()), callers.software()
    await sync(software, agenda, [whole(agenda)], OPEN)
    await book(callers, practice, agenda, 3)
    await sync(software, agenda, [whole(agenda)], OPEN)
    assert await shown(software, agenda) == [(0, 3, "free"), (3, 4, "busy"), (4, 12, "free")]


async def test_two_lines_of_open_time_stay_two(callers: Callers, practice: Practice) -> None:
    """Of two rooms side by side in one agenda the one is taken in part, and the other stays whole."""
    id_, start = unique("agenda"), (await practice.open_agenda(0)).start
    await practice.put(schedule(id_, [f"Location/{unique('lieu')}"]))
    agenda, software = Agenda(id_, "", "", start, ()), callers.software()
    sent = [whole(agenda), whole(agenda)]
    await sync(software, agenda, sent, OPEN)
    await book(callers, practice, agenda, 3)
    assert counted(await sync(software, agenda, sent, OPEN)) == counts(unchanged=3, conflicts=1)


@pytest.mark.parametrize("known_by", ["id", "identifier", "nothing"])
async def test_given_back_it_is_whole_again(callers: Callers, practice: Practice, known_by: str) -> None:
    """Once the last visit is cancelled, what is sent is what there is; until then its time alone is missing."""
    agenda, software = await practice.open_agenda(0), callers.software()
    sent = [whole(agenda, known_by)]
    await sync(software, agenda, sent, OPEN)
    first, visit = await book(callers, practice, agenda, 3)
    second, later = await book(callers, practice, agenda, 6)
    await first.put(f"Appointment/{visit['id']}", {**visit, "status": "cancelled"})
    await sync(software, agenda, sent, OPEN)
    assert await shown(software, agenda) == [(0, 6, "free"), (6, 7, "busy"), (7, 12, "free")]
    assert counted(await sync(software, agenda, sent, OPEN)) == counts(unchanged=2, conflicts=1)
    await second.put(f"Appointment/{later['id']}", {**later, "status": "cancelled"})
    await sync(software, agenda, sent, OPEN)
    assert await shown(software, agenda) == [(0, 12, "free")]
    assert counted(await sync(software, agenda, sent, OPEN)) == counts(unchanged=1)


@pytest.mark.parametrize("known_by", ["id", "nothing"])
async def test_its_practice_closes_all_of_it(callers: Callers, practice: Practice, known_by: str) -> None:
    """What is left is closed, and the visit's time once it is given back; the visit stands, and whoever says that nobody is
    there hears of it each time."""
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [whole(agenda, known_by)], OPEN)
    patient, visit = await book(callers, practice, agenda, 3)
    closed = "busy-unavailable"
    for expected in (counts(updated=3, conflicts=1), counts(unchanged=2, conflicts=1)):
        answer = await sync(software, agenda, [whole(agenda, known_by, status=closed)], OPEN)
        assert counted(answer) == expected
        assert list(answer["told"].values()) == [(visit["id"], "missing")]
    assert await shown(software, agenda) == [(0, 3, closed), (3, 4, "busy"), (4, 12, closed)]
    await patient.put(f"Appointment/{visit['id']}", {**visit, "status": "cancelled"})
    assert {status for _, _, status in await shown(software, agenda)} == {closed}


async def test_what_is_busy_for_longer_is_an_echo_of_the_visit_in_it(
    callers: Callers, practice: Practice
) -> None:
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [whole(agenda)], OPEN)
    await book(callers, practice, agenda, 3)
    answer = await sync(software, agenda, [whole(agenda, status="busy")], OPEN)
    assert answer["told"] == {}
    assert await shown(software, agenda) == [(0, 3, "busy"), (3, 4, "busy"), (4, 12, "busy")]


@pytest.mark.parametrize("known_by", ["id", "nothing"])
@pytest.mark.parametrize("until", [2, 3, 5])
async def test_a_period_that_ends_within_it_changes_nothing(
    callers: Callers, practice: Practice, known_by: str, until: int
) -> None:
    """A visit that begins after the period is in the time that is sent all the same: nothing is free over it."""
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [whole(agenda, known_by)], OPEN)
    _, visit = await book(callers, practice, agenda, 3)
    before = await in_agenda(software, agenda)
    answer = await sync(software, agenda, [whole(agenda, known_by)], until)
    assert counted(answer) == counts(unchanged=2, conflicts=1)
    assert list(answer["told"].values()) == [(visit["id"], "said-free")]
    assert await in_agenda(software, agenda) == before


async def test_software_that_knows_of_the_visit_says_what_is_left(
    callers: Callers, practice: Practice
) -> None:
    """The visit's own time beside the rest is an echo of it: nothing is taken apart, and nothing contradicts."""
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [whole(agenda)], OPEN)
    await book(callers, practice, agenda, 3)
    slots = [
        whole(agenda, end=utc(agenda.at(3))),
        whole(agenda, start=utc(agenda.at(3)), end=utc(agenda.at(4)), status="busy"),
        whole(agenda, start=utc(agenda.at(4))),
    ]
    assert counted(await sync(software, agenda, slots, OPEN)) == counts(unchanged=3)


@pytest.mark.parametrize("known_by", ["id", "identifier"])
async def test_software_that_cuts_its_open_time_itself_keeps_what_is_left(
    callers: Callers, practice: Practice, known_by: str
) -> None:
    """It calls the first of what is left what it called the whole; here the visit has that name. Once the visit is given back
    there is what its software says, under its names."""
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [whole(agenda, known_by)], OPEN)
    patient, visit = await book(callers, practice, agenda, 3)
    before = await in_agenda(software, agenda)
    visits = {"start": utc(agenda.at(3)), "end": utc(agenda.at(4)), "status": "busy"}
    first = whole(agenda, known_by, end=utc(agenda.at(3)))
    sent = [first, whole(agenda, **visits), whole(agenda, start=utc(agenda.at(4)))]
    for _ in range(2):
        answer = await sync(software, agenda, sent, OPEN)
        assert (counted(answer)["deleted"], answer["told"]) == (0, {})
        assert await shown(software, agenda) == [(0, 3, "free"), (3, 4, "busy"), (4, 12, "free")]
        after = await in_agenda(software, agenda)
        assert {start: one["id"] for start, one in after.items()} == {
            start: one["id"] for start, one in before.items()
        }
    await patient.put(f"Appointment/{visit['id']}", {**visit, "status": "cancelled"})
    await sync(software, agenda, sent, OPEN)
    assert await shown(software, agenda) == [(0, 3, "free"), (3, 4, "busy"), (4, 12, "free")]
    if known_by == "id":
        assert (await in_agenda(software, agenda))[utc(agenda.start)]["id"] == first["id"]


async def test_a_time_that_is_closed_closes_the_part_that_lies_in_it(
    callers: Callers, practice: Practice
) -> None:
    """The rest of the open time was judged by itself, and a feed that repeats the whole changes nothing of that."""
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [whole(agenda)], OPEN)
    await book(callers, practice, agenda, 3)
    closing = {"start": utc(agenda.at(8)), "end": utc(agenda.at(10) - timedelta(minutes=1))}
    answer = await software.post(
        f"Schedule/{agenda.id}/$close",
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "period", "valuePeriod": closing},
                {"name": "confirm", "valueBoolean": True},
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    assert counted(await sync(software, agenda, [whole(agenda)], OPEN)) == counts(unchanged=2, conflicts=1)
    assert await shown(software, agenda) == [(0, 3, "free"), (3, 4, "busy"), (4, 12, "busy-unavailable")]


async def test_a_group_is_not_taken_apart(callers: Callers, practice: Practice) -> None:
    """Nobody takes a part of a group: one that is sent longer is at another time."""
    capacity = {
        "url": "https://creneau.sante.fr/fhir/StructureDefinition/schedule-capacity",
        "valuePositiveInt": 3,
    }
    agenda, software = await practice.open_agenda(0, extension=[capacity]), callers.software()
    await sync(software, agenda, [said(agenda, 0)], OPEN)
    [group] = (await in_agenda(software, agenda)).values()
    wanted = appointment("booked", slots=[group["id"]], patient=await practice.new_patient())
    visit = (await practice.create(wanted)).id
    longer = {**said(agenda, 0), "end": utc(agenda.start + 2 * SLOT_LENGTH)}
    answer = await sync(software, agenda, [longer], OPEN)
    assert answer["told"] == {group["id"]: (visit, "moved")}
    assert len(await in_agenda(software, agenda)) == 1

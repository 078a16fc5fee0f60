"""A practice books one appointment for two patients: each answers for themselves, and their time follows their answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from services.booking.tests.api.test_answers import given
from services.booking.tests.api.test_beside_the_agenda import FEVER
from services.booking.tests.api.test_places import capacity, left, place
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource


@dataclass
class Shared:
    """The visit of two, and how the second of them acts."""

    path: str
    agenda: Agenda
    elsewhere: Agenda
    first: str
    second: str
    answering: Caller
    own: Caller
    software: Caller

    async def answer(self, status: str) -> httpx.Response:
        return await given(self.answering, self.path, self.second, status)

    async def patch(self, status: str) -> httpx.Response:
        people = (await self.own.get(self.path)).json()["participant"]
        index = next(n for n, one in enumerate(people) if one["actor"].get("reference") == self.second)
        said = [{"op": "replace", "path": f"/participant/{index}/status", "value": status}]
        return await self.own.patch(self.path, said)

    async def go_elsewhere(self) -> httpx.Response:
        """The second patient books another agenda at that time."""
        wanted = place(self.elsewhere, self.second)
        return await self.own.post("Appointment", wanted)


async def shared(callers: Callers, practice: Practice, agenda: Agenda, **more: Any) -> Shared:
    first, second = [await practice.new_patient() for _ in range(2)]
    software = callers.software()
    made = await software.post("Appointment", place(agenda, first, actors=[second], **more))
    assert made.status_code == 201, made.text
    return Shared(
        f"Appointment/{made.json()['id']}",
        agenda,
        await practice.open_agenda(1, start=agenda.start),
        first,
        second,
        callers.answering(second),
        callers.patient(second),
        software,
    )


@pytest.fixture(params=["alone", "group"])
async def visit(callers: Callers, practice: Practice, request: pytest.FixtureRequest) -> Shared:
    more: Resource = capacity(2) if request.param == "group" else {}
    return await shared(callers, practice, await practice.open_agenda(1, **more))


@pytest.mark.parametrize("way", ["answer", "patch"])
async def test_who_declines_may_be_elsewhere(practice: Practice, visit: Shared, way: str) -> None:
    """And who says yes again is taken again, unless they are elsewhere by then; the visit is the other's all along."""
    answers = visit.answer if way == "answer" else visit.patch
    said = await answers("declined")
    assert said.is_success, said.text
    assert [who for _, _, who in await practice.occupied(visit.first)] == [visit.path.partition("/")[2]]
    assert await practice.occupied(visit.second) == []
    await require_one_truth(practice.database.pool)
    away = await visit.go_elsewhere()
    assert away.status_code == 201, away.text
    refused = await answers("accepted")
    assert (refused.status_code, code(refused)) == (409, "actor-occupied"), refused.text
    gone = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    assert (await visit.own.patch(f"Appointment/{away.json()['id']}", gone)).status_code == 200
    back = await answers("accepted")
    assert back.is_success, back.text
    assert [who for _, _, who in await practice.occupied(visit.second)] == [visit.path.partition("/")[2]]
    refused = await visit.go_elsewhere()
    assert (refused.status_code, code(refused)) == (409, "actor-occupied"), refused.text
    await require_one_truth(practice.database.pool)


async def test_who_declines_gives_their_place_in_a_group_back(callers: Callers, practice: Practice) -> None:
    """Somebody else may come; who says yes too late finds it full."""
    group = await practice.open_agenda(1, **capacity(2))
    visit = await shared(callers, practice, group)
    assert left(await practice.slot(group.slots[0])) == 0
    assert (await visit.answer("declined")).status_code == 201
    assert left(await practice.slot(group.slots[0])) == 1
    other = await practice.new_patient()
    assert (await callers.patient(other).post("Appointment", place(group, other))).status_code == 201
    refused = await visit.answer("accepted")
    assert (refused.status_code, code(refused)) == (409, "group-full"), refused.text
    await require_one_truth(practice.database.pool)


async def test_who_declines_where_another_visit_is_takes_nobody_of_the_first_one(
    callers: Callers, practice: Practice
) -> None:
    agenda = await practice.open_agenda(1)
    first = await practice.new_patient()
    assert (await callers.patient(first).post("Appointment", place(agenda, first))).status_code == 201
    visit = await shared(callers, practice, agenda, extension=FEVER)
    said = await visit.answer("declined")
    assert said.status_code == 201, said.text
    assert await practice.occupied(visit.second) == []
    away = await visit.go_elsewhere()
    assert away.status_code == 201, away.text
    await require_one_truth(practice.database.pool)


async def test_who_declines_beforehand_is_not_taken_by_an_overbooking(
    callers: Callers, practice: Practice
) -> None:
    agenda = await practice.open_agenda(1)
    first, one, other = [await practice.new_patient() for _ in range(3)]
    assert (await callers.patient(first).post("Appointment", place(agenda, first))).status_code == 201
    wanted = place(agenda, one, actors=[other], extension=FEVER)
    wanted["participant"][1]["status"] = "declined"
    made = await callers.software().post("Appointment", wanted)
    assert made.status_code == 201, made.text
    assert (len(await practice.occupied(one)), await practice.occupied(other)) == (1, [])


async def test_a_no_is_heard_although_the_other_one_can_come_no_more(
    callers: Callers, practice: Practice
) -> None:
    """Nothing is booked for anybody by it."""
    visit = await shared(callers, practice, await practice.open_agenda(1))
    ended = [{"op": "replace", "path": "/active", "value": False}]
    assert (await visit.software.patch(visit.first, ended)).status_code == 200
    said = await visit.answer("declined")
    assert said.status_code == 201, said.text
    assert await practice.occupied(visit.second) == []

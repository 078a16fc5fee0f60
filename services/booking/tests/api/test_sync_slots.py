"""An agenda that its software synchronises: what it says is what there is, but for what was given away here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller, code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, VIDEO, appointment, slot, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Resource

SYSTEM = "https://agenda.exemple.fr/creneau"


def said(agenda: Agenda, index: int, **members: Any) -> Resource:
    """A slot as software says it: no id of its own, its own identifier."""
    one = slot("x", agenda.id, agenda.at(index), **members)
    del one["id"], one["schedule"]
    return {**one, "identifier": [{"system": SYSTEM, "value": f"{agenda.id}-{index}"}]}


def window(agenda: Agenda, count: int) -> dict[str, str]:
    return {"from": utc(agenda.start), "to": utc(agenda.at(count))}


async def sync(
    caller: Caller, agenda: Agenda, slots: Sequence[Resource], count: int = 10, **query: str
) -> dict[str, Any]:
    """NDJSON of these slots, the whole of the first `count` times of the agenda; what was answered, by name."""
    return told(await ndjson(caller, agenda, slots, query or window(agenda, count)))


async def ndjson(
    caller: Caller, agenda: Agenda, slots: Sequence[Resource], query: dict[str, str]
) -> httpx.Response:
    body = "\n".join(json.dumps(one) for one in slots) + "\n"
    return await caller.client.post(
        f"/fhir/Schedule/{agenda.id}/$sync-slots",
        params=query,
        content=body.encode(),
        headers={**caller.headers, "Content-Type": "application/fhir+ndjson"},
    )


def told(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    parts = response.json()["parameter"]
    found: dict[str, Any] = {part["name"]: part["valueInteger"] for part in parts if "valueInteger" in part}
    conflicts = [part["part"] for part in parts if part["name"] == "conflict"]
    found["told"] = {
        part[0]["valueReference"]["reference"].removeprefix("Slot/"): (
            part[1]["valueReference"]["reference"].removeprefix("Appointment/"),
            part[2]["valueCode"],
        )
        for part in conflicts
    }
    return found


def counts(
    created: int = 0, updated: int = 0, deleted: int = 0, unchanged: int = 0, conflicts: int = 0
) -> Any:
    return {
        "created": created,
        "updated": updated,
        "deleted": deleted,
        "unchanged": unchanged,
        "conflicts": conflicts,
    }


def counted(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "told"}


async def in_agenda(caller: Caller, agenda: Agenda) -> dict[str, Resource]:
    """The slots of the agenda by their time."""
    found = await caller.get("Slot", schedule=f"Schedule/{agenda.id}", _count="200")
    return {e["resource"]["start"]: e["resource"] for e in found.json().get("entry", ())}


async def test_said_twice_nothing_changes(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(0), callers.software()
    slots = [said(agenda, n) for n in range(6)]
    assert counted(await sync(software, agenda, slots)) == counts(created=6)
    before = await in_agenda(software, agenda)
    assert counted(await sync(software, agenda, slots)) == counts(unchanged=6)
    assert await in_agenda(software, agenda) == before


async def test_only_the_difference_is_written(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(0), callers.software()
    await sync(software, agenda, [said(agenda, n) for n in range(6)])
    before = await in_agenda(software, agenda)
    changed = {**said(agenda, 2), "serviceType": [VIDEO]}
    moved = {**said(agenda, 8), "identifier": said(agenda, 3)["identifier"]}
    slots = [said(agenda, 0), said(agenda, 1), changed, moved, said(agenda, 7)]
    assert counted(await sync(software, agenda, slots)) == counts(
        created=1, updated=2, deleted=2, unchanged=2
    )
    after = await in_agenda(software, agenda)
    assert [after[utc(agenda.at(n))] for n in (0, 1)] == [before[utc(agenda.at(n))] for n in (0, 1)]
    assert after[utc(agenda.at(2))]["id"] == before[utc(agenda.at(2))]["id"]
    assert after[utc(agenda.at(2))]["meta"]["versionId"] == "2"
    assert after[utc(agenda.at(8))]["id"] == before[utc(agenda.at(3))]["id"]
    assert set(after) == {utc(agenda.at(n)) for n in (0, 1, 2, 7, 8)}
    gone = await software.get(f"Slot/{before[utc(agenda.at(4))]['id']}")
    assert gone.status_code == 410


async def test_outside_the_window_nothing_is_touched(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(6), callers.software()
    assert counted(await sync(software, agenda, [], 3)) == counts(deleted=3)
    assert set(await in_agenda(software, agenda)) == {utc(agenda.at(n)) for n in (3, 4, 5)}
    assert counted(await sync(software, agenda, [said(agenda, 9)], _format="json")) == counts(created=1)
    assert len(await in_agenda(software, agenda)) == 4


async def test_what_is_booked_or_held_here_stays(callers: Callers, practice: Practice) -> None:
    """Missing, moved, said to be free: it stays where it is, and each is told with its appointment."""
    agenda, software = await practice.open_agenda(0), callers.software()
    slots = [said(agenda, n) for n in range(6)]
    await sync(software, agenda, slots)
    ids = {n: (await in_agenda(software, agenda))[utc(agenda.at(n))]["id"] for n in range(6)}
    taken = {}
    for n in range(4):
        wanted = appointment(
            "booked", slots=[ids[n]], patient=await practice.new_patient(), actors=[agenda.practitioner]
        )
        taken[n] = (await practice.create(wanted)).id if n else (await practice.hold(wanted)).id
    moved = {**said(agenda, 8), "identifier": said(agenda, 1)["identifier"]}
    echoed = said(agenda, 2, status="busy")
    answer = await sync(software, agenda, [moved, echoed, said(agenda, 3), said(agenda, 4), said(agenda, 5)])
    assert counted(answer) == counts(unchanged=3, conflicts=3)
    assert answer["told"] == {
        ids[0]: (taken[0], "missing"),
        ids[1]: (taken[1], "moved"),
        ids[3]: (taken[3], "said-free"),
    }
    assert await practice.slot_statuses([ids[n] for n in range(5)]) == [
        "busy-tentative",
        *["busy"] * 3,
        "free",
    ]
    # Software that knows of the visit has not blocked the time: it is free again once the visit is cancelled.
    await practice.change(taken[2], status="cancelled")
    assert await practice.slot_statuses([ids[2]]) == ["free"]


async def test_every_form_of_body(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(0), callers.software()
    path = f"Schedule/{agenda.id}/$sync-slots"
    one, two = said(agenda, 0), {**said(agenda, 1), "schedule": {"reference": f"Schedule/{agenda.id}"}}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one}, {"resource": two}],
    }
    times = f"?from={utc(agenda.start)}&to={utc(agenda.at(5))}"
    assert counted(told(await software.post(path + times, bundle))) == counts(created=2)
    parameters: Any = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "start", "valueDateTime": utc(agenda.start)},
            {"name": "end", "valueDateTime": utc(agenda.at(5))},
            {"name": "slot", "resource": one},
        ],
    }
    assert counted(told(await software.post(path, parameters))) == counts(deleted=1, unchanged=1)
    parameters["parameter"][2] = {"name": "slots", "resource": {**bundle, "type": "batch"}}
    assert counted(told(await software.post(path, parameters))) == counts(created=1, unchanged=1)
    day = agenda.start.date()
    assert counted(told(await software.post(f"{path}?from={day}&to={day}", bundle))) == counts(unchanged=2)


async def test_all_of_it_or_nothing(callers: Callers, practice: Practice) -> None:
    agenda, software = await practice.open_agenda(2), callers.software("en")
    times = window(agenda, 10)
    before = await in_agenda(software, agenda)
    other = {**said(agenda, 1), "schedule": {"reference": "Schedule/another"}}
    backward = {**said(agenda, 1), "end": utc(agenda.start - timedelta(days=1))}
    named = {**said(agenda, 1), "id": unique("s")}
    for slots, status, wrong in (
        ([said(agenda, 0), {**said(agenda, 1), "status": "nothing"}], 400, "required-binding"),
        ([said(agenda, 0), other], 422, "other-agenda"),
        ([said(agenda, 0), said(agenda, 11)], 422, "outside-window"),
        ([said(agenda, 0), backward], 422, "slot-order"),
        ([named, {**said(agenda, 2), "id": named["id"]}], 422, "slot-sent-twice"),
    ):
        refused = await ndjson(software, agenda, slots, times)
        assert (refused.status_code, code(refused)) == (status, wrong), refused.text
    body = await ndjson(software, agenda, [said(agenda, 0)], {"from": times["to"], "to": times["from"]})
    assert (body.status_code, code(body)) == (400, "window-order")
    unreadable = await software.client.post(
        f"/fhir/Schedule/{agenda.id}/$sync-slots",
        content=b'{"resourceType": "Slot"\n',
        headers={**software.headers, "Content-Type": "application/ndjson"},
    )
    assert (unreadable.status_code, code(unreadable)) == (400, "feed-unreadable")
    assert "Line 1" in reason(unreadable)
    assert await in_agenda(software, agenda) == before


@pytest.mark.parametrize("element", ["value", "system"])
async def test_no_identifier_says_whose_a_slot_is(callers: Callers, practice: Practice, element: str) -> None:
    """What a slot is searched by is written as one text: whoever could write what parts it would add terms of their own, and
    be shown what is not theirs."""
    agenda, software = await practice.open_agenda(1), callers.software("en")
    forged = {"system": "urn:feed", "value": "1", element: "urn:1\x1f~public"}
    refused = await ndjson(
        software, agenda, [{**said(agenda, 1), "identifier": [forged]}], window(agenda, 10)
    )
    assert refused.status_code == 400, refused.text
    assert len(await in_agenda(software, agenda)) == 1


async def test_ids_of_the_softwares_own(callers: Callers, practice: Practice) -> None:
    """A slot that comes back is the same one, in a later version; an id that another agenda has is refused."""
    agenda, other, software = await practice.open_agenda(0), await practice.open_agenda(1), callers.software()
    id_ = unique("creneau")
    named = {**said(agenda, 0), "id": id_}
    assert counted(await sync(software, agenda, [named])) == counts(created=1)
    assert counted(
        await sync(software, agenda, [{**named, "start": utc(agenda.start + SLOT_LENGTH / 2)}])
    ) == counts(updated=1)
    assert counted(await sync(software, agenda, [])) == counts(deleted=1)
    assert counted(await sync(software, agenda, [named])) == counts(created=1)
    assert (await software.get(f"Slot/{id_}")).json()["meta"]["versionId"] == "4"
    taken = await ndjson(software, agenda, [{**said(agenda, 1), "id": other.slots[0]}], window(agenda, 9))
    assert taken.status_code == 409


async def test_whose_agenda_it_is(callers: Callers, practice: Practice) -> None:
    agenda = await practice.open_agenda(2)
    for caller, status in (
        (callers.patient(), 403),
        (Caller(callers.client, None), 401),
        (callers.staff(unique("cabinet")), 403),
    ):
        refused = await ndjson(caller, agenda, [], window(agenda, 9))
        assert refused.status_code == status, refused.text
    # The last has the right, on other agendas: it is the agenda that is not theirs.
    assert (code(refused), refused.json()["issue"][0]["expression"]) == ("not-yours", ["Schedule"])
    assert "Schedule" in reason(refused)
    missing = await callers.software().post("Schedule/nowhere/$sync-slots", said(agenda, 0))
    assert missing.status_code == 404
    assert len(await in_agenda(callers.software(), agenda)) == 2


async def test_a_group_with_room_is_free_to_both(callers: Callers, practice: Practice) -> None:
    """That others may still come is no contradiction; once the places are gone it is; it is never taken away."""
    capacity = {
        "url": "https://creneau.sante.fr/fhir/StructureDefinition/schedule-capacity",
        "valuePositiveInt": 2,
    }
    agenda, software = await practice.open_agenda(0, extension=[capacity]), callers.software()
    slots = [said(agenda, 0), said(agenda, 1)]
    await sync(software, agenda, slots)
    id_ = (await in_agenda(software, agenda))[utc(agenda.start)]["id"]
    made = []
    for number in range(2):
        wanted = appointment(
            "booked", slots=[id_], patient=await practice.new_patient(), actors=[agenda.practitioner]
        )
        made.append((await practice.create(wanted)).id)
        told_now = await sync(software, agenda, slots)
        assert counted(told_now) == (counts(unchanged=2) if number == 0 else counts(unchanged=1, conflicts=1))
    answer = await sync(software, agenda, slots[1:])
    assert counted(answer) == counts(unchanged=1, conflicts=1)
    assert answer["told"][id_][0] in made


@pytest.mark.parametrize(
    "period",
    [
        {"form": "2026-01-01"},
        {"from": ""},
        {"from": "2026-01-01", "ot": "2026-02-01"},
        {"from": "2026-01-01", "start": "2026-01-02"},
        {"from": "2026-01-01", "period": "2026-01-01/2026-02-01"},
    ],
)
async def test_nothing_of_the_period_is_passed_over(
    callers: Callers, practice: Practice, period: dict[str, str]
) -> None:
    """What is not sent is deleted: a misspelt end would empty all that follows."""
    agenda, software = await practice.open_agenda(3), callers.software()
    before = await in_agenda(software, agenda)
    assert (await ndjson(software, agenda, [], period)).status_code == 400
    parameters = [{"name": name, "valueString": value} for name, value in period.items() if value]
    if parameters:
        body = {"resourceType": "Parameters", "parameter": parameters}
        assert (await software.post(f"Schedule/{agenda.id}/$sync-slots", body)).status_code == 400
    assert await in_agenda(software, agenda) == before


@pytest.mark.parametrize(
    "page", [{"link": [{"relation": "next", "url": "https://agenda.exemple.fr/2"}]}, {"total": 2}]
)
async def test_a_page_is_not_the_whole(callers: Callers, practice: Practice, page: dict[str, Any]) -> None:
    agenda, software = await practice.open_agenda(3), callers.software()
    before = await in_agenda(software, agenda)
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": said(agenda, 0)}],
        **page,
    }
    times = f"?from={utc(agenda.start)}&to={utc(agenda.at(5))}"
    refused = await software.post(f"Schedule/{agenda.id}/$sync-slots{times}", bundle)
    assert (refused.status_code, code(refused)) == (422, "feed-page")
    assert await in_agenda(software, agenda) == before

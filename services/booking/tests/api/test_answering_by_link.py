"""Whoever comes by the link of a message answers what that one appointment waits for, for its patient, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_access_rules import deadline
from services.booking.tests.api.test_answers import booked, given, proposal, read, response, time_of
from services.booking.tests.api.test_waiting import ACCEPTED, agenda_wish, cancel, join
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, ref
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_shared.fhir.storage.store import Resource

CANCEL = [{"op": "replace", "path": "/status", "value": "cancelled"}]


@pytest.fixture
async def visit(callers: Callers, agenda: Agenda, camille: str) -> str:
    """Booked, and its practice proposes the third slot instead of the first."""
    path = await booked(callers.patient(camille), agenda, camille)
    said = await given(callers.software(), path, agenda.practitioner, "tentative", time_of(agenda, 2))
    assert said.status_code == 201, said.text
    return path


@pytest.fixture
def link(callers: Callers, visit: str, camille: str) -> Caller:
    return callers.by_link(visit.partition("/")[2], camille)


@pytest.mark.parametrize(
    ("status", "which", "becomes"),
    [
        ("accepted", 2, ("booked", 2)),
        ("accepted", None, ("booked", 2)),
        ("accepted", 0, ("booked", 0)),
        ("declined", None, ("cancelled", 0)),
    ],
)
async def test_it_takes_the_other_time_keeps_its_own_or_gives_the_visit_up(
    practice: Practice,
    callers: Callers,
    agenda: Agenda,
    camille: str,
    visit: str,
    link: Caller,
    status: str,
    which: int | None,
    becomes: tuple[str, int],
) -> None:
    """P14, 74: as the account would; what it left is free at once."""
    at = time_of(agenda, which) if which is not None else None
    answer = await given(link, visit, camille, status, at)
    assert answer.status_code == 201, answer.text
    seen = await read(callers.software(), visit)
    assert (seen["status"], seen["start"], proposal(seen)) == (
        becomes[0],
        time_of(agenda, becomes[1])[0],
        {} if becomes[0] == "booked" else proposal(seen),
    )
    taken = [becomes == ("booked", index) for index in range(3)]
    assert await practice.slot_statuses(agenda.slots) == ["busy" if one else "free" for one in taken]


async def test_it_agrees_to_what_the_practice_has_written_down(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    wanted = appointment(
        "pending", slots=agenda.slots[:1], patient=camille, actors=[agenda.practitioner], start=agenda.start
    )
    wanted["participant"][0]["status"] = "needs-action"
    wanted["participant"][1]["status"] = "accepted"
    id_ = (await callers.software().post("Appointment", wanted)).json()["id"]
    answer = await given(callers.by_link(id_, camille), f"Appointment/{id_}", camille, "accepted")
    assert answer.status_code == 201, answer.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]


async def test_it_accepts_an_offer_and_gives_up_what_that_replaces(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """P15: the visit that the person said they would give up, when they joined; the link is for the offer alone."""
    path = await booked(callers.patient(camille), agenda, camille, 2)
    replaces = {"url": REPLACES, "valueReference": ref(path)}
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id), replaces])
    await cancel(callers, practice, agenda)
    by_link = callers.by_link(wish, camille)
    assert (await by_link.get(path)).status_code == 404
    answer = await given(by_link, f"Appointment/{wish}", camille, "accepted")
    assert answer.status_code == 201, answer.text
    assert (await read(callers.software(), f"Appointment/{wish}"))["status"] == "booked"
    assert (await read(callers.software(), path))["status"] == "cancelled"
    assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]


async def test_it_refuses_an_offer_and_stays_on_the_list(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    await cancel(callers, practice, agenda)
    answer = await given(callers.by_link(wish, camille), f"Appointment/{wish}", camille, "declined")
    assert answer.status_code == 201, answer.text
    assert (await read(callers.software(), f"Appointment/{wish}"))["status"] == "waitlist"
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


# -- as the one with the fewest rights --------------------------------------------------------------------------


async def unchanged(callers: Callers, path: str, before: Resource) -> None:
    assert await read(callers.software(), path) == before


async def test_no_other_appointment_is_answered_nor_found_out_about(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, visit: str, link: Caller
) -> None:
    """The same person's other visit, another patient's offer, and one that is none: the same refusal."""
    elsewhere = await practice.open_agenda()
    other = await booked(callers.patient(camille), elsewhere, camille, 1)
    stranger = await practice.new_patient()
    wish = f"Appointment/{await join(callers, stranger, extension=[agenda_wish(elsewhere.id)])}"
    await cancel(callers, practice, elsewhere)
    before = [await read(callers.software(), path) for path in (other, wish, visit)]
    assert before[1]["status"] == "pending"
    said = set()
    for path in (other, wish, "Appointment/never-there"):
        for who in (camille, stranger):
            for status in ("accepted", "declined"):
                refused = await given(link, path, who, status)
                said.add((refused.status_code, code(refused)))
    assert said == {(403, "not-yours")}
    for path, was in zip((other, wish, visit), before, strict=True):
        await unchanged(callers, path, was)


@pytest.mark.parametrize("who", ["practitioner", "place", "somebody else", "a relative"])
async def test_nobody_but_the_patient_is_answered_for(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, visit: str, link: Caller, who: str
) -> None:
    """Never for the practice: a link to a visit would book it by itself."""
    relative = {"resourceType": "RelatedPerson", "patient": ref(camille), "name": [{"text": "Jean"}]}
    kin = (await callers.software().post("RelatedPerson", relative)).json()["id"]
    actor = {
        "practitioner": agenda.practitioner,
        "place": agenda.location,
        "somebody else": await practice.new_patient(),
        "a relative": f"RelatedPerson/{kin}",
    }[who]
    before = await read(callers.software(), visit)
    refused = await given(link, visit, actor, "accepted")
    assert refused.status_code == 403, refused.text
    await unchanged(callers, visit, before)


@pytest.mark.parametrize(
    ("status", "more"),
    [
        ("tentative", {}),
        ("needs-action", {}),
        ("accepted", {"comment": "plutôt le soir"}),
        ("declined", {"participantType": [{"text": "la voisine"}]}),
        ("accepted", {"extension": [{"url": "https://example.org/say", "valueString": "bonjour"}]}),
    ],
)
async def test_it_says_yes_or_no_and_nothing_else(
    callers: Callers,
    agenda: Agenda,
    camille: str,
    visit: str,
    link: Caller,
    status: str,
    more: dict[str, Any],
) -> None:
    before = await read(callers.software(), visit)
    at = time_of(agenda, 1) if status == "tentative" else None
    refused = await given(link, visit, camille, status, at, **more)
    assert (refused.status_code, code(refused)) == (403, "link-only"), refused.text
    named = response(visit, camille, "accepted")
    named["actor"] = {**ref(camille), "display": "Bonjour"}
    assert code(await link.post("AppointmentResponse", named)) == "link-only"
    await unchanged(callers, visit, before)


async def test_answers_are_given_and_never_looked_at(
    callers: Callers, camille: str, visit: str, link: Caller
) -> None:
    """Neither what the practice has answered, nor its own; what was said stays said."""
    own = (await given(link, visit, camille, "accepted")).json()
    address, said = f"AppointmentResponse/{own['id']}", response(visit, camille, "declined")
    answers = [
        await link.get(address),
        await link.get(f"AppointmentResponse?appointment={visit}"),
        await link.put(address, {**own, "participantStatus": "declined"}),
        await link.put("AppointmentResponse/of-my-choice", {**said, "id": "of-my-choice"}),
        await link.delete(address),
        await link.get("AppointmentResponse/_history"),
        await link.post("AppointmentResponse", said, **{"If-None-Exist": f"appointment={visit}"}),
    ]
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert (await read(callers.software(), visit))["status"] == "booked"


async def test_a_bundle_opens_no_more(
    callers: Callers, practice: Practice, camille: str, visit: str, link: Caller
) -> None:
    elsewhere = await practice.open_agenda()
    other = await booked(callers.patient(camille), elsewhere, camille, 1)
    entries = [
        {
            "resource": response(path, camille, "declined"),
            "request": {"method": "POST", "url": "AppointmentResponse"},
        }
        for path in (visit, other)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert (await link.post("", bundle)).status_code == 403
    assert [(await read(callers.software(), path))["status"] for path in (visit, other)] == ["booked"] * 2
    answer = (await link.post("", {**bundle, "type": "batch"})).json()
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201", "403"]


@pytest.mark.parametrize("end", ["cancelled", "other person"])
async def test_it_dies_with_the_visit(
    callers: Callers, practice: Practice, camille: str, visit: str, link: Caller, end: str
) -> None:
    software = callers.software()
    said = await read(software, visit)
    if end == "cancelled":
        assert (await software.patch(visit, CANCEL)).status_code == 200
    else:
        said["participant"][0]["actor"] = ref(await practice.new_patient())
        assert (await software.put(visit, said)).status_code == 200
    before = await read(software, visit)
    for status in ("accepted", "declined"):
        refused = await given(link, visit, camille, status)
        assert refused.status_code == (422 if end == "cancelled" else 403), refused.text
    await unchanged(callers, visit, before)


async def test_the_practices_deadline_holds_for_a_no_by_link(
    callers: Callers, practice: Practice, camille: str
) -> None:
    late = await practice.open_agenda(extension=[deadline(24 * 6)])
    path = await booked(callers.patient(camille), late, camille)
    practice.clock.advance(timedelta(days=2))
    refused = await given(callers.by_link(path.partition("/")[2], camille), path, camille, "declined")
    practice.clock.advance(-timedelta(days=2))
    assert (refused.status_code, code(refused)) == (422, "change-too-late"), refused.text


async def test_account_and_link_accept_the_same_at_once(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """An offer, from two screens at the same moment: booked once, told once, and the slot has one visit."""
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    await cancel(callers, practice, agenda)
    path, account, by_link = (
        f"Appointment/{wish}",
        callers.patient(camille),
        callers.by_link(wish, camille),
    )
    rivals = [
        request
        for _ in range(4)
        for request in (
            account.patch(path, ACCEPTED),
            by_link.patch(path, ACCEPTED),
            given(by_link, path, camille, "accepted"),
        )
    ]
    statuses = {answer.status_code for answer in await asyncio.gather(*rivals)}
    assert statuses <= {200, 201, 403, 409, 412, 422}
    assert statuses & {200, 201}
    assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]
    assert (await practice.kinds(wish)).count("booked") == 1


async def test_yes_by_account_and_no_by_link_at_once(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, visit: str, link: Caller
) -> None:
    """Of the same proposal: one after the other, and nothing is left half moved."""
    account = callers.answering(camille)
    answers = await asyncio.gather(
        given(account, visit, camille, "accepted"), given(link, visit, camille, "declined")
    )
    assert {answer.status_code for answer in answers} <= {201, 422}
    seen = await read(callers.software(), visit)
    statuses = await practice.slot_statuses(agenda.slots)
    assert seen["status"] == "cancelled"
    assert statuses == ["free"] * 3

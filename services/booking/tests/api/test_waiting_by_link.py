"""Whoever comes by the link of a message waits for an earlier time of that visit, and leaves the list: `$wait`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_access_rules import deadline
from services.booking.tests.api.test_by_link import book
from services.booking.tests.api.test_waiting import ACCEPTED, CANCELLED, REFUSED, cancel, extension
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    CONSULTATION,
    SLOT_LENGTH,
    VIDEO,
    appointment,
    parameters,
    patient,
    ref,
    slot,
    unique,
)
from services.booking.tests.openings import FIRST_VISIT, FOLLOW_UP
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, HIDDEN, REPLACES, WAITING_SINCE
from creneau_booking.storage.mapping.wishes import WAITING_AGENDA, WAITING_TIMES
from creneau_shared.fhir.storage.store import Resource, Stored
from creneau_shared.fhir.zones import TIME_ZONE

LABEL = {"system": CONFIDENTIALITY, "code": HIDDEN}


@pytest.fixture
async def late(practice: Practice, agenda: Agenda, camille: str) -> Stored:
    """The last time of the agenda is theirs."""
    return await book(practice, agenda, camille, len(agenda.slots) - 1)


@pytest.fixture
def link(callers: Callers, late: Stored, camille: str) -> Caller:
    return callers.by_link(late.id, camille)


async def wait(caller: Caller, visit: str, **said: Any) -> Any:
    return await caller.post(f"Appointment/{visit}/$wait", parameters(**said))


async def test_it_waits_for_something_earlier_of_its_own_visit_and_says_when(
    callers: Callers, agenda: Agenda, late: Stored, link: Caller, camille: str
) -> None:
    """With whom, for what and instead of what is not for it to say. Sent twice, it waits once."""
    answer = await wait(link, late.id, times=["morning", "evening"])
    assert answer.status_code == 201, answer.text
    wish = answer.json()
    assert wish["status"] == "waitlist"
    assert extension(wish, REPLACES) == ref(f"Appointment/{late.id}")
    assert extension(wish, WAITING_AGENDA) == ref(f"Schedule/{agenda.id}")
    assert [e["valueCode"] for e in wish["extension"] if e["url"] == WAITING_TIMES] == ["morning", "evening"]
    visit = (await link.get(f"Appointment/{late.id}")).json()
    assert wish["requestedPeriod"] == [{"end": visit["start"]}], "not later on the same day"
    assert [one["actor"]["reference"] for one in wish["participant"]] == [camille]
    again = await wait(link, late.id)
    assert (again.status_code, again.json()["id"]) == (200, wish["id"])
    seen = await callers.patient(camille).get(f"Appointment/{wish['id']}")
    assert seen.status_code == 200


async def test_it_sees_accepts_and_then_has_what_stands_in_the_place_of_its_visit(
    callers: Callers, practice: Practice, agenda: Agenda, late: Stored, link: Caller
) -> None:
    wish = (await wait(link, late.id)).json()["id"]
    await cancel(callers, practice, agenda)
    found = (await link.get("Appointment")).json()
    assert {e["resource"]["id"]: e["resource"]["status"] for e in found["entry"]} == {
        late.id: "booked",
        wish: "pending",
    }
    assert (await link.patch(f"Appointment/{wish}", REFUSED)).json()["status"] == "waitlist"
    await cancel(callers, practice, agenda, 1)
    accepted = await link.patch(f"Appointment/{wish}", ACCEPTED)
    assert (accepted.status_code, accepted.json()["status"]) == (200, "booked"), accepted.text
    assert (await link.get(f"Appointment/{late.id}")).json()["status"] == "cancelled"
    assert (await link.get(f"Appointment/{wish}")).status_code == 200


async def test_pressed_twice_at_once_it_waits_once(late: Stored, link: Caller) -> None:
    answers = await asyncio.gather(*(wait(link, late.id) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_where_else_they_wait_is_not_told_to_the_practice_of_the_visit(
    callers: Callers, practice: Practice
) -> None:
    """Its own request for them is another one, and the neighbour's is not seen in it."""
    here, elsewhere = await open_surgery(practice), await open_surgery(practice)
    patient_of = callers.patient()
    who = f"Patient/{(await patient_of.post('Patient', patient())).json()['id']}"
    wanted = appointment("booked", slots=here.slots[1:2], patient=who, start=here.start + SLOT_LENGTH)
    visit = (await patient_of.post("Appointment", wanted)).json()["id"]
    wish = appointment(
        "waitlist",
        patient=who,
        extension=[
            {"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{elsewhere.agenda}")},
            {"url": REPLACES, "valueReference": ref(f"Appointment/{visit}")},
        ],
    )
    theirs = (await patient_of.post("Appointment", wish)).json()["id"]
    assert (await wait(patient_of, visit)).json()["id"] == theirs, "whose it is has it"
    staff = callers.staff(here.organization)
    answer = await wait(staff, visit)
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] != theirs
    assert elsewhere.agenda not in answer.text
    assert (await wait(staff, visit)).json()["id"] == answer.json()["id"]


async def test_it_leaves_the_list(late: Stored, link: Caller) -> None:
    wish = (await wait(link, late.id)).json()["id"]
    assert (await link.patch(f"Appointment/{wish}", CANCELLED)).json()["status"] == "cancelled"
    anew = await wait(link, late.id)
    assert (anew.status_code, anew.json()["id"] != wish) == (201, True), "and may come back"


async def test_it_says_nothing_else_of_what_waits(late: Stored, link: Caller) -> None:
    path = f"Appointment/{(await wait(link, late.id)).json()['id']}"
    for patch in (
        [{"op": "add", "path": "/comment", "value": "vite"}],
        [{"op": "remove", "path": "/requestedPeriod"}],
        [{"op": "remove", "path": "/extension"}],
        [{"op": "replace", "path": "/status", "value": "proposed"}],
    ):
        assert (await link.patch(path, patch)).status_code in (403, 422)
    assert (await link.get(f"{path}/_history")).status_code == 403


async def test_no_other_wish_is_there_and_none_is_made_otherwise(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, late: Stored, link: Caller
) -> None:
    """Neither of the same person nor of another who names this visit; and a POST is as before."""
    mine = callers.patient(camille)
    free = await mine.post("Appointment", appointment("waitlist", patient=camille))
    other = await book(practice, agenda, await practice.new_patient(), 0)
    assert (await link.get(f"Appointment/{free.json()['id']}")).status_code == 404
    assert (await wait(link, other.id)).status_code == 404
    replacing = {"url": REPLACES, "valueReference": ref(f"Appointment/{late.id}")}
    posted = await link.post("Appointment", appointment("waitlist", patient=camille, extension=[replacing]))
    assert posted.status_code == 403, posted.text
    stranger = await practice.new_patient()
    strange = await practice.create(appointment("waitlist", patient=stranger))
    foreign = {**(await callers.software().get(f"Appointment/{strange.id}")).json(), "extension": [replacing]}
    await callers.software().put(f"Appointment/{strange.id}", foreign)
    assert (await link.get(f"Appointment/{strange.id}")).status_code == 404


async def test_what_is_hidden_is_not_waited_for_by_link(
    callers: Callers, agenda: Agenda, camille: str
) -> None:
    hidden = await callers.patient(camille).post(
        "Appointment",
        appointment(
            "booked", slots=agenda.slots[2:3], patient=camille, start=agenda.at(2), meta={"security": [LABEL]}
        ),
    )
    id_ = hidden.json()["id"]
    assert (await wait(callers.by_link(id_, camille), id_)).status_code == 404


async def test_a_visit_that_is_no_more_or_has_begun_has_nothing_earlier(
    callers: Callers, late: Stored, link: Caller, camille: str
) -> None:
    start = (await link.get(f"Appointment/{late.id}")).json()["start"]
    before = callers.clock.now()
    callers.clock.advance(datetime.fromisoformat(start) - before + timedelta(minutes=1))
    begun = await wait(callers.by_link(late.id, camille), late.id)
    assert (begun.status_code, code(begun)) == (422, "already-started")
    callers.clock.advance(before - callers.clock.now())
    await link.patch(f"Appointment/{late.id}", CANCELLED)
    gone = await wait(link, late.id)
    assert (gone.status_code, code(gone)) == (422, "visit-not-booked")
    assert "a été annulé" in gone.json()["issue"][0]["details"]["text"]


async def test_what_is_not_booked_is_told_what_it_is(
    callers: Callers, agenda: Agenda, late: Stored, camille: str
) -> None:
    """A request that waits itself, and a time that is only held: whose they are is not in doubt."""
    mine = callers.patient(camille)
    wish = (await wait(mine, late.id)).json()["id"]
    held = await mine.post(
        "Appointment/$hold",
        parameters(appointment=appointment("proposed", slots=agenda.slots[:1], patient=camille)),
    )
    for id_, what in ((wish, "liste d'attente"), (held.json()["id"], "n'est pas encore pris")):
        refused = await wait(mine, id_)
        assert (refused.status_code, code(refused)) == (422, "visit-not-booked"), refused.text
        [issue] = refused.json()["issue"]
        assert what in issue["details"]["text"]
        assert issue["expression"] == ["Appointment.status"]


async def test_a_day_that_is_over_is_not_waited_for(
    callers: Callers, late: Stored, link: Caller, camille: str
) -> None:
    """Nothing could ever be offered: it is said at once, and nothing waits."""
    today = callers.clock.now().date()
    refused = await wait(link, late.id, until=str(today - timedelta(days=1)))
    assert (refused.status_code, code(refused)) == (422, "wish-over"), refused.text
    waiting = await callers.patient(camille).get("Appointment", patient=camille, status="waitlist")
    assert "entry" not in waiting.json()
    assert (await wait(link, late.id, until=str(today))).status_code == 201
    again = await wait(link, late.id, until=str(today - timedelta(days=1)))
    assert (again.status_code, code(again)) == (422, "wish-over"), again.text


async def test_who_says_again_when_they_can_come_waits_for_that_from_where_they_stand(
    late: Stored, link: Caller
) -> None:
    """What is not said again stays; what is as it was is written no more."""
    first = (await wait(link, late.id, times=["morning"], until="2026-11-20")).json()
    other = (await wait(link, late.id, times=["evening", "afternoon"])).json()
    assert (other["id"], other["meta"]["versionId"]) == (first["id"], "2")
    assert [e["valueCode"] for e in other["extension"] if e["url"] == WAITING_TIMES] == [
        "evening",
        "afternoon",
    ]
    assert other["requestedPeriod"] == first["requestedPeriod"] == [{"end": "2026-11-20T23:00:00Z"}]
    assert extension(other, WAITING_SINCE) == extension(first, WAITING_SINCE)
    sooner = (await wait(link, late.id, until="2026-11-18")).json()
    assert sooner["requestedPeriod"] == [{"end": "2026-11-18T23:00:00Z"}]
    for said in ({}, {"times": ["afternoon", "evening"]}, {"until": "2026-11-18"}):
        same = await wait(link, late.id, **said)
        assert (same.status_code, same.json()["meta"]["versionId"]) == (200, "3"), said
    unread = await wait(link, late.id, times=["night"])
    assert (unread.status_code, code(unread)) == (422, "unreadable-wish")


async def test_the_last_day_is_one_of_the_place(callers: Callers, practice: Practice, camille: str) -> None:
    """The afternoon of the 18th in Papeete is the 19th in Paris."""
    there = {"url": TIME_ZONE, "valueCode": "Pacific/Tahiti"}
    far = await practice.open_agenda(extension=[there])
    late = await practice.create(appointment("booked", slots=far.slots[:1], patient=camille, start=far.start))
    asked = await wait(callers.patient(camille), late.id, until="2026-11-18")
    assert asked.status_code == 201, asked.text
    assert asked.json()["requestedPeriod"] == [{"end": "2026-11-19T10:00:00Z"}]


async def test_what_is_offered_is_for_what_was_said_last(
    practice: Practice, agenda: Agenda, late: Stored, link: Caller
) -> None:
    """Not what they asked for before; and who has an offer in hand says it for what comes after it."""
    wish = (await wait(link, late.id, times=["evening"])).json()["id"]
    assert (await wait(link, late.id, times=["morning"])).json()["id"] == wish
    day = agenda.start - timedelta(days=2)
    await practice.fill(agenda.id, 1, day.replace(hour=18))
    assert (await link.get(f"Appointment/{wish}")).json()["status"] == "waitlist"
    await practice.fill(agenda.id, 1, day)
    offer = await wait(link, late.id, times=["evening"])
    assert (offer.json()["id"], offer.json()["status"]) == (wish, "pending")
    refused = await link.patch(f"Appointment/{wish}", REFUSED)
    assert refused.json()["status"] == "waitlist"
    await practice.fill(agenda.id, 1, day + timedelta(hours=1))
    assert (await link.get(f"Appointment/{wish}")).json()["status"] == "waitlist", "no morning any more"
    await practice.fill(agenda.id, 1, day.replace(hour=19))
    assert (await link.get(f"Appointment/{wish}")).json()["status"] == "pending"


async def test_it_waits_for_the_same_and_for_as_long(callers: Callers, practice: Practice) -> None:
    """What the visit is for its slot says. Neither another visit, nor another way to come, nor a shorter time is offered."""
    kind: Resource = {
        "serviceType": [FIRST_VISIT, CONSULTATION],
        "appointmentType": {"coding": [{"code": "ROUTINE"}]},
    }
    agenda = await practice.open_agenda(1, slot_members=kind)
    day, long = agenda.start - timedelta(days=1), SLOT_LENGTH * 2
    visit = unique("long")
    await practice.put(slot(visit, agenda.id, agenda.at(3), long, **kind))
    who = await practice.new_patient()
    booked = await practice.create(appointment("booked", slots=[visit], patient=who))
    link = callers.by_link(booked.id, who)
    wish = (await wait(link, booked.id)).json()
    assert {name: wish[name] for name in kind} == kind
    others = (
        (SLOT_LENGTH, kind),
        (long, {**kind, "serviceType": [FIRST_VISIT, VIDEO]}),
        (long, {**kind, "serviceType": [FOLLOW_UP, CONSULTATION]}),
        (long, {**kind, "appointmentType": {"coding": [{"code": "WALKIN"}]}}),
    )
    for index, (length, members) in enumerate(others):
        await practice.put(slot(unique("autre"), agenda.id, day + index * long, length, **members))
        assert (await link.get(f"Appointment/{wish['id']}")).json()["status"] == "waitlist", members
    alike = unique("pareil")
    await practice.put(slot(alike, agenda.id, day + timedelta(hours=4), long, **kind))
    offer = (await link.get(f"Appointment/{wish['id']}")).json()
    assert (offer["status"], offer["slot"]) == ("pending", [ref(f"Slot/{alike}")])


async def test_what_a_visit_says_itself_is_waited_for(callers: Callers, practice: Practice) -> None:
    """And how one comes is its slot's, where it says only for what."""
    kind = {"serviceType": [FIRST_VISIT, FOLLOW_UP, CONSULTATION]}
    agenda = await practice.open_agenda(slot_members=kind)
    who = await practice.new_patient()
    booked = await practice.create(
        appointment("booked", slots=agenda.slots[2:], patient=who, serviceType=[FOLLOW_UP])
    )
    wish = (await wait(callers.by_link(booked.id, who), booked.id)).json()
    assert wish["serviceType"] == [FOLLOW_UP, CONSULTATION]


async def test_what_can_be_given_up_no_more_is_not_waited_instead_of(
    callers: Callers, practice: Practice
) -> None:
    """A patient is told so at once, as by moving it; the practice may wait for them."""
    agenda = await practice.open_agenda(extension=[deadline(8 * 24)])
    who = await practice.new_patient()
    late = await book(practice, agenda, who, 2)
    refused = await wait(callers.by_link(late.id, who), late.id)
    assert (refused.status_code, code(refused)) == (422, "change-too-late"), refused.text
    assert (await wait(callers.software(), late.id)).status_code == 201


@pytest.mark.parametrize(("hours", "offered"), [(8 * 24, False), (7 * 24 - 2, False), (6 * 24, True)])
async def test_nothing_is_offered_that_could_not_be_accepted_until_the_offer_ends(
    callers: Callers, practice: Practice, hours: int, offered: bool
) -> None:
    """The deadline of the visit that it would replace: past, before the offer ends, or after it."""
    agenda = await practice.open_agenda(extension=[deadline(hours)])
    who = await practice.new_patient()
    late = await book(practice, agenda, who, 2)
    wish = (await wait(callers.software(), late.id)).json()["id"]
    _, earlier = await practice.fill(agenda.id, 1, agenda.start - timedelta(days=1))
    found = (await callers.patient(who).get(f"Appointment/{wish}")).json()
    assert found["status"] == ("pending" if offered else "waitlist")
    assert await practice.slot_statuses(earlier) == ["busy-tentative" if offered else "free"]
    if offered:
        accepted = await callers.patient(who).patch(f"Appointment/{wish}", ACCEPTED)
        assert accepted.status_code == 200, accepted.text

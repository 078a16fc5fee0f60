"""An agenda that is offered again: who waits is asked before anybody sees it (checklist 82, 83)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from services.booking.tests.api.test_places import capacity, place
from services.booking.tests.api.test_waiting import agenda_wish, join, read
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import SLOT_LENGTH, parameters, schedule, slot, unique, utc
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.storage.availability.freshness import STALE_AFTER

HOUR = {"value": 1, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"}


async def is_first_in_line(callers: Callers, agenda: str, wish: tuple[str, str]) -> bool:
    """Whether who waits is offered one of the slots, and the public sees none of that time."""
    offer = await read(callers, *wish)
    if offer["status"] != "pending":
        return False
    free = await callers.nobody().get("Slot", schedule=f"Schedule/{agenda}", status="free")
    return offer["start"] not in [entry["resource"].get("start") for entry in free.json().get("entry", ())]


async def waiting_for(callers: Callers, practice: Practice, agenda: str) -> tuple[str, str]:
    patient = await practice.new_patient()
    return patient, await join(callers, patient, extension=[agenda_wish(agenda)])


async def test_83_pushed_slots_are_free_again_and_who_waits_comes_first(
    callers: Callers, practice: Practice
) -> None:
    """What the practice itself had closed stays closed."""
    agenda, software = await practice.open_agenda(3), callers.software()
    own = slot(agenda.slots[2], agenda.id, agenda.at(2), status="busy-unavailable")
    assert (await software.put(f"Slot/{agenda.slots[2]}", own)).status_code == 200

    async def close(action: str) -> None:
        said = {"action": action, "start": utc(agenda.at(0)), "end": utc(agenda.at(3)), "confirm": "true"}
        answer = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said))
        assert answer.status_code == 200, answer.text

    await close("cancel")
    assert await practice.slot_statuses(agenda.slots) == ["busy-unavailable"] * 3
    wish = await waiting_for(callers, practice, agenda.id)
    assert (await read(callers, *wish))["status"] == "waitlist"
    await close("reopen")
    assert await practice.slot_statuses(agenda.slots) == ["busy-tentative", "free", "busy-unavailable"]
    assert await is_first_in_line(callers, agenda.id, wish)


@pytest.mark.parametrize("way", ["sync", "slot", "bundle", "schedule"])
async def test_82_an_agenda_that_is_up_to_date_again(callers: Callers, practice: Practice, way: str) -> None:
    """Whatever word of its software brings it back."""
    stale = [{"url": STALE_AFTER, "valueDuration": HOUR}]
    agenda, software = await practice.open_agenda(2, extension=stale), callers.software()
    practice.clock.advance(timedelta(hours=2))
    wish = await waiting_for(callers, practice, agenda.id)
    assert (await read(callers, *wish))["status"] == "waitlist"
    if way == "schedule":
        said = schedule(agenda.id, [agenda.practitioner, agenda.location], extension=stale)
        answer = await software.put(f"Schedule/{agenda.id}", said)
    elif way == "sync":
        same = [slot(id_, agenda.id, agenda.at(i)) for i, id_ in enumerate(agenda.slots)]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": s} for s in same]}
        answer = await software.post(f"Schedule/{agenda.id}/$sync-slots", bundle)
    else:
        other = slot(unique("autre"), agenda.id, agenda.at(5), status="busy")
        entry = {"request": {"method": "POST", "url": "Slot"}, "resource": other}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}
        answer = await (software.post("Slot", other) if way == "slot" else software.post("", bundle))
    practice.clock.advance(-timedelta(hours=2))
    assert answer.status_code in (200, 201), answer.text
    assert await is_first_in_line(callers, agenda.id, wish)


@pytest.mark.parametrize("way", ["active", "horizon"])
async def test_82_an_agenda_that_opens_or_goes_further(
    callers: Callers, practice: Practice, way: str
) -> None:
    closed = {"active": False} if way == "active" else {"planningHorizon": {"end": "2026-11-18"}}
    agenda = await practice.open_agenda(1, **closed)
    wish = await waiting_for(callers, practice, agenda.id)
    opened = schedule(agenda.id, [agenda.practitioner, agenda.location])
    assert (await callers.software().put(f"Schedule/{agenda.id}", opened)).status_code == 200
    assert await is_first_in_line(callers, agenda.id, wish)


async def test_82_an_agenda_whose_professional_is_back(callers: Callers, practice: Practice) -> None:
    surgery = await open_surgery(practice, 1)
    role = surgery.role.partition("/")[2]
    away = role_resource(role, surgery.practitioner, surgery.organization, active=False)
    away["meta"] = {"versionId": "2", "lastUpdated": "2026-11-02T08:00:00Z"}
    await hear(practice, away)
    wish = await waiting_for(callers, practice, surgery.agenda)
    back = {**away, "active": True, "meta": {"versionId": "3", "lastUpdated": "2026-11-03T08:00:00Z"}}
    assert (await read(callers, *wish))["status"] == "waitlist"
    await hear(practice, back)
    assert await is_first_in_line(callers, surgery.agenda, wish)


async def test_82_70_more_places_are_theirs_who_wait(callers: Callers, practice: Practice) -> None:
    """A full group whose agenda says that it has two places more: two are offered one, the third waits on."""
    group = await practice.open_agenda(1, **capacity(2))
    for _ in range(2):
        who = await practice.new_patient()
        taken = await callers.patient(who).post("Appointment", place(group, who))
        assert taken.status_code == 201, taken.text
    wishes = [await waiting_for(callers, practice, group.id) for _ in range(3)]
    more = schedule(group.id, [group.practitioner, group.location], **capacity(4))
    assert (await callers.software().put(f"Schedule/{group.id}", more)).status_code == 200
    assert [(await read(callers, *wish))["status"] for wish in wishes] == ["pending", "pending", "waitlist"]
    assert await practice.slot_statuses(group.slots) == ["busy"]


async def test_83_a_feed_does_not_open_what_the_practice_has_closed(
    callers: Callers, practice: Practice
) -> None:
    """Its software says `free` meanwhile, of old slots and of a new one; sent twice it changes nothing; taken back, all are
    free."""
    agenda, software = await practice.open_agenda(2), callers.software()
    said = {"start": utc(agenda.at(0)), "end": utc(agenda.at(3)), "confirm": "true"}
    for action in ("cancel", "reopen"):
        answer = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action=action))
        assert answer.status_code == 200, answer.text
        fed = [slot(unique("fed"), agenda.id, agenda.at(i), identifier=[{"system": "urn:s", "value": f"{agenda.id}{i}"}])
               for i in range(4)]  # fmt: skip
        for one in fed:
            del one["id"]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": s} for s in fed]}
        for _ in range(2):
            synced = await software.post(f"Schedule/{agenda.id}/$sync-slots", bundle)
            assert synced.status_code == 200, synced.text
        counts = {p["name"]: p.get("valueInteger") for p in synced.json()["parameter"]}
        assert (counts["unchanged"], counts["updated"]) == (4, 0)
        found = await software.get("Slot", schedule=f"Schedule/{agenda.id}", _sort="start")
        statuses = [e["resource"]["status"] for e in found.json()["entry"]]
        assert statuses == (["busy-unavailable"] * 3 + ["free"] if action == "cancel" else ["free"] * 4)


async def test_83_nor_once_that_time_is_over(callers: Callers, practice: Practice) -> None:
    """What is said of yesterday, as a whole or slot by slot, stands as closed: two ways to write are one rule."""
    agenda, software = await practice.open_agenda(2), callers.software()
    said = {"start": utc(agenda.at(0)), "end": utc(agenda.at(2)), "confirm": "true", "action": "cancel"}
    closed = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said))
    assert closed.status_code == 200, closed.text
    practice.clock.instant = agenda.at(3)
    fed = slot("", agenda.id, agenda.at(0))
    del fed["id"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": fed}]}
    window = f"from={utc(agenda.at(0))}&to={utc(agenda.at(1))}"
    synced = await software.post(f"Schedule/{agenda.id}/$sync-slots?{window}", bundle)
    assert synced.status_code == 200, synced.text
    alone = slot(agenda.slots[1], agenda.id, agenda.at(1))
    assert (await software.put(f"Slot/{agenda.slots[1]}", alone)).status_code == 200
    found = await software.get("Slot", schedule=f"Schedule/{agenda.id}")
    assert [e["resource"]["status"] for e in found.json()["entry"]] == ["busy-unavailable"] * 2


@pytest.mark.parametrize("way", ["PUT", "POST", "transaction"])
async def test_a_slot_written_alone_does_not_either(callers: Callers, practice: Practice, way: str) -> None:
    """Software that says its agenda slot by slot, again or anew, while its practitioner is ill: nobody is offered that day.
    Taken back, what it said holds."""
    agenda, software = await practice.open_agenda(2), callers.software()
    said = {"start": utc(agenda.at(0)), "end": utc(agenda.at(3)), "confirm": "true"}
    closed = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action="cancel"))
    assert closed.status_code == 200, closed.text
    again = [slot(id_, agenda.id, agenda.at(i)) for i, id_ in enumerate(agenda.slots)]
    written = [*(again if way != "POST" else []), slot(unique("neu"), agenda.id, agenda.at(2))]
    beside = slot(unique("neben"), agenda.id, agenda.at(4))
    for one in [*written, beside]:
        if way == "POST":
            answer = await software.post("Slot", {name: v for name, v in one.items() if name != "id"})
            assert answer.status_code == 201, answer.text
            one["id"] = answer.json()["id"]
        elif way == "PUT":
            answer = await software.put(f"Slot/{one['id']}", one)
            assert answer.status_code in (200, 201), answer.text
    if way == "transaction":
        entries = [
            {"resource": s, "request": {"method": "PUT", "url": f"Slot/{s['id']}"}}
            for s in [*written, beside]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert (await software.post("", bundle)).status_code == 200
    ids = [one["id"] for one in written]
    assert await practice.slot_statuses([*ids, beside["id"]]) == ["busy-unavailable"] * len(ids) + ["free"]
    reopened = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action="reopen"))
    assert reopened.status_code == 200, reopened.text
    assert await practice.slot_statuses([*ids, beside["id"]]) == ["free"] * (len(ids) + 1)


async def test_83_what_a_feed_says_is_closed_stays_closed_beside_what_begins_with_it(
    callers: Callers, practice: Practice
) -> None:
    """Two slots begin together, as where services have several lengths; one of them the practice does not offer. Its closure
    is taken back, and that one is not opened by its neighbour, whether the feed names it again or not."""
    agenda, software = await practice.open_agenda(2), callers.software()
    own, unnamed = (
        slot(unique("lang"), agenda.id, agenda.at(index), 2 * SLOT_LENGTH, "busy-unavailable")
        for index in (0, 1)
    )
    for one in (own, unnamed):
        await practice.put(one)
    said = {"start": utc(agenda.at(0)), "end": utc(agenda.at(3)), "confirm": "true"}
    closed = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action="cancel"))
    assert closed.status_code == 200, closed.text
    fed = [own, *(slot(id_, agenda.id, agenda.at(index)) for index, id_ in enumerate(agenda.slots))]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": s} for s in fed]}
    synced = await software.post(f"Schedule/{agenda.id}/$sync-slots", bundle)
    assert synced.status_code == 200, synced.text
    reopened = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action="reopen"))
    assert reopened.status_code == 200, reopened.text
    assert await practice.slot_statuses(agenda.slots) == ["free", "free"]
    assert await practice.slot_statuses([own["id"], unnamed["id"]]) == ["busy-unavailable"] * 2


@pytest.mark.parametrize("last", ["busy-unavailable", "free"])
async def test_83_the_last_word_of_a_feed_holds_once_the_closure_is_taken_back(
    callers: Callers, practice: Practice, last: str
) -> None:
    """What was free when it was closed, and of which the feed says meanwhile that it is not offered, stays so; until the feed
    says that it is free."""
    agenda, software = await practice.open_agenda(2), callers.software()
    said = {"start": utc(agenda.at(0)), "end": utc(agenda.at(2)), "confirm": "true"}
    closed = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action="cancel"))
    assert closed.status_code == 200, closed.text
    for status in ("free", "busy-unavailable", last):
        fed = [
            slot(agenda.slots[0], agenda.id, agenda.at(0), status=status),
            slot(agenda.slots[1], agenda.id, agenda.at(1)),
        ]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": s} for s in fed]}
        synced = await software.post(f"Schedule/{agenda.id}/$sync-slots", bundle)
        assert synced.status_code == 200, synced.text
        assert await practice.slot_statuses(agenda.slots) == ["busy-unavailable"] * 2
    reopened = await software.post(f"Schedule/{agenda.id}/$close", parameters(**said, action="reopen"))
    assert reopened.status_code == 200, reopened.text
    assert await practice.slot_statuses(agenda.slots) == [last, "free"]

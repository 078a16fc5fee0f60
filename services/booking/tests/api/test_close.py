"""A sudden absence: what it hits is listed, and on confirmation closed, moved or cancelled, and everybody is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_openings import an_agenda, book, put, slots_of, starts_of
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    CONSULTATION,
    SKIN,
    SLOT_LENGTH,
    VIDEO,
    appointment,
    slot,
    unique,
    utc,
)
from services.booking.tests.openings import FIRST_VISIT, FOLLOW_UP, opening
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.storage.mapping.appointment import OVERBOOKING_REASON
from creneau_booking.storage.mapping.places import SLOT_CAPACITY
from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_shared.fhir.storage.store import Resource

TWO_DAYS = opening("2026-11-17T09:00:00+01:00", "2026-11-17T10:00:00+01:00", freq="DAILY", count=2)
MORNING = datetime(2026, 11, 17, 8, 0, tzinfo=UTC)
TUESDAY = {"start": "2026-11-17T00:00:00+01:00", "end": "2026-11-18T00:00:00+01:00"}


def closure(**more: Any) -> Resource:
    """The call, of the whole Tuesday."""
    parts: list[Resource] = [{"name": "period", "valuePeriod": TUESDAY}]
    for name, value in more.items():
        kind = "valueBoolean" if isinstance(value, bool) else "valueString"
        parts.append({"name": name.replace("_", "-"), kind: value})
    return {"resourceType": "Parameters", "parameter": parts}


async def close(caller: Caller, agenda: str, **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the answer says, and of each appointment."""
    answer = await caller.post(f"Schedule/{agenda}/$close", closure(**more))
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = {}
    appointments = []
    for part in answer.json()["parameter"]:
        if part["name"] == "appointment":
            appointments.append({p["name"]: _value(p) for p in part["part"]})
        else:
            said[part["name"]] = _value(part)
    return said, appointments


def _value(part: Resource) -> Any:
    value = part.get("resource") or next(v for k, v in part.items() if k.startswith("value"))
    return value.get("reference", value) if isinstance(value, dict) else value


async def test_what_would_be_hit_is_listed_and_nothing_changes(callers: Callers, practice: Practice) -> None:
    """Each with the nearest time of the agenda that is left for it, no time twice."""
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    booked = [await book(software, slots[n], await practice.new_patient()) for n in (1, 2)]
    before = await slots_of(software, agenda["id"])
    said, hit = await close(software, agenda["id"], reason="Congrès")
    assert (said["confirmed"], said["total"]) == (False, 2)
    assert [one["reference"] for one in hit] == [f"Appointment/{one['id']}" for one in booked]
    assert [one["new-start"] for one in hit] == ["2026-11-18T08:00:00Z", "2026-11-18T08:20:00Z"]
    assert await slots_of(software, agenda["id"]) == before


async def test_on_confirmation_it_is_closed_and_they_are_moved(callers: Callers, practice: Practice) -> None:
    """With the reason, and an event each; nothing of the day is free again, whatever the agenda states later."""
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    one = await book(software, slots[1], await practice.new_patient())
    said, [moved] = await close(software, agenda["id"], reason="Congrès", action="move", confirm=True)
    assert (said["confirmed"], said["blocked"]) == (True, 3)
    assert (moved["outcome"], moved["new-start"]) == ("moved", "2026-11-18T08:00:00Z")
    now = (await software.get(f"Appointment/{one['id']}")).json()
    assert (now["status"], now["start"]) == ("booked", "2026-11-18T08:00:00Z")
    assert [e["valueString"] for e in now["extension"] if e["url"].endswith("reschedule-reason")] == [
        "Congrès"
    ]
    assert (await practice.kinds(one["id"]))[-1] == "moved"
    await put(software, {**agenda, "comment": "Congrès mardi."}, 200)
    longer = opening("2026-11-17T08:00:00+01:00", "2026-11-17T12:00:00+01:00")
    await put(software, {**agenda, "extension": [*agenda["extension"], longer]}, 200)
    free = await starts_of(software, agenda["id"], status="free")
    assert free == ["2026-11-18T08:20:00Z", "2026-11-18T08:40:00Z"]
    again, hit = await close(software, agenda["id"], action="move", confirm=True)
    assert (again["blocked"], hit) == (0, [])


async def test_or_cancelled(callers: Callers, practice: Practice) -> None:
    """With the reason; a hold is only ended."""
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    one = await book(software, slots[0], await practice.new_patient())
    said, [gone] = await close(software, agenda["id"], reason="Grippe", action="cancel", confirm=True)
    assert (said["total"], gone["outcome"]) == (1, "cancelled")
    now = (await software.get(f"Appointment/{one['id']}")).json()
    assert (now["status"], now["cancelationReason"]["text"]) == ("cancelled", "Grippe")
    assert (await practice.kinds(one["id"]))[-1] == "cancelled"
    assert [s["status"] for s in await slots_of(software, agenda["id"])] == ["busy-unavailable"] * 3 + [
        "free"
    ] * 3


async def test_a_closure_is_taken_back(callers: Callers, practice: Practice) -> None:
    """With what the agenda states: the same slots are free again."""
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    before = await slots_of(software, agenda["id"])
    await close(software, agenda["id"], confirm=True)
    assert len(await starts_of(software, agenda["id"], status="free")) == 3
    await close(software, agenda["id"], action="reopen")
    assert len(await starts_of(software, agenda["id"], status="free")) == 3
    await close(software, agenda["id"], action="reopen", confirm=True)
    after = await slots_of(software, agenda["id"])
    assert [(one["id"], one["status"]) for one in after] == [(one["id"], "free") for one in before]


async def test_what_cannot_be_moved_is_left_and_told(callers: Callers, practice: Practice) -> None:
    """And moved by the next call once there is time."""
    software = callers.software()
    agenda = an_agenda(opening("2026-11-17T09:00:00+01:00", "2026-11-17T09:20:00+01:00"))
    await put(software, agenda)
    [slot] = await slots_of(software, agenda["id"])
    one = await book(software, slot, await practice.new_patient())
    _, [left] = await close(software, agenda["id"], confirm=True)
    assert left["outcome"] == "left"
    assert left["issue"]["issue"][0]["details"]["coding"][0]["code"] == "no-free-time"
    assert (await software.get(f"Appointment/{one['id']}")).json()["status"] == "booked"
    agenda["extension"].append(opening("2026-11-19T09:00:00+01:00", "2026-11-19T09:20:00+01:00"))
    await put(software, agenda, 200)
    _, [moved] = await close(software, agenda["id"], confirm=True)
    assert moved["new-start"] == "2026-11-19T08:00:00Z"


@pytest.mark.parametrize(
    "said", [{"confirm": "oui"}, {"confirm": True, "dry_run": "1"}, {"confirm": True, "dry_run": "oui"}]
)
async def test_what_is_neither_yes_nor_no_closes_nothing(
    callers: Callers, practice: Practice, said: dict[str, Any]
) -> None:
    """Who meant a rehearsal would have cancelled a morning; who meant to close would believe it closed."""
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    before = await slots_of(software, agenda["id"])
    answer = await software.post(f"Schedule/{agenda['id']}/$close", closure(**said))
    assert answer.status_code == 400, answer.text
    name = "dry-run" if "dry_run" in said else "confirm"
    assert answer.json()["issue"][0]["expression"] == [f"http.{name}"]
    assert await slots_of(software, agenda["id"]) == before


async def test_only_the_practice_closes(callers: Callers, practice: Practice) -> None:
    """On the type as well; a patient and another practice are refused, and nothing is closed."""
    organization, role = unique("cabinet"), unique("role")
    await hear(practice, role_resource(role, f"Practitioner/{unique('prat')}", organization))
    agenda = an_agenda(TWO_DAYS, practitioner=f"PractitionerRole/{role}")
    ours, theirs = callers.staff(organization), callers.staff((await open_surgery(practice)).organization)
    await put(callers.software(), agenda)
    patient = callers.patient(await practice.new_patient())
    path = f"Schedule/{agenda['id']}/$close"
    assert (await theirs.post(path, closure(confirm=True))).status_code == 403
    assert (await patient.post(path, closure(confirm=True))).status_code == 403
    assert (await ours.post(f"Schedule/{unique('nul')}/$close", closure())).status_code == 404
    assert len(await starts_of(ours, agenda["id"], status="free")) == 6
    on_type = closure(confirm=True)
    on_type["parameter"].append(
        {"name": "schedule", "valueReference": {"reference": f"Schedule/{agenda['id']}"}}
    )
    assert (await ours.post("Schedule/$close", on_type)).status_code == 200
    assert len(await starts_of(ours, agenda["id"], status="free")) == 3


@pytest.mark.parametrize("action", ["move", "cancel"])
async def test_whose_token_is_for_agendas_alone_closes_and_leaves_the_visits(
    callers: Callers, practice: Practice, action: str
) -> None:
    """The time is closed; what is in it is another's to move, and each visit says why it is left."""
    surgery = await open_surgery(practice, 2)
    slot = await practice.slot(surgery.slots[0])
    one = await book(callers.software(), slot, await practice.new_patient())
    agendas_alone = callers.staff(surgery.organization, scope="user/Schedule.cruds user/Slot.cruds")
    day = {"start": slot["start"], "end": slot["end"]}
    wanted = closure(action=action, confirm=True)
    wanted["parameter"][0] = {"name": "period", "valuePeriod": day}
    answer = await agendas_alone.post(f"Schedule/{surgery.agenda}/$close", wanted)
    assert answer.status_code == 200, answer.text
    [left] = [part for part in answer.json()["parameter"] if part["name"] == "appointment"]
    said = {part["name"]: _value(part) for part in left["part"]}
    assert (said["outcome"], said["issue"]["issue"][0]["code"]) == ("left", "forbidden")
    assert (await callers.software().get(f"Appointment/{one['id']}")).json()["status"] == "booked"


async def test_a_period_that_is_none_is_refused(callers: Callers) -> None:
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    for start, end in (
        ("2026-11-18", "2026-11-17"),
        ("2026-11-01", "2026-11-02"),
        ("2026-11-17", "2029-11-17"),
    ):
        body = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "start", "valueDateTime": start},
                {"name": "end", "valueDateTime": end},
            ],
        }
        answer = await software.post(f"Schedule/{agenda['id']}/$close", body)
        assert answer.status_code == 422, answer.text
    answer = await software.post(f"Schedule/{agenda['id']}/$close", closure(action="forget"))
    assert answer.status_code == 400


async def test_a_group_is_hit_with_everybody_in_it(callers: Callers, practice: Practice) -> None:
    """Each is moved to the next group, and told; nobody comes to a group that does not take place."""
    capacity = {
        "url": "https://creneau.sante.fr/fhir/StructureDefinition/schedule-capacity",
        "valuePositiveInt": 3,
    }
    software, agenda = callers.software(), an_agenda(TWO_DAYS, capacity)
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    people = [await book(software, slots[1], await practice.new_patient()) for _ in range(2)]
    said, moved = await close(software, agenda["id"], confirm=True)
    assert said["total"] == 2
    assert {one["reference"] for one in moved} == {f"Appointment/{one['id']}" for one in people}
    assert [one["outcome"] for one in moved] == ["moved", "moved"]
    assert {one["new-start"] for one in moved} == {"2026-11-18T08:00:00Z"}
    assert not [
        s for s in await starts_of(software, agenda["id"], status="free") if s.startswith("2026-11-17")
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"serviceType": [FOLLOW_UP, VIDEO]},
        {"serviceType": [FOLLOW_UP]},
        {"serviceType": [FIRST_VISIT, CONSULTATION]},
        {"specialty": [SKIN]},
        {"serviceCategory": [FOLLOW_UP]},
        {"appointmentType": {"coding": [{"code": "WALKIN"}]}},
        {"meta": {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "SNP"}]}},
        {"extension": [{"url": SLOT_CAPACITY, "valuePositiveInt": 10}]},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_nobody_is_moved_to_what_is_for_something_else(
    callers: Callers, practice: Practice, other: Resource
) -> None:
    """Another mode, another visit, another speciality, a time that is kept for the regulation, a group: the visit waits for a
    time as its own was, further away too."""
    software, own = callers.software(), {"serviceType": [FOLLOW_UP, CONSULTATION]}
    agenda = await practice.open_agenda(1, start=MORNING, slot_members=own)
    await practice.fill(agenda.id, 1, MORNING + timedelta(days=1), **{**own, **other})
    await book(software, await practice.slot(agenda.slots[0]), await practice.new_patient())
    _, [foretold] = await close(software, agenda.id)
    assert "slot" not in foretold
    _, [left] = await close(software, agenda.id, confirm=True)
    assert left["outcome"] == "left"
    _, [alike] = await practice.fill(agenda.id, 1, MORNING + timedelta(days=5), **own)
    _, [moved] = await close(software, agenda.id, confirm=True)
    assert (moved["outcome"], moved["slot"]) == ("moved", f"Slot/{alike}")


async def test_nobody_of_an_agenda_that_says_little_is_moved_to_what_says_more(
    callers: Callers, practice: Practice
) -> None:
    software = callers.software()
    bare: Resource = {"serviceType": [], "specialty": []}
    agenda = await practice.open_agenda(1, start=MORNING, slot_members=bare)
    await practice.fill(agenda.id, 1, MORNING + timedelta(days=1), **{**bare, "serviceType": [VIDEO]})
    await book(software, await practice.slot(agenda.slots[0]), await practice.new_patient())
    _, [left] = await close(software, agenda.id, confirm=True)
    assert left["outcome"] == "left"


@pytest.mark.parametrize("action", ["cancel", "move"])
async def test_who_was_put_beside_another_is_hit_too(
    callers: Callers, practice: Practice, action: str
) -> None:
    """A visit in a slot that somebody else has: it is listed, and cancelled or moved in the same call."""
    software = callers.software()
    agenda = await practice.open_agenda(1, start=MORNING)
    for day in (1, 2):
        await practice.fill(agenda.id, 1, MORNING + timedelta(days=day))
    slot = await practice.slot(agenda.slots[0])
    first = await book(software, slot, await practice.new_patient())
    wanted = appointment(
        "booked",
        slots=agenda.slots,
        patient=await practice.new_patient(),
        start=MORNING,
        extension=[{"url": OVERBOOKING_REASON, "valueString": "fièvre"}],
    )
    second = (await software.post("Appointment", wanted)).json()
    both = {f"Appointment/{one['id']}" for one in (first, second)}
    said, foretold = await close(software, agenda.id, action=action)
    assert (said["total"], {one["reference"] for one in foretold}) == (2, both)
    said, done = await close(software, agenda.id, action=action, confirm=True)
    assert (said["total"], {one["reference"] for one in done}) == (2, both)
    became = {"cancel": "cancelled", "move": "moved"}[action]
    assert [one["outcome"] for one in done] == [became, became]
    for one in (first, second):
        assert (await practice.kinds(one["id"]))[-1] == became
    slot = await practice.slot(agenda.slots[0])
    assert (slot["status"], slot.get("overbooked")) == ("busy-unavailable", None)
    assert (await close(software, agenda.id, confirm=True))[1] == []


async def test_a_preview_says_that_a_hold_will_end(callers: Callers, practice: Practice) -> None:
    """It is not moved: its person looks for another time."""
    software, agenda = callers.software(), an_agenda(TWO_DAYS)
    await put(software, agenda)
    person = await practice.new_patient()
    [slot, *_] = await slots_of(software, agenda["id"])
    wanted = appointment("pending", slots=[slot["id"]], patient=person)
    held = await callers.patient(person).post("Appointment/$hold", wanted)
    assert held.status_code == 201, held.text
    _, [foretold] = await close(software, agenda["id"])
    assert (foretold["outcome"], "slot" in foretold) == ("cancelled", False)
    _, [done] = await close(software, agenda["id"], confirm=True)
    assert (done["outcome"], "slot" in done) == ("cancelled", False)


async def test_a_visit_that_lies_in_it_in_part_keeps_its_length(callers: Callers, practice: Practice) -> None:
    """It begins before the closed time, in a slot that stays open: it is foretold with its own start, and goes to a time as
    long as it lasts, or stays."""
    software = callers.software()
    agenda = await practice.open_agenda(2, start=MORNING)
    await practice.fill(agenda.id, 2, MORNING + timedelta(days=1))
    wanted = appointment(
        "booked",
        slots=agenda.slots,
        patient=await practice.new_patient(),
        start=MORNING,
        length=2 * SLOT_LENGTH,
    )
    booked = await software.post("Appointment", wanted)
    assert booked.status_code == 201, booked.text
    later = {"start": utc(agenda.at(1)), "end": utc(agenda.at(2))}

    async def close_later(**more: Any) -> dict[str, Any]:
        body = closure(**more)
        body["parameter"][0] = {"name": "period", "valuePeriod": later}
        answer = await software.post(f"Schedule/{agenda.id}/$close", body)
        assert answer.status_code == 200, answer.text
        [one] = [part for part in answer.json()["parameter"] if part["name"] == "appointment"]
        return {part["name"]: _value(part) for part in one["part"]}

    foretold = await close_later()
    assert (foretold["start"], "slot" in foretold) == (utc(MORNING), False)
    left = await close_later(confirm=True)
    assert (left["start"], left["outcome"]) == (utc(MORNING), "left")
    assert left["issue"]["issue"][0]["details"]["coding"][0]["code"] == "no-free-time"
    long = slot(unique("creneau"), agenda.id, MORNING + timedelta(days=2), 2 * SLOT_LENGTH)
    await practice.put(long)
    moved = await close_later(confirm=True)
    assert (moved["outcome"], moved["slot"]) == ("moved", f"Slot/{long['id']}")
    now = (await software.get(f"Appointment/{booked.json()['id']}")).json()
    assert (now["start"], now["end"]) == (long["start"], long["end"])


async def test_who_was_put_beside_another_within_their_slot_is_moved_too(
    callers: Callers, practice: Practice
) -> None:
    """A second visit that begins in the middle of the first one's slot finds a time as long as it lasts."""
    software, half = callers.software(), SLOT_LENGTH / 2
    agenda = await practice.open_agenda(1, start=MORNING)
    await practice.fill(agenda.id, 1, MORNING + timedelta(days=1))
    await book(software, await practice.slot(agenda.slots[0]), await practice.new_patient())
    wanted = appointment(
        "booked",
        slots=agenda.slots,
        patient=await practice.new_patient(),
        start=MORNING + half,
        length=half,
        extension=[{"url": OVERBOOKING_REASON, "valueString": "fièvre"}],
    )
    second = await software.post("Appointment", wanted)
    assert second.status_code == 201, second.text
    short = slot(unique("creneau"), agenda.id, MORNING + timedelta(days=3), half)
    await practice.put(short)
    _, done = await close(software, agenda.id, confirm=True)
    assert [(one["outcome"], one["new-start"]) for one in done] == [
        ("moved", utc(MORNING + timedelta(days=1))),
        ("moved", short["start"]),
    ]

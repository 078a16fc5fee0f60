"""A sudden absence: what it hits is listed, and on confirmation closed, moved or cancelled, and everybody is told."""

from __future__ import annotations

from typing import Any

from services.booking.tests.api.test_openings import an_agenda, book, put, slots_of, starts_of
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import unique
from services.booking.tests.openings import opening
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_shared.fhir.storage.store import Resource

TWO_DAYS = opening("2026-11-17T09:00:00+01:00", "2026-11-17T10:00:00+01:00", freq="DAILY", count=2)
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

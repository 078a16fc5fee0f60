"""An agenda that states its openings has slots (checklist 43, 44): made, previewed and made anew over HTTP, as a practice and
as a patient."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, ref, schedule, slot, unique
from services.booking.tests.openings import (
    FIRST_VISIT,
    FOLLOW_UP,
    OWN,
    WEEK,
    code,
    flag,
    minutes,
    opening,
    ruled,
    service,
)
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.app import create_stores
from creneau_booking.domain.openings.days_off import SCHOOL_CALENDAR
from creneau_booking.domain.openings.expansion import Expansion, expand
from creneau_booking.handlers.openings import SCHOOL_DAYS
from creneau_booking.storage.openings import made_slots
from creneau_booking.storage.openings.extensions import MODE, ROLE_HOURS, SERVICE, Actors, understood
from creneau_shared.fhir.storage.store import Resource

MORNINGS = opening("2026-11-16T09:00:00+01:00", "2026-11-16T10:00:00+01:00", freq="WEEKLY", byDay=list(WEEK))
ONE_MORNING = opening("2026-11-17T09:00:00+01:00", "2026-11-17T10:00:00+01:00")
OF_THAT_MORNING = ["2026-11-17T08:00:00Z", "2026-11-17T08:20:00Z", "2026-11-17T08:40:00Z"]
WAITED_S = 30.0


async def slots_of(caller: Caller, agenda: str, **more: str) -> list[Resource]:
    """The slots of an agenda, in order of time."""
    query = {"schedule": f"Schedule/{agenda}", "_sort": "start", "_count": "200", **more}
    answer = await caller.get("Slot", **query)
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.json().get("entry", [])]
    return [
        one for one in found if one["resourceType"] == "Slot"
    ]  # beside them it is told why there are none


async def starts_of(caller: Caller, agenda: str, **more: str) -> list[str]:
    return [slot["start"] for slot in await slots_of(caller, agenda, **more)]


async def put(caller: Caller, resource: Resource, status: int = 201) -> Any:
    answer = await caller.put(f"Schedule/{resource['id']}", resource)
    assert answer.status_code == status, answer.text
    return answer


def an_agenda(*extensions: Resource, practitioner: str | None = None, **more: Any) -> Resource:
    return ruled(unique("agenda"), [practitioner or f"Practitioner/{unique('prat')}"], *extensions, **more)


async def book(caller: Caller, one: Resource, person: str, status: str = "booked") -> Resource:
    """An appointment in a slot."""
    wanted = appointment(status, slots=[one["id"]], patient=person)
    answer = await caller.post("Appointment", {**wanted, "start": one["start"], "end": one["end"]})
    assert answer.status_code == 201, answer.text
    resource: Resource = answer.json()
    return resource


async def preview(caller: Caller, path: str, body: Resource) -> dict[str, list[Any]]:
    """The values of the answer, by name."""
    answer = await caller.post(path, body)
    assert answer.status_code == 200, answer.text
    found: dict[str, list[Any]] = {}
    for part in answer.json()["parameter"]:
        value = part.get("resource") or next(v for k, v in part.items() if k.startswith("value"))
        found.setdefault(part["name"], []).append(value)
    return found


async def test_weekday_mornings_over_sixty_days(callers: Callers) -> None:
    """From now on, three visits a morning, none on a public holiday, each for what the agenda offers."""
    software, agenda = callers.software(), an_agenda(MORNINGS)
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    assert (
        [one["start"] for one in slots[:4]]
        == [
            "2026-11-16T08:20:00Z",  # it is nine: nobody comes at nine any more
            "2026-11-16T08:40:00Z",
            *OF_THAT_MORNING[:2],
        ]
    )
    assert slots[-1]["start"].startswith("2027-01-15")
    assert not [one for one in slots if one["start"].startswith(("2026-12-25", "2027-01-01"))]
    assert slots[0]["serviceType"] == [FOLLOW_UP]
    assert {one["status"] for one in slots} == {"free"}


async def test_others_are_answered_while_an_agenda_is_cut(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Openings that are counted from years ago take seconds; a practice that states some keeps nobody waiting."""
    begun, answered = threading.Event(), threading.Event()

    def slowly(*args: Any, **named: Any) -> Expansion:
        begun.set()
        assert answered.wait(WAITED_S), "nobody is answered meanwhile"
        return expand(*args, **named)

    monkeypatch.setattr(made_slots, "expand", slowly)
    stated = asyncio.create_task(put(callers.software(), an_agenda(MORNINGS)))
    await asyncio.to_thread(begun.wait, WAITED_S)
    assert (await callers.software().get("Slot", _count="1")).status_code == 200
    answered.set()
    await stated


async def test_a_patient_finds_and_books_them(callers: Callers, practice: Practice) -> None:
    agenda = an_agenda(ONE_MORNING)
    await put(callers.software(), agenda)
    person = await practice.new_patient()
    patient = callers.patient(person)
    slots = await slots_of(patient, agenda["id"])
    assert [one["start"] for one in slots] == OF_THAT_MORNING
    await book(patient, slots[0], person)
    assert await starts_of(patient, agenda["id"]) == OF_THAT_MORNING[1:]


async def test_what_is_stated_again_changes_nothing(callers: Callers) -> None:
    software, agenda = callers.software(), an_agenda(MORNINGS)
    await put(software, agenda)
    before = await slots_of(software, agenda["id"])
    await put(software, {**agenda, "comment": "Sonnez."}, 200)
    assert await slots_of(software, agenda["id"]) == before


async def test_a_rules_change_moves_nothing_that_somebody_has_or_has_touched(
    callers: Callers, practice: Practice
) -> None:
    """Booked, held, blocked and written by hand stay, with their ids; what is still asked for keeps id and version; and
    what is left out of the rules comes back on no day that somebody has deleted."""
    software = callers.software()
    agenda = an_agenda(opening("2026-11-17T09:00:00+01:00", "2026-11-17T12:00:00+01:00"))
    await put(software, agenda)
    before = await slots_of(software, agenda["id"])
    assert len(before) == 9
    booked, held, blocked, written, deleted = (before[n] for n in (0, 2, 4, 5, 7))
    person = await practice.new_patient()
    await book(software, booked, person)
    await book(software, held, person, "pending")
    for one, more in ((blocked, {"status": "busy-unavailable"}), (written, {"comment": "Gardé."})):
        assert (await software.put(f"Slot/{one['id']}", {**one, **more})).status_code == 200
    assert (await software.delete(f"Slot/{deleted['id']}")).status_code == 204
    shorter = opening("2026-11-17T11:00:00+01:00", "2026-11-17T12:00:00+01:00")
    changed = {**agenda, "extension": [shorter, service(FOLLOW_UP, 20)]}
    told = await preview(software, f"Schedule/{agenda['id']}/$preview-slots", changed)
    await put(software, changed, 200)
    after = await slots_of(software, agenda["id"])
    kept = {one["id"]: one for one in after}
    assert {booked["id"], held["id"], blocked["id"], written["id"]} <= kept.keys()
    assert [kept[one["id"]]["meta"]["versionId"] for one in (before[6], before[8])] == ["1", "1"]
    assert {before[n]["id"] for n in (1, 3)}.isdisjoint(kept)
    assert deleted["id"] not in kept
    assert len(after) == 6
    assert told["appear-total"] == [0]
    assert {one["id"] for one in told["vanish"]} == {before[1]["id"], before[3]["id"]}
    assert told["outside-total"] == [2]


async def test_time_outside_the_rules_is_offered_to_nobody_once_it_is_given_back(
    callers: Callers, practice: Practice
) -> None:
    """The visit stays while somebody has it; cancelled, it is not free, and goes. Where the rules come back, it is free."""
    software, agenda = callers.software(), an_agenda(ONE_MORNING)
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    person = await practice.new_patient()
    first, second = [await book(software, slots[n], person) for n in (0, 2)]
    await put(software, {**agenda, "extension": [service(FOLLOW_UP, 20)]}, 200)
    assert [one["status"] for one in await slots_of(software, agenda["id"])] == ["busy", "busy"]
    answer = await software.put(f"Appointment/{first['id']}", {**first, "status": "cancelled"})
    assert answer.status_code == 200
    assert await starts_of(software, agenda["id"], status="free") == []
    await put(software, agenda, 200)
    answer = await software.put(f"Appointment/{second['id']}", {**second, "status": "cancelled"})
    assert answer.status_code == 200
    assert await starts_of(software, agenda["id"], status="free") == OF_THAT_MORNING


async def test_the_preview_is_what_happens(callers: Callers) -> None:
    """As a bare Schedule, as Parameters, of one that is not stored yet; and nothing is stored by it."""
    software, agenda = callers.software(), an_agenda(MORNINGS)
    told = await preview(software, "Schedule/$preview-slots", agenda)
    assert (await software.get(f"Schedule/{agenda['id']}")).status_code == 404
    await put(software, agenda)
    before = await slots_of(software, agenda["id"])
    assert told["appear-total"] == [len(before)]
    assert [one["start"] for one in told["appear"]] == [one["start"] for one in before]
    later = opening("2026-11-16T09:20:00+01:00", "2026-11-16T11:00:00+01:00", freq="DAILY")
    changed = {**agenda, "extension": [later, service(FOLLOW_UP, 20)]}
    body = {"resourceType": "Parameters", "parameter": [{"name": "schedule", "resource": changed}]}
    told = await preview(software, "Schedule/$preview-slots", body)
    assert await slots_of(software, agenda["id"]) == before
    await put(software, changed, 200)
    after = await slots_of(software, agenda["id"], _count="1000")
    ids = {one["id"] for one in before}
    assert told["appear-total"] == [len([one for one in after if one["id"] not in ids])]
    assert told["vanish-total"] == [len(ids - {one["id"] for one in after})]
    assert told["stay"] == [len([one for one in after if one["id"] in ids])]
    again = await preview(software, f"Schedule/{agenda['id']}/$preview-slots", {"resourceType": "Parameters"})
    assert (again["appear-total"], again["vanish-total"]) == ([0], [0])


async def test_a_preview_within_a_window(callers: Callers) -> None:
    software, agenda = callers.software(), an_agenda(MORNINGS)
    parts = [
        {"name": "schedule", "resource": agenda},
        {"name": "start", "valueDateTime": "2026-11-17"},
        {"name": "end", "valueDateTime": "2026-11-17"},
    ]
    told = await preview(
        software, "Schedule/$preview-slots", {"resourceType": "Parameters", "parameter": parts}
    )
    assert [one["start"] for one in told["appear"]] == OF_THAT_MORNING


async def test_only_whoever_may_write_the_agenda_previews_it(callers: Callers, practice: Practice) -> None:
    """A patient is refused, another practice is told that it is not theirs, and so of actors who are not."""
    surgery, other = await open_surgery(practice), await open_surgery(practice)
    agenda = an_agenda(MORNINGS, practitioner=surgery.role)
    ours, theirs = callers.staff(surgery.organization), callers.staff(other.organization)
    assert (await ours.post("Schedule/$preview-slots", agenda)).status_code == 200
    assert (await theirs.post("Schedule/$preview-slots", agenda)).status_code == 403
    stored = f"Schedule/{surgery.agenda}/$preview-slots"
    assert (await ours.get(stored)).status_code == 200
    assert (await theirs.get(stored)).status_code == 403
    patient = callers.patient(await practice.new_patient())
    assert (await patient.post("Schedule/$preview-slots", agenda)).status_code == 403
    assert (await callers.nobody().post("Schedule/$preview-slots", agenda)).status_code in (401, 403)


@pytest.mark.parametrize(
    ("extensions", "starts"),
    [
        pytest.param(
            [ONE_MORNING, minutes("schedule-buffer-after", 10)],
            ["08:00", "08:30"],
            id="time kept free after each",
        ),
        pytest.param(
            [ONE_MORNING, minutes("schedule-buffer-before", 10)],
            ["08:10", "08:40"],
            id="time kept free before each",
        ),
        pytest.param(
            [
                opening("2026-11-17T09:05:00+01:00", "2026-11-17T10:10:00+01:00"),
                minutes("schedule-alignment-grid", 15),
            ],
            ["08:15", "08:45"],
            id="on a grid",
        ),
        pytest.param(
            [
                ONE_MORNING,
                opening("2026-11-17T09:25:00+01:00", "2026-11-17T09:30:00+01:00", kind="busy-unavailable"),
            ],
            ["08:00", "08:40"],
            id="an absence leaves the others where they are",
        ),
        pytest.param(
            [
                opening("2026-11-17T09:00:00+01:00", "2026-11-17T10:00:00+01:00", priority=1),
                opening("2026-11-17", "2026-11-17", kind="busy-unavailable", priority=5),
            ],
            ["08:00", "08:20", "08:40"],
            id="an opening that is above an absence",
        ),
        pytest.param(
            [ONE_MORNING, opening("2026-11-17", "2026-11-17", kind="busy-unavailable")],
            [],
            id="an absence beats an opening",
        ),
        pytest.param(
            [ONE_MORNING, service(FOLLOW_UP, 20), service(FIRST_VISIT, 40)],
            ["08:00", "08:00", "08:20", "08:40"],
            id="services of two lengths beside each other",
        ),
    ],
)
async def test_how_an_opening_is_cut(callers: Callers, extensions: list[Resource], starts: list[str]) -> None:
    software, agenda = callers.software(), an_agenda(*extensions)
    await put(software, agenda)
    assert [one[11:16] for one in await starts_of(software, agenda["id"])] == starts


async def test_services_of_two_lengths_exclude_each_other(callers: Callers, practice: Practice) -> None:
    """A first visit takes the time of two follow-ups: they are free no more, and again once it is cancelled."""
    software = callers.software()
    agenda = an_agenda(ONE_MORNING, service(FOLLOW_UP, 20), service(FIRST_VISIT, 40))
    await put(software, agenda)
    long = next(one for one in await slots_of(software, agenda["id"]) if one["end"][11:16] == "08:40")
    person = await practice.new_patient()
    booked = await book(software, long, person)
    free = await starts_of(software, agenda["id"], status="free")
    assert [one[11:16] for one in free] == ["08:40"]
    await put(software, {**agenda, "comment": "Inchangé."}, 200)
    cancelled = {**booked, "status": "cancelled"}
    assert (await software.put(f"Appointment/{booked['id']}", cancelled)).status_code == 200
    assert len(await starts_of(software, agenda["id"], status="free")) == 4


async def test_an_agenda_of_nobody_offers_no_time_twice(callers: Callers) -> None:
    """Where nobody would be in two places, slots that overlap would both be booked."""
    software = callers.software()
    agenda = ruled(
        unique("agenda"),
        [f"HealthcareService/{unique('offre')}"],
        opening("2026-11-17T09:00:00+01:00", "2026-11-17T10:20:00+01:00"),
        service(FOLLOW_UP, 20),
        service(FIRST_VISIT, 40),
    )
    await put(software, agenda)
    slots = await slots_of(software, agenda["id"])
    assert [one["start"][11:16] for one in slots] == ["08:00", "08:40"]
    assert Counter(len(one["serviceType"]) for one in slots) == {2: 2}


async def test_all_offers_of_an_agenda_say_how_long_they_take(callers: Callers, practice: Practice) -> None:
    """Each has slots of its own, whatever their role says; where none of them says it, every role does."""
    software, person, organization = callers.software(), f"Practitioner/{unique('prat')}", unique("cabinet")
    offers, roles = ([unique(name) for _ in range(2)] for name in ("offre", "role"))
    said = [service(FOLLOW_UP, 20), service(FIRST_VISIT, 40)]
    for id_, duration in zip(offers, said, strict=True):
        await practice.put({"resourceType": "HealthcareService", "id": id_, "extension": [duration]})
    for id_, duration in zip(roles, [service(FOLLOW_UP, 30), service(FIRST_VISIT, 60)], strict=True):
        await hear(practice, role_resource(id_, person, organization, extension=[duration]))
    lengths = []
    for actors in (
        [person, *(f"HealthcareService/{id_}" for id_ in offers), f"PractitionerRole/{roles[0]}"],
        [person, *(f"PractitionerRole/{id_}" for id_ in roles)],
    ):
        agenda = schedule(unique("agenda"), actors, extension=[ONE_MORNING])
        await put(software, agenda)
        found = {(s["start"][11:16], s["end"][11:16]) for s in await slots_of(software, agenda["id"])}
        lengths.append(found)
    assert lengths == [
        {("08:00", "08:20"), ("08:20", "08:40"), ("08:40", "09:00"), ("08:00", "08:40")},
        {("08:00", "08:30"), ("08:30", "09:00"), ("08:00", "09:00")},
    ]


async def test_what_an_opening_is_for(callers: Callers, practice: Practice) -> None:
    """Which service, by video, to whom it is shown, whether for new patients: on its slots. Colleagues' time is nobody
    else's, and what is for known patients is no new one's."""
    software = callers.software()
    video = opening(
        "2026-11-17T09:00:00+01:00",
        "2026-11-17T09:20:00+01:00",
        {"url": f"{OWN}opening-service-type", "valueCodeableConcept": FOLLOW_UP},
        code("opening-mode", "video"),
        code("opening-visibility", "PUBLIC"),
        flag("opening-new-patients", False),
    )
    colleagues = opening(
        "2026-11-17T10:00:00+01:00", "2026-11-17T10:20:00+01:00", code("opening-visibility", "PRO")
    )
    agenda = an_agenda(video, colleagues, service(FOLLOW_UP, 20), service(FIRST_VISIT, 20))
    await put(software, agenda)
    one, other = await slots_of(software, agenda["id"])
    assert [c["coding"][0]["code"] for c in one["serviceType"]] == ["suivi", "VR"]
    assert one["meta"]["security"][0]["code"] == "PUBLIC"
    assert one["extension"] == [{"url": f"{OWN}slot-new-patients", "valueBoolean": False}]
    assert [c["coding"][0]["code"] for c in other["serviceType"]] == ["suivi", "premiere"]
    assert [s["id"] for s in await slots_of(callers.nobody(), agenda["id"])] == [one["id"]]
    assert await slots_of(callers.patient(await practice.new_patient()), agenda["id"]) == []


async def test_an_end_at_the_last_second_is_the_end_of_its_minute(
    callers: Callers, practice: Practice
) -> None:
    """No time in FHIR is 24:00, so that many say 23:59:59: the last visit was lost."""
    role, practitioner = unique("role"), f"Practitioner/{unique('prat')}"
    hours = [
        {"daysOfWeek": ["tue"], "availableStartTime": "23:20:00", "availableEndTime": "23:59:59"},
        {"daysOfWeek": ["wed"], "availableStartTime": "11:20:00", "availableEndTime": "11:59:59"},
    ]
    await hear(practice, role_resource(role, practitioner, unique("cabinet"), availableTime=hours))
    software = callers.software()
    agenda = ruled(
        unique("agenda"),
        [f"PractitionerRole/{role}"],
        flag("schedule-uses-role-hours", True),
        planningHorizon={"start": "2026-11-16", "end": "2026-11-20"},
    )
    await put(software, agenda)
    starts = [one[8:16] for one in await starts_of(software, agenda["id"])]
    assert starts == ["17T22:20", "17T22:40", "18T10:20", "18T10:40"]


async def test_the_hours_of_a_role_where_the_agenda_says_so(callers: Callers, practice: Practice) -> None:
    """And by no means else; what the role says later is followed by the worker."""
    organization, role = unique("cabinet"), unique("role")
    practitioner = f"Practitioner/{unique('prat')}"
    hours = [
        {"daysOfWeek": ["tue"], "availableStartTime": "09:00:00", "availableEndTime": "09:40:00"},
        {"daysOfWeek": ["wed"], "availableStartTime": "23:40:00", "availableEndTime": "00:20:00"},
    ]
    away = [{"description": "Congrès", "during": {"start": "2026-11-18", "end": "2026-12"}}]
    await hear(practice, role_resource(role, practitioner, organization, availableTime=hours))
    software = callers.software()
    agenda = ruled(
        unique("agenda"),
        [f"PractitionerRole/{role}"],
        flag("schedule-uses-role-hours", False),
        planningHorizon={"start": "2026-11-16", "end": "2026-11-24"},
    )
    await put(software, agenda)
    assert await starts_of(software, agenda["id"]) == []
    agenda["extension"][0]["valueBoolean"] = True
    await put(software, agenda, 200)
    assert [one[8:16] for one in await starts_of(software, agenda["id"])] == [
        "17T08:00",
        "17T08:20",
        "18T22:40",
        "18T23:00",
        "24T08:00",
        "24T08:20",
    ]
    await hear(
        practice,
        role_resource(role, practitioner, organization, availableTime=hours, notAvailable=away)
        | {"meta": {"versionId": "2", "lastUpdated": "2026-11-02T08:00:00Z"}},
    )
    assert await practice.jobs().openings.sweep() >= 1
    assert [one[8:16] for one in await starts_of(software, agenda["id"])] == ["17T08:00", "17T08:20"]


async def test_the_worker_carries_an_agenda_forward(fresh: Practice) -> None:
    """Day after day, over sixty; and what one transaction does not hold is written by the next."""
    settings = fresh.settings.model_copy(update={"openings_at_once_max": 10})
    resource = an_agenda(MORNINGS)
    jobs = fresh.jobs(settings)
    async with fresh.database.transaction() as connection:
        await create_stores(settings).schedules.create(connection, fresh.context(), resource, resource["id"])
    count = "SELECT count(*) FROM slot WHERE generated"
    assert await fresh.database.pool.fetchval(count) == 10
    assert await jobs.openings.sweep() > 1
    assert await jobs.openings.sweep() == 0
    before = await fresh.database.pool.fetchval(count)
    fresh.clock.advance(timedelta(days=1))
    assert await jobs.openings.sweep() == 1
    assert await fresh.database.pool.fetchval(count) == before  # the sixty-first day is a Saturday
    fresh.clock.advance(timedelta(days=2))
    await jobs.openings.sweep()
    assert await fresh.database.pool.fetchval(count) == before + 3


async def test_how_long_the_school_calendar_lasts_is_said_before_agendas_are_made(fresh: Practice) -> None:
    """Of many that are due the first turn takes hours, during which the alert would read 0 days."""
    today = fresh.clock.now().date()
    openings = fresh.jobs().openings
    SCHOOL_DAYS.set(0)
    with patch.object(openings, "_one", side_effect=ConnectionError), pytest.raises(ConnectionError):
        await openings.sweep()
    assert SCHOOL_DAYS._value.get() == (SCHOOL_CALENDAR.until - today).days


async def test_two_workers_share_what_is_due(fresh: Practice) -> None:
    """Each agenda is one's, and none is made twice; one that cannot be read stands in no other's way."""
    schedules = create_stores(fresh.settings).schedules
    for _ in range(6):
        resource = an_agenda(MORNINGS)
        async with fresh.database.transaction() as connection:
            await schedules.create(connection, fresh.context(), resource, resource["id"])
    fresh.clock.advance(timedelta(days=3))
    broken = "UPDATE schedule SET content = '{\"actor\": 1}' WHERE key = (SELECT min(key) FROM schedule)"
    await fresh.database.pool.execute(broken)
    one, other = fresh.jobs().openings, fresh.jobs().openings
    assert sum(await asyncio.gather(one.sweep(), other.sweep())) == 6
    left = await fresh.database.pool.fetch("SELECT failed FROM agenda_opening WHERE failed > 0")
    assert [row["failed"] for row in left] == [1]
    twice = "SELECT count(*) - count(DISTINCT (schedule_key, start)) FROM slot"
    assert await fresh.database.pool.fetchval(twice) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        opening("2026-11-17T09:00:00Z", "2026-11-17T10:00:00Z", freq="SECONDLY"),
        opening("2026-11-17T09:00:00Z", "2026-11-17T10:00:00Z", freq="MINUTELY"),
        opening("2026-11-17T09:00:00Z", "2026-11-17T10:00:00Z", freq="DAILY", byMinute=list(range(1, 60))),
        opening("2026-11-17T10:00:00Z", "2026-11-17T09:00:00Z"),
        opening("2026-11-17T09:00:00Z", "2027-11-17T10:00:00Z", freq="DAILY"),
        opening("2026-11-17T09:00:00Z", "2026-11-17T10:00:00Z", freq="WEEKLY", byDay=["1MO"]),
        opening("2026-11-17T09:00:00Z", "2026-11-17T10:00:00Z", freq="WEEKLY", byDay=["XX"]),
        opening("2026-11-17T09:00:00Z", "2026-11-17T10:00:00Z", code("opening-mode", "pigeon")),
        opening("2010-11-17T09:00:00Z", "2010-11-17T10:00:00Z", freq="DAILY", count=9999),
    ],
)
async def test_a_rule_that_nobody_could_carry_out_is_refused(callers: Callers, wrong: Resource) -> None:
    """With its place in the Schedule; and nothing of it is kept."""
    software, agenda = callers.software(), an_agenda(wrong)
    answer = await software.put(f"Schedule/{agenda['id']}", agenda)
    assert answer.status_code == 422, answer.text
    [issue] = answer.json()["issue"]
    assert issue["details"]["coding"][0]["code"] == "opening-rule"
    assert issue["expression"][0].startswith("Schedule.extension[0]")
    assert (await software.get(f"Schedule/{agenda['id']}")).status_code == 404
    assert (await software.post("Schedule/$preview-slots", agenda)).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [{"url": SERVICE, "valueString": "suivi"}, {"url": MODE, "valueString": "pigeon"}],
)
async def test_what_holds_for_all_openings_is_refused_where_it_cannot_be_read(
    callers: Callers, wrong: Resource
) -> None:
    """Beside the hours of roles, too; of what stands there already the rest is understood."""
    software = callers.software()
    agenda = an_agenda({"url": ROLE_HOURS, "valueBoolean": True}, wrong)
    answer = await software.put(f"Schedule/{agenda['id']}", agenda)
    assert (answer.status_code, answer.json()["issue"][0]["expression"][0][:21]) == (
        422,
        "Schedule.extension[1]",
    )
    assert understood(agenda, Actors(), datetime.now(UTC)).own


async def test_more_slots_than_anybody_could_want_are_refused(callers: Callers) -> None:
    software = callers.software()
    always = opening("2026-01-01", "2027-12-31")
    agenda = an_agenda(always, service(FOLLOW_UP, 1), planningHorizon={"end": "2027-12-31"})
    answer = await software.put(f"Schedule/{agenda['id']}", agenda)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "opening-too-many-slots"


async def test_slots_that_software_pushes_and_rules_do_not_overlap(callers: Callers) -> None:
    """A slot of its own stays, and none is made in its time."""
    software, practitioner = callers.software(), f"Practitioner/{unique('prat')}"
    agenda = an_agenda(ONE_MORNING, practitioner=practitioner)
    plain = schedule(agenda["id"], [practitioner])
    await put(software, plain)
    own = slot(unique("pousse"), agenda["id"], datetime(2026, 11, 17, 8, 10, tzinfo=UTC))
    assert (await software.put(f"Slot/{own['id']}", own)).status_code == 201
    await put(software, agenda, 200)
    assert [one[11:16] for one in await starts_of(software, agenda["id"])] == ["08:10", "08:40"]
    await put(software, plain, 200)  # without rules, what they had made goes
    assert [one[11:16] for one in await starts_of(software, agenda["id"])] == ["08:10"]


@pytest.mark.parametrize(
    ("postal_code", "closed"),
    [("75011", False), ("67000", True), ("57000", True), ("97110", False), ("98713", False)],
)
@pytest.mark.parametrize("of", ["Location", "Practitioner"])
async def test_public_holidays_are_those_of_the_place(
    callers: Callers, practice: Practice, postal_code: str, closed: bool, of: str
) -> None:
    """26 December is one in Alsace and Moselle only; an agenda may say that it is open. Of a person alone, where they work."""
    place = unique("lieu")
    actor = {"Location": f"Location/{place}", "Practitioner": f"Practitioner/{unique('prat')}"}[of]
    if of == "Practitioner":
        await hear(
            practice,
            {
                "resourceType": "PractitionerRole",
                "id": unique("role"),
                "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
                "practitioner": ref(actor),
                "location": [ref(f"Location/{place}")],
            },
        )
    await hear(
        practice,
        {
            "resourceType": "Location",
            "id": place,
            "meta": {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"},
            "address": {"postalCode": postal_code, "country": "FR"},
        },
    )
    software = callers.software()
    daily = opening("2026-12-24", "2026-12-24", freq="DAILY", until="2026-12-26")
    agenda = ruled(unique("agenda"), [actor], daily, service(FOLLOW_UP, 720))
    await put(software, agenda)
    made = await preview(software, f"Schedule/{agenda['id']}/$preview-slots", {"resourceType": "Parameters"})
    assert made["stay"] == [2 if closed else 4]
    agenda["extension"].append(flag("schedule-open-on-public-holidays", True))
    await put(software, agenda, 200)
    made = await preview(software, f"Schedule/{agenda['id']}/$preview-slots", {"resourceType": "Parameters"})
    assert made["stay"] == [6]


async def test_a_deleted_agenda_leaves_no_time_to_book(callers: Callers) -> None:
    software, agenda = callers.software(), an_agenda(ONE_MORNING)
    await put(software, agenda)
    [one, *_] = await slots_of(software, agenda["id"])
    assert (await software.delete(f"Schedule/{agenda['id']}")).status_code == 204
    assert (await software.get(f"Slot/{one['id']}")).status_code == 410


async def test_an_agenda_that_is_switched_off_keeps_its_slots(callers: Callers) -> None:
    """They are not offered; and are there again, with their ids, once it is switched on."""
    software, agenda = callers.software(), an_agenda(ONE_MORNING)
    await put(software, agenda)
    before = await slots_of(software, agenda["id"])
    await put(software, {**agenda, "active": False}, 200)
    await put(software, agenda, 200)
    assert await slots_of(software, agenda["id"]) == before
    assert ref(f"Schedule/{agenda['id']}") == before[0]["schedule"]

"""A series that is booked, moved or cancelled as a whole is told as one, and each of it leaves its trace (checklist 81)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from services.booking.tests.api.test_access_rules import deadline
from services.booking.tests.api.test_series import first_of, open_weeks, resources, said, weekly
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import parameters, schedule, utc
from services.booking.tests.practice import Practice

from creneau_booking.storage.mapping.appointment import CONFIDENTIALITY, HIDDEN
from creneau_booking.storage.mapping.series import RECURRENCE_ID, RECURRENCE_TEMPLATE, SERIES_SCOPE


async def last_told(practice: Practice, id_: str) -> tuple[str, Any]:
    event = (await practice.events(id_))[-1]
    return event["kind"], orjson.loads(event["data"]).get("series")


async def test_81_booked_and_cancelled_they_are_told_as_one(callers: Callers, practice: Practice) -> None:
    """By the event of the first, with the times and the SEQUENCE of each; what happens to one alone is told as ever."""
    agenda, camille = await open_weeks(practice, count=4), await practice.new_patient()
    caller = callers.patient(camille)
    wanted = first_of(agenda, camille, template=weekly(4))
    booked = resources(await caller.post("Appointment/$book", parameters(appt_resource=wanted)))
    ids = [one["id"] for one in booked]
    kind, series = await last_told(practice, ids[0])
    assert (kind, [o["appointment"] for o in series["occurrences"]]) == ("booked", ids)
    assert [(o["start"], o["end"], o["sequence"]) for o in series["occurrences"]] == [
        (one["start"], one["end"], 0) for one in booked
    ]
    for other in ids[1:]:
        assert await last_told(practice, other) == ("booked", {"id": series["id"]})
    alone = await caller.post(f"Appointment/{ids[0]}/$cancel", parameters())
    assert alone.status_code == 200, alone.text
    assert await last_told(practice, ids[0]) == ("cancelled", None)
    rest = await caller.post(f"Appointment/{ids[1]}/$cancel", parameters(scope="all"))
    assert rest.status_code == 200, rest.text
    kind, told = await last_told(practice, ids[1])
    assert (kind, [(o["appointment"], o["sequence"]) for o in told["occurrences"]]) == (
        "cancelled",
        [(id_, 1) for id_ in ids[1:]],
    )
    assert await last_told(practice, ids[3]) == ("cancelled", {"id": series["id"]})


@pytest.mark.parametrize("way", ["booked", "moved", "cancelled"])
async def test_81_what_is_hidden_is_not_told_as_one(callers: Callers, practice: Practice, way: str) -> None:
    """The message about all of them goes to an address that may be a representative's."""
    agenda, camille = await open_weeks(practice, count=3), await practice.new_patient()
    caller = callers.patient(camille)
    wanted = first_of(agenda, camille, template=weekly(3))
    wanted["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": HIDDEN}]}
    booked = resources(await caller.post("Appointment/$book", parameters(appt_resource=wanted)))
    ids = [one["id"] for one in booked]
    if way != "booked":
        later = utc(agenda.start + timedelta(minutes=20))
        operation, given = ("$reschedule", {"start": later}) if way == "moved" else ("$cancel", {})
        answer = await caller.post(f"Appointment/{ids[0]}/{operation}", parameters(**given, scope="all"))
        assert answer.status_code == 200, answer.text
    assert [await last_told(practice, id_) for id_ in ids] == [(way, None)] * 3


async def test_81_moved_as_a_whole(callers: Callers, practice: Practice) -> None:
    agenda, camille = await open_weeks(practice, count=3), await practice.new_patient()
    caller = callers.patient(camille)
    wanted = first_of(agenda, camille, template=weekly(3))
    booked = resources(await caller.post("Appointment/$book", parameters(appt_resource=wanted)))
    later = utc(agenda.start + timedelta(minutes=20))
    path = f"Appointment/{booked[0]['id']}/$reschedule"
    moved = resources(await caller.post(path, parameters(start=later, scope="all")))
    kind, told = await last_told(practice, booked[0]["id"])
    assert kind == "moved"
    assert [o["start"] for o in told["occurrences"]] == [one["start"] for one in moved]
    assert moved[0]["start"] == later


@pytest.mark.parametrize(
    ("operation", "given"), [("$cancel", {}), ("$reschedule", {"minutes": 20})], ids=["cancelled", "moved"]
)
async def test_81_a_change_that_one_of_them_refuses_is_told_to_have_changed_nothing(
    callers: Callers, practice: Practice, operation: str, given: dict[str, int]
) -> None:
    """They are booked, all of them: that nothing is booked would be untrue."""
    agenda, camille = await open_weeks(practice, count=3), await practice.new_patient()
    caller = callers.patient(camille)
    wanted = first_of(agenda, camille, template=weekly(3))
    booked = resources(await caller.post("Appointment/$book", parameters(appt_resource=wanted)))
    practice.clock.advance(agenda.start - practice.clock.now() - timedelta(hours=1))
    strict = schedule(agenda.id, [agenda.practitioner], extension=[deadline(48)])
    assert (await callers.software().put(f"Schedule/{agenda.id}", strict)).status_code == 200
    to = {"start": utc(agenda.start + timedelta(weeks=2, **given))} if given else {}
    path = f"Appointment/{booked[2]['id']}/{operation}"
    refused = await caller.post(path, parameters(**to, scope="all"))
    assert (refused.status_code, code(refused)) == (422, "change-too-late"), refused.text
    text = refused.json()["issue"][0]["details"]["text"]
    assert text.startswith("Rendez-vous 1/3 de la série")
    assert text.endswith("Rien n'est changé.")


@pytest.mark.parametrize("way", ["patch", "$cancel"])
async def test_81_each_that_is_cancelled_leaves_its_trace(
    callers: Callers, practice: Practice, way: str
) -> None:
    agenda, camille = await open_weeks(practice, count=3), await practice.new_patient()
    caller = callers.patient(camille)
    wanted = first_of(agenda, camille, template=weekly(3))
    ids = [
        r["id"] for r in resources(await caller.post("Appointment/$book", parameters(appt_resource=wanted)))
    ]
    path = f"Appointment/{ids[0]}"
    if way == "patch":
        scope = {"url": SERIES_SCOPE, "valueCode": "all"}
        answer = await caller.patch(
            path,
            [
                {"op": "replace", "path": "/status", "value": "cancelled"},
                {"op": "add", "path": "/extension/-", "value": scope},
            ],
        )
    else:
        answer = await caller.post(f"{path}/$cancel", parameters(scope="all"))
    assert answer.status_code == 200, answer.text
    traced = await practice.database.pool.fetch(
        "SELECT resource_id, count(*) AS times FROM audit WHERE resource_id = ANY($1) AND action = 'U' GROUP BY 1",
        ids,
    )
    assert {row["resource_id"]: row["times"] for row in traced} == dict.fromkeys(ids, 1)


async def test_81_a_month_without_the_day_is_named(callers: Callers, practice: Practice) -> None:
    """Nothing is booked; left out, the others keep their numbers."""
    january = datetime(2027, 1, 30, 9, tzinfo=UTC)
    agenda, camille = await practice.open_agenda(1, start=january), await practice.new_patient()
    # At the same hour by the clock of the place, which is one hour ahead by then.
    _, [march] = await practice.fill(agenda.id, 1, datetime(2027, 3, 30, 8, tzinfo=UTC))
    caller = callers.patient(camille)

    def monthly(*more: dict[str, Any]) -> dict[str, Any]:
        day = {"url": "monthlyTemplate", "extension": [{"url": "dayOfMonth", "valuePositiveInt": 30}]}
        kind = {"url": "recurrenceType", "valueCodeableConcept": {"coding": [{"code": "monthly"}]}}
        parts = [kind, day, {"url": "occurrenceCount", "valuePositiveInt": 3}, *more]
        return first_of(agenda, camille, template={"url": RECURRENCE_TEMPLATE, "extension": parts})

    refused = await caller.post("Appointment/$book", monthly())
    assert (refused.status_code, code(refused)) == (422, "occurrence-without-day"), refused.text
    assert "02/2027" in refused.text
    assert await practice.slot_statuses([*agenda.slots, march]) == ["free", "free"]
    without = await caller.post(
        "Appointment/$book", monthly({"url": "excludingRecurrenceId", "valuePositiveInt": 2})
    )
    assert without.status_code == 201, without.text
    assert [one["start"] for one in resources(without)] == ["2027-01-30T09:00:00Z", "2027-03-30T08:00:00Z"]


@pytest.mark.parametrize("way", ["post", "transaction", "asked for"])
async def test_81_what_recurs_is_never_booked_by_its_first_alone(
    callers: Callers, practice: Practice, way: str
) -> None:
    """A plain create books all of it, too, and so does `$book` of a request that recurs; one that cannot be had: none."""
    agenda, camille, software = (
        await open_weeks(practice, count=3),
        await practice.new_patient(),
        callers.software(),
    )

    async def book() -> int:
        wanted = first_of(agenda, camille, template=weekly(3))
        if way == "transaction":
            entry = {"request": {"method": "POST", "url": "Appointment"}, "resource": wanted}
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            return (await callers.patient(camille).post("", bundle)).status_code
        if way == "post":
            return (await callers.patient(camille).post("Appointment", wanted)).status_code
        asked = await software.post("Appointment", {**wanted, "status": "proposed"})
        answer = await software.post(f"Appointment/{asked.json()['id']}/$book", parameters())
        assert answer.status_code != 201 or resources(answer)[0]["id"] == asked.json()["id"]
        return answer.status_code

    weeks = agenda.slots[::2]
    other = await practice.new_patient()
    rival = await callers.patient(other).post("Appointment", first_of(agenda, other, week=2))
    assert await book() == 409
    assert await practice.slot_statuses(weeks) == ["free", "free", "busy"]
    await software.delete(f"Appointment/{rival.json()['id']}")
    assert await book() in (200, 201)
    assert await practice.slot_statuses(weeks) == ["busy"] * 3
    found = await callers.patient(camille).get("Appointment", status="booked", _sort="date")
    numbers = [said(one, RECURRENCE_ID) for one in resources(found)]
    assert numbers == [1, 2, 3]
    ids = [one["id"] for one in resources(found)]
    traced = await practice.database.pool.fetchval(
        "SELECT count(DISTINCT resource_id) FROM audit WHERE resource_id = ANY($1) AND action IN ('C', 'U')",
        ids,
    )
    assert traced == 3

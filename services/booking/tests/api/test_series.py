"""Series: all of it or nothing, the refused occurrence named; this one, this and those that follow, or all are changed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.client import code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import (
    appointment,
    parameters,
    ref,
    schedule,
    slot,
    unique,
    utc,
)
from services.booking.tests.issuer import running_issuer
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.app import create_app
from creneau_booking.operations.finding.find import PROPOSAL_PREFIX
from creneau_booking.storage.mapping.appointment import REPLACED_BY, REPLACES
from creneau_booking.storage.mapping.series import (
    OCCURRENCE_CHANGED,
    ORIGINATING,
    RECURRENCE_ID,
    RECURRENCE_TEMPLATE,
    SERIES,
    SERIES_SCOPE,
)
from creneau_shared.fhir.storage.store import Resource

WEEK = timedelta(days=7)
WEEKS = 6
CANCELLED: Resource = {"op": "replace", "path": "/status", "value": "cancelled"}


def weekly(count: int | None, *, every: int = 1, **more: Any) -> Resource:
    """A recurrenceTemplate: every so many weeks, so often."""
    parts: list[Resource] = [
        {"url": "recurrenceType", "valueCodeableConcept": {"coding": [{"code": "wk"}]}},
        {"url": "weeklyTemplate", "extension": [{"url": "weekInterval", "valuePositiveInt": every}]},
    ]
    if count is not None:
        parts.append({"url": "occurrenceCount", "valuePositiveInt": count})
    parts += [{"url": name, "valueDate": day} for name, days in more.items() for day in days]
    return {"url": RECURRENCE_TEMPLATE, "extension": parts}


async def open_weeks(practice: Practice, *, start: datetime | None = None, count: int = WEEKS) -> Agenda:
    """An agenda with two free slots, at the same local hour, in each of some weeks."""
    id_, practitioner = unique("agenda"), f"Practitioner/{unique('prat')}"
    await practice.put(schedule(id_, [practitioner]))
    start = start or practice.clock.now().replace(hour=9, minute=0, second=0) + WEEK
    ids: list[str] = []
    for week in range(count):
        _, two = await practice.fill(id_, 2, start + week * WEEK)
        ids += two
    return Agenda(id_, practitioner, "", start, tuple(ids))


def first_of(agenda: Agenda, patient: str, *, week: int = 0, template: Resource | None = None) -> Resource:
    slots = agenda.slots[2 * week : 2 * week + 1]
    wanted = appointment("booked", slots=slots, patient=patient, start=agenda.start + week * WEEK)
    return {**wanted, "extension": [template]} if template else wanted


def resources(answer: httpx.Response) -> list[Resource]:
    return [entry["resource"] for entry in answer.json()["entry"]]


def said(resource: Resource, url: str) -> Any:
    found = [e for e in resource.get("extension", ()) if e["url"] == url]
    return next((v for e in found for k, v in e.items() if k.startswith("value")), None)


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    return await open_weeks(practice)


class TestTaking:
    async def test_one_that_recurs_is_as_many(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """More than one may have to come in an agenda one by one: a series is one."""
        someone = callers.patient(camille)
        wanted = first_of(agenda, camille, template=weekly(WEEKS))
        booked = await someone.post("Appointment/$book", parameters(appt_resource=wanted))
        assert booked.status_code == 201, booked.text
        found = resources(booked)
        assert booked.json()["total"] == WEEKS
        assert [one["start"] for one in found] == [utc(agenda.start + n * WEEK) for n in range(WEEKS)]
        assert [said(one, RECURRENCE_ID) for one in found] == [1, 2, 3, 4, 5, 6]
        origin = {"reference": f"Appointment/{found[0]['id']}"}
        assert [said(one, ORIGINATING) for one in found] == [None, *[origin] * (WEEKS - 1)]
        assert [e["url"] for e in found[0]["extension"]].count(RECURRENCE_TEMPLATE) == 1
        [identifier] = found[0]["identifier"]
        assert identifier["system"] == SERIES
        all_of_it = await someone.get("Appointment", identifier=f"{SERIES}|{identifier['value']}")
        assert all_of_it.json()["total"] == WEEKS
        assert await practice.slot_statuses(agenda.slots[::2]) == ["busy"] * WEEKS
        assert await practice.slot_statuses(agenda.slots[1::2]) == ["free"] * WEEKS
        await require_one_truth(practice.database.pool)

    async def test_the_refused_occurrence_is_named_and_nothing_is_booked(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        other = await practice.new_patient()
        taken = await callers.software().post("Appointment", first_of(agenda, other, week=2))
        assert taken.status_code == 201
        wanted = first_of(agenda, camille, template=weekly(4))
        refused = await callers.patient(camille).post("Appointment/$book", parameters(appt_resource=wanted))
        assert (refused.status_code, code(refused)) == (409, "slot-taken")
        [issue] = refused.json()["issue"]
        when = (agenda.start + 2 * WEEK).astimezone(UTC)
        assert "3/4" in issue["details"]["text"]
        assert f"{when:%Y-%m-%d}" in issue["details"]["text"]
        assert f"occurrence 3, {when:%Y-%m-%dT%H:%M}" in issue["diagnostics"]
        assert "recurrenceTemplate" in issue["expression"][0]
        assert await practice.slot_statuses(agenda.slots[::2]) == ["free", "free", "busy", *["free"] * 3]
        # Nor when there is no slot at all.
        wanted = first_of(agenda, camille, template=weekly(8))
        refused = await callers.patient(camille).post("Appointment/$book", parameters(appt_resource=wanted))
        assert (refused.status_code, code(refused)) == (422, "unknown-slot")
        assert "7/8" in refused.json()["issue"][0]["details"]["text"]

    @pytest.mark.parametrize("shape", ["repeated", "bundle", "bare bundle", "proposals"])
    async def test_several_in_one_call(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, shape: str
    ) -> None:
        """In any order; each is told where it stands in what was sent."""
        several = [first_of(agenda, camille, week=week) for week in (2, 0, 1)]
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": one} for one in several],
        }
        body = {
            "repeated": parameters(appt_resource=several),
            "bundle": parameters(appt_resource=bundle),
            "bare bundle": bundle,
            "proposals": parameters(
                appt_id=[f"Appointment/{PROPOSAL_PREFIX}{agenda.slots[2 * week]}" for week in (2, 0, 1)],
                patient_id=camille,
            ),
        }[shape]
        someone = callers.patient(camille)
        booked = await someone.post("Appointment/$book", body)
        assert booked.status_code == 201, booked.text
        assert [one["start"] for one in resources(booked)] == [utc(agenda.start + n * WEEK) for n in range(3)]
        again = await callers.software().post("Appointment/$book", body)
        assert again.status_code == 409
        assert "[" in again.json()["issue"][0]["expression"][0]
        await require_one_truth(practice.database.pool)

    async def test_at_local_time_across_the_change_of_the_clocks(
        self, callers: Callers, fresh: Practice
    ) -> None:
        """Nine in Paris before and after 28 March 2027; every other week, one date left out."""
        patient = await fresh.new_patient()
        await fresh.put(schedule("printemps", ["Practitioner/p"]))
        days = [datetime(2027, 3, 16, 8, tzinfo=UTC), datetime(2027, 3, 30, 7, tzinfo=UTC)]
        days += [datetime(2027, 4, 13, 7, tzinfo=UTC), datetime(2027, 4, 27, 7, tzinfo=UTC)]
        for number, day in enumerate(days):
            for hours in (-1, 0, 1):
                await fresh.put(slot(f"s{number}{hours + 1}", "printemps", day + timedelta(hours=hours)))
        wanted = appointment(
            "booked",
            slots=["s01"],
            patient=patient,
            start=days[0],
            extension=[weekly(4, every=2, excludingDate=["2027-04-13"])],
        )
        async with running_issuer() as issuer:
            settings = settings_for(str(fresh.settings.database_url), issuer.url)
            async with serving(create_app(settings, fresh.clock)) as client:
                here = Callers(client, issuer, fresh.clock)
                booked = await here.patient(patient).post("Appointment/$book", parameters(appointment=wanted))
        assert booked.status_code == 201, booked.text
        assert [one["start"] for one in resources(booked)] == [utc(days[n]) for n in (0, 1, 3)]
        assert [said(one, RECURRENCE_ID) for one in resources(booked)] == [1, 2, 4]

    async def test_a_series_is_held_and_booked_as_a_whole(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        """It counts as one hold, however many they are."""
        someone = callers.patient(camille, subject=unique("citoyen"))
        wanted = first_of(agenda, camille, template=weekly(4))
        held = await someone.post("Appointment/$hold", parameters(appt_resource=wanted))
        assert held.status_code == 201, held.text
        assert "expires" in held.headers
        assert {one["status"] for one in resources(held)} == {"pending"}
        assert await practice.slot_statuses(agenda.slots[::2][:4]) == ["busy-tentative"] * 4
        path = f"Appointment/{resources(held)[1]['id']}/$book"
        booked = await someone.post(path, parameters())
        assert booked.status_code == 200, booked.text
        assert [one["status"] for one in resources(booked)] == ["booked"] * 4
        assert await practice.slot_statuses(agenda.slots[::2][:4]) == ["busy"] * 4
        await require_one_truth(practice.database.pool)

    @pytest.mark.parametrize("place", [0, 1])
    async def test_the_one_that_is_named_of_a_held_series_replaces_another_visit(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, place: int
    ) -> None:
        """It alone: the old visit names one in its place."""
        someone = callers.patient(camille, subject=unique("citoyen"))
        before = first_of(await open_weeks(practice, start=agenda.start + timedelta(days=1)), camille)
        old = (await someone.post("Appointment", before)).json()
        wanted = first_of(agenda, camille, template=weekly(3))
        held = resources(await someone.post("Appointment/$hold", parameters(appt_resource=wanted)))
        booked = await someone.post(
            f"Appointment/{held[place]['id']}/$book", parameters(cancelled_appt_id=old["id"])
        )
        assert booked.status_code == 200, booked.text
        instead = [said(one, REPLACES) for one in resources(booked)]
        expected = [ref(f"Appointment/{old['id']}") if n == place else None for n in range(3)]
        assert instead == expected
        gone = (await someone.get(f"Appointment/{old['id']}")).json()
        assert gone["status"] == "cancelled"
        assert said(gone, REPLACED_BY) == ref(f"Appointment/{held[place]['id']}")

    @pytest.mark.parametrize("status", ["pending", "proposed", "booked"])
    @pytest.mark.parametrize("place", [0, 1])
    async def test_one_of_a_held_series_that_is_sent_as_it_is_held_books_all_of_it(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, place: int, status: str
    ) -> None:
        someone = callers.patient(camille, subject=unique("citoyen"))
        wanted = first_of(agenda, camille, template=weekly(4))
        held = resources(await someone.post("Appointment/$hold", parameters(appt_resource=wanted)))
        sent = {**held[place], "status": status}
        booked = await someone.post("Appointment/$book", parameters(appt_resource=sent))
        assert booked.status_code == 200, booked.text
        assert [one["id"] for one in resources(booked)] == [one["id"] for one in held]
        assert await practice.slot_statuses(agenda.slots[::2][:4]) == ["busy"] * 4
        await require_one_truth(practice.database.pool)

    async def test_another_series_under_the_id_of_a_held_one_is_booked_as_it_is_sent(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        someone = callers.patient(camille, subject=unique("citoyen"))
        wanted = first_of(agenda, camille, template=weekly(4))
        held = resources(await someone.post("Appointment/$hold", parameters(appt_resource=wanted)))
        longer = {**first_of(agenda, camille, template=weekly(6)), "id": held[0]["id"]}
        booked = await someone.post("Appointment/$book", parameters(appt_resource=longer))
        assert (booked.status_code, booked.json()["total"]) == (201, 6), booked.text
        assert await practice.slot_statuses(agenda.slots[::2]) == ["busy"] * 6
        await require_one_truth(practice.database.pool)

    @pytest.mark.parametrize("way", ["$confirm", "PATCH", "PUT"])
    @pytest.mark.parametrize("scope", [None, "this"])
    async def test_what_a_practice_holds_as_a_whole_is_agreed_to_as_a_whole(
        self,
        callers: Callers,
        practice: Practice,
        agenda: Agenda,
        camille: str,
        way: str,
        scope: str | None,
    ) -> None:
        """Unless it says that it means that one."""
        software = callers.software()
        wanted = {**first_of(agenda, camille, template=weekly(4)), "status": "pending"}
        held = (await software.post("Appointment", wanted)).json()
        path = f"Appointment/{held['id']}"
        only = [{"url": SERIES_SCOPE, "valueCode": scope}] if scope else []
        if way == "$confirm":
            given = parameters(scope=scope) if scope else parameters()
            answer = await software.post(f"{path}/$confirm", given)
        elif way == "PUT":
            meant = {**held, "status": "booked", "extension": [*held["extension"], *only]}
            answer = await software.put(path, meant)
        else:
            steps: list[Resource] = [{"op": "replace", "path": "/status", "value": "booked"}]
            steps += [{"op": "add", "path": "/extension/-", "value": one} for one in only]
            answer = await software.patch(path, steps)
        assert answer.status_code == 200, answer.text
        others = "busy-tentative" if scope else "busy"
        assert await practice.slot_statuses(agenda.slots[::2][:4]) == ["busy", *[others] * 3]
        await require_one_truth(practice.database.pool)

    async def test_who_agrees_again_to_one_that_was_booked_agrees_to_that_one(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        software = callers.software()
        wanted = parameters(appt_resource=first_of(agenda, camille, template=weekly(3)))
        ids = [one["id"] for one in resources(await software.post("Appointment/$book", wanted))]
        for id_, status in ((ids[0], "pending"), (ids[1], "pending"), (ids[0], "booked")):
            step: Resource = {"op": "replace", "path": "/status", "value": status}
            answer = await software.patch(f"Appointment/{id_}", [step])
            assert answer.status_code == 200, answer.text
        assert await practice.slot_statuses(agenda.slots[::2][:3]) == ["busy", "busy-tentative", "busy"]

    async def test_a_series_that_is_held_again_is_answered_as_it_is(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str
    ) -> None:
        someone = callers.patient(camille, subject=unique("citoyen"))
        wanted = parameters(appt_resource=first_of(agenda, camille, template=weekly(3)))
        held = [await someone.post("Appointment/$hold", wanted) for _ in range(2)]
        first, again = ([one["id"] for one in resources(answer)] for answer in held)
        assert first == again
        booked = await someone.post(f"Appointment/{first[2]}/$book", parameters())
        assert [one["id"] for one in resources(booked)] == first

    @pytest.mark.parametrize("alone", [0, 1])
    async def test_what_was_held_alone_is_of_the_series_that_is_held_then(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, alone: int
    ) -> None:
        """And the other way round: whoever holds one of them anew, alone, books that one."""
        someone = callers.patient(camille, subject=unique("citoyen"))
        one = parameters(appt_resource=first_of(agenda, camille, week=alone))
        assert (await someone.post("Appointment/$hold", one)).status_code == 201
        wanted = parameters(appt_resource=first_of(agenda, camille, template=weekly(3)))
        held = resources(await someone.post("Appointment/$hold", wanted))
        assert [said(each, RECURRENCE_ID) for each in held] == [1, 2, 3]
        assert len({each["identifier"][0]["value"] for each in held}) == 1
        again = await someone.post("Appointment/$hold", one)
        assert (again.status_code, said(again.json(), RECURRENCE_ID)) == (201, None), again.text
        booked = await someone.post(f"Appointment/{again.json()['id']}/$book", parameters())
        assert booked.json()["resourceType"] == "Appointment", booked.text
        expected = ["busy" if week == alone else "busy-tentative" for week in range(3)]
        assert await practice.slot_statuses(agenda.slots[::2][:3]) == expected
        await require_one_truth(practice.database.pool)

    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            (weekly(None), "recurrence-unread"),
            (weekly(13), "series-too-long"),
            (
                {"url": RECURRENCE_TEMPLATE, "extension": [{"url": "recurrenceType", "valueCode": "mo"}]},
                "recurrence-unread",
            ),
            (
                {
                    "url": RECURRENCE_TEMPLATE,
                    "extension": [
                        {"url": "occurrenceCount", "valuePositiveInt": 2},
                        {"url": "weeklyTemplate", "extension": [{"url": "sunday", "valueBoolean": True}]},
                    ],
                },
                "series-off-pattern",
            ),
        ],
    )
    async def test_what_cannot_be_followed_is_refused(
        self, callers: Callers, agenda: Agenda, camille: str, how: Resource, expected: str
    ) -> None:
        wanted = first_of(agenda, camille, template=how)
        refused = await callers.patient(camille).post("Appointment/$book", parameters(appt_resource=wanted))
        assert (refused.status_code, code(refused)) == (422, expected), refused.text


class TestChanging:
    @pytest.fixture
    async def series(self, callers: Callers, agenda: Agenda, camille: str) -> list[str]:
        """Four weeks, booked; the ids."""
        wanted = first_of(agenda, camille, template=weekly(4))
        booked = await callers.patient(camille).post("Appointment/$book", parameters(appt_resource=wanted))
        assert booked.status_code == 201, booked.text
        return [one["id"] for one in resources(booked)]

    @pytest.mark.parametrize("scope", ["this-and-following", "all"])
    async def test_what_is_cancelled_already_is_not_cancelled_again(
        self, callers: Callers, practice: Practice, camille: str, series: list[str], scope: str
    ) -> None:
        """Called again it is as it was; what has been left of the series goes, the one that is named stays as it is."""
        someone = callers.patient(camille)
        named = f"Appointment/{series[1]}"
        assert (await someone.patch(named, [CANCELLED])).status_code == 200
        for _ in range(2):
            gone = await someone.post(f"{named}/$cancel", parameters(scope=scope))
            assert gone.status_code == 200, gone.text
            assert {one["meta"]["versionId"] for one in resources(gone)} == {"2"}
            assert series[1] in [one["id"] for one in resources(gone)]
        assert (await practice.kinds(series[3])) == ["booked", "cancelled"]

    @pytest.mark.parametrize(
        ("scope", "left"),
        [(None, [0, 2, 3]), ("this", [0, 2, 3]), ("this-and-following", [0]), ("all", [])],
    )
    async def test_cancelling(
        self,
        callers: Callers,
        practice: Practice,
        agenda: Agenda,
        camille: str,
        series: list[str],
        scope: str | None,
        left: list[int],
    ) -> None:
        someone = callers.patient(camille)
        extension = {"url": SERIES_SCOPE, "valueCode": scope}
        patch = (
            [CANCELLED, {"op": "add", "path": "/extension/-", "value": extension}] if scope else [CANCELLED]
        )
        cancelled = await someone.patch(f"Appointment/{series[1]}", patch)
        assert cancelled.status_code == 200, cancelled.text
        assert SERIES_SCOPE not in cancelled.text
        statuses = [(await someone.get(f"Appointment/{id_}")).json()["status"] for id_ in series]
        assert [n for n, status in enumerate(statuses) if status == "booked"] == left
        expected = ["busy" if n in left else "free" for n in range(4)]
        assert await practice.slot_statuses(agenda.slots[::2][:4]) == expected
        await require_one_truth(practice.database.pool)

    @pytest.mark.parametrize(
        ("scope", "weeks", "changed"),
        [
            ("this", [0, 4, 2, 3], [1]),
            ("this-and-following", [0, 2, 3, 4], [1, 2, 3]),
            ("all", [1, 2, 3, 4], []),
        ],
    )
    async def test_moving(
        self,
        callers: Callers,
        practice: Practice,
        agenda: Agenda,
        camille: str,
        series: list[str],
        scope: str,
        weeks: list[int],
        changed: list[int],
    ) -> None:
        """The others go as far as the one does, where one goes another may have been; ids stay."""
        someone, to = callers.patient(camille), weeks[1]
        asked = parameters(slot=ref(f"Slot/{agenda.slots[2 * to]}"), scope=scope)
        moved = await someone.post(f"Appointment/{series[1]}/$reschedule", asked)
        assert moved.status_code == 200, moved.text
        now = [(await someone.get(f"Appointment/{id_}")).json() for id_ in series]
        assert [one["start"] for one in now] == [utc(agenda.start + week * WEEK) for week in weeks]
        assert [n for n, one in enumerate(now) if said(one, OCCURRENCE_CHANGED)] == changed
        statuses = await practice.slot_statuses(agenda.slots[::2])
        assert [n for n, status in enumerate(statuses) if status == "busy"] == sorted(weeks)
        await require_one_truth(practice.database.pool)

    async def test_who_has_come_is_moved_with_nobody(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, series: list[str]
    ) -> None:
        """An occurrence whose patient has arrived before its time is named, and all stay where they are."""
        practice_ = callers.software()
        arrived = [{"op": "replace", "path": "/status", "value": "arrived"}]
        assert (await practice_.patch(f"Appointment/{series[1]}", arrived)).status_code == 200
        asked = parameters(slot=ref(f"Slot/{agenda.slots[1]}"), scope="all")
        refused = await practice_.post(f"Appointment/{series[0]}/$reschedule", asked)
        assert (refused.status_code, code(refused)) == (422, "not-movable")
        times = [(await practice_.get(f"Appointment/{id_}")).json()["start"] for id_ in series[:2]]
        assert times == [utc(agenda.start), utc(agenda.start + WEEK)]

    async def test_a_move_that_one_cannot_follow_moves_nothing(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, series: list[str]
    ) -> None:
        asked = parameters(slot=ref(f"Slot/{agenda.slots[6]}"), scope="all")
        refused = await callers.patient(camille).post(f"Appointment/{series[0]}/$reschedule", asked)
        assert refused.status_code == 422, refused.text
        assert "4/4" in refused.json()["issue"][0]["details"]["text"]
        assert await practice.slot_statuses(agenda.slots[::2]) == ["busy"] * 4 + ["free"] * 2

    async def test_a_scope_fits_or_is_refused(
        self, callers: Callers, agenda: Agenda, camille: str, series: list[str]
    ) -> None:
        someone = callers.patient(camille)
        extension = {"url": SERIES_SCOPE, "valueCode": "all"}
        comment = [
            {"op": "add", "path": "/comment", "value": "x"},
            {"op": "add", "path": "/extension/-", "value": extension},
        ]
        refused = await someone.patch(f"Appointment/{series[1]}", comment)
        assert (refused.status_code, code(refused)) == (422, "series-scope")
        alone = await someone.post("Appointment", first_of(agenda, camille, week=5))
        lone = [CANCELLED, {"op": "add", "path": "/extension", "value": [extension]}]
        refused = await someone.patch(f"Appointment/{alone.json()['id']}", lone)
        assert (refused.status_code, code(refused)) == (422, "series-scope")


class TestAskedFor:
    """A stored request for a series becomes all of it, or nothing, by whatever takes its time."""

    COUNT = 4

    @pytest.fixture
    async def request_(self, callers: Callers, agenda: Agenda, camille: str) -> Resource:
        wanted = first_of(agenda, camille, template=weekly(self.COUNT))
        stored = await callers.software().post("Appointment", {**wanted, "status": "proposed"})
        assert stored.status_code == 201, stored.text
        found: Resource = stored.json()
        return found

    async def require_whole(
        self, callers: Callers, practice: Practice, agenda: Agenda, id_: str, status: str, of_slots: str
    ) -> None:
        first = (await callers.software().get(f"Appointment/{id_}")).json()
        assert [e["url"] for e in first["extension"]].count(RECURRENCE_TEMPLATE) == 1
        [identifier] = [i["value"] for i in first["identifier"] if i["system"] == SERIES]
        found = resources(await callers.software().get("Appointment", identifier=f"{SERIES}|{identifier}"))
        assert {one["status"] for one in found} == {status}
        assert sorted(said(one, RECURRENCE_ID) for one in found) == list(range(1, self.COUNT + 1))
        statuses = await practice.slot_statuses(agenda.slots[::2])
        assert statuses == [of_slots] * self.COUNT + ["free"] * (WEEKS - self.COUNT)
        await require_one_truth(practice.database.pool)

    @pytest.mark.parametrize(
        "way", ["$book", "the patient's $book", "sent to $book", "$confirm", "PATCH", "PUT", "answer"]
    )
    async def test_booked(
        self,
        callers: Callers,
        practice: Practice,
        agenda: Agenda,
        camille: str,
        request_: Resource,
        way: str,
    ) -> None:
        software, path = callers.software(), f"Appointment/{request_['id']}"
        match way:
            case "$book" | "$confirm":
                answer = await software.post(f"{path}/{way}", parameters())
            case "sent to $book":
                answer = await software.post("Appointment/$book", parameters(appointment=request_))
            case "the patient's $book":
                answer = await callers.patient(camille).post(f"{path}/$book", parameters())
            case "PATCH":
                booked: Resource = {"op": "replace", "path": "/status", "value": "booked"}
                answer = await software.patch(path, [booked])
            case "PUT":
                answer = await software.put(path, {**request_, "status": "booked"})
            case _:
                accepted = {
                    "resourceType": "AppointmentResponse",
                    "appointment": ref(path),
                    "actor": ref(agenda.practitioner),
                    "participantStatus": "accepted",
                }
                answer = await software.post("AppointmentResponse", accepted)
        assert answer.status_code in (200, 201), answer.text
        await self.require_whole(callers, practice, agenda, request_["id"], "booked", "busy")

    @pytest.mark.parametrize("way", ["$hold", "PUT"])
    async def test_held(
        self, callers: Callers, practice: Practice, agenda: Agenda, request_: Resource, way: str
    ) -> None:
        software, path = callers.software(), f"Appointment/{request_['id']}"
        if way == "$hold":
            held = await software.post(f"{path}/$hold", parameters())
            assert held.json()["total"] == self.COUNT
            assert "expires" in held.headers
        else:
            held = await software.put(path, {**request_, "status": "pending"})
        assert held.status_code in (200, 201), held.text
        await self.require_whole(callers, practice, agenda, request_["id"], "pending", "busy-tentative")
        booked = await software.post(f"{path}/$book", parameters())
        assert (booked.status_code, booked.json()["total"]) == (200, self.COUNT)
        await self.require_whole(callers, practice, agenda, request_["id"], "booked", "busy")

    @pytest.mark.parametrize("way", ["$book", "sent to $book", "$hold", "PATCH"])
    async def test_what_is_asked_for_is_changed_and_the_others_are_created(
        self, callers: Callers, practice: Practice, request_: Resource, way: str
    ) -> None:
        """So it is answered, and so it is audited."""
        software, path = callers.software(), f"Appointment/{request_['id']}"
        if way == "PATCH":
            booked: Resource = {"op": "replace", "path": "/status", "value": "booked"}
            answer = await software.patch(path, [booked])
        elif way == "sent to $book":
            answer = await software.post("Appointment/$book", parameters(appointment=request_))
        else:
            answer = await software.post(f"{path}/{way}", parameters())
        assert answer.status_code == 200, answer.text
        stored = (await software.get(path)).json()
        [series] = [i["value"] for i in stored["identifier"] if i["system"] == SERIES]
        found = resources(await software.get("Appointment", identifier=f"{SERIES}|{series}"))
        traces = await practice.database.pool.fetch(
            "SELECT resource_id, array_agg(action ORDER BY id) AS steps FROM audit"
            " WHERE resource_id = ANY($1) AND action IN ('C', 'U') GROUP BY 1",
            [one["id"] for one in found],
        )
        steps = {row["resource_id"]: list(row["steps"]) for row in traces}
        assert steps == {one["id"]: ["C", "U"] if one["id"] == request_["id"] else ["C"] for one in found}

    async def test_booked_by_another_template(
        self, callers: Callers, practice: Practice, agenda: Agenda, request_: Resource
    ) -> None:
        longer = {**request_, "extension": [weekly(WEEKS)]}
        booked = await callers.software().post("Appointment/$book", parameters(appointment=longer))
        assert booked.status_code == 200, booked.text
        assert resources(booked)[0]["id"] == request_["id"]
        assert await practice.slot_statuses(agenda.slots[::2]) == ["busy"] * WEEKS

    async def test_a_series_cannot_wait_in_line(
        self, callers: Callers, agenda: Agenda, camille: str, request_: Resource
    ) -> None:
        """What is freed is one time: it would be taken alone."""
        software = callers.software()
        wanted = {**first_of(agenda, camille, template=weekly(2)), "status": "waitlist"}
        waits: Resource = {"op": "replace", "path": "/status", "value": "waitlist"}
        for refused in (
            await software.post("Appointment", wanted),
            await software.patch(f"Appointment/{request_['id']}", [waits]),
        ):
            assert (refused.status_code, code(refused)) == (422, "series-not-awaited"), refused.text

    @pytest.mark.parametrize("whose", ["practice", "patient"])
    async def test_written_as_pending(
        self, callers: Callers, practice: Practice, agenda: Agenda, camille: str, whose: str
    ) -> None:
        """A practice's waits without an end; a patient's is a hold."""
        caller = callers.software() if whose == "practice" else callers.patient(camille)
        wanted = {**first_of(agenda, camille, template=weekly(self.COUNT)), "status": "pending"}
        stored = await caller.post("Appointment", wanted)
        assert stored.status_code == 201, stored.text
        assert ("expires" in stored.headers) == (whose == "patient")
        await self.require_whole(callers, practice, agenda, stored.json()["id"], "pending", "busy-tentative")

    async def test_written_again_where_it_was_deleted(
        self, callers: Callers, practice: Practice, agenda: Agenda, request_: Resource
    ) -> None:
        software, path = callers.software(), f"Appointment/{request_['id']}"
        assert (await software.delete(path)).status_code == 204
        again = await software.put(path, {**request_, "status": "booked"})
        assert again.status_code in (200, 201), again.text
        await self.require_whole(callers, practice, agenda, request_["id"], "booked", "busy")
        [identifier] = [i["value"] for i in again.json()["identifier"] if i["system"] == SERIES]
        found = resources(await software.get("Appointment", identifier=f"{SERIES}|{identifier}"))
        traced = await practice.database.pool.fetch(
            "SELECT DISTINCT resource_id FROM audit WHERE action = 'C' AND resource_id = ANY($1)",
            [one["id"] for one in found],
        )
        assert len(traced) == self.COUNT, "each of them leaves its trace"

    @pytest.mark.parametrize("way", ["$confirm", "$hold", "PATCH"])
    async def test_one_that_cannot_be_had_is_named_and_nothing_is_taken(
        self, callers: Callers, practice: Practice, agenda: Agenda, request_: Resource, way: str
    ) -> None:
        software, path = callers.software(), f"Appointment/{request_['id']}"
        other = await practice.new_patient()
        assert (await software.post("Appointment", first_of(agenda, other, week=2))).status_code == 201
        if way == "PATCH":
            booked: Resource = {"op": "replace", "path": "/status", "value": "booked"}
            refused = await software.patch(path, [booked])
        else:
            refused = await software.post(f"{path}/{way}", parameters())
        assert (refused.status_code, code(refused)) == (409, "slot-taken"), refused.text
        assert "3" in refused.json()["issue"][0]["diagnostics"]
        assert (await practice.slot_statuses(agenda.slots[::2])).count("free") == WEEKS - 1


async def test_of_two_series_that_meet_one_wins_whole(callers: Callers, practice: Practice) -> None:
    """Many at once, each sharing one occurrence with its rival: never half of one, nobody waits in a circle."""
    people = [await practice.new_patient() for _ in range(8)]
    for _ in range(3):
        agenda = await open_weeks(practice)
        # Half of them go forwards, and the others, sent backwards, from where these end.
        bodies = []
        for number, patient in enumerate(people):
            weeks = (0, 1, 2, 3) if number % 2 else (5, 4, 3)
            bodies.append(parameters(appt_resource=[first_of(agenda, patient, week=week) for week in weeks]))
        answers = await asyncio.gather(
            *(
                callers.patient(p).post("Appointment/$book", body)
                for p, body in zip(people, bodies, strict=True)
            )
        )
        assert sorted(a.status_code for a in answers) == [201, *[409] * 7], [a.text for a in answers]
        [won] = [resources(a) for a in answers if a.status_code == 201]
        statuses = await practice.slot_statuses(agenda.slots[::2])
        assert statuses.count("busy") == len(won)
        await require_one_truth(practice.database.pool)

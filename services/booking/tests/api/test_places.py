"""Slots of several places (checklist 48, 70): each patient has an appointment and a place, the agenda's people are taken once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref, schedule, slot, unique
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.availability.groups import named_by_others
from creneau_booking.storage.mapping.places import (
    PLACES_LEFT,
    SCHEDULE_CAPACITY,
    SLOT_CAPACITY,
    SMART_CAPACITY,
)
from creneau_booking.storage.mapping.slot import slot_key
from creneau_shared.database.pool import Database
from creneau_shared.errors import Conflict
from creneau_shared.fhir.storage.store import Resource

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]
CLIENTS, PLACES, ROUNDS = 64, 10, 3
AT_ONCE = 16
TURNS = asyncio.Semaphore(2 * AT_ONCE)
"""as many as there are connections"""


def capacity(places: int, url: str = SCHEDULE_CAPACITY, value: str = "valuePositiveInt") -> Resource:
    return {"extension": [{"url": url, value: places}]}


def left(stored: Resource) -> int | None:
    """How many places a Slot says that it has left."""
    found = [e["valueUnsignedInt"] for e in stored.get("extension", ()) if e["url"] == PLACES_LEFT]
    return found[0] if found else None


@pytest.fixture
async def group(practice: Practice) -> Agenda:
    """Slots of three places each."""
    return await practice.open_agenda(3, **capacity(3))


def place(agenda: Agenda, patient: str | None, index: int = 0, **more: Any) -> Resource:
    return appointment(
        "booked", slots=agenda.slots[index : index + 1], patient=patient, start=agenda.at(index), **more
    )


class TestPlaces:
    async def test_70_each_patient_has_an_appointment_until_it_is_full(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        """Free for others until the last place, then busy; nobody is shown who else comes."""
        people = [await practice.new_patient() for _ in range(4)]
        ids = []
        for number, patient in enumerate(people[:3]):
            shown = await practice.slot(group.slots[0])
            assert (shown["status"], left(shown)) == ("free", 3 - number)
            booked = await callers.patient(patient).post("Appointment", place(group, patient))
            assert booked.status_code == 201, booked.text
            ids.append(booked.json()["id"])
        shown = await practice.slot(group.slots[0])
        assert (shown["status"], left(shown)) == ("busy", 0)
        fourth = callers.patient(people[3])
        refused = await fourth.post("Appointment", place(group, people[3]))
        assert (refused.status_code, code(refused)) == (409, "group-full")
        assert (await callers.patient(people[0]).get(f"Appointment/{ids[1]}")).status_code == 404
        seen = (await callers.patient(people[0]).get(f"Slot/{group.slots[0]}")).text
        assert not any(patient in seen for patient in people)
        # The professional is taken once, for the whole slot.
        [(start, end, _)] = await practice.occupied(group.practitioner)
        assert (start, end) == (group.at(0), group.at(1))

    async def test_who_leaves_gives_the_place_back(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        people = [await practice.new_patient() for _ in range(3)]
        ids = []
        for patient in people:
            booked = await callers.patient(patient).post("Appointment", place(group, patient))
            ids.append(booked.json()["id"])
        for number, (patient, id_) in enumerate(zip(people, ids, strict=True)):
            cancelled = await callers.patient(patient).patch(f"Appointment/{id_}", CANCELLED)
            assert cancelled.status_code == 200, cancelled.text
            shown = await practice.slot(group.slots[0])
            assert (shown["status"], left(shown)) == ("free", number + 1)
        assert await practice.occupied(group.practitioner) == []
        assert left(await practice.slot(group.slots[1])) == 3

    async def test_nobody_has_two_places(self, callers: Callers, practice: Practice, group: Agenda) -> None:
        camille = await practice.new_patient()
        someone = callers.patient(camille)
        assert (await someone.post("Appointment", place(group, camille))).status_code == 201
        again = await someone.post("Appointment", place(group, camille))
        assert again.status_code == 409
        # Nor by a practice that has a reason for a second visit at that time.
        reason = {
            "url": "https://creneau.sante.fr/fhir/StructureDefinition/double-booking-reason",
            "valueString": "deux soins",
        }
        twice = await callers.software().post("Appointment", place(group, camille, extension=[reason]))
        assert (twice.status_code, code(twice)) == (409, "place-taken")
        assert left(await practice.slot(group.slots[0])) == 2

    async def test_the_group_takes_its_people_from_other_agendas(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        """While somebody has a place, and no longer; the group's own slot stays free."""
        other = await practice.open_agenda(1, practitioner=group.practitioner, start=group.start)
        people = [await practice.new_patient() for _ in range(2)]
        paths = []
        for patient in people:
            booked = await callers.patient(patient).post("Appointment", place(group, patient))
            paths.append(f"Appointment/{booked.json()['id']}")
        assert await practice.slot_statuses([other.slots[0], group.slots[0]]) == ["busy-unavailable", "free"]
        wanted = appointment(
            "booked", slots=other.slots, patient=await practice.new_patient(), start=other.start
        )
        refused = await callers.software().post("Appointment", wanted)
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")
        for patient, path in zip(people, paths, strict=True):
            await callers.patient(patient).patch(path, CANCELLED)
        assert await practice.slot_statuses([other.slots[0], group.slots[0]]) == ["free", "free"]
        # And who is taken elsewhere receives no group.
        assert (await callers.software().post("Appointment", wanted)).status_code == 201
        refused = await callers.patient(people[0]).post("Appointment", place(group, people[0]))
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")

    async def test_a_hold_is_a_place_until_it_runs_out(self, fresh: Practice) -> None:
        group = await fresh.open_agenda(1, **capacity(2))
        one, two, three = [await fresh.new_patient() for _ in range(3)]
        for patient in (one, two):
            await fresh.hold(appointment("proposed", slots=group.slots, patient=patient))
        assert await fresh.slot_statuses(group.slots) == ["busy"]
        with pytest.raises(Conflict) as refused:
            await fresh.create(place(group, three))
        assert refused.value.issues[0].details_code == "group-full"
        fresh.clock.advance(timedelta(hours=1))
        # Whoever wants a place ends what has run out; the sweeper does the rest.
        await fresh.create(place(group, three))
        await fresh.jobs().expire_holds()
        assert left(await fresh.slot(group.slots[0])) == 1
        await require_one_truth(fresh.database.pool)

    async def test_ones_own_hold_gives_way_to_oneself(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        camille = await practice.new_patient()
        someone = callers.patient(camille, subject=unique("citoyen"))
        asked = parameters(appointment=appointment("proposed", slots=group.slots[:1], patient=camille))
        first = await someone.post("Appointment/$hold", asked)
        assert first.status_code == 201, first.text
        again = await someone.post("Appointment/$hold", asked)
        assert again.status_code == 201, again.text
        assert again.json()["id"] == first.json()["id"]
        booked = await someone.post("Appointment", place(group, camille))
        assert booked.status_code == 201, booked.text
        assert left(await practice.slot(group.slots[0])) == 2
        await require_one_truth(practice.database.pool)

    async def test_a_practice_brings_several_patients_in_one_appointment(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        one, two, three, four = [await practice.new_patient() for _ in range(4)]
        both = await callers.software().post("Appointment", place(group, one, actors=[two]))
        assert both.status_code == 201, both.text
        assert left(await practice.slot(group.slots[0])) == 1
        too_many = await callers.software().post("Appointment", place(group, three, actors=[four]))
        assert (too_many.status_code, code(too_many)) == (409, "group-full")
        joined = {
            **both.json(),
            "participant": [*both.json()["participant"], *place(group, three)["participant"]],
        }
        changed = await callers.software().put(f"Appointment/{both.json()['id']}", joined)
        assert changed.status_code == 200, changed.text
        assert left(await practice.slot(group.slots[0])) == 0
        fewer = {**changed.json(), "participant": place(group, two)["participant"]}
        changed = await callers.software().put(f"Appointment/{both.json()['id']}", fewer)
        assert changed.status_code == 200, changed.text
        assert left(await practice.slot(group.slots[0])) == 2
        await require_one_truth(practice.database.pool)

    @pytest.mark.parametrize("way", ["cancelled", "changed", "moved"])
    async def test_whom_somebody_brings_leaves_with_them(
        self, callers: Callers, practice: Practice, group: Agenda, way: str
    ) -> None:
        """While others stay: the agenda's people stay with them, and whoever is named by another one too."""
        x, y = [await practice.open_agenda(1, start=group.start) for _ in range(2)]
        both = unique("agenda")
        await practice.put(schedule(both, [x.practitioner, group.practitioner]))
        _, together = await practice.fill(both, 1, group.start)
        slots = [*x.slots, *y.slots, *together]
        software = callers.software()
        one, two = [await practice.new_patient() for _ in range(2)]
        brings = place(group, one, actors=[x.practitioner, y.practitioner])
        first = await software.post("Appointment", brings)
        assert first.status_code == 201, first.text
        second = await software.post("Appointment", place(group, two, actors=[y.practitioner]))
        assert second.status_code == 201, second.text
        assert await practice.slot_statuses(slots) == ["busy-unavailable"] * 3
        path = f"Appointment/{first.json()['id']}"
        if way == "cancelled":
            left_it = await software.patch(path, CANCELLED)
        elif way == "moved":
            to = parameters(slot=ref(f"Slot/{group.slots[2]}"))
            left_it = await software.post(f"{path}/$reschedule", to)
        else:
            people = [p for p in first.json()["participant"] if p["actor"] != ref(x.practitioner)]
            left_it = await software.put(path, {**first.json(), "participant": people})
        assert left_it.status_code == 200, left_it.text
        there = [taken for taken in await practice.occupied(x.practitioner) if taken[0] == group.start]
        assert there == []
        assert await practice.slot_statuses(slots) == ["free", "busy-unavailable", "busy-unavailable"]
        assert [len(await practice.occupied(who)) for who in (y.practitioner, group.practitioner)] == (
            [2, 2] if way == "moved" else [1, 1]
        )
        await require_one_truth(practice.database.pool)
        assert (await software.patch(f"Appointment/{second.json()['id']}", CANCELLED)).status_code == 200
        expected = ["free", "busy-unavailable", "busy-unavailable"] if way == "changed" else ["free"] * 3
        assert await practice.slot_statuses(slots) == expected
        await require_one_truth(practice.database.pool)

    async def test_who_has_a_slot_alone_beside_takes_whom_they_name_themselves(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        """The group has those whom its other members name, and keeps nobody for that one."""
        x, y, beside = [await practice.open_agenda(1, start=group.start) for _ in range(3)]
        one, two = [await practice.new_patient() for _ in range(2)]
        software = callers.software()
        both = appointment(
            "booked",
            slots=[group.slots[0], beside.slots[0]],
            patient=one,
            actors=[x.practitioner],
            start=group.start,
        )
        for wanted in (both, place(group, two, actors=[y.practitioner])):
            made = await software.post("Appointment", wanted)
            assert made.status_code == 201, made.text
        key = slot_key(group.slots[0])
        assert [who for _, _, who in await practice.occupied(y.practitioner)] == [f"Slot/{key}"]
        async with practice.database.connection() as connection:
            named = await named_by_others(connection, key, "nobody")
        assert {x.practitioner, y.practitioner} & named == {y.practitioner}

    async def test_who_waits_is_offered_whom_a_group_gives_back(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        """The time of whom somebody had brought goes to the first in line, before anybody else can see it."""
        x = await practice.open_agenda(1, start=group.start)
        software, waiting = callers.software(), await practice.new_patient()
        one, two = [await practice.new_patient() for _ in range(2)]
        first = await software.post("Appointment", place(group, one, actors=[x.practitioner]))
        await software.post("Appointment", place(group, two))
        wish = appointment("waitlist", patient=waiting, actors=[x.practitioner])
        assert (await callers.patient(waiting).post("Appointment", wish)).status_code == 201
        assert await practice.slot_statuses(x.slots) == ["busy-unavailable"]
        gone = await software.patch(f"Appointment/{first.json()['id']}", CANCELLED)
        assert gone.status_code == 200, gone.text
        assert await practice.slot_statuses(x.slots) == ["busy-tentative"]
        await require_one_truth(practice.database.pool)

    async def test_a_move_takes_a_place_and_leaves_one(
        self, callers: Callers, practice: Practice, group: Agenda
    ) -> None:
        one, two = [await practice.new_patient() for _ in range(2)]
        booked = await callers.patient(one).post("Appointment", place(group, one))
        await callers.patient(two).post("Appointment", place(group, two))
        path = f"Appointment/{booked.json()['id']}"
        moved = await callers.patient(one).post(
            f"{path}/$reschedule", parameters(slot=ref(f"Slot/{group.slots[1]}"))
        )
        assert moved.status_code == 200, moved.text
        assert [left(await practice.slot(id_)) for id_ in group.slots] == [2, 2, 3]
        await require_one_truth(practice.database.pool)

    async def test_a_place_is_taken_whole(self, callers: Callers, practice: Practice) -> None:
        """No part of a group, however long it lasts; by nobody."""
        id_ = unique("agenda")
        await practice.put(schedule(id_, [f"Practitioner/{unique('prat')}"], **capacity(3)))
        start = practice.clock.now() + timedelta(days=8)
        day = slot(unique("journee"), id_, start, timedelta(hours=6))
        await practice.put(day)
        wanted = appointment("booked", slots=[day["id"]], start=start)
        refused = await callers.software().post("Appointment", wanted)
        assert (refused.status_code, code(refused)) == (422, "part-of-slot")


class TestWhoSaysHowMany:
    @pytest.mark.parametrize(
        ("url", "value"), [(SLOT_CAPACITY, "valuePositiveInt"), (SMART_CAPACITY, "valueInteger")]
    )
    async def test_the_slot_itself(self, callers: Callers, practice: Practice, url: str, value: str) -> None:
        """Over its agenda, in our words or in those of SMART Scheduling Links; what it is served with is as read again."""
        agenda = await practice.open_agenda(0, **capacity(5))
        start = practice.clock.now() + timedelta(days=9)
        id_ = unique("atelier")
        said = {"url": "urn:autre", "valueString": "x"}
        wanted = slot(id_, agenda.id, start, extension=[said, *capacity(2, url, value)["extension"]])
        written = await callers.software().put(f"Slot/{id_}", wanted)
        assert left(written.json()) == 2
        read = await callers.software().get(f"Slot/{id_}")
        assert read.json() == written.json()
        found = (await callers.software().get(f"Slot?schedule={agenda.id}")).json()["entry"][0]["resource"]
        assert found == read.json()
        again = await callers.software().put(f"Slot/{id_}", read.json())
        assert again.json()["extension"] == read.json()["extension"]

    async def test_one_place_is_no_group(self, callers: Callers, practice: Practice) -> None:
        agenda = await practice.open_agenda(1, slot_members=capacity(1, SLOT_CAPACITY), **capacity(5))
        assert left(await practice.slot(agenda.slots[0])) is None
        people = [await practice.new_patient() for _ in range(2)]
        answers = [await callers.patient(p).post("Appointment", place(agenda, p)) for p in people]
        assert [a.status_code for a in answers] == [201, 409]

    async def test_an_agenda_changes_its_mind(self, callers: Callers, practice: Practice) -> None:
        """More places open a full slot again; fewer close it, and nobody loses theirs."""
        agenda = await practice.open_agenda(2, **capacity(2))
        people = [await practice.new_patient() for _ in range(2)]
        ids = []
        for patient in people:
            booked = await callers.patient(patient).post("Appointment", place(agenda, patient))
            ids.append(booked.json()["id"])
        software = callers.software()
        said = (await software.get(f"Schedule/{agenda.id}")).json()
        statuses = []
        for places in (3, 1, 2):
            written = await software.put(f"Schedule/{agenda.id}", {**said, **capacity(places)})
            assert written.status_code == 200, written.text
            shown = await practice.slot(agenda.slots[0])
            statuses.append((shown["status"], left(shown), left(await practice.slot(agenda.slots[1]))))
        assert statuses == [("free", 1, 3), ("busy", 0, None), ("busy", 0, 2)]
        await software.put(f"Schedule/{agenda.id}", {**said, **capacity(1)})
        await callers.patient(people[0]).patch(f"Appointment/{ids[0]}", CANCELLED)
        assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
        await callers.patient(people[1]).patch(f"Appointment/{ids[1]}", CANCELLED)
        assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]

    async def test_what_somebody_has_whole_has_no_place_left(
        self, callers: Callers, practice: Practice
    ) -> None:
        """However its agenda counts by then: read, found, written again or held, until it is given back."""
        agenda = await practice.open_agenda(2)
        one, two, three = [await practice.new_patient() for _ in range(3)]
        booked = await callers.patient(one).post("Appointment", place(agenda, one))
        asked = parameters(appointment=appointment("proposed", slots=agenda.slots[1:], patient=two))
        assert (await callers.patient(two).post("Appointment/$hold", asked)).status_code == 201
        software = callers.software()
        said = (await software.get(f"Schedule/{agenda.id}")).json()
        assert (await software.put(f"Schedule/{agenda.id}", {**said, **capacity(2)})).status_code == 200
        for number, status in enumerate(("busy", "busy-tentative")):
            refused = await callers.patient(three).post("Appointment", place(agenda, three, number))
            assert refused.status_code == 409
            path = f"Slot/{agenda.slots[number]}"
            shown = (await callers.patient(three).get(path)).json()
            assert (shown["status"], left(shown)) == (status, 0)
            [found] = (await software.get(f"Slot?_id={agenda.slots[number]}")).json()["entry"]
            assert found["resource"] == shown
            again = await software.put(path, shown)
            assert (again.json()["status"], left(again.json())) == (status, 0)
        cancelled = await callers.patient(one).patch(f"Appointment/{booked.json()['id']}", CANCELLED)
        assert cancelled.status_code == 200, cancelled.text
        assert left(await practice.slot(agenda.slots[0])) == 2

    async def test_what_a_patient_could_not_book_has_no_place_left_for_them(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Who has a visit at that time is shown neither a free slot nor its places."""
        agenda = await practice.open_agenda(1, **capacity(2))
        elsewhere = await practice.open_agenda(1, start=agenda.start)
        camille = await practice.new_patient()
        someone = callers.patient(camille)
        booked = await someone.post("Appointment", place(elsewhere, camille))
        assert booked.status_code == 201, booked.text
        shown = (await someone.get(f"Slot/{agenda.slots[0]}")).json()
        assert (shown["status"], left(shown)) == ("busy-unavailable", 0)
        shown = (await callers.software().get(f"Slot/{agenda.slots[0]}")).json()
        assert (shown["status"], left(shown)) == ("free", 2)

    async def test_a_feed_that_says_it_again_frees_nothing(
        self, callers: Callers, practice: Practice
    ) -> None:
        """A full slot stays busy; one that its agenda closes takes no more."""
        agenda = await practice.open_agenda(1, **capacity(2))
        people = [await practice.new_patient() for _ in range(2)]
        software, [id_] = callers.software(), agenda.slots
        await callers.patient(people[0]).post("Appointment", place(agenda, people[0]))
        closed = await software.put(f"Slot/{id_}", slot(id_, agenda.id, agenda.start, status="busy"))
        assert (closed.json()["status"], left(closed.json())) == ("busy", 0)
        refused = await callers.patient(people[1]).post("Appointment", place(agenda, people[1]))
        assert refused.status_code == 409
        opened = await software.put(f"Slot/{id_}", slot(id_, agenda.id, agenda.start))
        assert opened.json()["status"] == "free"
        await callers.patient(people[1]).post("Appointment", place(agenda, people[1]))
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": slot(id_, agenda.id, agenda.start),
                    "request": {"method": "PUT", "url": f"Slot/{id_}"},
                }
            ],
        }
        assert (await software.post("", bundle)).status_code == 200
        assert await practice.slot_statuses([id_]) == ["busy"]
        gone = await software.delete(f"Slot/{id_}")
        assert (gone.status_code, code(gone)) == (409, "slot-claimed")

    async def test_what_is_no_number_of_places_is_refused(self, callers: Callers, practice: Practice) -> None:
        wanted = schedule(unique("agenda"), ["Practitioner/x"], **capacity(5000))
        refused = await callers.software().put(f"Schedule/{wanted['id']}", wanted)
        assert refused.status_code == 422, refused.text
        agenda = await practice.open_agenda(0)
        one = slot(unique("s"), agenda.id, agenda.start, **capacity(0, SLOT_CAPACITY, "valueInteger"))
        refused = await callers.software().put(f"Slot/{one['id']}", one)
        assert refused.status_code == 422, refused.text


async def test_no_more_come_than_there_are_places(fresh: Practice) -> None:
    """64 patients at once, through two pools: ten each time get a place, the others are told that it is full."""
    people = [await fresh.new_patient() for _ in range(CLIENTS)]
    agenda = await fresh.open_agenda(ROUNDS, **capacity(PLACES))
    url = str(fresh.settings.database_url)
    async with Database(url, size=AT_ONCE, statement_timeout_s=60, name="other") as database:
        doors = (fresh, Practice(database, fresh.settings, fresh.clock))
        for number in range(ROUNDS):
            ended = await asyncio.gather(
                *(booked(doors[n % 2], place(agenda, p, number), p) for n, p in enumerate(people))
            )
            assert Counter(ended) == {"": PLACES, "group-full": CLIENTS - PLACES}
            shown = await fresh.slot(agenda.slots[number])
            assert (shown["status"], left(shown)) == ("busy", 0)
    await require_one_truth(fresh.database.pool)
    assert len(await fresh.occupied(agenda.practitioner)) == ROUNDS


async def booked(practice: Practice, wanted: Resource, patient: str) -> str:
    """Nothing, or why a patient was refused."""
    try:
        async with TURNS:
            await practice.create(wanted, practice.context(patient, [patient]))
    except Conflict as refused:
        return refused.issues[0].details_code or "?"
    return ""

"""An agenda gets other people or rooms: what is taken in it to come is taken for them, and for nobody who has left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, schedule, unique
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.storage.mapping.places import SCHEDULE_CAPACITY
from creneau_booking.storage.outside.calendars import keep_busy
from creneau_booking.storage.outside.followed_calendars import follow_calendar
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.storage.store import Resource

META = {"versionId": "1", "lastUpdated": "2026-11-01T08:00:00Z"}
ROOM = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "ro"}]}


@pytest.fixture(autouse=True)
async def one_truth(practice: Practice) -> AsyncIterator[None]:
    yield
    await require_one_truth(practice.database.pool, practice.clock.now())


@pytest.fixture
def software(callers: Callers) -> Caller:
    return callers.software()


async def give(software: Caller, agenda: Agenda, *actors: str, **more: object) -> httpx.Response:
    """Write the Schedule of an agenda anew, with these actors."""
    return await software.put(f"Schedule/{agenda.id}", schedule(agenda.id, actors, **more))


async def book(
    practice: Practice, software: Caller, slot: str, status: str = "booked", *actors: str
) -> httpx.Response:
    """As software books: for a patient, who alone is named beside these actors."""
    who, start = await practice.new_patient(), instant_of((await practice.slot(slot))["start"])
    wanted = appointment(status, slots=[slot], patient=who, actors=actors, start=start)
    return await software.post("Appointment", wanted)


class TestAScheduleNamesOthers:
    async def test_what_is_booked_is_with_the_successor(self, practice: Practice, software: Caller) -> None:
        agenda = await practice.open_agenda(2)
        earlier = await practice.open_agenda(1, practitioner=agenda.practitioner)
        later = await practice.open_agenda(2)
        visit = await book(practice, software, agenda.slots[0])
        assert visit.status_code == 201, visit.text
        assert await practice.slot_statuses(earlier.slots) == ["busy-unavailable"]
        assert (await give(software, agenda, later.practitioner)).status_code == 200
        assert await practice.slot_statuses(earlier.slots) == ["free"]
        assert await practice.slot_statuses(later.slots) == ["busy-unavailable", "free"]
        refused = await book(practice, software, later.slots[0])
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")
        assert (await book(practice, software, earlier.slots[0])).status_code == 201
        await software.post(f"Appointment/{visit.json()['id']}/$cancel", {"resourceType": "Parameters"})
        assert await practice.slot_statuses([*agenda.slots, *later.slots]) == ["free"] * 4

    async def test_whom_the_visit_names_has_it_still(self, practice: Practice, software: Caller) -> None:
        agenda = await practice.open_agenda(1)
        earlier = await practice.open_agenda(1, practitioner=agenda.practitioner)
        later = await practice.open_agenda(1)
        await book(practice, software, agenda.slots[0], "booked", agenda.practitioner)
        assert (await give(software, agenda, later.practitioner)).status_code == 200
        assert await practice.slot_statuses([*earlier.slots, *later.slots]) == ["busy-unavailable"] * 2

    async def test_by_a_transaction_too(self, practice: Practice, software: Caller) -> None:
        agenda, later = await practice.open_agenda(1), await practice.open_agenda(1)
        await book(practice, software, agenda.slots[0])
        entry = {
            "resource": schedule(agenda.id, [later.practitioner]),
            "request": {"method": "PUT", "url": f"Schedule/{agenda.id}"},
        }
        answer = await software.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert answer.status_code == 200, answer.text
        assert await practice.slot_statuses(later.slots) == ["busy-unavailable"]

    async def test_an_agenda_of_an_offer_gets_somebody(self, practice: Practice, software: Caller) -> None:
        """Nobody was taken with its visits until now."""
        id_, later = unique("agenda"), await practice.open_agenda(1)
        await practice.put(schedule(id_, [f"HealthcareService/{unique('offre')}"]))
        start, slots = await practice.fill(id_, 1, later.start)
        await book(practice, software, slots[0])
        agenda = Agenda(id_, "", "", start, slots)
        assert (await give(software, agenda, later.practitioner)).status_code == 200
        assert await practice.slot_statuses(later.slots) == ["busy-unavailable"]

    async def test_what_is_held_is_too(self, practice: Practice, software: Caller) -> None:
        agenda, later = await practice.open_agenda(1), await practice.open_agenda(1)
        await practice.hold(appointment("proposed", slots=agenda.slots))
        assert (await give(software, agenda, later.practitioner)).status_code == 200
        assert await practice.slot_statuses(later.slots) == ["busy-unavailable"]

    async def test_a_group_is_too(self, practice: Practice, software: Caller) -> None:
        several: dict[str, Any] = {"extension": [{"url": SCHEDULE_CAPACITY, "valuePositiveInt": 3}]}
        agenda = await practice.open_agenda(1, **several)
        earlier = await practice.open_agenda(1, practitioner=agenda.practitioner)
        later = await practice.open_agenda(1)
        visits = [await book(practice, software, agenda.slots[0]) for _ in range(2)]
        assert (await give(software, agenda, later.practitioner, **several)).status_code == 200
        assert await practice.slot_statuses([*earlier.slots, *later.slots]) == ["free", "busy-unavailable"]
        [(_, _, by)] = await practice.occupied(later.practitioner)
        assert by.startswith("Slot/")
        for visit in visits:
            await software.post(f"Appointment/{visit.json()['id']}/$cancel", {"resourceType": "Parameters"})
        assert await practice.slot_statuses(later.slots) == ["free"]

    async def test_who_stays_by_another_agenda_of_the_visit(
        self, practice: Practice, software: Caller
    ) -> None:
        """A visit in two agendas of one professional at once, of which one is given away."""
        agenda = await practice.open_agenda(1)
        other = await practice.open_agenda(1, practitioner=agenda.practitioner)
        later = await practice.open_agenda(1)
        who = await practice.new_patient()
        wanted = appointment("booked", slots=[*agenda.slots, *other.slots], patient=who, start=agenda.start)
        assert (await software.post("Appointment", wanted)).status_code == 201
        assert (await give(software, agenda, later.practitioner)).status_code == 200
        assert len(await practice.occupied(agenda.practitioner)) == 1
        assert len(await practice.occupied(later.practitioner)) == 1

    async def test_what_is_over_stays_as_it_was(self, practice: Practice, software: Caller) -> None:
        before = practice.clock.now()
        agenda = await practice.open_agenda(1, start=before + timedelta(minutes=10))
        await book(practice, software, agenda.slots[0])
        practice.clock.advance(timedelta(hours=1))
        assert (await give(software, agenda, f"Practitioner/{unique('prat')}")).status_code == 200
        assert len(await practice.occupied(agenda.practitioner)) == 1

    async def test_who_is_elsewhere_then_does_not_join(
        self, callers: Callers, practice: Practice, software: Caller
    ) -> None:
        """All times are told, no name; nothing has changed."""
        agenda, later = await practice.open_agenda(3), await practice.open_agenda(3)
        earlier = await practice.open_agenda(2, practitioner=agenda.practitioner)
        for slot in (*agenda.slots[:2], *later.slots[:2]):
            assert (await book(practice, software, slot)).status_code == 201
        refused = await give(software, agenda, later.practitioner)
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")
        said = refused.json()["issue"][0]
        assert said["expression"] == ["Schedule.actor"]
        assert "10:00" in said["details"]["text"]
        assert "10:20" in said["details"]["text"]
        assert "Patient" not in refused.text
        assert await practice.slot_statuses(earlier.slots) == ["busy-unavailable"] * 2
        assert len(await practice.occupied(agenda.practitioner)) == 2
        read = await software.get(f"Schedule/{agenda.id}")
        assert [one["reference"] for one in read.json()["actor"]][:1] == [agenda.practitioner]

    async def test_what_another_calendar_says_gives_way(self, practice: Practice, software: Caller) -> None:
        agenda, later = await practice.open_agenda(1), await practice.open_agenda(2)
        await book(practice, software, agenda.slots[0])
        async with practice.database.transaction() as connection:
            now = practice.clock.now()
            await follow_calendar(connection, later.id, "https://agenda.exemple/own.ics", now)
            busy = [(later.start - timedelta(hours=1), later.at(1) + timedelta(minutes=5))]
            await keep_busy(connection, later.id, busy, (now, now + timedelta(days=30)), now)
        assert await practice.slot_statuses(later.slots) == ["busy-unavailable"] * 2
        assert (await give(software, agenda, later.practitioner)).status_code == 200
        assert await practice.slot_statuses(later.slots) == ["busy-unavailable"] * 2
        assert len(await practice.occupied(later.practitioner)) == 3


class TestTheDirectorySays:
    async def test_that_a_role_is_anothers(self, practice: Practice, software: Caller) -> None:
        one, other = await open_surgery(practice, 2), await open_surgery(practice, 2)
        role, visit = (
            one.role.partition("/")[2],
            await book(practice, software, one.slots[0], "booked", one.role),
        )
        assert visit.status_code == 201, visit.text
        await give_role_only(software, one.agenda, one.role)
        elsewhere = await practice.open_agenda(1, practitioner=one.practitioner)
        await hear(practice, role_resource(role, other.practitioner, one.organization, meta=newer()))
        assert await practice.slot_statuses(elsewhere.slots) == ["free"]
        assert await practice.slot_statuses(other.slots) == ["busy-unavailable", "free"]
        refused = await book(practice, software, other.slots[0])
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")

    async def test_that_it_is_of_somebody_who_is_elsewhere_then(
        self, practice: Practice, software: Caller
    ) -> None:
        """It cannot be refused: what can be is kept, and nobody is in two places."""
        one, other = await open_surgery(practice, 2), await open_surgery(practice, 2)
        await give_role_only(software, one.agenda, one.role)
        for slot in (*one.slots, other.slots[0]):
            assert (await book(practice, software, slot)).status_code == 201
        role = one.role.partition("/")[2]
        await hear(practice, role_resource(role, other.practitioner, one.organization, meta=newer()))
        assert len(await practice.occupied(other.practitioner)) == 2
        assert await practice.occupied(one.practitioner) == []
        assert await practice.slot_statuses(other.slots) == ["busy", "busy-unavailable"]

    async def test_that_a_place_is_a_room(self, practice: Practice, software: Caller) -> None:
        agenda = await practice.open_agenda(1)
        beside = await practice.open_agenda(1)
        place: Resource = {"resourceType": "Location", "id": agenda.location[9:], "status": "active"}
        await hear(practice, {**place, "meta": META})
        assert (await give(software, beside, beside.practitioner, agenda.location)).status_code == 200
        await book(practice, software, agenda.slots[0])
        assert await practice.slot_statuses(beside.slots) == ["free"]
        await hear(practice, {**place, "meta": newer(), "physicalType": ROOM})
        assert await practice.slot_statuses(beside.slots) == ["busy-unavailable"]
        refused = await book(practice, software, beside.slots[0])
        assert (refused.status_code, code(refused)) == (409, "actor-occupied")
        await hear(practice, {**place, "meta": newer("3")})
        assert await practice.slot_statuses(beside.slots) == ["free"]


def newer(version: str = "2") -> Resource:
    return {**META, "versionId": version}


async def give_role_only(software: Caller, agenda: str, role: str) -> None:
    answer = await software.put(f"Schedule/{agenda}", schedule(agenda, [role]))
    assert answer.status_code == 200, answer.text

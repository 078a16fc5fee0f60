"""A visit is whose agenda it is in: the one that it was moved out of has nothing more to do with it."""

from __future__ import annotations

import pytest
from services.booking.tests.client import Caller
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    SLOT_LENGTH,
    appointment,
    parameters,
    patient,
    ref,
    schedule,
    unique,
)
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, hear, open_surgery, role_resource

from creneau_booking.storage.mapping.wishes import WAITING_AGENDA
from creneau_booking.storage.outside.calendars import shown_visits
from creneau_booking.storage.visits.upcoming import visits_with
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource

CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]


async def moved(callers: Callers, practice: Practice) -> tuple[str, str, Surgery, Surgery]:
    """The id of a visit that its patient has moved from one practice to another, the patient, and both practices."""
    left, joined = await open_surgery(practice), await open_surgery(practice)
    camille = callers.patient()
    who = f"Patient/{(await camille.post('Patient', patient())).json()['id']}"
    wanted = appointment("booked", slots=left.slots[:1], patient=who, start=left.start)
    made = await camille.post("Appointment", wanted)
    assert made.status_code == 201, made.text
    id_ = made.json()["id"]
    slot = parameters(slot=ref(f"Slot/{joined.slots[1]}"))
    answer = await camille.post(f"Appointment/{id_}/$reschedule", slot)
    assert answer.status_code == 200, answer.text
    return id_, who, left, joined


class TestThePracticeThatItLeft:
    @pytest.mark.parametrize("role", ["secretary", "software", "practitioner"])
    async def test_changes_it_no_more(self, callers: Callers, practice: Practice, role: str) -> None:
        """It would cancel another's visit, write into it, or take it back."""
        id_, _, left, joined = await moved(callers, practice)
        them = callers.staff(left.organization, role=role)
        back = parameters(slot=ref(f"Slot/{left.slots[2]}"))
        said = [{"op": "add", "path": "/comment", "value": "chez nous"}]
        for answer in (
            await them.patch(f"Appointment/{id_}", CANCELLED),
            await them.patch(f"Appointment/{id_}", said),
            await them.post(f"Appointment/{id_}/$cancel", parameters()),
            await them.post(f"Appointment/{id_}/$reschedule", back),
        ):
            assert answer.status_code == 404, answer.text
        now = await callers.staff(joined.organization).get(f"Appointment/{id_}")
        assert (now.json()["status"], now.json()["meta"]["versionId"]) == ("booked", "2")

    async def test_sees_what_it_was_and_not_what_it_is(self, callers: Callers, practice: Practice) -> None:
        """As the one that it came to sees nothing of what was before."""
        id_, who, left, joined = await moved(callers, practice)
        them, us = callers.staff(left.organization), callers.staff(joined.organization)
        for caller, sees in ((them, "1"), (us, "2")):
            for version in ("1", "2"):
                answer = await caller.get(f"Appointment/{id_}/_history/{version}")
                assert answer.status_code == (200 if version == sees else 404), (sees, version)
        assert (await them.get(f"Appointment/{id_}")).status_code == 404
        for path in (f"Appointment?patient={who}", f"{who}/Appointment", f"Appointment?_id={id_}"):
            assert (await them.get(path)).json()["total"] == 0, path
            assert (await us.get(path)).json()["total"] == 1, path
        assert (await them.get(who)).status_code == 200, "it has known them"

    async def test_has_it_in_no_calendar_and_among_no_visits_to_come(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Its agenda could not be deleted, and who left it would have the visit elsewhere cancelled."""
        id_, _, left, joined = await moved(callers, practice)
        now = practice.clock.now()
        async with practice.database.transaction() as connection:
            for surgery, visits in ((left, []), (joined, [id_])):
                shown = await shown_visits(
                    connection, surgery.agenda, now, surgery.start.replace(year=2199), 9
                )
                assert [visit.id for visit in shown] == visits
                assert await visits_with(connection, surgery.practitioner, now) == visits
        them = callers.staff(left.organization, role="software")
        assert (await them.delete(f"Schedule/{left.agenda}")).status_code == 204

    async def test_is_told_of_nothing_that_happens_there(self, callers: Callers, practice: Practice) -> None:
        """Events name the practices whose the visit is; by them Communications are shown."""
        id_, _, left, joined = await moved(callers, practice)
        events = await practice.events(id_)
        told = [loads(event["data"])["organizations"] for event in events]
        assert told == [[left.organization], [joined.organization]]


class TestAnAgendaThatIsGivenAway:
    @pytest.mark.parametrize("by", ["its software", "the directory"])
    async def test_takes_its_visits_along(self, callers: Callers, practice: Practice, by: str) -> None:
        """Those to come are its new practice's alone, which could not have changed them; who came is known to both."""
        left, joined = await open_surgery(practice), await open_surgery(practice)
        camille = callers.patient()
        who = f"Patient/{(await camille.post('Patient', patient())).json()['id']}"
        made = []
        for index in range(2):
            at = left.start + index * SLOT_LENGTH
            wanted = appointment("booked", slots=left.slots[index : index + 1], patient=who, start=at)
            made.append((await camille.post("Appointment", wanted)).json()["id"])
        came, to_come = made
        held = appointment("pending", slots=left.slots[2:3], patient=who, start=left.start + 2 * SLOT_LENGTH)
        waits = (await camille.post("Appointment", held)).json()["id"]
        them, us = callers.staff(left.organization), callers.staff(joined.organization)
        fulfilled = [{**CANCELLED[0], "value": "fulfilled"}]
        assert (await them.patch(f"Appointment/{came}", fulfilled)).status_code == 200
        assert (await seen(to_come, them, us), await seen(came, them, us)) == ((200, 404), (200, 404))
        if by == "the directory":
            role = role_resource(left.role.partition("/")[2], left.practitioner, joined.organization)
            await hear(practice, {**role, "meta": {**role["meta"], "versionId": "2"}})
        else:
            software = callers.staff(left.organization, joined.organization, role="software")
            given = schedule(left.agenda, [joined.practitioner, joined.role])
            answer = await software.put(f"Schedule/{left.agenda}", given)
            assert answer.status_code == 200, answer.text
        assert (await seen(to_come, them, us), await seen(came, them, us)) == ((404, 200), (200, 200))
        assert await seen(waits, them, us) == (404, 200)
        assert (await us.get(who)).status_code == (await them.get(who)).status_code == 200
        assert (await us.patch(f"Appointment/{to_come}", CANCELLED)).status_code == 200


class TestWhatSeveralWereAskedFor:
    async def ask(self, callers: Callers, *of: Surgery) -> tuple[str, Caller]:
        """One who waits for these practices: the Appointment (id), and who waits."""
        subject = unique("camille")
        camille = callers.patient(subject=subject)
        who = f"Patient/{(await camille.post('Patient', patient())).json()['id']}"
        answer = await camille.post("Appointment", appointment("waitlist", patient=who, extension=named(*of)))
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], camille

    async def test_is_theirs_until_one_of_them_has_it(self, callers: Callers, practice: Practice) -> None:
        """Offered, refused or taken back it is still asked of all; booked, it is in one agenda."""
        first, second = await open_surgery(practice), await open_surgery(practice)
        id_, camille = await self.ask(callers, first, second)
        one, other = callers.staff(first.organization), callers.staff(second.organization)
        assert await seen(id_, one, other) == (200, 200)
        await self.free(callers, first)
        assert (await camille.get(f"Appointment/{id_}")).json()["status"] == "pending"
        assert await seen(id_, one, other) == (200, 200)
        booked = [{"op": "replace", "path": "/status", "value": "booked"}]
        assert (await camille.patch(f"Appointment/{id_}", booked)).status_code == 200
        assert await seen(id_, one, other) == (200, 404)
        assert (await other.patch(f"Appointment/{id_}", CANCELLED)).status_code == 404

    async def test_is_whose_it_is_asked_of_now(self, callers: Callers, practice: Practice) -> None:
        """Another agenda is another line, and another practice that sees who stands in it."""
        first, second = await open_surgery(practice), await open_surgery(practice)
        id_, camille = await self.ask(callers, first)
        one, other = callers.staff(first.organization), callers.staff(second.organization)
        assert await seen(id_, one, other) == (200, 404)
        wish = (await camille.get(f"Appointment/{id_}")).json()
        rest = [e for e in wish["extension"] if e["url"] != WAITING_AGENDA]
        for of, sees in ((second, (404, 200)), (first, (200, 404))):
            wish["extension"] = [*rest, *named(of)]
            answer = await camille.put(f"Appointment/{id_}", wish)
            assert answer.status_code == 200, answer.text
            assert await seen(id_, one, other) == sees
        ranked = [{"op": "add", "path": "/priority", "value": 1}]
        assert (await one.patch(f"Appointment/{id_}", ranked)).status_code == 200
        assert await seen(id_, one, other) == (200, 404)

    async def free(self, callers: Callers, surgery: Surgery) -> None:
        """Somebody had its first slot, and gives it up."""
        someone = callers.patient()
        who = f"Patient/{(await someone.post('Patient', patient())).json()['id']}"
        taken = appointment("booked", slots=surgery.slots[:1], patient=who, start=surgery.start)
        id_ = (await someone.post("Appointment", taken)).json()["id"]
        assert (await someone.patch(f"Appointment/{id_}", CANCELLED)).status_code == 200


def named(*of: Surgery) -> list[Resource]:
    return [{"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{one.agenda}")} for one in of]


async def seen(id_: str, *by: Caller) -> tuple[int, ...]:
    """What each is answered who reads it."""
    return tuple([(await caller.get(f"Appointment/{id_}")).status_code for caller in by])

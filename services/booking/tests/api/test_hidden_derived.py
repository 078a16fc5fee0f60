"""What follows from a visit that a teenager hides is as hidden as the visit: to a parent it was never there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from services.booking.tests.api.test_proxies import CANCEL, LABEL, People, books
from services.booking.tests.api.test_referrals import KNOWN_ONLY
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_shared.fhir.storage.store import Resource

ACCEPTED = [{"op": "replace", "path": "/status", "value": "booked"}]


@pytest.fixture
def people(callers: Callers) -> People:
    return People(callers)


async def hides(teen: Caller, of: str, agenda: Agenda, index: int = 0) -> str:
    """A visit that the teenager hides; its id."""
    answer = await books(teen, of, agenda, index, hidden=True)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def frees(people: People, practice: Practice, agenda: Agenda, index: int = 0) -> None:
    """Somebody had that time, and gives it up."""
    stranger = await practice.new_patient()
    by = people.callers.patient(stranger)
    answer = await books(by, stranger, agenda, index)
    assert (await by.patch(f"Appointment/{answer.json()['id']}", CANCEL)).status_code == 200


async def sees_nothing(parent: Caller, of: str, *ids: str) -> None:
    """No search, read or history leads a parent to any of these appointments, or names one of them."""
    answers = [
        await parent.get("Appointment", patient=of),
        await parent.get("Appointment/_history"),
        await parent.get("AuditEvent", _count="200"),
        await parent.get("AppointmentResponse"),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
    for id_ in ids:
        assert not [a.text for a in answers if id_ in a.text]
        for path in (f"Appointment/{id_}", f"Appointment/{id_}/_history", f"Appointment/{id_}/_history/1"):
            assert (await parent.get(path)).status_code == 404, path


def replacing(id_: str) -> Resource:
    return {"url": REPLACES, "valueReference": ref(f"Appointment/{id_}")}


def labels(answer: Any) -> list[Resource]:
    found: list[Resource] = answer.json().get("meta", {}).get("security", [])
    return found


class TestWaitingForSomethingEarlier:
    async def test_a_parent_does_not_learn_of_the_request(self, people: People, agenda: Agenda) -> None:
        """The teenager, who asks twice, waits once."""
        parent, teen, child = await people.teenager()
        visit = await hides(teen, child, agenda, len(agenda.slots) - 1)
        asked = await teen.post(f"Appointment/{visit}/$wait", parameters())
        assert (asked.status_code, labels(asked)) == (201, [LABEL]), asked.text
        wish = asked.json()["id"]
        again = await teen.post(f"Appointment/{visit}/$wait", parameters(times=["morning"]))
        assert (again.status_code, again.json()["id"]) == (200, wish)
        assert labels(again) == [LABEL]
        await sees_nothing(parent, child, visit, wish)

    async def test_what_is_accepted_is_hidden_and_the_hidden_visit_is_given_up_for_it(
        self, people: People, practice: Practice, agenda: Agenda
    ) -> None:
        """Nor is anything sent of what is offered: every event says that it is hidden."""
        parent, teen, child = await people.teenager()
        visit = await hides(teen, child, agenda, len(agenda.slots) - 1)
        wish = (await teen.post(f"Appointment/{visit}/$wait", parameters())).json()["id"]
        await frees(people, practice, agenda)
        await sees_nothing(parent, child, visit, wish)
        assert (await parent.patch(f"Appointment/{wish}", ACCEPTED)).status_code == 404
        accepted = await teen.patch(f"Appointment/{wish}", ACCEPTED)
        assert (accepted.status_code, accepted.json()["status"]) == (200, "booked"), accepted.text
        assert (await teen.get(f"Appointment/{visit}")).json()["status"] == "cancelled"
        await sees_nothing(parent, child, visit, wish)
        for id_ in (visit, wish):
            events = [orjson.loads(row["data"]) for row in await practice.events(id_)]
            assert [event.get("hidden") for event in events] == [True] * len(events)

    async def test_a_request_that_leaves_the_label_out_is_hidden_all_the_same(
        self, people: People, agenda: Agenda
    ) -> None:
        """As whatever is said later of a hidden visit."""
        parent, teen, child = await people.teenager()
        visit = await hides(teen, child, agenda)
        for by in (teen, people.callers.software()):
            wish = appointment(
                "waitlist", patient=child, actors=[agenda.practitioner], extension=[replacing(visit)]
            )
            answer = await by.post("Appointment", wish)
            assert (answer.status_code, labels(answer)) == (201, [LABEL]), answer.text
            await sees_nothing(parent, child, visit, answer.json()["id"])

    async def test_a_request_that_is_seen_does_not_come_to_replace_a_hidden_visit(
        self, people: People, agenda: Agenda
    ) -> None:
        """Its next version would name the visit to whoever has read the last."""
        parent, teen, child = await people.teenager()
        visit = await hides(teen, child, agenda)
        wish = await teen.post(
            "Appointment", appointment("waitlist", patient=child, actors=[agenda.practitioner])
        )
        path = f"Appointment/{wish.json()['id']}"
        said = [
            {"op": "add", "path": "/extension/-", "value": replacing(visit)}
            if wish.json().get("extension")
            else {"op": "add", "path": "/extension", "value": [replacing(visit)]}
        ]
        answer = await teen.patch(path, said)
        assert (answer.status_code, code(answer)) == (422, "hidden-late"), answer.text
        assert visit not in (await parent.get(path)).text


class TestAVisitInThePlaceOfAHiddenOne:
    async def test_it_is_hidden(self, people: People, agenda: Agenda) -> None:
        """By `$book`, which cancels the one for the other, and by a practice that says so itself."""
        parent, teen, child = await people.teenager()
        visit = await hides(teen, child, agenda)
        wanted = appointment("proposed", slots=agenda.slots[1:2], patient=child)
        booked = await teen.post(
            "Appointment/$book", parameters(appt_resource=wanted, cancelled_appt_id=visit)
        )
        assert (booked.status_code, labels(booked)) == (201, [LABEL]), booked.text
        assert (await teen.get(f"Appointment/{visit}")).json()["status"] == "cancelled"
        of_practice = await books(
            people.callers.software(), child, agenda, 2, extension=[replacing(booked.json()["id"])]
        )
        assert (of_practice.status_code, labels(of_practice)) == (201, [LABEL]), of_practice.text
        await sees_nothing(parent, child, visit, booked.json()["id"], of_practice.json()["id"])

    async def test_what_is_held_for_all_to_see_does_not_take_its_place(
        self, people: People, agenda: Agenda
    ) -> None:
        """It would name it: whoever holds it hides it as it is held."""
        parent, teen, child = await people.teenager()
        visit = await hides(teen, child, agenda)
        wanted = appointment("proposed", slots=agenda.slots[1:2], patient=child)
        held = await teen.post("Appointment/$hold", parameters(appt_resource=wanted))
        path = f"Appointment/{held.json()['id']}"
        refused = await teen.post(f"{path}/$book", parameters(cancelled_appt_id=visit))
        assert (refused.status_code, code(refused)) == (422, "hidden-late"), refused.text
        assert (await teen.get(f"Appointment/{visit}")).json()["status"] == "booked"
        assert visit not in (await parent.get(path)).text

    async def test_a_series_is_hidden_as_a_whole(self, people: People, practice: Practice) -> None:
        """The others would name the hidden one as their first, and tell by their numbers that it is there."""
        parent, teen, child = await people.teenager()
        agenda = await practice.open_agenda(6)
        visit = await hides(teen, child, agenda)

        def one(index: int, **more: Any) -> Resource:
            return appointment(
                "proposed", slots=[agenda.slots[index]], patient=child, start=agenda.at(index), **more
            )

        instead = await teen.post(
            "Appointment/$book", parameters(appt_resource=[one(1), one(2)], cancelled_appt_id=visit)
        )
        assert instead.status_code == 201, instead.text
        mixed = await teen.post(
            "Appointment/$book",
            parameters(appt_resource=[one(3, meta={"security": [LABEL]}), one(4)]),
        )
        assert mixed.status_code == 201, mixed.text
        found = (await teen.get("Appointment", patient=child)).json()["entry"]
        assert len(found) == 5
        await sees_nothing(parent, child, *(entry["resource"]["id"] for entry in found))


async def test_that_a_practice_knows_somebody_by_a_hidden_visit_alone_is_nothing_to_a_parent(
    people: People, practice: Practice
) -> None:
    """What is for known patients is free to the teenager, who has been there; to a parent it is as for somebody new, by
    every way of asking, until a visit is made that they see."""
    parent, teen, child = await people.teenager()
    agenda = await practice.open_agenda(4, extension=KNOWN_ONLY)
    software = people.callers.software()
    came: dict[str, Any] = {
        "patient": child,
        "actors": [agenda.practitioner],
        "slots": agenda.slots[:1],
        "start": agenda.at(0),
    }
    hidden = await software.post("Appointment", appointment("booked", **came, meta={"security": [LABEL]}))
    assert hidden.status_code == 201, hidden.text
    done = [{"op": "replace", "path": "/status", "value": "fulfilled"}]
    assert (await software.patch(f"Appointment/{hidden.json()['id']}", done)).status_code == 200

    async def free(who: Caller) -> tuple[int, int]:
        window = {"start": agenda.start.isoformat(), "end": (agenda.start + timedelta(days=1)).isoformat()}
        ways = {"schedule": f"Schedule/{agenda.id}", "patient-reference": child}
        proposed = (await who.get("Appointment/$find", **window, **ways)).json()["total"]
        slots = {"schedule": f"Schedule/{agenda.id}", "status": "free", "_total": "accurate"}
        return proposed, (await who.get("Slot", **slots)).json()["total"]

    assert await free(teen) == (3, 3)
    assert await free(parent) == (0, 0)
    refused = await books(parent, child, agenda, 1)
    assert (refused.status_code, code(refused)) == (422, "not-open-to-new-patients"), refused.text
    assert (await books(teen, child, agenda, 1)).status_code == 201
    seen = await software.post(
        "Appointment", appointment("booked", **{**came, "slots": agenda.slots[2:3], "start": agenda.at(2)})
    )
    assert (await software.patch(f"Appointment/{seen.json()['id']}", done)).status_code == 200
    assert (await books(parent, child, agenda, 3)).status_code == 201


@pytest.mark.parametrize("way", ["hold", "book", "create", "series", "reschedule"])
async def test_a_hold_that_gives_way_to_what_is_hidden_is_hidden_with_it(
    people: People, practice: Practice, way: str
) -> None:
    """A page holds the time before it asks who is to see the visit: that hold has the same slot, time and professional. To
    the teenager it is there, cancelled."""
    parent, teen, child = await people.teenager()
    agenda = await practice.open_agenda(4)
    visit = await hides(teen, child, agenda, 3) if way == "reschedule" else None

    def wanted(index: int, status: str = "proposed", **more: Any) -> Resource:
        at = agenda.at(index)
        return appointment(status, slots=[agenda.slots[index]], patient=child, start=at, **more)

    taken = [0, 1] if way == "series" else [0]
    held = [
        str((await teen.post("Appointment/$hold", parameters(appt_resource=wanted(n)))).json()["id"])
        for n in taken
    ]
    assert (await parent.get(f"Appointment/{held[0]}")).status_code == 200
    label: Resource = {"meta": {"security": [LABEL]}}
    if way == "reschedule":
        slot = parameters(slot=ref(f"Slot/{agenda.slots[0]}"))
        answer = await teen.post(f"Appointment/{visit}/$reschedule", slot)
    elif way == "create":
        answer = await teen.post("Appointment", wanted(0, "booked", **label))
    else:
        every = [wanted(n, **label) for n in taken]
        operation = "$hold" if way == "hold" else "$book"
        answer = await teen.post(f"Appointment/{operation}", parameters(appt_resource=every))
    assert answer.status_code in (200, 201), answer.text
    for id_ in held:
        cancelled = await teen.get(f"Appointment/{id_}")
        assert (cancelled.json()["status"], labels(cancelled)) == ("cancelled", [LABEL])
        assert (await teen.get(f"Appointment/{id_}/_history/1")).status_code == 200
    await sees_nothing(parent, child, *held)
    found = (await teen.get("Appointment", patient=child)).json()["entry"]
    await sees_nothing(parent, child, *(entry["resource"]["id"] for entry in found))
    assert "entry" not in (await parent.get("Appointment", patient=child, status="cancelled")).json()


class TestAVisitThatIsSeen:
    async def test_it_does_not_name_the_hidden_one_that_takes_its_place(
        self, people: People, practice: Practice, agenda: Agenda
    ) -> None:
        """Cancelled for it by `$book`, alone or as a series; or given up for what was waited for. The teenager reads in the
        hidden one what it replaces."""
        parent, teen, child = await people.teenager()
        agenda = await practice.open_agenda(6)
        label: Resource = {"meta": {"security": [LABEL]}}

        def wanted(index: int) -> Resource:
            at = agenda.at(index)
            return appointment("proposed", slots=[agenda.slots[index]], patient=child, start=at, **label)

        async def seen(index: int) -> str:
            return str((await books(teen, child, agenda, index)).json()["id"])

        first = await seen(0)
        booked = await teen.post(
            "Appointment/$book", parameters(appt_resource=wanted(1), cancelled_appt_id=first)
        )
        second = await seen(2)
        held = await teen.post("Appointment/$hold", parameters(appt_resource=wanted(3)))
        confirmed = await teen.post(
            f"Appointment/{held.json()['id']}/$book", parameters(cancelled_appt_id=second)
        )
        third = await seen(5)
        asked = await teen.post(
            "Appointment",
            appointment(
                "waitlist", patient=child, actors=[agenda.practitioner], extension=[replacing(third)], **label
            ),
        )
        await frees(people, practice, agenda, 4)
        accepted = await teen.patch(f"Appointment/{asked.json()['id']}", ACCEPTED)
        assert (accepted.status_code, accepted.json()["status"]) == (200, "booked"), accepted.text
        for visit, hidden in ((first, booked), (second, confirmed), (third, accepted)):
            assert replacing(visit) in hidden.json()["extension"], hidden.text
            assert (await parent.get(f"Appointment/{visit}")).json()["status"] == "cancelled"
            await sees_nothing(parent, child, hidden.json()["id"])
            for path in (f"Appointment/{visit}", f"Appointment/{visit}/_history"):
                assert hidden.json()["id"] not in (await parent.get(path)).text

    async def test_what_is_done_to_all_of_its_series_leaves_a_hidden_one_alone(
        self, people: People, practice: Practice
    ) -> None:
        """A series from before they were hidden as a whole: a parent ends what they see."""
        parent, teen, child = await people.teenager()
        agenda = await practice.open_agenda(4)
        two = [
            appointment("proposed", slots=[agenda.slots[n]], patient=child, start=agenda.at(n))
            for n in (0, 1)
        ]
        taken = await teen.post("Appointment/$book", parameters(appt_resource=two))
        ids = [entry["resource"]["id"] for entry in taken.json()["entry"]]
        hidden = await hides(teen, child, agenda, 2)
        await practice.database.pool.execute(
            "INSERT INTO appointment_series (series, number, appointment_id)"
            " SELECT series, 3, $2 FROM appointment_series WHERE appointment_id = $1",
            ids[0],
            hidden,
        )
        answer = await parent.post(f"Appointment/{ids[0]}/$cancel", parameters(scope="all"))
        assert answer.status_code == 200, answer.text
        assert hidden not in answer.text
        assert [(await teen.get(f"Appointment/{id_}")).json()["status"] for id_ in (*ids, hidden)] == [
            "cancelled",
            "cancelled",
            "booked",
        ]

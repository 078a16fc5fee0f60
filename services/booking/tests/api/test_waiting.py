"""The waiting list: what frees is offered to the first in line, before anybody else can see it (checklist 82)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_answers import given
from services.booking.tests.api.test_series import weekly
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import (
    CONSULTATION,
    GENERAL,
    SKIN,
    VIDEO,
    appointment,
    parameters,
    ref,
    schedule,
    slot,
    unique,
    utc,
)
from services.booking.tests.openings import FIRST_VISIT, FOLLOW_UP
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery, role_resource

from creneau_booking.storage.agendas.access_extensions import CONFIRMATION_REQUIRED
from creneau_booking.storage.mapping.appointment import (
    COUNTER_PROPOSAL,
    HELD_UNTIL,
    REPLACES,
    RESCHEDULABLE_UNTIL,
    WAITING_SINCE,
)
from creneau_booking.storage.mapping.places import SCHEDULE_CAPACITY
from creneau_booking.storage.mapping.series import RECURRENCE_TEMPLATE
from creneau_booking.storage.mapping.wishes import WAITING_AGENDA, WAITING_NEAR, WAITING_TIMES
from creneau_booking.topics import DIRECTORY
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.messaging.events import ReceivedEvent

OTHER = {"coding": [{"system": "http://exemple.fr/motifs", "code": "vaccin"}]}
CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]
ACCEPTED = [{"op": "replace", "path": "/status", "value": "booked"}]
REFUSED = [{"op": "replace", "path": "/status", "value": "waitlist"}]


def agenda_wish(agenda: str) -> Resource:
    return {"url": WAITING_AGENDA, "valueReference": {"reference": f"Schedule/{agenda}"}}


async def join(callers: Callers, patient: str, **more: Any) -> str:
    """A wish of the patient's; its id."""
    answer = await callers.patient(patient).post(
        "Appointment", appointment("waitlist", patient=patient, **more)
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def taken(callers: Callers, practice: Practice, agenda: Agenda, index: int = 0) -> tuple[str, Caller]:
    """Somebody's appointment in one of the slots: its id, and they."""
    patient = await practice.new_patient()
    someone = callers.patient(patient)
    answer = await someone.post(
        "Appointment",
        appointment("booked", slots=agenda.slots[index : index + 1], patient=patient, start=agenda.at(index)),
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]), someone


async def cancel(callers: Callers, practice: Practice, agenda: Agenda, index: int = 0) -> None:
    """Time frees: somebody had the slot, and gives it up."""
    id_, someone = await taken(callers, practice, agenda, index)
    answer = await someone.patch(f"Appointment/{id_}", CANCELLED)
    assert answer.status_code == 200, answer.text


async def read(callers: Callers, patient: str, id_: str) -> Resource:
    answer = await callers.patient(patient).get(f"Appointment/{id_}")
    assert answer.status_code == 200, answer.text
    found: Resource = answer.json()
    return found


def extension(resource: Resource, url: str) -> Any:
    said: Resource = next((e for e in resource.get("extension", ()) if e["url"] == url), {})
    return next((value for name, value in said.items() if name != "url"), None)


async def test_what_frees_is_offered_to_who_waits(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """Never public: pending with the slot and an end, told; accepted by one PATCH, and booked."""
    camille = await practice.new_patient()
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    assert extension(await read(callers, camille, wish), WAITING_SINCE) == utc(practice.clock.now())
    await cancel(callers, practice, agenda)
    offer = await read(callers, camille, wish)
    assert (offer["status"], offer["start"], offer["slot"]) == (
        "pending",
        utc(agenda.at(0)),
        [ref(f"Slot/{agenda.slots[0]}")],
    )
    assert extension(offer, RESCHEDULABLE_UNTIL) is None
    until = datetime.fromisoformat(extension(offer, HELD_UNTIL))
    assert until == practice.clock.now() + timedelta(hours=24), "twelve hours of which nobody sleeps in any"
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    assert await practice.kinds(wish) == ["offered"]
    accepted = await callers.patient(camille).patch(f"Appointment/{wish}", ACCEPTED)
    assert accepted.status_code == 200, accepted.text
    assert {p["status"] for p in accepted.json()["participant"]} == {"accepted"}
    assert extension(accepted.json(), WAITING_SINCE) is None
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
    assert await practice.kinds(wish) == ["offered", "booked"]


async def test_a_refusal_is_the_next_ones_offer(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    """Who refuses stays on the list as they were, and is not asked about that slot again; after the last it is free."""
    first, second = [await practice.new_patient() for _ in range(2)]
    wishes = [
        await join(callers, one, actors=[agenda.practitioner], comment="le plus tôt possible")
        for one in (first, second)
    ]
    before = await read(callers, first, wishes[0])
    await cancel(callers, practice, agenda)
    assert [(await read(callers, *one))["status"] for one in zip((first, second), wishes, strict=True)] == [
        "pending",
        "waitlist",
    ]
    refused = await callers.patient(first).patch(f"Appointment/{wishes[0]}", REFUSED)
    assert refused.status_code == 200, refused.text
    after = await read(callers, first, wishes[0])
    assert {name: value for name, value in after.items() if name != "meta"} == {
        name: value for name, value in before.items() if name != "meta"
    }
    assert (await read(callers, second, wishes[1]))["status"] == "pending"
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    left = await callers.patient(second).patch(f"Appointment/{wishes[1]}", CANCELLED)
    assert left.status_code == 200, left.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    await cancel(callers, practice, agenda)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    await cancel(callers, practice, agenda, 1)
    assert (await read(callers, first, wishes[0]))["slot"] == [ref(f"Slot/{agenda.slots[1]}")]


async def test_whoever_asks_twice_is_asked_once(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    """By several requests, and by one that follows another: the slot is the next person's."""
    first, second = [await practice.new_patient() for _ in range(2)]
    wishes = [
        await join(callers, first, actors=[agenda.practitioner]),
        await join(callers, first, extension=[agenda_wish(agenda.id)]),
    ]
    theirs = await join(callers, second, actors=[agenda.practitioner])
    await cancel(callers, practice, agenda)
    assert (await read(callers, first, wishes[0]))["status"] == "pending"
    wishes.append(await join(callers, first, actors=[agenda.practitioner]))
    left = await callers.patient(first).patch(f"Appointment/{wishes[0]}", CANCELLED)
    assert left.status_code == 200, left.text
    assert (await read(callers, second, theirs))["status"] == "pending"
    assert (await callers.patient(second).patch(f"Appointment/{theirs}", CANCELLED)).status_code == 200
    assert {(await read(callers, first, wish))["status"] for wish in wishes[1:]} == {"waitlist"}
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


async def test_what_the_version_before_offered_is_not_offered_again(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """Its processes note no person beside the offer, while they are being replaced."""
    first, second = [await practice.new_patient() for _ in range(2)]
    declines = await join(callers, first, actors=[agenda.practitioner])
    waits = await join(callers, second, actors=[agenda.practitioner])
    await cancel(callers, practice, agenda)
    await practice.database.pool.execute("UPDATE waiting_offer SET patient = NULL")
    declined = await callers.patient(first).post(f"Appointment/{declines}/$cancel", parameters())
    assert declined.status_code == 200, declined.text
    assert (await read(callers, first, declines))["status"] == "waitlist"
    assert (await read(callers, second, waits))["status"] == "pending"


async def test_the_time_of_a_group_that_nobody_comes_to_is_offered(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """In the professional's other agenda, once the last who had a place has left."""
    places = [{"url": SCHEDULE_CAPACITY, "valuePositiveInt": 2}]
    group = await practice.open_agenda(practitioner=agenda.practitioner, start=agenda.start, extension=places)
    leaving = [await taken(callers, practice, group) for _ in range(2)]
    camille = await practice.new_patient()
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    for status, (id_, someone) in zip(("waitlist", "pending"), leaving, strict=True):
        assert (await someone.patch(f"Appointment/{id_}", CANCELLED)).status_code == 200
        assert (await read(callers, camille, wish))["status"] == status
    assert await practice.slot_statuses([agenda.slots[0], group.slots[0]]) == [
        "busy-tentative",
        "busy-unavailable",
    ]


async def test_ten_in_line_let_their_offers_run_out(fresh: Practice) -> None:
    """Each in turn, once; in the end it is everybody's, and all ten still wait. Nothing but the database remembers."""
    agenda = await fresh.open_agenda(start=fresh.clock.now() + timedelta(days=40))
    wishes = []
    for index in range(10):
        fresh.clock.advance(timedelta(seconds=1))
        patient = await fresh.new_patient()
        stored = await fresh.create(
            appointment("waitlist", patient=patient, actors=[agenda.practitioner], priority=9 - index // 5)
        )
        wishes.append(stored.id)
    booked = await fresh.create(
        appointment("booked", slots=agenda.slots[:1], patient=await fresh.new_patient(), start=agenda.at(0))
    )
    await fresh.change(booked.id, status="cancelled")
    seen = []
    for _ in range(10):
        pending = await fresh.database.pool.fetch(
            "SELECT id FROM appointment WHERE terms @> ARRAY['status=pending']"
        )
        [offered] = [row["id"] for row in pending]
        seen.append(offered)
        assert await fresh.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
        until = await fresh.database.pool.fetchval("SELECT expires_at FROM hold")
        fresh.clock.advance(until - fresh.clock.now())
        again = Practice(fresh.database, fresh.settings, fresh.clock)
        assert await again.jobs().expire_holds() == 1
    assert seen == [*wishes[5:], *wishes[:5]]
    assert await fresh.slot_statuses(agenda.slots[:1]) == ["free"]
    assert await fresh.kinds(wishes[0]) == ["offered", "hold-expired"]
    waiting = await fresh.database.pool.fetch(
        "SELECT id FROM appointment WHERE terms @> ARRAY['status=waitlist']"
    )
    assert {row["id"] for row in waiting} == set(wishes)


class TestWhatIsWaitedFor:
    """Each criterion, by a slot that it lets pass and one that it keeps."""

    async def offered(self, callers: Callers, practice: Practice, agenda: Agenda, **wish: Any) -> str | None:
        """Which of the slots (its id) is offered, when all of them free one after the other; None: none of them."""
        camille = await practice.new_patient()
        id_ = await join(callers, camille, **wish)
        for index in range(len(agenda.slots)):
            await cancel(callers, practice, agenda, index)
        found = await read(callers, camille, id_)
        left = await callers.patient(camille).patch(f"Appointment/{id_}", CANCELLED)
        assert left.status_code == 200, left.text
        return str(found["slot"][0]["reference"]).removeprefix("Slot/") if "slot" in found else None

    async def test_time(self, callers: Callers, practice: Practice) -> None:
        """The requested periods, of which a date is a day in Paris, and the parts of the day there."""
        start = practice.clock.now().replace(hour=10, minute=40) + timedelta(days=7)  # 11:40 in Paris
        agenda = await practice.open_agenda(start=start)
        here = {"extension": [agenda_wish(agenda.id)]}
        day, next_day = (f"{start + timedelta(days=n):%Y-%m-%d}" for n in range(2))
        offered = [
            await self.offered(callers, practice, agenda, **here, requestedPeriod=[period])
            for period in (
                {"start": utc(agenda.at(1)), "end": utc(agenda.at(2))},
                {"start": day, "end": day},
                {"start": next_day},
            )
        ]
        assert offered == [agenda.slots[1], agenda.slots[0], None]
        for part, index in (("morning", 0), ("afternoon", 1), ("evening", None)):
            times = [agenda_wish(agenda.id), {"url": WAITING_TIMES, "valueCode": part}]
            found = await self.offered(callers, practice, agenda, extension=times)
            assert found == (agenda.slots[index] if index is not None else None), part

    async def test_speciality_and_place(self, callers: Callers, practice: Practice) -> None:
        """By the place's name or around a point, across a square degree; another speciality is not offered."""
        place = unique("lieu")
        await practice.put(
            {
                "resourceType": "Location",
                "id": place,
                "name": "Cabinet",
                "position": {"latitude": 48.99, "longitude": 2.99},
            }
        )
        id_ = unique("agenda")
        practitioner = f"Practitioner/{unique('prat')}"
        await practice.put(
            {
                "resourceType": "Schedule",
                "id": id_,
                "active": True,
                "actor": [{"reference": practitioner}, {"reference": f"Location/{place}"}],
            }
        )
        start, ids = await practice.fill(id_, 1)
        agenda = Agenda(id_, practitioner, f"Location/{place}", start, ids)

        async def near(said: str, **more: Any) -> str | None:
            around = [{"url": WAITING_NEAR, "valueString": said}]
            return await self.offered(
                callers, practice, agenda, extension=around, **{"specialty": [GENERAL], **more}
            )

        assert await near("49.01|3.01|5|km") == ids[0]
        assert await near("49.01|3.01|1|km") is None
        assert await near("49.01|3.01|5|km", specialty=[SKIN]) is None
        at_place = {"actors": [agenda.location], "specialty": [GENERAL]}
        assert await self.offered(callers, practice, agenda, **at_place) == ids[0]
        assert await self.offered(callers, practice, agenda, **{**at_place, "specialty": [SKIN]}) is None

    @pytest.mark.parametrize("at", ["nowhere", "their place", "a room of it"])
    @pytest.mark.parametrize("named", ["the role", "the person", "the place", "a speciality there"])
    async def test_an_agenda_of_a_person_alone_is_waited_for_by_their_role_too(
        self, callers: Callers, practice: Practice, at: str, named: str
    ) -> None:
        """As the pages name it: the situation of who is received at the agenda's place, or in one place only."""
        role, person, place = await self.somebody_at_work(practice)
        room = f"Location/{unique('salle')}"
        of_it = {"resourceType": "Location", "id": room.partition("/")[2], "partOf": {"reference": place}}
        await practice.put(of_it)
        where = {"their place": [place], "a room of it": [room]}.get(at, [])
        agenda = await self.agenda_of(practice, person, *where)
        wish: Resource = {"actors": [{"the role": role, "the person": person}.get(named, place)]}
        if named == "a speciality there":
            wish["specialty"] = [GENERAL]
        assert await self.offered(callers, practice, agenda, **wish) == agenda.slots[0]

    async def test_an_agenda_of_a_person_alone_is_no_other_places(
        self, callers: Callers, practice: Practice
    ) -> None:
        """Nobody is asked to a place for which they did not wait: whose agenda names none is received in one place only."""
        role, person, place = await self.somebody_at_work(practice)
        other, _, elsewhere = await self.somebody_at_work(practice, person)
        there = await self.agenda_of(practice, person, elsewhere)
        assert await self.offered(callers, practice, there, actors=[other]) == there.slots[0]
        camille = await practice.new_patient()
        for actor in (role, place):
            wish = appointment("waitlist", patient=camille, actors=[actor])
            refused = await callers.patient(camille).post("Appointment", wish)
            assert (refused.status_code, code(refused)) == (403, "participant-not-yours")
        somewhere = await self.agenda_of(practice, person)
        wish = appointment("waitlist", patient=camille, actors=[role])
        assert (await callers.patient(camille).post("Appointment", wish)).status_code == 403
        assert await self.offered(callers, practice, somewhere, actors=[person]) == somewhere.slots[0]

    async def test_a_place_is_that_of_the_role_whose_agenda_it_is(
        self, callers: Callers, practice: Practice
    ) -> None:
        """And that of the offer: the agenda does not say it again."""
        role, _, place = await self.somebody_at_work(practice)
        agenda = await self.agenda_of(practice, role)
        assert await self.offered(callers, practice, agenda, actors=[place]) == agenda.slots[0]

    async def somebody_at_work(self, practice: Practice, person: str | None = None) -> tuple[str, str, str]:
        """A role at a place of its own, its person and the place, as the directory says them."""
        role, place = unique("role"), unique("lieu")
        person = person or f"Practitioner/{unique('prat')}"
        await practice.put({"resourceType": "Location", "id": place, "status": "active", "name": "Cabinet"})
        where = {"location": [ref(f"Location/{place}")]}
        await hear(practice, role_resource(role, person, unique("cabinet"), **where))
        return f"PractitionerRole/{role}", person, f"Location/{place}"

    async def agenda_of(self, practice: Practice, *actors: str) -> Agenda:
        """An agenda of these actors with one free slot, at an hour of its own."""
        id_ = unique("agenda")
        await practice.put(schedule(id_, list(actors)))
        start = practice.clock.now() + timedelta(days=7, hours=len(actors))
        start, ids = await practice.fill(id_, 1, start)
        return Agenda(id_, actors[0], actors[-1], start, ids)

    @pytest.mark.parametrize("where", ["at the place", "near it", "anywhere"])
    async def test_the_speciality_of_a_slot_is_its_own_else_its_agendas(
        self, callers: Callers, practice: Practice, where: str
    ) -> None:
        """Where the agenda says it for all its slots, and where one of them is of another than the agenda has beside it."""
        place = unique("lieu")
        point = {"latitude": 44.5, "longitude": 3.5}
        await practice.put({"resourceType": "Location", "id": place, "name": "Cabinet", "position": point})
        wish: Resource = {"specialty": [SKIN]}
        if where == "at the place":
            wish["actors"] = [f"Location/{place}"]
        elif where == "near it":
            wish["extension"] = [{"url": WAITING_NEAR, "valueString": "44.5|3.5|5|km"}]
        for own in ([], [GENERAL]):
            id_, practitioner = unique("agenda"), f"Practitioner/{unique('prat')}"
            await practice.put(schedule(id_, [practitioner, f"Location/{place}"], specialty=[GENERAL, SKIN]))
            start, ids = await practice.fill(id_, 1, specialty=own)
            agenda = Agenda(id_, practitioner, f"Location/{place}", start, ids)
            found = await self.offered(callers, practice, agenda, **wish)
            assert found == (None if own else ids[0])

    async def test_of_several_visit_types_any_will_do(self, callers: Callers, practice: Practice) -> None:
        """And of several ways to come; a visit of the one kind in the way of the other is neither. What is offered says what it
        is, and is booked."""
        kinds = ([OTHER, CONSULTATION], [FIRST_VISIT, VIDEO], [FIRST_VISIT, CONSULTATION])
        agenda = await practice.open_agenda(0)
        ids: list[str] = []
        for index, kind in enumerate(kinds):
            ids += (await practice.fill(agenda.id, 1, agenda.at(index), serviceType=kind))[1]
        agenda = replace(agenda, slots=tuple(ids))
        both = {"coding": FOLLOW_UP["coding"] + FIRST_VISIT["coding"]}
        fitting: tuple[tuple[list[Resource], int | None], ...] = (
            ([FOLLOW_UP, FIRST_VISIT], 1),
            ([both], 1),
            ([CONSULTATION], 0),
            ([FOLLOW_UP, FIRST_VISIT, CONSULTATION], 2),
            ([FIRST_VISIT, CONSULTATION, VIDEO], 1),
            ([OTHER, VIDEO], None),
            ([FOLLOW_UP], None),
        )
        for wanted, which in fitting:
            here = {"extension": [agenda_wish(agenda.id)], "serviceType": wanted}
            found = await self.offered(callers, practice, agenda, **here)
            assert found == (ids[which] if which is not None else None), wanted
        camille = await practice.new_patient()
        said = [FOLLOW_UP, FIRST_VISIT]
        wish = await join(callers, camille, extension=[agenda_wish(agenda.id)], serviceType=said)
        await cancel(callers, practice, agenda, 1)
        assert (await read(callers, camille, wish))["serviceType"] == [FIRST_VISIT]
        refused = await callers.patient(camille).patch(f"Appointment/{wish}", REFUSED)
        assert refused.json()["serviceType"] == said
        await cancel(callers, practice, agenda, 2)
        accepted = await callers.patient(camille).patch(f"Appointment/{wish}", ACCEPTED)
        assert (accepted.status_code, accepted.json()["status"]) == (200, "booked"), accepted.text

    @pytest.mark.parametrize(
        ("open_for", "index"), [([CONSULTATION], 0), ([FIRST_VISIT], 0), ([], 0), ([VIDEO], None)]
    )
    async def test_what_a_slot_leaves_open_is_no_reason_against_it(
        self, callers: Callers, practice: Practice, open_for: list[Resource], index: int | None
    ) -> None:
        """Neither for what one comes nor how."""
        agenda = await practice.open_agenda(1, slot_members={"serviceType": open_for})
        wanted = {"extension": [agenda_wish(agenda.id)], "serviceType": [FIRST_VISIT, CONSULTATION]}
        found = await self.offered(callers, practice, agenda, **wanted)
        assert found == (agenda.slots[index] if index is not None else None)

    async def test_what_cannot_be_read(self, callers: Callers, practice: Practice) -> None:
        """Refused by name, rather than waited for in vain."""
        camille = await practice.new_patient()
        for said in (
            {"url": WAITING_TIMES, "valueCode": "night"},
            {"url": WAITING_NEAR, "valueString": "Paris"},
            {"url": WAITING_NEAR, "valueString": "48|2|500|km"},
            {"url": WAITING_AGENDA, "valueReference": {"reference": "Patient/1"}},
        ):
            answer = await callers.patient(camille).post(
                "Appointment", appointment("waitlist", patient=camille, extension=[said])
            )
            assert (answer.status_code, code(answer)) == (422, "unreadable-wish"), answer.text
        answer = await callers.patient(camille).post(
            "Appointment", appointment("waitlist", patient=camille, priority=1)
        )
        assert (answer.status_code, code(answer)) == (403, "element-not-yours"), answer.text

    async def test_what_is_over_already(self, callers: Callers, practice: Practice) -> None:
        """Refused, when it is said: nothing could be offered. Who has waited in vain may say something else, and leave."""
        camille, agenda = await practice.new_patient(), await practice.open_agenda()
        patient = callers.patient(camille)
        here: Resource = {"extension": [agenda_wish(agenda.id)]}
        now = callers.clock.now()
        before, to_come = [
            {"start": utc(now + timedelta(days=n)), "end": utc(now + timedelta(days=n, hours=1))}
            for n in (-3, 3)
        ]

        def wish(*periods: Resource) -> Resource:
            return appointment("waitlist", patient=camille, requestedPeriod=list(periods), **here)

        for caller in (patient, callers.software()):
            refused = await caller.post("Appointment", wish(before))
            assert (refused.status_code, code(refused)) == (422, "wish-over"), refused.text
            assert refused.json()["issue"][0]["expression"] == ["Appointment.requestedPeriod"]
        one = (await patient.post("Appointment", wish(before, to_come))).json()
        refused = await patient.put(f"Appointment/{one['id']}", {**one, "requestedPeriod": [before]})
        assert (refused.status_code, code(refused)) == (422, "wish-over"), refused.text
        callers.clock.advance(timedelta(days=4))
        times = [*one["extension"], {"url": WAITING_TIMES, "valueCode": "morning"}]
        kept = await callers.patient(camille).put(f"Appointment/{one['id']}", {**one, "extension": times})
        left = await callers.patient(camille).patch(f"Appointment/{one['id']}", CANCELLED)
        callers.clock.advance(-timedelta(days=4))
        assert (kept.status_code, left.status_code) == (200, 200), kept.text

    async def test_an_agenda_that_is_not_there(self, callers: Callers, practice: Practice) -> None:
        """Named, as what else is not known; when it is said, so that who waits for one that has gone since may still leave."""
        camille, there, gone = await practice.new_patient(), await practice.open_agenda(), unique("parti")
        await practice.put(schedule(gone, [f"Practitioner/{unique('prat')}"]))
        patient, software, unknown = callers.patient(camille), callers.software(), unique("inconnu")
        for said in ([agenda_wish(unknown)], [agenda_wish(there.id), agenda_wish(unknown)]):
            for caller in (patient, software):
                refused = await caller.post(
                    "Appointment", appointment("waitlist", patient=camille, extension=said)
                )
                assert (refused.status_code, code(refused)) == (422, "unknown-schedule"), refused.text
                assert f"Schedule/{unknown}" in refused.json()["issue"][0]["details"]["text"]
        both = [agenda_wish(there.id), agenda_wish(gone)]
        one = (
            await patient.post("Appointment", appointment("waitlist", patient=camille, extension=both))
        ).json()
        assert (await software.delete(f"Schedule/{gone}")).status_code == 204
        late = await patient.put(f"Appointment/{one['id']}", {**one, "comment": "Vite."})
        assert late.status_code == 200, late.text
        other = {**late.json(), "extension": [*late.json()["extension"], agenda_wish(unknown)]}
        refused = await patient.put(f"Appointment/{one['id']}", other)
        assert (refused.status_code, code(refused)) == (422, "unknown-schedule"), refused.text
        assert (await patient.patch(f"Appointment/{one['id']}", CANCELLED)).status_code == 200


class TestReplacing:
    async def test_what_it_replaces_is_given_up_with_it(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """In the same transaction; and that time is offered in its turn."""
        camille, other = [await practice.new_patient() for _ in range(2)]
        late = await callers.patient(camille).post(
            "Appointment", appointment("booked", slots=agenda.slots[2:], patient=camille, start=agenda.at(2))
        )
        later = late.json()["id"]
        replaces = {"url": REPLACES, "valueReference": {"reference": f"Appointment/{later}"}}
        wish = await join(callers, camille, extension=[agenda_wish(agenda.id), replaces])
        waits_too = await join(callers, other, extension=[agenda_wish(agenda.id)])
        await cancel(callers, practice, agenda)
        assert await practice.slot_statuses(agenda.slots) == ["busy-tentative", "free", "busy"]
        accepted = await callers.patient(camille).patch(f"Appointment/{wish}", ACCEPTED)
        assert accepted.status_code == 200, accepted.text
        assert (await read(callers, camille, later))["status"] == "cancelled"
        assert (await read(callers, other, waits_too))["slot"] == [ref(f"Slot/{agenda.slots[2]}")]
        assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "busy-tentative"]

    async def test_only_ones_own_is_replaced(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """Somebody else's appointment is not given up for it, nor one that does not exist."""
        camille = await practice.new_patient()
        foreign, _ = await taken(callers, practice, agenda)
        for id_ in (foreign, "personne"):
            replaces = {"url": REPLACES, "valueReference": {"reference": f"Appointment/{id_}"}}
            answer = await callers.patient(camille).post(
                "Appointment", appointment("waitlist", patient=camille, extension=[replaces])
            )
            assert (answer.status_code, code(answer)) == (422, "replaced-not-yours"), answer.text


class TestAnOffer:
    async def test_it_is_answered_by_a_response_too(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """AppointmentResponse: accepted is booked, declined is the next one's."""
        people = [await practice.new_patient() for _ in range(2)]
        wishes = [await join(callers, one, actors=[agenda.practitioner]) for one in people]
        await cancel(callers, practice, agenda)
        for patient, wish, said in zip(people, wishes, ("declined", "accepted"), strict=True):
            answer = await callers.answering(patient).post(
                "AppointmentResponse",
                {
                    "resourceType": "AppointmentResponse",
                    "appointment": ref(f"Appointment/{wish}"),
                    "actor": ref(patient),
                    "participantStatus": said,
                },
            )
            assert answer.status_code == 201, answer.text
        found = [(await read(callers, *one))["status"] for one in zip(people, wishes, strict=True)]
        assert found == ["waitlist", "booked"]

    async def test_74_a_yes_is_to_the_time_that_its_practice_proposes_instead(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """74, 82: as of any other visit: the offered time goes back, and a yes to a time that nobody said is none."""
        patient = await practice.new_patient()
        wish = await join(callers, patient, extension=[agenda_wish(agenda.id)])
        await cancel(callers, practice, agenda)
        path, answering = f"Appointment/{wish}", callers.answering(patient)
        later = utc(agenda.at(1)), utc(agenda.at(2))
        nobodys = await given(answering, path, patient, "accepted", later)
        assert (nobodys.status_code, code(nobodys)) == (422, "answer-times"), nobodys.text
        proposed = await given(callers.software(), path, agenda.practitioner, "tentative", later)
        assert proposed.status_code == 201, proposed.text
        assert (await given(answering, path, patient, "accepted")).status_code == 201
        seen = await read(callers, patient, wish)
        assert (seen["status"], seen["start"]) == ("booked", later[0])
        assert await practice.slot_statuses(agenda.slots[:2]) == ["free", "busy"]

    async def test_74_a_time_that_its_practice_refuses_is_proposed_no_more(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """74, 82: they wait on, as if they had proposed nothing."""
        patient = await practice.new_patient()
        wish = await join(callers, patient, extension=[agenda_wish(agenda.id)])
        await cancel(callers, practice, agenda)
        path, later = f"Appointment/{wish}", (utc(agenda.at(1)), utc(agenda.at(2)))
        proposed = await given(callers.answering(patient), path, patient, "tentative", later)
        assert proposed.status_code == 201, proposed.text
        assert COUNTER_PROPOSAL in str(await read(callers, patient, wish))
        refused = await given(callers.software(), path, agenda.practitioner, "declined")
        assert refused.status_code == 201, refused.text
        waits = await read(callers, patient, wish)
        assert (waits["status"], COUNTER_PROPOSAL in str(waits)) == ("waitlist", False)

    @pytest.mark.parametrize("by_practice", [True, False])
    async def test_what_was_proposed_instead_ends_with_it(
        self, callers: Callers, practice: Practice, agenda: Agenda, by_practice: bool
    ) -> None:
        """Who has not answered waits on, and no yes of later moves them to what was proposed in the place of that time."""
        patient = await practice.new_patient()
        wish = await join(callers, patient, extension=[agenda_wish(agenda.id)])
        await cancel(callers, practice, agenda)
        path, later = f"Appointment/{wish}", (utc(agenda.at(1)), utc(agenda.at(2)))
        caller = callers.software() if by_practice else callers.answering(patient)
        who = agenda.practitioner if by_practice else patient
        proposed = await given(caller, path, who, "tentative", later)
        assert proposed.status_code == 201, proposed.text
        practice.clock.advance(timedelta(days=1))
        await practice.jobs().expire_holds()
        waits = await read(callers, patient, wish)
        assert (waits["status"], COUNTER_PROPOSAL in str(waits)) == ("waitlist", False)

    async def test_it_is_booked_by_the_operation_and_neither_moved_nor_extended(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        camille = await practice.new_patient()
        wish = await join(callers, camille, actors=[agenda.practitioner])
        await cancel(callers, practice, agenda)
        someone = callers.patient(camille)
        extended = await someone.post(f"Appointment/{wish}/$hold", parameters())
        moved = await someone.post(
            f"Appointment/{wish}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}"))
        )
        assert [code(extended), code(moved)] == ["offer-not-movable"] * 2
        booked = await someone.post(f"Appointment/{wish}/$book", parameters())
        assert (booked.status_code, booked.json()["status"]) == (200, "booked"), booked.text

    async def test_one_person_has_no_two_at_once(self, callers: Callers, practice: Practice) -> None:
        """Two wishes, two practitioners, one hour: the second slot is the next person's."""
        start = practice.clock.now() + timedelta(days=9)
        agendas = [await practice.open_agenda(1, start=start) for _ in range(2)]
        camille, other = [await practice.new_patient() for _ in range(2)]
        wishes = [await join(callers, camille, actors=[one.practitioner]) for one in agendas]
        next_one = await join(callers, other, actors=[agendas[1].practitioner])
        for one in agendas:
            await cancel(callers, practice, one)
        assert [(await read(callers, camille, id_))["status"] for id_ in wishes] == ["pending", "waitlist"]
        assert (await read(callers, other, next_one))["status"] == "pending"

    async def test_who_sees_it(self, callers: Callers, practice: Practice, agenda: Agenda) -> None:
        """The person and nobody else's account; it is in no other's search."""
        camille, stranger = [await practice.new_patient() for _ in range(2)]
        wish = await join(callers, camille, actors=[agenda.practitioner])
        found = await callers.patient(stranger).get(f"Appointment/{wish}")
        assert found.status_code == 404
        assert (await callers.patient(stranger).get("Appointment", status="waitlist")).json()["total"] == 0
        mine = await callers.patient(camille).get("Appointment", status="waitlist")
        assert [entry["resource"]["id"] for entry in mine.json()["entry"]] == [wish]

    async def test_it_is_not_made_when_there_is_no_time_to_answer(
        self, callers: Callers, practice: Practice
    ) -> None:
        """An hour before the visit nobody can be asked: it is everybody's."""
        soon = await practice.open_agenda(1, start=practice.clock.now() + timedelta(minutes=80))
        camille = await practice.new_patient()
        await join(callers, camille, actors=[soon.practitioner])
        await cancel(callers, practice, soon)
        assert await practice.slot_statuses(soon.slots) == ["free"]


@pytest.mark.parametrize("way", ["post", "put", "bundle", "said free"])
async def test_new_time_is_offered_too(callers: Callers, practice: Practice, way: str) -> None:
    """A slot that a practice publishes, one by one, in a transaction, or frees by its own word."""
    agenda = await practice.open_agenda(0)
    start = practice.clock.now() + timedelta(days=5)
    camille = await practice.new_patient()
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    fed, software = slot(unique("fed"), agenda.id, start), callers.software()
    if way == "post":
        answer = await software.post("Slot", {name: fed[name] for name in fed if name != "id"})
    elif way == "put":
        answer = await software.put(f"Slot/{fed['id']}", fed)
    elif way == "said free":
        await software.put(f"Slot/{fed['id']}", {**fed, "status": "busy-unavailable"})
        answer = await software.put(f"Slot/{fed['id']}", fed)
    else:
        entry = {"resource": fed, "request": {"method": "PUT", "url": f"Slot/{fed['id']}"}}
        answer = await software.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status_code in (200, 201), answer.text
    offer = await read(callers, camille, wish)
    assert (offer["status"], offer["start"]) == ("pending", utc(start))


async def test_sixty_four_clients_poll_and_none_is_faster(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """While it is cancelled others try to hold the slot, again and again: the waiting person has it, and they once."""
    camille = await practice.new_patient()
    wish = await join(callers, camille, actors=[agenda.practitioner])
    id_, someone = await taken(callers, practice, agenda)
    rivals = [(await practice.new_patient()) for _ in range(64)]
    over = asyncio.Event()

    async def poll(patient: str) -> set[int]:
        seen: set[int] = set()
        wanted = parameters(appointment=appointment("proposed", slots=agenda.slots[:1], patient=patient))
        while not over.is_set() or not seen:
            seen.add((await callers.patient(patient).post("Appointment/$hold", wanted)).status_code)
        return seen

    async def give_up() -> None:
        await asyncio.sleep(0)
        answer = await someone.patch(f"Appointment/{id_}", CANCELLED)
        assert answer.status_code == 200, answer.text
        over.set()

    *seen, _ = await asyncio.gather(*map(poll, rivals), give_up())
    assert set().union(*filter(None, seen)) == {409}
    assert (await read(callers, camille, wish))["slot"] == [ref(f"Slot/{agenda.slots[0]}")]


class TestOtherWays:
    async def test_cancelling_an_offer_refuses_it_and_again_leaves_the_list(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        camille = await practice.new_patient()
        wish = await join(callers, camille, actors=[agenda.practitioner])
        await cancel(callers, practice, agenda)
        statuses = []
        for _ in range(2):
            answer = await callers.patient(camille).post(f"Appointment/{wish}/$cancel", parameters())
            assert answer.status_code == 200, answer.text
            statuses.append(answer.json()["status"])
        assert statuses == ["waitlist", "cancelled"]
        await cancel(callers, practice, agenda, 1)
        assert await practice.slot_statuses(agenda.slots) == ["free"] * 3

    async def test_whoever_comes_by_the_link_of_the_message_answers_it(
        self, callers: Callers, practice: Practice, agenda: Agenda
    ) -> None:
        """And says nothing else."""
        camille = await practice.new_patient()
        wish = await join(callers, camille, actors=[agenda.practitioner])
        await cancel(callers, practice, agenda)
        by_link = callers.by_link(wish, camille)
        refused = await by_link.patch(f"Appointment/{wish}", REFUSED)
        assert (refused.status_code, refused.json().get("status")) == (200, "waitlist"), refused.text
        await cancel(callers, practice, agenda, 1)
        words = {"op": "add", "path": "/comment", "value": "plus tard"}
        accepted = await by_link.patch(f"Appointment/{wish}", [*ACCEPTED, words])
        assert (accepted.status_code, accepted.json().get("status")) == (200, "booked"), accepted.text
        assert "comment" not in accepted.json()

    async def test_where_the_practice_confirms_it_is_asked(
        self, callers: Callers, practice: Practice
    ) -> None:
        """What the person accepts waits for the practice, and the visit that it replaces is kept until then."""
        confirms = [{"url": CONFIRMATION_REQUIRED, "valueBoolean": True}]
        agenda, other = await practice.open_agenda(extension=confirms), await practice.open_agenda()
        camille, someone = [await practice.new_patient() for _ in range(2)]
        booked = await callers.patient(camille).post(
            "Appointment", appointment("booked", slots=other.slots[2:], patient=camille, start=other.at(2))
        )
        later = booked.json()["id"]
        replaces = {"url": REPLACES, "valueReference": {"reference": f"Appointment/{later}"}}
        wish = await join(callers, camille, extension=[agenda_wish(agenda.id), replaces])
        taken_by = await practice.create(
            appointment("booked", slots=agenda.slots[:1], patient=someone, start=agenda.at(0))
        )
        await practice.change(taken_by.id, status="cancelled")
        accepted = await callers.patient(camille).patch(f"Appointment/{wish}", ACCEPTED)
        assert accepted.json()["status"] == "pending", accepted.text
        assert (await read(callers, camille, later))["status"] == "booked"
        agreed = await callers.software().post(f"Appointment/{wish}/$confirm", parameters())
        assert agreed.status_code == 200, agreed.text
        assert (await read(callers, camille, wish))["status"] == "booked"
        assert (await read(callers, camille, later))["status"] == "cancelled"


async def test_many_free_at_once_and_everybody_has_one_offer(fresh: Practice) -> None:
    """Twelve slots of three practitioners free side by side, and eight wait for any of them: eight offers, each of its own
    slot to a person of their own, four free; nobody waits in a circle."""
    start = fresh.clock.now() + timedelta(days=9)
    agendas = [await fresh.open_agenda(4, start=start) for _ in range(3)]
    wishes = []
    for _ in range(8):
        patient = await fresh.new_patient()
        extensions = [agenda_wish(one.id) for one in agendas]
        wishes.append((await fresh.create(appointment("waitlist", patient=patient, extension=extensions))).id)
    booked = [
        await fresh.create(
            appointment("booked", slots=[slot_id], patient=await fresh.new_patient(), start=one.at(index))
        )
        for one in agendas
        for index, slot_id in enumerate(one.slots)
    ]
    await asyncio.gather(*(fresh.change(one.id, status="cancelled") for one in booked))
    held = await fresh.database.pool.fetch(
        "SELECT taken_by, count(*) AS n FROM slot WHERE status = 'busy-tentative' GROUP BY 1"
    )
    assert {row["taken_by"] for row in held} == set(wishes)
    assert {row["n"] for row in held} == {1}
    free = await fresh.database.pool.fetchval("SELECT count(*) FROM slot WHERE status = 'free'")
    assert free == 4


async def test_slots_published_side_by_side_are_each_offered(callers: Callers, practice: Practice) -> None:
    """One software, many requests at once, in one agenda: no slot is public while somebody waits for it."""
    agenda = await practice.open_agenda(0)
    start = practice.clock.now() + timedelta(days=5)
    people = [await practice.new_patient() for _ in range(6)]
    wishes = [await join(callers, one, extension=[agenda_wish(agenda.id)]) for one in people]
    software = callers.software()
    fed = [slot(unique("fed"), agenda.id, start + n * timedelta(hours=1)) for n in range(6)]
    await asyncio.gather(*(software.put(f"Slot/{one['id']}", one) for one in fed))
    assert await practice.slot_statuses([one["id"] for one in fed]) == ["busy-tentative"] * 6
    found = [await read(callers, *one) for one in zip(people, wishes, strict=True)]
    assert len({one["slot"][0]["reference"] for one in found}) == 6


class TestWhatIsOfferedIsGone:
    """Whoever was only offered a time that the practice takes away waits on; nobody else is offered it."""

    async def test_by_a_closure(self, callers: Callers, practice: Practice) -> None:
        start = practice.clock.now().replace(hour=9) + timedelta(days=1)
        agenda = await practice.open_agenda(1, start=start)
        camille, other = [await practice.new_patient() for _ in range(2)]
        wishes = [await join(callers, one, actors=[agenda.practitioner]) for one in (camille, other)]
        await cancel(callers, practice, agenda)
        period = {"start": utc(start - timedelta(hours=1)), "end": utc(start + timedelta(hours=3))}
        said = [{"name": "period", "valuePeriod": period}, {"name": "action", "valueString": "cancel"}]
        body = {
            "resourceType": "Parameters",
            "parameter": [*said, {"name": "confirm", "valueBoolean": True}],
        }
        closed = await callers.software().post(f"Schedule/{agenda.id}/$close", body)
        assert closed.status_code == 200, closed.text
        found = [await read(callers, *one) for one in zip((camille, other), wishes, strict=True)]
        assert [(one["status"], "slot" in one) for one in found] == [("waitlist", False)] * 2

    async def test_by_a_departure(self, callers: Callers, practice: Practice) -> None:
        surgery = await open_surgery(practice, 1)
        camille = await practice.new_patient()
        wish = await join(callers, camille, extension=[agenda_wish(surgery.agenda)])
        booked = await practice.create(
            appointment(
                "booked", slots=surgery.slots, patient=await practice.new_patient(), start=surgery.start
            )
        )
        await practice.change(booked.id, status="cancelled")
        assert (await read(callers, camille, wish))["status"] == "pending"
        gone = ReceivedEvent(
            topic=DIRECTORY,
            key=surgery.practitioner,
            type="",
            subject="",
            source="",
            data=None,
            time=practice.clock.now(),
            partition=0,
            offset=0,
            raw=None,
        )
        async with practice.database.transaction() as connection:
            await practice.replica().apply(connection, gone)
        found = await read(callers, camille, wish)
        assert (found["status"], "slot" in found) == ("waitlist", False)


async def test_a_request_for_a_series_that_waits_since_before_that_was_refused_is_offered_one_visit(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """What is offered, and accepted, does not say that it recurs."""
    camille = await practice.new_patient()
    wish = await join(callers, camille, extension=[agenda_wish(agenda.id)])
    await practice.database.pool.execute(
        "UPDATE appointment SET content = convert_to(jsonb_insert(convert_from(content, 'UTF8')::jsonb,"
        " '{extension,0}', $2::text::jsonb)::text, 'UTF8') WHERE id = $1",
        wish,
        json.dumps(weekly(6)),
    )
    assert extension(await read(callers, camille, wish), RECURRENCE_TEMPLATE) is not None
    await cancel(callers, practice, agenda)
    offer = await read(callers, camille, wish)
    assert offer["status"] == "pending"
    assert extension(offer, RECURRENCE_TEMPLATE) is None
    accepted = await callers.patient(camille).post("Appointment/$book", parameters(appointment=offer))
    assert (accepted.status_code, accepted.json()["id"]) == (200, wish), accepted.text
    assert extension(accepted.json(), RECURRENCE_TEMPLATE) is None

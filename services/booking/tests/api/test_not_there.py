"""Who or what has gone is neither offered nor booked; and nothing goes while visits are to come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.client import code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import BASE, appointment, schedule, unique
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.storage.test_agenda_rules import deliver
from services.booking.tests.surgery import hear

from creneau_booking.api.schedules import ScheduleStore
from creneau_shared.fhir.storage.store import Resource


def said(kind: str, id_: str, version: int, **members: Any) -> Resource:
    meta = {"versionId": str(version), "lastUpdated": "2026-11-01T08:00:00Z"}
    return {"resourceType": kind, "id": id_, "meta": meta, **members}


async def open_with_everyone(practice: Practice) -> tuple[Agenda, dict[str, str]]:
    """An agenda of a professional in a situation, with an offer, at a place, of an organisation; all of them heard of."""
    ids = {
        k: unique(k.lower())
        for k in ("Practitioner", "PractitionerRole", "HealthcareService", "Location", "Organization")
    }
    of = {"reference": f"Organization/{ids['Organization']}"}
    await hear(practice, said("Organization", ids["Organization"], 1, active=True))
    await hear(practice, said("Practitioner", ids["Practitioner"], 1, active=True))
    await hear(practice, said("HealthcareService", ids["HealthcareService"], 1, active=True, providedBy=of))
    await hear(practice, said("Location", ids["Location"], 1, status="active", managingOrganization=of))
    person = {"reference": f"Practitioner/{ids['Practitioner']}"}
    await hear(
        practice,
        said(
            "PractitionerRole", ids["PractitionerRole"], 1, active=True, practitioner=person, organization=of
        ),
    )
    id_ = unique("agenda")
    actors = [f"{k}/{ids[k]}" for k in ("Practitioner", "PractitionerRole", "HealthcareService", "Location")]
    await practice.put(schedule(id_, actors))
    start, slots = await practice.fill(id_, 2)
    return Agenda(id_, actors[0], actors[3], start, slots), ids


async def offered(callers: Callers, who: str, agenda: Agenda) -> tuple[bool, bool, int, str]:
    """Whether a search shows it, whether `$find` does, and what booking it answers."""
    caller = callers.patient(who)
    found = (await caller.get(f"Slot?schedule={agenda.id}&status=free")).json()
    window = f"start={agenda.start:%Y-%m-%d}&end={agenda.start + timedelta(days=1):%Y-%m-%d}"
    proposed = (await caller.get(f"Appointment/$find?{window}&schedule=Schedule/{agenda.id}")).json()
    wanted = appointment("booked", slots=agenda.slots[:1], patient=who, start=agenda.start)
    answer = await caller.post("Appointment", wanted)
    proposals = [e for e in proposed.get("entry", ()) if e["resource"]["resourceType"] == "Appointment"]
    return (
        any(e["search"]["mode"] == "match" for e in found.get("entry", ())),
        bool(proposals),
        answer.status_code,
        code(answer) if answer.status_code >= 400 else "",
    )


GONE: list[tuple[str, dict[str, Any]]] = [
    ("Practitioner", {"active": False}),
    ("PractitionerRole", {"active": False}),
    ("PractitionerRole", {"active": True, "period": {"end": "2026-11-20"}}),
    ("HealthcareService", {"active": False}),
    ("Location", {"status": "inactive"}),
    ("Location", {"status": "suspended"}),
    ("Organization", {"active": False}),
]


@pytest.mark.parametrize(("kind", "members"), GONE, ids=[f"{k}-{'-'.join(m)}" for k, m in GONE])
async def test_what_has_gone_is_not_offered(
    callers: Callers, practice: Practice, kind: str, members: dict[str, Any]
) -> None:
    """Nor booked, by anybody; and it comes back with the next word of the directory."""
    agenda, ids = await open_with_everyone(practice)
    who = await practice.new_patient()
    of = {"reference": f"Organization/{ids['Organization']}"}
    bound = {
        "PractitionerRole": {"practitioner": {"reference": agenda.practitioner}, "organization": of},
        "HealthcareService": {"providedBy": of},
        "Location": {"managingOrganization": of},
    }.get(kind, {})
    await hear(practice, said(kind, ids[kind], 2, **bound, **members))
    shown, proposed, status, why = await offered(callers, who, agenda)
    assert (shown, proposed, status) == (False, False, 422), why
    wanted = appointment("booked", slots=agenda.slots[:1], patient=who, start=agenda.start)
    assert (await callers.software().post("Appointment", wanted)).status_code == 422
    back = {"status": "active"} if kind == "Location" else {"active": True}
    await hear(practice, said(kind, ids[kind], 3, **bound, **back))
    assert await offered(callers, who, agenda) == (True, True, 201, "")


@pytest.mark.parametrize("status", ["inactive", "suspended"])
@pytest.mark.parametrize("names_the_place", [True, False])
async def test_what_is_in_a_closed_building_is_not_offered(
    callers: Callers, practice: Practice, status: str, *, names_the_place: bool
) -> None:
    """An agenda of a room, and one of somebody who works there and nowhere else; however far up, and whichever is heard first."""
    site, building, room, role = (unique(name) for name in ("site", "batiment", "salle", "role"))
    of = {"partOf": {"reference": f"Location/{site}"}}
    at = {"location": [{"reference": f"Location/{room}"}]}
    person = {"practitioner": {"reference": f"Practitioner/{unique('prat')}"}}
    await hear(practice, said("Location", room, 1, partOf={"reference": f"Location/{building}"}))
    await hear(practice, said("PractitionerRole", role, 1, active=True, **person, **at))
    actor = f"Location/{room}" if names_the_place else f"PractitionerRole/{role}"
    id_ = unique("agenda")
    await practice.put(schedule(id_, [actor]))
    start, slots = await practice.fill(id_, 2)
    agenda, who = Agenda(id_, actor, f"Location/{room}", start, slots), await practice.new_patient()
    await hear(practice, said("Location", site, 1, status=status))
    await hear(practice, said("Location", building, 1, status="active", **of))
    assert await offered(callers, who, agenda) == (False, False, 422, "schedule-inactive")
    await hear(practice, said("Location", site, 2, status="active"))
    assert await offered(callers, who, agenda) == (True, True, 201, "")


@pytest.mark.parametrize("part_of", [False, True])
async def test_an_offer_is_gone_with_the_last_of_its_places(
    callers: Callers, practice: Practice, *, part_of: bool
) -> None:
    """An agenda of an offer alone, as a vaccination centre has; whichever is heard first, the offer or that it is closed."""
    one, other, offer, site = unique("lieu"), unique("lieu"), unique("offre"), unique("site")
    at = {"location": [{"reference": f"Location/{place}"} for place in (one, other)]}
    if part_of:
        await hear(practice, said("Location", other, 1, partOf={"reference": f"Location/{site}"}))
    await hear(practice, said("HealthcareService", offer, 1, active=True, **at))
    id_, who = unique("agenda"), await practice.new_patient()
    await practice.put(schedule(id_, [f"HealthcareService/{offer}"]))
    start, slots = await practice.fill(id_, 2)
    agenda = Agenda(id_, f"HealthcareService/{offer}", "", start, slots)
    await hear(practice, said("Location", one, 1, status="inactive"))
    assert await offered(callers, who, agenda) == (True, True, 201, ""), "the other is open"
    last, who = site if part_of else other, await practice.new_patient()
    agenda = Agenda(id_, agenda.practitioner, "", agenda.at(1), slots[1:])
    await hear(practice, said("Location", last, 2, status="inactive"))
    assert await offered(callers, who, agenda) == (False, False, 422, "schedule-inactive")
    await hear(practice, said("HealthcareService", offer, 2, active=True))
    await hear(practice, said("HealthcareService", offer, 3, active=True, **at))
    assert await offered(callers, who, agenda) == (False, False, 422, "schedule-inactive")
    await hear(practice, said("Location", last, 3, status="active"))
    assert await offered(callers, who, agenda) == (True, True, 201, "")


async def test_a_role_is_gone_with_the_last_of_its_offers(callers: Callers, practice: Practice) -> None:
    """Whichever is heard first, the role or that its offer is closed."""
    one, other, role = unique("offre"), unique("offre"), unique("role")
    offers = {"healthcareService": [{"reference": f"HealthcareService/{offer}"} for offer in (one, other)]}
    person = {"practitioner": {"reference": f"Practitioner/{unique('prat')}"}}
    await hear(practice, said("HealthcareService", one, 1, active=False))
    await hear(practice, said("PractitionerRole", role, 1, active=True, **person, **offers))
    id_, who = unique("agenda"), await practice.new_patient()
    await practice.put(schedule(id_, [f"PractitionerRole/{role}"]))
    start, slots = await practice.fill(id_, 1)
    agenda = Agenda(id_, f"PractitionerRole/{role}", "", start, slots)
    await hear(practice, said("HealthcareService", other, 1, active=False))
    assert await offered(callers, who, agenda) == (False, False, 422, "schedule-inactive")
    await hear(practice, said("HealthcareService", other, 2, active=True))
    assert await offered(callers, who, agenda) == (True, True, 201, "")


@pytest.mark.parametrize("gone", ["inactive", "entered-in-error", "deleted", "Organization", "Location"])
async def test_a_device_out_of_use_closes_its_agenda(callers: Callers, practice: Practice, gone: str) -> None:
    """An ultrasound machine, beside whoever works with it; gone with its owner and with its place, too."""
    device, owner, place = unique("echo"), unique("cabinet"), unique("lieu")
    of = {
        "owner": {"reference": f"Organization/{owner}"},
        "location": {"reference": f"Location/{place}"},
    }
    await hear(practice, said("Device", device, 1, status="active", **of))
    person, id_ = f"Practitioner/{unique('prat')}", unique("agenda")
    await practice.put(schedule(id_, [person, f"Device/{device}"]))
    start, slots = await practice.fill(id_, 1)
    agenda, who = Agenda(id_, person, "", start, slots), await practice.new_patient()
    if gone == "deleted":
        await deliver(practice, f"Device/{device}", None)
    elif gone == "Organization":
        await hear(practice, said("Organization", owner, 1, active=False))
    elif gone == "Location":
        await hear(practice, said("Location", place, 1, status="inactive"))
    else:
        await hear(practice, said("Device", device, 2, status=gone, **of))
    assert await offered(callers, who, agenda) == (False, False, 422, "schedule-inactive")


async def test_who_works_elsewhere_too_is_there_when_one_place_is_closed(
    callers: Callers, practice: Practice
) -> None:
    one, other, role = unique("lieu"), unique("lieu"), unique("role")
    at = {"location": [{"reference": f"Location/{place}"} for place in (one, other)]}
    person = {"practitioner": {"reference": f"Practitioner/{unique('prat')}"}}
    await hear(practice, said("PractitionerRole", role, 1, active=True, **person, **at))
    id_ = unique("agenda")
    await practice.put(schedule(id_, [f"PractitionerRole/{role}"]))
    start, slots = await practice.fill(id_, 1)
    agenda, who = Agenda(id_, f"PractitionerRole/{role}", "", start, slots), await practice.new_patient()
    await hear(practice, said("Location", one, 1, status="inactive"))
    assert await offered(callers, who, agenda) == (True, True, 201, "")


class TestAPersonAlone:
    """An agenda that names a professional and nothing else is where their situations are, and nowhere without any."""

    async def open(self, practice: Practice, *roles: Resource) -> Agenda:
        """The agenda of somebody in these situations; the directory has said them already."""
        for role in roles:
            await hear(practice, role)
        who, id_ = roles[0]["practitioner"]["reference"], unique("agenda")
        async with practice.database.transaction() as connection:
            await ScheduleStore(BASE).create(connection, practice.context(), schedule(id_, [who]), id_)
        start, slots = await practice.fill(id_, 2)
        return Agenda(id_, who, "", start, slots)

    def role(self, person: str, version: int = 1, id_: str | None = None, **more: Any) -> Resource:
        of = {"reference": f"Organization/{unique('cabinet')}"}
        members = {"active": True, "practitioner": {"reference": person}, "organization": of}
        return said("PractitionerRole", id_ or unique("role"), version, **members, **more)

    @pytest.mark.parametrize("ended", ["active", "period", "Organization", "Location", "deleted"])
    async def test_is_gone_with_the_last_of_them(
        self, callers: Callers, practice: Practice, ended: str
    ) -> None:
        """And back with the first that there is."""
        person, place = f"Practitioner/{unique('prat')}", unique("lieu")
        at = [{"reference": f"Location/{place}"}]
        one, other = (self.role(person, location=at) for _ in range(2))
        agenda, who = await self.open(practice, one, other), await practice.new_patient()
        over: dict[str, Any] = {"active": False} if ended == "active" else {"period": {"end": "2026-11-20"}}
        for role, left in ((one, True), (other, False)):
            organization = role["organization"]["reference"].partition("/")[2]
            if ended == "deleted":
                await deliver(practice, f"PractitionerRole/{role['id']}", None)
            elif ended == "Organization":
                await hear(practice, said("Organization", organization, 1, active=False))
            elif ended != "Location":
                changed = {**role, "meta": {**role["meta"], "versionId": "2"}, **over}
                await hear(practice, changed)
            elif not left:
                await hear(practice, said("Location", place, 1, status="inactive"))
            answer = await callers.patient(who).get(f"Slot?schedule={agenda.id}&status=free")
            assert (answer.json()["total"] > 0) is left
        shown, proposed, status, _ = await offered(callers, who, agenda)
        assert (shown, proposed, status) == (False, False, 422)
        await hear(practice, self.role(person, id_=unique("role")))
        assert await offered(callers, who, agenda) == (True, True, 201, "")

    async def test_of_whom_no_situation_was_said_is_there(self, callers: Callers, practice: Practice) -> None:
        """The smallest agenda that software has: nothing is held against it."""
        id_, person, who = unique("agenda"), f"Practitioner/{unique('prat')}", await practice.new_patient()
        await practice.put(schedule(id_, [person]))
        start, slots = await practice.fill(id_, 1)
        alone = Agenda(id_, person, "", start, slots)
        assert await offered(callers, who, alone) == (True, True, 201, "")

    async def test_at_a_place_of_its_own_is_there(self, callers: Callers, practice: Practice) -> None:
        """Who says where it is does not go by situations."""
        person, place, id_ = f"Practitioner/{unique('prat')}", f"Location/{unique('lieu')}", unique("agenda")
        role = self.role(person)
        await hear(practice, role)
        await practice.put(schedule(id_, [person, place]))
        start, slots = await practice.fill(id_, 1)
        await hear(practice, {**role, "meta": {**role["meta"], "versionId": "2"}, "active": False})
        who = await practice.new_patient()
        assert await offered(callers, who, Agenda(id_, person, place, start, slots)) == (True, True, 201, "")


async def test_an_agenda_that_is_closed(callers: Callers, practice: Practice) -> None:
    agenda = await practice.open_agenda(1, active=False)
    assert await offered(callers, await practice.new_patient(), agenda) == (
        False,
        False,
        422,
        "schedule-inactive",
    )


async def test_what_has_begun_is_not_offered(callers: Callers, practice: Practice) -> None:
    """To patients and to the public; the practice may still book it for somebody who stands before it."""
    now = practice.clock.now()
    agenda = await practice.open_agenda(2, start=now - timedelta(minutes=10))
    day = f"{now:%Y-%m-%d}"
    for caller in (callers.nobody(), callers.patient(await practice.new_patient())):
        for query in (
            f"schedule={agenda.id}&status=free",
            f"schedule={agenda.id}",
            f"schedule={agenda.id}&status=free,busy",
        ):
            found = (await caller.get(f"Slot?{query}&start=ge{day}")).json()
            assert [e["resource"]["id"] for e in found["entry"]] == [agenda.slots[1]], query
    wanted = appointment(
        "booked", slots=agenda.slots[:1], patient=await practice.new_patient(), start=agenda.start
    )
    assert (await callers.software().post("Appointment", wanted)).status_code == 201


@pytest.mark.parametrize("kind", ["Patient", "Schedule"])
async def test_nothing_is_deleted_that_has_visits_to_come(
    callers: Callers, practice: Practice, kind: str
) -> None:
    agenda, who = await practice.open_agenda(1), await practice.new_patient()
    await practice.put({"resourceType": "Patient", "id": unique("autre")})
    booked = await practice.create(appointment("booked", slots=agenda.slots, patient=who, start=agenda.start))
    path = who if kind == "Patient" else f"Schedule/{agenda.id}"
    refused = await callers.software().delete(path)
    assert (refused.status_code, code(refused)) == (409, "visits-to-come")
    assert f"Appointment/{booked.id}" in refused.text
    assert (await callers.software().get(path)).status_code == 200
    await practice.change(booked.id, status="cancelled")
    assert (await callers.software().delete(path)).status_code == 204


@pytest.mark.parametrize("kind", ["Practitioner", "PractitionerRole", "Location", "HealthcareService"])
async def test_visits_with_who_is_deleted_are_cancelled(practice: Practice, kind: str) -> None:
    """The directory knows of no visit and cannot refuse: booking cancels those to come, frees the time, tells."""
    agenda, ids = await open_with_everyone(practice)
    who = await practice.new_patient()
    booked = await practice.create(
        appointment("booked", slots=agenda.slots[:1], patient=who, start=agenda.start)
    )
    held = await practice.hold(
        appointment(
            "proposed", slots=agenda.slots[1:], patient=await practice.new_patient(), start=agenda.at(1)
        )
    )
    over = await practice.create(
        appointment("booked", slots=(await practice.fill(agenda.id, 1, agenda.at(4)))[1], start=agenda.at(4))
    )
    await practice.change(over.id, status="fulfilled")
    await deliver(practice, f"{kind}/{ids[kind]}", None)
    assert await practice.kinds(over.id) == ["booked", "updated"], "what is over is not cancelled"
    for id_ in (booked.id, held.id):
        async with practice.database.connection() as connection:
            stored = await practice.repository.store.read(connection, id_)
        assert stored is not None
        assert practice.repository.resource(stored)["status"] == "cancelled"
    assert await practice.occupied(who) == []
    assert await practice.kinds(booked.id) == ["booked", "cancelled"]
    assert await practice.slot_statuses(agenda.slots) == ["free", "free"]
    await deliver(practice, f"{kind}/{ids[kind]}", None)
    assert await practice.kinds(booked.id) == ["booked", "cancelled"], "told once"


async def test_every_page_is_answered_as_the_first_was(callers: Callers, practice: Practice) -> None:
    """What is added to a patient's search for several statuses stands in the links already, and is not added again."""
    agenda = await practice.open_agenda(3)
    caller = callers.patient(await practice.new_patient())
    answer, found = await caller.get(f"Slot?schedule={agenda.id}&status=free,busy&_count=1"), []
    while True:
        assert answer.status_code == 200, answer.text
        found += [e["resource"]["id"] for e in answer.json()["entry"] if e["search"]["mode"] == "match"]
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        if not following:
            break
        answer = await caller.get("Slot?" + following[0].partition("?")[2])
    assert found == list(agenda.slots)

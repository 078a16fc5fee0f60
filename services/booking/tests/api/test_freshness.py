"""An agenda that its software has not synchronised in time is offered to nobody, and comes back by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from services.booking.tests.api.test_sync_slots import ndjson, said, window
from services.booking.tests.client import Caller, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import NOW, appointment, schedule, slot, unique, utc
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.app import create_app
from creneau_booking.storage.availability.freshness import STALE_AFTER, SYNCHRONISED_AT, measure_stale
from creneau_shared.clock import FixedClock
from creneau_shared.fhir.storage.store import Resource


def hours(count: int) -> Resource:
    quantity = {"value": count, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"}
    return {"url": STALE_AFTER, "valueDuration": quantity}


@pytest.fixture(scope="module")
async def world(practice: Practice) -> AsyncIterator[tuple[Callers, Practice]]:
    """The shared database by a clock of these tests' own."""
    clock = FixedClock(NOW)
    ours = Practice(practice.database, practice.settings, clock)
    async with running_issuer() as issuer:
        settings = settings_for(str(practice.settings.database_url), issuer.url)
        async with serving(create_app(settings, clock)) as client:
            yield Callers(client, issuer, clock), ours


async def offered(caller: Caller, agenda: Agenda, **query: str) -> int:
    found = await caller.get("Slot", schedule=f"Schedule/{agenda.id}", status="free", **query)
    return int(found.json()["total"])


async def told(caller: Caller, agenda: Agenda) -> Any:
    resource = (await caller.get(f"Schedule/{agenda.id}")).json()
    return next(
        (e["valueInstant"] for e in resource.get("extension", ()) if e["url"] == SYNCHRONISED_AT), None
    )


async def test_it_goes_and_comes_back_by_itself(world: tuple[Callers, Practice]) -> None:
    callers, practice = world
    agenda = await practice.open_agenda(3, extension=[hours(1)])
    software, patient = callers.software(), callers.patient(await practice.new_patient())
    everybody = (software, patient, Caller(callers.client, None))
    assert [await offered(one, agenda) for one in everybody] == [3, 3, 3]
    callers.clock.advance(timedelta(hours=1, seconds=1))
    assert [await offered(one, agenda) for one in everybody] == [0, 0, 0]
    assert await offered(software, agenda, _sort="start", _count="2") == 0
    found = await software.get(
        "Slot", **{"schedule.actor": agenda.practitioner, "status": "free", "_sort": "start"}
    )
    assert found.json()["total"] == 0
    who = await practice.new_patient()
    wanted = appointment(
        "booked", slots=agenda.slots[:1], patient=who, actors=[agenda.practitioner], start=agenda.start
    )
    for refused in (
        await callers.patient(who).post("Appointment", wanted),
        await callers.patient(who).post("Appointment/$hold", wanted),
    ):
        assert (refused.status_code, code(refused)) == (422, "agenda-not-up-to-date"), refused.text
    slots = [said(agenda, n) for n in range(3)]
    assert (await ndjson(software, agenda, slots, window(agenda, 9))).status_code == 200
    assert [await offered(one, agenda) for one in everybody] == [3, 3, 3]
    assert await told(software, agenda) == utc(callers.clock.now())
    assert (await callers.patient(who).post("Appointment", wanted)).status_code == 201


async def test_any_word_of_the_software_counts(world: tuple[Callers, Practice]) -> None:
    """A slot that it writes, alone or in a Bundle, or takes away; not what a secretary does, nor what a patient books."""
    callers, practice = world
    software = callers.software()
    one = {"resourceType": "Bundle", "type": "batch", "entry": []}
    for way in ("put", "bundle", "delete", "secretary"):
        agenda = await practice.open_agenda(2, extension=[hours(1)])
        callers.clock.advance(timedelta(hours=2))
        assert await offered(software, agenda) == 0
        new = slot(unique("s"), agenda.id, agenda.at(5))
        if way == "put":
            assert (await software.put(f"Slot/{new['id']}", new)).status_code == 201
        elif way == "bundle":
            entries = [
                {
                    "resource": {**new, "id": f"{new['id']}-{n}"},
                    "request": {"method": "PUT", "url": f"Slot/{new['id']}-{n}"},
                }
                for n in range(3)
            ]
            assert (await software.post("", {**one, "entry": entries})).status_code == 200
        elif way == "delete":
            assert (await software.delete(f"Slot/{agenda.slots[0]}")).status_code == 204
        else:
            async with practice.database.transaction() as connection:
                await practice.slots.create(connection, practice.context(role="secretary"), new, new["id"])
        assert await offered(software, agenda) == {"put": 3, "bundle": 5, "delete": 1, "secretary": 0}[way]


async def test_what_a_schedule_states(world: tuple[Callers, Practice]) -> None:
    """When it says that its software last spoke, that is so, and never in the future; without a time it is never stale."""
    callers, practice = world
    software, agenda = callers.software(), await practice.open_agenda(1)
    callers.clock.advance(timedelta(days=1))
    assert (await offered(software, agenda), await told(software, agenda)) == (1, None)

    async def state(*extensions: Resource) -> int:
        resource = schedule(agenda.id, [agenda.practitioner, agenda.location], extension=list(extensions))
        return (await software.put(f"Schedule/{agenda.id}", resource)).status_code

    def at(moment: Any) -> Resource:
        return {"url": SYNCHRONISED_AT, "valueInstant": utc(moment)}

    now = callers.clock.now()
    assert await state(hours(2), at(now - timedelta(hours=3))) == 200
    assert await offered(software, agenda) == 0
    assert await state(hours(2), at(now + timedelta(hours=3))) == 200
    assert (await offered(software, agenda), await told(software, agenda)) == (1, utc(now))
    odd = {
        "url": STALE_AFTER,
        "valueDuration": {"value": 1, "code": "mo", "system": "http://unitsofmeasure.org"},
    }
    assert await state(odd) == 422
    assert await state(hours(2), hours(3)) == 422


async def test_operators_see_how_many(world: tuple[Callers, Practice]) -> None:
    callers, practice = world
    async with practice.database.connection() as connection:
        before = await measure_stale(connection, callers.clock.now())
    await practice.open_agenda(1, extension=[hours(1)])
    callers.clock.advance(timedelta(minutes=61))
    async with practice.database.connection() as connection:
        assert await measure_stale(connection, callers.clock.now()) == before + 1

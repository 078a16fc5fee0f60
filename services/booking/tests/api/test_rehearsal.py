"""The agenda on which the deployment rehearses: bookable by who rehearses, shown to nobody, and never anybody's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from services.booking.tests.client import Caller, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, parameters, patient, ref, utc
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.app import create_app
from creneau_booking.domain.rehearsal import ORGANIZATION, PATIENT, SCHEDULE
from creneau_shared.fhir.storage.store import Resource

AGENDA, WHO = f"Schedule/{SCHEDULE}", f"Patient/{PATIENT}"


@dataclass
class House:
    practice: Practice
    callers: Callers

    @property
    def probe(self) -> Caller:
        """Who rehearses: software with the rights to this and no more."""
        scope = "system/Slot.rs system/Appointment.cu"
        said = {"creneau_role": "software", "creneau_organizations": [ORGANIZATION], "scope": scope}
        return Caller(
            self.callers.client, self.callers.issuer.token("software", "creneau-rehearsal", None, **said)
        )

    async def slots(self) -> list[str]:
        """The free ones, as who rehearses finds them."""
        found = await self.probe.get("Slot", schedule=AGENDA, status="free", start=f"gt{utc(self.now)}")
        assert found.status_code == 200, found.text
        return [entry["resource"]["id"] for entry in found.json().get("entry", ())]

    @property
    def now(self) -> Any:
        return self.practice.clock.now()

    async def rehearse(self, slot: str) -> str:
        """Hold and book; the appointment's id."""
        wanted = appointment("proposed", slots=[slot], patient=WHO)
        held = await self.probe.post("Appointment/$hold", wanted)
        assert held.status_code == 201, held.text
        id_ = held.json()["id"]
        booked = await self.probe.post(f"Appointment/{id_}/$book", parameters())
        assert booked.status_code == 200, booked.text
        return str(id_)

    async def cancel(self, id_: str) -> None:
        gone = await self.probe.patch(
            f"Appointment/{id_}", [{"op": "replace", "path": "/status", "value": "cancelled"}]
        )
        assert gone.status_code == 200, gone.text


@pytest.fixture
async def house(fresh: Practice) -> AsyncIterator[House]:
    async with running_issuer() as issuer:
        settings = settings_for(str(fresh.settings.database_url), issuer.url)
        async with serving(create_app(settings, fresh.clock)) as client:
            await fresh.jobs().keep_rehearsal()
            yield House(fresh, Callers(client, issuer, fresh.clock))


async def test_hold_book_cancel_with_the_least_rights(house: House) -> None:
    """Three calls on a free slot, which is free again at the end; the caller can do nothing else."""
    slot = (await house.slots())[0]
    id_ = await house.rehearse(slot)
    assert slot not in await house.slots()
    await house.cancel(id_)
    assert slot in await house.slots()
    for path in ("Patient", "Schedule?_count=1&_summary=data&active=true", "Appointment"):
        refused = await house.probe.get(path)
        assert refused.status_code == 403 or not refused.json().get("entry"), path
    assert (await house.probe.post("Patient", patient())).status_code == 403


SEARCHES = (
    "Slot",
    "Slot?status=free,busy,busy-tentative",
    f"Slot?schedule={AGENDA}",
    f"Slot?schedule.actor=Device/{SCHEDULE}",
    "Slot?_security=HTEST",
    "Slot/_history",
    "Schedule",
    f"Schedule?_id={SCHEDULE}",
    f"Schedule?actor=Device/{SCHEDULE}",
    f"Schedule?_has:Slot:schedule:status=free&_id={SCHEDULE}",
    "Schedule/_history",
    "Appointment",
    f"Appointment?patient={WHO}",
    "Appointment/_history",
    f"Patient?_id={PATIENT}",
    "Patient?_security=HTEST",
    "Patient/_history",
)


async def test_no_search_shows_it(house: House) -> None:
    """Not to somebody without a token, not to a patient, not to a practice, not to who may see everything; while there is
    a rehearsed appointment."""
    await house.rehearse((await house.slots())[0])
    somebody = await house.callers.software().post("Patient", patient())
    ours = await open_surgery(house.practice)
    callers = (
        house.callers.software(),
        house.callers.nobody(),
        house.callers.staff(ours.organization),
        house.callers.patient(f"Patient/{somebody.json()['id']}"),
    )
    for caller, path in product(callers, SEARCHES):
        found = await caller.get(path)
        if found.status_code not in (401, 403):
            assert found.status_code == 200, found.text
            _shows_nothing(path, found.json().get("entry", ()))


def _shows_nothing(path: str, entries: Sequence[Resource]) -> None:
    for entry in entries:
        if entry.get("search", {}).get("mode") == "outcome":
            said = [issue["details"]["coding"][0]["code"] for issue in entry["resource"]["issue"]]
            assert said == ["agenda-not-connected"], "as of one that is not there"
            continue
        assert "creneau-rehearsal" not in str(entry), (path, entry)
        assert "HTEST" not in str(entry), (path, entry)


async def test_find_proposes_none_of_it(house: House) -> None:
    """`$find` over everything, and by the agenda itself."""
    window = {"start": utc(house.now), "end": utc(house.now + timedelta(days=2))}
    for more in ("", f"&schedule={AGENDA}"):
        found = await house.callers.software().get(
            f"Appointment/$find?start={window['start']}&end={window['end']}{more}"
        )
        assert found.status_code == 200, found.text
        assert not [e for e in found.json().get("entry", ()) if e["search"]["mode"] == "match"]


async def test_nobody_is_told(house: House) -> None:
    """No event of it reaches the outbox, so nothing that listens has an effect: no message, no statistic; and its patient
    is not among those whose contact is told again."""
    await house.cancel(await house.rehearse((await house.slots())[0]))
    await house.rehearse((await house.slots())[0])
    assert await house.practice.database.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_it_is_for_its_patient_alone(house: House) -> None:
    """Nobody real is booked there, by whomever; its patient is booked nowhere else; nobody joins them."""
    system, slot = house.callers.software(), (await house.slots())[0]
    somebody = f"Patient/{(await system.post('Patient', patient())).json()['id']}"
    ours = await open_surgery(house.practice)
    joined = appointment("proposed", slots=[slot], patient=WHO, actors=[ours.practitioner])
    for wanted in (
        appointment("proposed", slots=[slot], patient=somebody),
        appointment("proposed", slots=[ours.slots[0]], patient=WHO),
        appointment("proposed", slots=[slot, ours.slots[0]], patient=WHO),
        joined,
    ):
        for operation in ("$hold", "$book"):
            refused = await system.post(f"Appointment/{operation}", wanted)
            assert refused.status_code in (409, 422), refused.text
    assert code(await system.post("Appointment/$hold", joined)) == "rehearsal-apart"
    request = {**appointment("proposed", patient=WHO, actors=[ours.practitioner])}
    assert code(await system.post("Appointment", request)) == "rehearsal-apart"


async def test_a_real_appointment_does_not_become_a_rehearsal(house: House) -> None:
    """Whoever may change it cannot hide it by its patient or its slot."""
    system = house.callers.software()
    somebody = f"Patient/{(await system.post('Patient', patient())).json()['id']}"
    ours = await open_surgery(house.practice)
    answer = await system.post(
        "Appointment/$book",
        parameters(appt_resource={**appointment("proposed", slots=[ours.slots[0]], patient=somebody)}),
    )
    real = answer.json()
    people = [
        {**one, "actor": ref(WHO)} if one["actor"]["reference"] == somebody else one
        for one in real["participant"]
    ]
    refused = await system.put(f"Appointment/{real['id']}", {**real, "participant": people})
    assert refused.status_code == 422, refused.text
    assert code(refused) == "rehearsal-apart"


async def test_it_is_out_of_reach_for_everybody_else(house: House) -> None:
    """A patient and a practice that know a slot's id book nothing there; a practice cannot claim the agenda's device."""
    slot = (await house.slots())[0]
    system = house.callers.software()
    somebody = f"Patient/{(await system.post('Patient', patient())).json()['id']}"
    ours = await open_surgery(house.practice)
    for caller, who in (
        (house.callers.patient(somebody), somebody),
        (house.callers.staff(ours.organization), WHO),
    ):
        refused = await caller.post("Appointment/$book", appointment("proposed", slots=[slot], patient=who))
        assert refused.status_code in (403, 422), refused.text
        assert (await caller.get(f"Slot/{slot}")).status_code == 404
    mine = {
        "resourceType": "Schedule",
        "actor": [ref(ours.practitioner), ref(f"Device/{SCHEDULE}")],
    }
    refused = await house.callers.staff(ours.organization).post("Schedule", mine)
    assert refused.status_code == 403, refused.text


@pytest.mark.parametrize("resource", ["Schedule", "Patient"])
async def test_nobody_writes_what_it_is_made_of(house: House, resource: str) -> None:
    """Not even the most trusted caller, who might otherwise give its patient an address, or hide their own under its id."""
    system = house.callers.software()
    said = {"resourceType": resource, "id": "creneau-rehearsal", "active": True}
    said |= {"actor": [ref("Practitioner/anybody")]} if resource == "Schedule" else {}
    for refused in (
        await system.put(f"{resource}/creneau-rehearsal", said),
        await system.delete(f"{resource}/creneau-rehearsal"),
    ):
        assert refused.status_code == 403, refused.text
        assert code(refused) == "rehearsal-kept"


async def test_the_label_alone_hides_nothing(house: House) -> None:
    """HTEST on a practice's agenda and slot is a label like any other."""
    ours = await open_surgery(
        house.practice,
        meta={
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]
        },
    )
    found = await house.callers.nobody().get(f"Slot?schedule=Schedule/{ours.agenda}")
    assert len(found.json()["entry"]) == 3


async def test_what_broke_off_is_given_back_and_forgotten(house: House) -> None:
    """A booking that nobody cancelled leaves no slot taken for long, and no appointment behind."""
    slot = (await house.slots())[0]
    id_ = await house.rehearse(slot)
    assert await house.practice.jobs().keep_rehearsal() == 0
    house.practice.clock.advance(timedelta(seconds=house.practice.settings.rehearsal_kept_s + 1))
    assert await house.practice.jobs().keep_rehearsal() == 1
    assert slot in await house.slots()
    pool = house.practice.database.pool
    for table in ("appointment", "resource_history"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table} WHERE id = $1", id_) == 0
    assert await pool.fetchval("SELECT count(*) FROM occupancy") == 0


async def test_slots_are_made_as_time_passes(house: House) -> None:
    """Always as many hours ahead, once each, also by two workers at once; none where the setting says none."""
    hours = house.practice.settings.rehearsal_hours_ahead
    assert len(await house.slots()) == hours
    house.practice.clock.advance(timedelta(hours=3))
    await house.practice.jobs().keep_rehearsal()
    await house.practice.jobs().keep_rehearsal()
    assert len(await house.slots()) == hours

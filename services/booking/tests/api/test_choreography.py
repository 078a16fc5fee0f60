"""HL7's client-driven choreography (R4, Appointment, notes; checklist 85): the scheduler of an agenda writes Slots,
answers and Appointments itself, and the server's own moves stand in none of its ways."""

from __future__ import annotations

from itertools import product

import httpx
import pytest
from services.booking.tests.api.test_answers import response
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, slot
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, open_surgery

from creneau_shared.fhir.storage.store import Resource


class Scheduler:
    """A client that knows of what it wrote the versions that were answered, and nothing else."""

    def __init__(self, caller: Caller, surgery: Surgery, *, if_match: bool) -> None:
        self._caller, self._surgery, self._if_match = caller, surgery, if_match
        self._etags: dict[str, str] = {}

    async def read(self, path: str) -> Resource:
        answer = await self._caller.get(path)
        self._etags[path] = answer.headers["etag"]
        found: Resource = answer.json()
        return found

    async def put(self, path: str, resource: Resource) -> Resource:
        headers = {"If_Match": self._etags[path]} if self._if_match else {}
        return self._heard(await self._caller.put(path, resource, **headers), path)

    async def post(self, resource: Resource) -> Resource:
        answer = await self._caller.post(resource["resourceType"], resource)
        return self._heard(answer, f"{resource['resourceType']}/{answer.json().get('id')}")

    async def mark(self, status: str) -> Resource:
        id_ = self._surgery.slots[0]
        said = slot(id_, self._surgery.agenda, self._surgery.start, status=status)
        return await self.put(f"Slot/{id_}", said)

    def _heard(self, answer: httpx.Response, path: str) -> Resource:
        assert answer.status_code in (200, 201), answer.text
        self._etags[path] = answer.headers["etag"]
        found: Resource = answer.json()
        return found


@pytest.mark.parametrize(
    ("order", "if_match"), list(product(["pending, slot", "slot, pending", "slot, proposed"], [True, False]))
)
async def test_85_as_it_is_written(callers: Callers, practice: Practice, order: str, if_match: bool) -> None:
    """85: PUT Slot busy-tentative, POST two answers, PUT the participants, PUT Slot busy, PUT booked, PUT cancelled, PUT Slot
    free: each is taken, in whichever order the first come, and the server's slot agrees where both have moved it."""
    surgery, who = await open_surgery(practice), await practice.new_patient()
    client = Scheduler(callers.software(), surgery, if_match=if_match)
    await client.read(f"Slot/{surgery.slots[0]}")
    first = "proposed" if "proposed" in order else "pending"
    wanted = appointment(
        first, slots=surgery.slots[:1], patient=who, actors=[surgery.practitioner], start=surgery.start
    )
    for participant in wanted["participant"]:
        participant["status"] = "needs-action"
    if order.startswith("slot"):
        assert (await client.mark("busy-tentative"))["status"] == "busy-tentative"
    one = await client.post(wanted)
    path = f"Appointment/{one['id']}"
    if not order.startswith("slot"):
        await client.mark("busy-tentative")
    for actor in (surgery.practitioner, who):
        await client.post(response(path, actor, "accepted"))
    accepted = [{**p, "status": "accepted"} for p in one["participant"]]
    said = {**one, "participant": accepted}
    answered = await client.put(path, said)
    assert {p["status"] for p in answered["participant"]} == {"accepted"}
    await client.mark("busy")
    booked = await client.put(path, {**said, "status": "booked"})
    assert booked["status"] == "booked"
    assert await practice.slot_statuses(surgery.slots[:1]) == ["busy"]
    assert [t[2] for t in await practice.occupied(surgery.practitioner)] == [one["id"]]
    gone = await client.put(path, {**booked, "status": "cancelled"})
    assert gone["status"] == "cancelled"
    assert (await client.mark("free"))["status"] == "free"
    assert await practice.occupied(surgery.practitioner) == []
    assert (await practice.kinds(one["id"])).count("booked") == 1
    assert (await practice.kinds(one["id"]))[-1] == "cancelled"


async def test_85_a_version_that_others_wrote_is_stale(callers: Callers, practice: Practice) -> None:
    """85, 4: what another client said of the slot or the appointment since is not written over."""
    surgery, who = await open_surgery(practice), await practice.new_patient()
    one, other = (Scheduler(callers.software(), surgery, if_match=True) for _ in range(2))
    path = f"Slot/{surgery.slots[0]}"
    for client in (one, other):
        await client.read(path)
    await one.mark("busy")
    stale = await callers.software().put(
        path, slot(surgery.slots[0], surgery.agenda, surgery.start, status="busy-tentative"), If_Match='W/"1"'
    )
    assert stale.status_code == 412, stale.text
    wanted = appointment("booked", slots=surgery.slots[1:2], patient=who, start=surgery.start)
    del wanted["start"], wanted["end"]
    stored = (await callers.software().post("Appointment/$book", {**wanted, "status": "proposed"})).json()
    address = f"Appointment/{stored['id']}"
    assert (await callers.software().put(address, {**stored, "comment": "à jeun"})).status_code == 200
    stale = await callers.software().put(address, {**stored, "comment": "en fauteuil"}, If_Match='W/"1"')
    assert stale.status_code == 412, stale.text


async def test_85_what_a_scheduler_marked_is_its_own_to_take(callers: Callers, practice: Practice) -> None:
    """85: a patient, or another practice, finds it taken."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    who, us = await practice.new_patient(), callers.staff(ours.organization, role="software")
    marked = slot(ours.slots[0], ours.agenda, ours.start, status="busy-tentative")
    assert (await us.put(f"Slot/{ours.slots[0]}", marked)).status_code == 200
    wanted = appointment("proposed", slots=ours.slots[:1], patient=who)
    for caller in (callers.patient(who), callers.staff(theirs.organization, role="software")):
        refused = await caller.post("Appointment/$book", wanted)
        assert refused.status_code in (403, 409, 422), refused.text
    assert code(await callers.patient(who).post("Appointment/$book", wanted)) == "slot-held"


@pytest.mark.parametrize("marked", ["before", "meanwhile"])
@pytest.mark.parametrize("way", ["declined", "cancelled"])
async def test_85_74_what_was_marked_for_it_is_free_with_it(
    callers: Callers, practice: Practice, marked: str, way: str
) -> None:
    """85, 74: a scheduler's `busy-tentative` and `busy` are about the appointment; declined or cancelled, the slot is free."""
    surgery, who = await open_surgery(practice), await practice.new_patient()
    client = Scheduler(callers.software(), surgery, if_match=False)
    wanted = appointment(
        "pending", slots=surgery.slots[:1], patient=who, actors=[surgery.practitioner], start=surgery.start
    )
    if marked == "before":
        await client.mark("busy-tentative")
    one = await client.post(wanted)
    if marked == "meanwhile":
        await client.mark("busy-tentative")
        await client.mark("busy")
    path = f"Appointment/{one['id']}"
    if way == "declined":
        await client.post(response(path, surgery.practitioner, "declined"))
    else:
        await client.put(path, {**one, "status": "cancelled"})
    assert (await client.read(path))["status"] == "cancelled"
    assert await practice.slot_statuses(surgery.slots[:1]) == ["free"]


@pytest.mark.parametrize("closed", ["before", "afterwards"])
async def test_85_what_was_marked_in_a_closed_time_stays_closed(
    callers: Callers, practice: Practice, closed: str
) -> None:
    """The practice sees somebody all the same in a time that it has closed: given back, that is offered to nobody, until the
    closure is taken back."""
    surgery, who = await open_surgery(practice), await practice.new_patient()
    client = Scheduler(callers.software(), surgery, if_match=False)
    ours = await practice.slot(surgery.slots[0])

    async def close(action: str) -> None:
        period = {"start": ours["start"], "end": ours["end"], "confirm": "true"}
        answer = await callers.software().post(
            f"Schedule/{surgery.agenda}/$close", parameters(**period, action=action)
        )
        assert answer.status_code == 200, answer.text

    if closed == "before":
        await close("cancel")
    await client.mark("busy-tentative")
    if closed == "afterwards":
        await close("cancel")
    one = await client.post(
        appointment(
            "pending",
            slots=surgery.slots[:1],
            patient=who,
            actors=[surgery.practitioner],
            start=surgery.start,
        )
    )
    assert await practice.slot_statuses(surgery.slots[:1]) == ["busy-tentative"]
    await client.put(f"Appointment/{one['id']}", {**one, "status": "cancelled"})
    assert await practice.slot_statuses(surgery.slots[:1]) == ["busy-unavailable"]
    await close("reopen")
    assert await practice.slot_statuses(surgery.slots[:1]) == ["free"]

"""What a patient books where the practice confirms waits for its answer, and is its own to give."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, ref, schedule, unique, utc
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import Surgery, open_surgery

from creneau_booking.handlers.manner import Manner
from creneau_booking.storage.agendas.access_extensions import CONFIRMATION_REQUIRED
from creneau_booking.storage.mapping.appointment import HELD_UNTIL
from creneau_shared.clock import shown
from creneau_shared.fhir.storage.store import Resource

CONFIRMS = [{"url": CONFIRMATION_REQUIRED, "valueBoolean": True}]
GUIDE = Path(__file__).parents[4] / "docs/guides/integrator.md"
CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]
BOOKED = [{"op": "replace", "path": "/status", "value": "booked"}]


@pytest.fixture
async def agenda(practice: Practice) -> Agenda:
    """One whose practice confirms."""
    return await practice.open_agenda(extension=CONFIRMS)


def answers(resource: Resource) -> dict[str, str]:
    """Each participant's answer."""
    return {p["actor"]["reference"]: p["status"] for p in resource["participant"]}


def until(resource: Resource) -> str | None:
    said = {e["url"]: e.get("valueInstant") for e in resource.get("extension", ())}
    return said.get(HELD_UNTIL)


async def asked(caller: Caller, agenda: Agenda, patient: str, index: int = 0) -> Resource:
    """What a patient books there, which waits."""
    wanted = appointment("proposed", slots=agenda.slots[index : index + 1], patient=patient)
    answer = await caller.post("Appointment/$book", wanted)
    assert answer.status_code == 202, answer.text
    found: Resource = answer.json()
    return found


async def test_what_waits_for_a_professional_is_found_as_the_guide_says(
    callers: Callers, practice: Practice
) -> None:
    """In one request, whether the agenda names them or a role of theirs; nothing that waits for somebody else."""
    doctor, other = (f"Practitioner/{unique('prat')}" for _ in range(2))
    role = {"resourceType": "PractitionerRole", "id": unique("role"), "practitioner": ref(doctor)}
    of_role = await practice.open_agenda(1, extension=CONFIRMS, actor=[ref(await practice.put(role))])
    waiting = set()
    for whose, agenda in (
        (doctor, of_role),
        (doctor, await practice.open_agenda(1, extension=CONFIRMS, practitioner=doctor, start=of_role.at(4))),
        (other, await practice.open_agenda(1, extension=CONFIRMS, practitioner=other)),
    ):
        patient = await practice.new_patient()
        visit = await asked(callers.patient(patient), agenda, patient)
        waiting |= {visit["id"]} if whose == doctor else set()
    [query] = re.findall(r"Find what waits[^`]*`(Appointment\?[^`]+)`", GUIDE.read_text())
    found = await callers.software().get(query.replace("Practitioner/<id>", doctor))
    assert found.status_code == 200, found.text
    assert {entry["resource"]["id"] for entry in found.json()["entry"]} == waiting


async def told(practice: Practice, id_: str) -> list[tuple[str, Resource]]:
    return [(row["kind"], orjson.loads(row["data"])) for row in await practice.events(id_)]


def booking_ways(agenda: Agenda, patient: str) -> dict[str, Any]:
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=patient, start=agenda.start)
    booked = {**wanted, "status": "booked"}
    entry = {"request": {"method": "POST", "url": "Appointment"}, "resource": booked}
    return {
        "$book": lambda c: c.post("Appointment/$book", wanted),
        "ihe": lambda c: c.post("Appointment/$book", parameters(appointment_resource=wanted)),
        "post": lambda c: c.post("Appointment", booked),
        "transaction": lambda c: c.post(
            "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        ),
    }


@pytest.mark.parametrize("way", ["$book", "ihe", "post", "transaction"])
async def test_61_a_patients_booking_waits(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """61: 202, pending, the practice still to answer, the slot busy-tentative, until when in the resource, in `Expires` and
    in the event."""
    answer = await booking_ways(agenda, camille)[way](callers.patient(camille))
    body = answer.json()
    if way == "transaction":
        assert answer.status_code == 200, answer.text
        [entry] = body["entry"]
        assert entry["response"]["status"].startswith("202")
        id_ = entry["response"]["location"].split("/Appointment/")[1].split("/")[0]
        body = (await callers.patient(camille).get(f"Appointment/{id_}")).json()
    else:
        assert answer.status_code == 202, answer.text
        assert "expires" in answer.headers
        body = body["entry"][0]["resource"] if body["resourceType"] == "Bundle" else body
    end = practice.clock.now() + timedelta(seconds=practice.settings.confirmation_deadline_s)
    assert (body["status"], until(body)) == ("pending", utc(end))
    assert answers(body) == {
        camille: "accepted",
        agenda.practitioner: "needs-action",
        agenda.location: "needs-action",
    }
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    [(kind, data)] = await told(practice, body["id"])
    assert (kind, data["awaits"], data["heldUntil"]) == ("held", "practice", utc(end))


async def test_61_a_hold_is_booked_by_asking(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """61: held first, then asked for; from then on it is no hold of the patient's any more, and counts as none."""
    caller = callers.patient(camille)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    held = (await caller.post("Appointment/$hold", wanted)).json()
    answer = await caller.post(f"Appointment/{held['id']}/$book", parameters())
    assert answer.status_code == 202, answer.text
    assert answers(answer.json())[agenda.practitioner] == "needs-action"
    again = await caller.post(f"Appointment/{held['id']}/$hold", parameters())
    assert again.status_code in (403, 422), again.text
    other = await caller.post(
        "Appointment",
        appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start),
    )
    assert (other.status_code, code(other)) == (409, "slot-held"), other.text


async def test_61_the_practice_books_at_once(callers: Callers, agenda: Agenda, camille: str) -> None:
    """61: nobody asks themselves."""
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    answer = await callers.software().post("Appointment/$book", wanted)
    assert (answer.status_code, answer.json()["status"]) == (201, "booked"), answer.text


@pytest.mark.parametrize("way", ["instance", "type", "patch", "$book"])
async def test_72_the_practice_confirms(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """72: booked, everyone accepted, the slot busy, and told; asked again it stays as it is."""
    one = await asked(callers.patient(camille), agenda, camille)
    software, path = callers.software(), f"Appointment/{one['id']}"
    if way == "patch":
        answer = await software.patch(path, BOOKED)
    elif way == "type":
        answer = await software.post("Appointment/$confirm", parameters(appointment=ref(path)))
    else:
        operation = "$confirm" if way == "instance" else "$book"
        answer = await software.post(f"{path}/{operation}", parameters())
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], until(answer.json())) == ("booked", None)
    assert set(answers(answer.json()).values()) == {"accepted"}
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy"]
    assert await practice.kinds(one["id"]) == ["held", "booked"]
    again = await software.post(f"{path}/$confirm", parameters())
    assert (again.status_code, again.json()["meta"]["versionId"]) == (200, answer.json()["meta"]["versionId"])
    assert await practice.kinds(one["id"]) == ["held", "booked"]


async def test_72_a_patient_confirms_nothing(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """72: by no way; they may withdraw, and the slot is free."""
    caller = callers.patient(camille)
    one = await asked(caller, agenda, camille)
    path = f"Appointment/{one['id']}"
    for answer in (
        await caller.post(f"{path}/$confirm", parameters()),
        await caller.post("Appointment/$confirm", parameters(appointment=ref(path))),
        await caller.post(f"{path}/$book", parameters()),
        await caller.patch(path, BOOKED),
    ):
        assert (answer.status_code, code(answer)) == (403, "waits-for-practice"), answer.text
    assert (await caller.patch(path, CANCELLED)).status_code == 200
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


@pytest.mark.parametrize("by", ["patient", "provider"])
async def test_72_what_is_asked_for_and_deleted_is_told_as_what_waited(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, by: str
) -> None:
    """72: as if it had been cancelled, so that whoever waits for the practice hears of it."""
    one = await asked(callers.patient(camille), agenda, camille)
    caller = callers.patient(camille) if by == "patient" else callers.software()
    answer = await caller.delete(f"Appointment/{one['id']}")
    assert answer.status_code in (200, 204), answer.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    [_, (kind, data)] = await told(practice, one["id"])
    assert (kind, data["cancellation"]["by"], data.get("awaits")) == ("cancelled", by, "practice")


async def test_72_only_the_practice_whose_it_is(callers: Callers, practice: Practice) -> None:
    """72: to the practice next door it is not there."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us, them = callers.staff(ours.organization), callers.staff(theirs.organization)
    one, path = await asked_at(callers, practice, ours)
    refused = await them.post(f"{path}/$confirm", parameters())
    assert refused.status_code == 404, refused.text
    assert (await us.post(f"{path}/$confirm", parameters())).json()["status"] == "booked"
    assert one["status"] == "pending"


async def asked_at(callers: Callers, practice: Practice, surgery: Surgery) -> tuple[Resource, str]:
    """What somebody asks of a surgery, which begins to confirm."""
    agenda = schedule(surgery.agenda, [surgery.practitioner, surgery.role], extension=CONFIRMS)
    changed = await callers.software().put(f"Schedule/{surgery.agenda}", agenda)
    assert changed.status_code == 200, changed.text
    patient = await practice.new_patient()
    wanted = appointment("proposed", slots=surgery.slots[:1], patient=patient)
    answer = await callers.patient(patient).post("Appointment/$book", wanted)
    assert answer.status_code == 202, answer.text
    return answer.json(), f"Appointment/{answer.json()['id']}"


async def test_61_unanswered_it_is_given_up(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """61, 51: at the deadline it is too late to confirm, though nobody has come; the sweeper cancels it, with a reason, and
    tells once."""
    one = await asked(callers.patient(camille), agenda, camille)
    path, ahead = f"Appointment/{one['id']}", timedelta(seconds=practice.settings.confirmation_deadline_s)
    practice.clock.advance(ahead)
    try:
        late = await callers.software().post(f"{path}/$confirm", parameters())
        assert (late.status_code, code(late)) == (422, "answered-too-late"), late.text
        await practice.jobs().expire_holds()
        await practice.jobs().expire_holds()
    finally:
        practice.clock.advance(-ahead)
    seen = (await callers.patient(camille).get(path)).json()
    assert (seen["status"], until(seen)) == ("cancelled", None)
    assert "répondu" in seen["cancelationReason"]["text"]
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    [(_, _), (kind, data)] = await told(practice, one["id"])
    assert (kind, data["cancellation"]) == ("cancelled", {"reason": "prov", "by": "system"})


async def test_61_unanswered_it_is_free_at_the_next_claim(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """61, 51: no sweeper is needed."""
    await asked(callers.patient(camille), agenda, camille)
    ahead = timedelta(seconds=practice.settings.confirmation_deadline_s)
    practice.clock.advance(ahead)
    try:
        yann = await practice.new_patient(given="Yann")
        answer = await callers.patient(yann).post(
            "Appointment",
            appointment("booked", slots=agenda.slots[:1], patient=yann, start=agenda.start),
        )
    finally:
        practice.clock.advance(-ahead)
    assert answer.status_code == 202, answer.text


async def test_61_the_deadline_is_not_after_the_visit(
    callers: Callers, practice: Practice, camille: str
) -> None:
    """61: whoever asks for this afternoon knows by then."""
    soon = practice.clock.now() + timedelta(hours=3)
    near = await practice.open_agenda(1, start=soon, extension=CONFIRMS)
    assert until(await asked(callers.patient(camille), near, camille)) == utc(soon)


async def test_61_no_way_round_by_moving(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """61: what was booked elsewhere, or confirmed at another time, waits again once the patient moves it there; what
    waited and goes where nobody confirms is booked."""
    caller, free = callers.patient(camille), await practice.open_agenda()
    wanted = appointment("booked", slots=free.slots[1:2], patient=camille, start=free.at(1))
    path = f"Appointment/{(await caller.post('Appointment', wanted)).json()['id']}"
    moved = await caller.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[0]}")))
    assert (moved.status_code, moved.json()["status"]) == (202, "pending"), moved.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    again = await caller.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[2]}")))
    assert (again.status_code, again.json()["status"]) == (202, "pending"), again.text
    back = await caller.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{free.slots[0]}")))
    assert (back.status_code, back.json()["status"]) == (200, "booked"), back.text
    assert until(back.json()) is None
    id_ = path.partition("/")[2]
    assert (
        await practice.database.pool.fetchval("SELECT count(*) FROM hold WHERE appointment_id = $1", id_) == 0
    )


async def test_61_confirm_against_expiry(fresh: Practice) -> None:
    """61, 58: 64 at once, confirming before and sweeping and claiming after the deadline: each ends one way, and what is
    told and taken says the same."""
    agenda = await fresh.open_agenda(20, extension=CONFIRMS)
    patients = [await fresh.new_patient() for _ in agenda.slots]
    waiting = [
        await fresh.create(
            appointment("booked", slots=[slot], patient=patient), fresh.context(patient, [patient])
        )
        for slot, patient in zip(agenda.slots, patients, strict=True)
    ]
    before = fresh.context()
    fresh.clock.advance(timedelta(seconds=fresh.settings.confirmation_deadline_s))

    async def confirm(id_: str) -> None:
        """In time by its own hour, though it may come second."""
        async with fresh.database.transaction() as connection:
            current = await fresh.repository.store.lock(connection, id_)
            assert current is not None
            resource = fresh.repository.resource(current)
            if resource["status"] == "pending":
                await fresh.handlers.change(
                    connection,
                    before,
                    current,
                    {**resource, "status": "booked"},
                    Manner(book=True),
                )

    async def sweep(id_: str) -> None:
        async with fresh.database.transaction() as connection:
            await fresh.handlers.expiry.expire(connection, fresh.clock.now(), [id_])

    places = asyncio.Semaphore(64)

    async def one(attempt: Any) -> None:
        async with places:
            await attempt

    await asyncio.gather(
        *(one(act(stored.id)) for stored in waiting for act in (confirm, sweep, sweep, confirm))
    )
    ends: Counter[str] = Counter()
    for stored, slot in zip(waiting, agenda.slots, strict=True):
        kinds, status = await fresh.kinds(stored.id), (await fresh.slot(slot))["status"]
        assert (kinds, status) in ((["held", "booked"], "busy"), (["held", "cancelled"], "free"))
        ends[status] += 1
    assert len(await fresh.occupied(agenda.practitioner)) == ends["busy"]
    assert await fresh.database.pool.fetchval("SELECT count(*) FROM hold") == 0


async def test_61_what_waits_is_not_said_to_be_done(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Whoever wants no more than an outcome of a booking is told that the practice has still to answer, and until when; of a
    Bundle too."""
    caller, preferred = callers.patient(camille), "return=OperationOutcome"
    for index in range(2):
        wanted = appointment(
            "booked", slots=agenda.slots[index : index + 1], patient=camille, start=agenda.at(index)
        )
        if index == 0:
            answer = await caller.post("Appointment", wanted, Prefer=preferred)
            assert answer.status_code == 202, answer.text
            outcome = answer.json()
        else:
            entry = {"resource": wanted, "request": {"method": "POST", "url": "Appointment"}}
            sent = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
            response = (await caller.post("", sent, Prefer=preferred)).json()["entry"][0]["response"]
            assert response["status"] == "202", response
            outcome = response["outcome"]
        until = practice.clock.now() + timedelta(seconds=practice.settings.confirmation_deadline_s)
        text = outcome["issue"][0]["details"]["text"]
        assert "attend une réponse" in text
        assert shown(until) in text

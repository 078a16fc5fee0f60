"""A patient sees and books what is theirs; others' appointments do not even exist for them."""

from __future__ import annotations

from uuid import uuid4

import pytest
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, parameters, patient, ref, unique
from services.booking.tests.practice import Agenda, Practice

from creneau_shared.fhir.storage.store import Stored


@pytest.fixture
async def yann(practice: Practice) -> str:
    return await practice.new_patient(given="Yann")


@pytest.fixture
async def of_camille(practice: Practice, agenda: Agenda, camille: str) -> Stored:
    return await practice.create(appointment("booked", slots=agenda.slots[:1], patient=camille))


async def test_search_finds_only_ones_own(
    callers: Callers, of_camille: Stored, camille: str, yann: str
) -> None:
    for who, total in ((camille, 1), (yann, 0)):
        caller = callers.patient(who)
        for query in ({"_total": "accurate"}, {"patient": camille}, {"_id": of_camille.id}):
            assert (await caller.get("Appointment", **query)).json()["total"] == total
        assert (await caller.get(f"{camille}/Appointment")).json()["total"] == total


async def test_others_appointments_do_not_exist(
    callers: Callers, practice: Practice, agenda: Agenda, of_camille: Stored, yann: str
) -> None:
    """Read, change, move, cancel, replace: 404 each time, and nothing has changed."""
    caller, path = callers.patient(yann), f"Appointment/{of_camille.id}"
    slot = ref(f"Slot/{agenda.slots[1]}")
    mine = appointment("proposed", slots=agenda.slots[1:2], patient=yann)
    answers = [
        await caller.get(path),
        await caller.get(f"{path}/_history"),
        await caller.patch(path, [{"op": "replace", "path": "/status", "value": "cancelled"}]),
        await caller.put(path, {**appointment("cancelled", patient=yann), "id": of_camille.id}),
        await caller.post(f"{path}/$book", parameters()),
        await caller.post(f"{path}/$hold", parameters()),
        await caller.post(f"{path}/$reschedule", parameters(slot=slot)),
        await caller.post("Appointment/$book", parameters(appt_resource=mine, cancelled_appt_id=path)),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    await caller.delete(path)
    assert await practice.slot_statuses(agenda.slots[:2]) == ["busy", "free"]
    assert await practice.kinds(of_camille.id) == ["booked"]


async def test_an_id_tells_nobody_whether_it_is_in_use(
    callers: Callers, practice: Practice, agenda: Agenda, of_camille: Stored, yann: str
) -> None:
    """`$book` of a resource with a stranger's id, or with one that nobody has: a new appointment with an id of ours."""
    reader = callers.with_scopes("reader", yann)
    for caller, id_, slot in (
        (callers.patient(yann), of_camille.id, agenda.slots[1]),
        (callers.patient(yann), unique("inconnu"), agenda.slots[2]),
    ):
        mine = {**appointment("proposed", slots=[slot], patient=yann), "id": id_}
        answer = await caller.post("Appointment/$book", mine)
        assert (answer.status_code, answer.json()["status"]) == (201, "booked")
        assert answer.json()["id"] not in (of_camille.id, id_)
    mine = {**appointment("proposed", slots=agenda.slots[:1], patient=yann), "id": of_camille.id}
    assert (await reader.post("Appointment/$book", mine)).status_code == 409, "as for an unknown id: taken"
    assert await practice.kinds(of_camille.id) == ["booked"]


async def test_nobody_books_for_a_stranger(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, yann: str
) -> None:
    """By a create or an operation, alone or beside oneself: refused, the slot untouched."""
    caller = callers.patient(yann)
    theirs = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    both = appointment("booked", slots=agenda.slots[:1], patient=camille, actors=[yann], start=agenda.start)
    proposal = parameters(appt_id=f"Appointment/proposal.{agenda.slots[0]}", patient_id=camille)
    for path, body, expected in (
        ("Appointment", theirs, 403),
        ("Appointment/$book", theirs, 403),
        ("Appointment/$hold", theirs, 403),
        ("Appointment/$book", proposal, 403),
        ("Appointment", both, 403),
    ):
        answer = await caller.post(path, body)
        assert answer.status_code == expected, (path, answer.text)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


async def test_nobody_gives_their_appointment_away(
    callers: Callers, practice: Practice, of_camille: Stored, camille: str, yann: str
) -> None:
    caller, path = callers.patient(camille), f"Appointment/{of_camille.id}"
    current = (await caller.get(path)).json()
    given = {**current, "participant": [{"actor": ref(yann), "status": "accepted"}]}
    for answer in (await caller.put(path, given), await caller.post("Appointment/$book", given)):
        assert answer.status_code in (403, 422), answer.text
    assert (await caller.get(path)).json() == current


async def test_a_token_that_may_only_create_changes_nothing(
    callers: Callers, agenda: Agenda, of_camille: Stored, camille: str
) -> None:
    """`$book` of what exists, and `cancelled-appt-id`, are updates."""
    caller = callers.with_scopes("reader", camille)
    slot = parameters(slot=ref(f"Slot/{agenda.slots[1]}"))
    new = appointment("proposed", slots=agenda.slots[1:2], patient=camille)
    instead = parameters(appt_resource=new, cancelled_appt_id=of_camille.id)
    for path, body in (
        (f"Appointment/{of_camille.id}/$reschedule", slot),
        (f"Appointment/{of_camille.id}/$book", parameters()),
        ("Appointment/$book", instead),
    ):
        assert (await caller.post(path, body)).status_code == 403
    assert (await caller.post("Appointment/$book", new)).status_code == 201


async def test_without_a_token_nothing_personal(callers: Callers, agenda: Agenda, of_camille: Stored) -> None:
    nobody = callers.nobody()
    assert (await nobody.get(f"Appointment/{of_camille.id}")).status_code == 401
    assert (
        await nobody.post("Appointment", appointment("booked", slots=agenda.slots[1:2]))
    ).status_code == 401
    assert (await nobody.get(f"Slot/{agenda.slots[0]}")).status_code == 200


async def test_a_patients_account_books_for_the_patients_that_it_created(
    callers: Callers, agenda: Agenda
) -> None:
    """Oneself, then at once one's child: both are the account's own, and no one else's."""
    caller = callers.patient(subject=unique("parent"))
    for index, given in enumerate(("Camille", "Lou")):
        created = (await caller.post("Patient", patient(given))).json()
        wanted = appointment("booked", slots=[agenda.slots[index]], patient=f"Patient/{created['id']}")
        wanted |= {"start": agenda.at(index).isoformat(), "end": agenda.at(index + 1).isoformat()}
        answer = await caller.post("Appointment", wanted, Idempotency_Key=str(uuid4()))
        assert answer.status_code == 201, answer.text
        assert (await callers.patient().get(f"Patient/{created['id']}")).status_code == 404
    assert (await caller.get("Appointment", _total="accurate")).json()["total"] == 2


async def test_a_slot_leaks_nothing_of_its_appointment(
    callers: Callers, agenda: Agenda, of_camille: Stored, camille: str
) -> None:
    """Neither the slot nor a search that includes what refers to it shows who took it."""
    nobody = callers.nobody()
    seen = await nobody.get(f"Slot/{agenda.slots[0]}")
    found = await nobody.get("Slot", _id=agenda.slots[0], _revinclude="Appointment:slot")
    assert seen.json()["status"] == "busy"
    for answer in (seen, found):
        assert camille not in answer.text
        assert of_camille.id not in answer.text

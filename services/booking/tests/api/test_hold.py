"""`$hold`: a slot kept for a while, for one person, and said how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from services.booking.tests.client import Caller, code
from services.booking.tests.conftest import Callers, callers_of
from services.booking.tests.factories import appointment, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_booking import jobs as booking_jobs
from creneau_booking.storage.mapping.appointment import HELD_UNTIL
from creneau_shared.errors import TooManyRequests
from creneau_shared.fhir.storage.store import Resource


def held_until(resource: Resource) -> str:
    return str(next(e["valueInstant"] for e in resource["extension"] if e["url"] == HELD_UNTIL))


async def hold(caller: Caller, slot: str, patient: str) -> Resource:
    answer = await caller.post(
        "Appointment/$hold", parameters(appointment=appointment("proposed", slots=[slot], patient=patient))
    )
    assert answer.status_code == 201, answer.text
    held: Resource = answer.json()
    return held


@pytest.mark.parametrize("spelling", ["appt_resource", "appointment_resource", "appointment"])
async def test_a_hold_says_how_long(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, spelling: str
) -> None:
    """Until when: in the header, in the resource and in the event; the slot is busy-tentative meanwhile."""
    proposed = appointment("proposed", slots=agenda.slots[:1], patient=camille, actors=[agenda.practitioner])
    proposed["participant"][1]["status"] = "needs-action"
    answer = await callers.patient(camille).post("Appointment/$hold", parameters(**{spelling: proposed}))
    body = answer.json()
    bundled = spelling == "appointment_resource"  # IHE's spelling; the others are answered with the resource
    held = body["entry"][0]["resource"] if bundled else body
    assert (answer.status_code, body["resourceType"]) == (
        (200, "Bundle") if bundled else (201, "Appointment")
    )
    assert held["status"] == "pending"
    assert [(p["actor"]["reference"], p["status"]) for p in held["participant"]] == [
        (camille, "accepted"),
        (agenda.practitioner, "tentative"),
        (agenda.location, "tentative"),
    ]
    until = practice.clock.now() + timedelta(seconds=practice.settings.hold_duration_s)
    assert parsedate_to_datetime(answer.headers["expires"]) == until
    assert held_until(held) == utc(until)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    assert await practice.kinds(held["id"]) == ["held"]


async def test_ihe_by_reference_to_a_proposal(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """ITI-116 says only which proposal; for whom is plain when the token acts for one patient."""
    proposal = ref(f"Appointment/proposal.{agenda.slots[0]}")
    answer = await callers.patient(camille).post(
        "Appointment/$hold", parameters(appointment_reference=proposal)
    )
    assert answer.json()["type"] == "searchset"
    held = answer.json()["entry"][0]["resource"]
    assert held["status"] == "pending"
    assert {p["actor"]["reference"] for p in held["participant"]} == {
        camille,
        agenda.practitioner,
        agenda.location,
    }
    refused = await callers.patient(camille).post(
        "Appointment/$hold", parameters(appointment_reference=proposal)
    )
    [entry] = refused.json()["entry"]
    assert (refused.status_code, refused.json()["total"], entry["search"]["mode"]) == (200, 0, "outcome")
    assert [(i["severity"], i["code"]) for i in entry["resource"]["issue"]] == [("fatal", "not-found")]


async def test_argonaut_by_instance_and_by_id(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    software = callers.software()
    for index, path in ((0, "Appointment/{}/$hold"), (1, "Appointment/$hold")):
        stored = await practice.create(appointment("proposed", slots=[agenda.slots[index]]))
        answer = await software.post(path.format(stored.id), parameters(appt_id=f"Appointment/{stored.id}"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["entry"][0]["resource"]["status"] == "pending"
        assert "expires" in answer.headers


async def test_a_held_slot_is_refused_to_everyone_else(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    await hold(callers.patient(camille), agenda.slots[0], camille)
    other = await practice.new_patient(given="Yann")
    for path in ("Appointment/$hold", "Appointment/$book"):
        wanted = appointment("proposed", slots=agenda.slots[:1], patient=other)
        answer = await callers.patient(other).post(path, parameters(appointment=wanted))
        assert (answer.status_code, code(answer)) == (409, "slot-held")


async def test_a_hold_is_extended(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    """Held again, it lasts anew; the time said is the server's even if a client says another."""
    caller = callers.patient(camille)
    held = await hold(caller, agenda.slots[0], camille)
    practice.clock.advance(timedelta(minutes=1))
    answer = await caller.post(f"Appointment/{held['id']}/$hold", parameters())
    again = answer.json()
    until = practice.clock.now() + timedelta(seconds=practice.settings.hold_duration_s)
    assert held_until(again) == utc(until) > held_until(held)
    assert await practice.kinds(held["id"]) == ["held", "held"]
    forever = {**again, "extension": [{"url": HELD_UNTIL, "valueInstant": "2099-01-01T00:00:00Z"}]}
    assert held_until((await caller.put(f"Appointment/{held['id']}", forever)).json()) == utc(until)


async def test_a_request_that_waits_for_the_practice_is_no_hold(callers: Callers, practice: Practice) -> None:
    """Software's `pending` has no end; holding it would let it run out."""
    agenda = await practice.open_agenda()
    stored = await practice.create(appointment("pending", slots=agenda.slots[:1]))
    answer = await callers.software().post(f"Appointment/{stored.id}/$hold", parameters())
    assert (answer.status_code, code(answer)) == (422, "not-a-hold")


async def test_a_patients_pending_is_a_hold(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """By a plain create too: with an end, and counted; nobody keeps a slot for ever."""
    pending = appointment("pending", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    answer = await callers.patient(camille).post("Appointment", pending)
    assert answer.status_code == 201
    assert "expires" in answer.headers
    assert held_until(answer.json())
    assert await practice.kinds(answer.json()["id"]) == ["held"]


async def test_quota(callers: Callers, practice: Practice, camille: str) -> None:
    """So many at once and no more (here 2); one given back makes room."""
    agenda = await practice.open_agenda(4)
    caller = callers.patient(camille)
    first = await hold(caller, agenda.slots[0], camille)
    await hold(caller, agenda.slots[1], camille)
    wanted = parameters(appointment=appointment("proposed", slots=[agenda.slots[2]], patient=camille))
    refused = await caller.post("Appointment/$hold", wanted)
    assert (refused.status_code, code(refused)) == (429, "too-many-holds")
    assert int(refused.headers["retry-after"]) > 0
    await caller.patch(
        f"Appointment/{first['id']}", [{"op": "replace", "path": "/status", "value": "cancelled"}]
    )
    assert (await caller.post("Appointment/$hold", wanted)).status_code == 201


async def test_a_hold_is_extended_so_often_and_no_more(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Nobody keeps a slot for ever by asking again; what the last extension gave stays."""
    caller = callers.patient(camille)
    held = await hold(caller, agenda.slots[0], camille)
    path = f"Appointment/{held['id']}"
    for _ in range(practice.settings.hold_extensions_max):
        extended = await caller.post(f"{path}/$hold", parameters())
        assert extended.status_code == 200, extended.text
    refused = await caller.post(f"{path}/$hold", parameters())
    assert (refused.status_code, code(refused)) == (422, "hold-not-extensible")
    assert held_until((await caller.get(path)).json()) == held_until(extended.json())
    assert (await caller.post(f"{path}/$book", parameters())).json()["status"] == "booked"


async def test_software_has_its_quota_too(practice: Practice) -> None:
    """A mistake of one software does not hold a whole agenda."""
    few = Practice(
        practice.database, practice.settings.model_copy(update={"holds_per_client_max": 2}), practice.clock
    )
    agenda = await practice.open_agenda(4)
    context = practice.context(unique("logiciel"))
    for slot in agenda.slots[:2]:
        await few.hold(appointment("proposed", slots=[slot]), context)
    with pytest.raises(TooManyRequests):
        await few.hold(appointment("proposed", slots=agenda.slots[2:3]), context)
    await few.hold(appointment("proposed", slots=agenda.slots[2:3]), practice.context(unique("logiciel")))


@pytest.mark.parametrize("path", ["Appointment/$hold", "Appointment"])
async def test_a_hold_that_is_sent_again_says_how_long_again(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, path: str
) -> None:
    """The same Idempotency-Key: the first answer, its Expires included, and no second hold."""
    caller, key = callers.patient(camille), unique("cle")
    wanted = appointment("pending", slots=agenda.slots[:1], patient=camille, start=agenda.at(0))
    body = parameters(appointment=wanted) if "$" in path else wanted
    first, again = [await caller.post(path, body, Idempotency_Key=key) for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["expires"] == first.headers["expires"]
    assert await practice.kinds(first.json()["id"]) == ["held"]


async def test_a_hold_runs_out(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    """The sweeper cancels it, frees the slot and tells of it once."""
    held = await hold(callers.patient(camille), agenda.slots[0], camille)
    practice.clock.advance(timedelta(seconds=practice.settings.hold_duration_s))
    jobs = practice.jobs()
    await jobs.expire_holds()
    await jobs.expire_holds()
    now = (await callers.patient(camille).get(f"Appointment/{held['id']}")).json()
    assert (now["status"], "extension" in now) == ("cancelled", False)
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]
    assert await practice.kinds(held["id"]) == ["held", "hold-expired"]


async def test_a_hold_is_ended_when_it_runs_out_whatever_the_pause(
    fresh: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is an hour, but the sweeper knows when the next hold runs out; and it was asleep before the hold began."""
    pauses: list[float] = []
    agenda, camille = await fresh.open_agenda(), await fresh.new_patient()

    async def pause(stop: asyncio.Event, seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) == 1:
            await hold(callers.patient(camille), agenda.slots[0], camille)
        fresh.clock.advance(timedelta(seconds=seconds))
        if len(pauses) > 1:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(booking_jobs, "wait", pause)
    settings = fresh.settings.model_copy(update={"hold_look_max_s": 36_000.0})
    async with callers_of(fresh) as callers:
        await fresh.jobs(settings).sweep_holds(asyncio.Event())
    assert pauses[0] == fresh.settings.hold_duration_s, "no hold that begins meanwhile runs out earlier"
    assert await fresh.slot_statuses(agenda.slots[:1]) == ["free"]


async def test_a_hold_that_has_run_out_is_confirmed_by_nobody(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Neither confirmed nor extended, though the sweeper has not come and nobody else wants it; given back it may be."""
    caller = callers.patient(camille)
    held = await hold(caller, agenda.slots[0], camille)
    practice.clock.advance(timedelta(seconds=practice.settings.hold_duration_s))
    path = f"Appointment/{held['id']}"
    booked = [{"op": "replace", "path": "/status", "value": "booked"}]
    for answer in (
        await caller.post(f"{path}/$book", parameters()),
        await caller.post(f"{path}/$hold", parameters()),
        await caller.patch(path, booked),
    ):
        assert (answer.status_code, code(answer)) == (422, "hold-expired"), answer.text
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-tentative"]
    given_back = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    assert (await caller.patch(path, given_back)).status_code == 200
    assert await practice.slot_statuses(agenda.slots[:1]) == ["free"]


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Parameters"},
        parameters(appointment_reference={"display": "celui de lundi"}),
        parameters(appointment={"resourceType": "Patient"}),
        parameters(appointment={"resourceType": "Appointment"}),
        {"resourceType": "Appointment", "status": "proposed", "participant": "moi"},
        {"resourceType": "Appointment", "status": "proposed", "participant": ["moi"]},
        {"resourceType": "Appointment", "id": 7, "participant": [{"status": "accepted"}]},
    ],
)
@pytest.mark.parametrize("operation", ["$hold", "$book"])
async def test_unreadable_calls(callers: Callers, operation: str, body: Resource) -> None:
    """Refused with a reason, whatever is wrong; never an internal error."""
    answer = await callers.software().post(f"Appointment/{operation}", body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"

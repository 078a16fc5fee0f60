"""`$book` and plain creates: every spelling books, once, all of it or nothing, and tells who was slower."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from services.booking.tests.client import as_stored, code, reason
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import appointment, for_professionals, parameters, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice

from creneau_booking.storage.mapping.appointment import REPLACES
from creneau_shared.clock import shown
from creneau_shared.fhir.storage.store import Resource


async def test_a_held_appointment_is_confirmed(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """IHE by reference (Bundle), Argonaut on the instance: booked, everyone accepted, the hold forgotten."""
    for index, (path, named) in enumerate(
        (("Appointment/$book", "appointment_reference"), ("Appointment/{}/$book", None))
    ):
        subject = unique("s")
        context = practice.context(subject, [camille], issuer=callers.issuer.url)
        held = await practice.hold(
            appointment("proposed", slots=[agenda.slots[index]], patient=camille), context
        )
        given = {named: ref(f"Appointment/{held.id}")} if named else {"comment": "merci"}
        caller = callers.patient(camille, subject=subject)
        answer = await caller.post(path.format(held.id), parameters(**given))
        assert answer.status_code == 200, answer.text
        booked = answer.json()["entry"][0]["resource"] if named else answer.json()
        assert (booked["status"], "extension" in booked, booked.get("comment")) == (
            "booked", False, None if named else "merci"
        )  # fmt: skip
        assert await practice.kinds(held.id) == ["held", "booked"]
    assert await practice.slot_statuses(agenda.slots) == ["busy", "busy", "free"]
    assert (
        await practice.database.pool.fetchval("SELECT count(*) FROM hold WHERE appointment_id = $1", held.id)
        == 0
    )


async def test_a_hold_that_was_given_back_for_a_reason_is_not_confirmed(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """That it stands no more is said, not that its reason does not go with what it would become."""
    subject = unique("s")
    context = practice.context(subject, [camille], issuer=callers.issuer.url)
    held = await practice.hold(appointment("proposed", slots=agenda.slots[:1], patient=camille), context)
    reasoned = parameters(reason="pat")
    assert (await callers.software().post(f"Appointment/{held.id}/$cancel", reasoned)).status_code == 200
    answer = await callers.patient(camille, subject=subject).post(
        f"Appointment/{held.id}/$book", parameters()
    )
    assert (answer.status_code, code(answer)) == (422, "illegal-transition"), answer.text


async def test_isik_bare_body(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    """The Appointment itself as body, with an id of its own making: 201 with Location and ETag."""
    body = appointment("proposed", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    answer = await callers.patient(camille).post("Appointment/$book", {**body, "id": "leur-propre-id"})
    booked = answer.json()
    assert (answer.status_code, booked["status"]) == (201, "booked")
    assert booked["id"] != "leur-propre-id"
    assert answer.headers["location"].endswith(f"/Appointment/{booked['id']}/_history/1")
    assert answer.headers["etag"] == 'W/"1"'
    assert as_stored((await callers.patient(camille).get(f"Appointment/{booked['id']}")).json()) == booked


async def test_isik_by_agenda(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    """Schedule with start and end: the server finds the slots, here two; without the agenda: 400."""
    wanted = appointment("proposed", patient=camille, start=agenda.at(1), length=timedelta(minutes=40))
    caller = callers.patient(camille)
    given = parameters(appt_resource=wanted, schedule=ref(f"Schedule/{agenda.id}"))
    answer = await caller.post("Appointment/$book", given)
    slots = answer.json()["slot"]
    assert [s["reference"] for s in slots] == [f"Slot/{id_}" for id_ in agenda.slots[1:]]
    assert (await caller.post("Appointment/$book", parameters(appt_resource=wanted))).status_code == 400
    elsewhere = {**wanted, "start": utc(agenda.at(40)), "end": utc(agenda.at(41))}
    given = parameters(appt_resource=elsewhere, schedule=ref(f"Schedule/{agenda.id}"))
    answer = await caller.post("Appointment/$book", given)
    assert (answer.status_code, code(answer)) == (422, "unknown-slot")


async def test_a_proposal_of_find(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    given = parameters(appt_id=f"Appointment/proposal.{agenda.slots[0]}", patient_id=camille)
    answer = await callers.software().post("Appointment/$book", given)
    booked = answer.json()["entry"][0]["resource"]
    assert booked["status"] == "booked"
    assert {p["actor"]["reference"] for p in booked["participant"]} == {
        camille,
        agenda.practitioner,
        agenda.location,
    }
    gone = await callers.software().post(
        "Appointment/$book", parameters(appt_id="Appointment/proposal.disparu")
    )
    assert gone.status_code == 404


async def test_plain_creates(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    """`booked` takes its slot at once; `proposed` is a request that takes nothing and tells nobody."""
    caller = callers.patient(camille)
    proposed = (
        await caller.post("Appointment", appointment("proposed", slots=agenda.slots[:1], patient=camille))
    ).json()
    assert await practice.kinds(proposed["id"]) == []
    booked = await caller.post(
        "Appointment", appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    )
    assert booked.status_code == 201
    assert await practice.slot_statuses(agenda.slots) == ["busy", "free", "free"]
    late = await caller.patch(
        f"Appointment/{proposed['id']}",
        [
            {"op": "replace", "path": "/status", "value": "booked"},
            {"op": "replace", "path": "/slot", "value": [{"reference": f"Slot/{agenda.slots[1]}"}]},
            {"op": "add", "path": "/start", "value": utc(agenda.at(1))},
            {"op": "add", "path": "/end", "value": utc(agenda.at(2))},
        ],
    )
    assert (late.status_code, late.json().get("status")) == (200, "booked"), late.text


async def test_the_slower_one_is_told_which_slot_in_their_language(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    await practice.create(appointment("booked", slots=agenda.slots[:1]))
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    for language, words in (("fr", "vient d'être pris"), ("en", "has just been taken")):
        answer = await callers.patient(camille, language=language).post("Appointment", wanted)
        assert (answer.status_code, code(answer)) == (409, "slot-taken")
        assert answer.json()["issue"][0]["diagnostics"].startswith(f"Slot/{agenda.slots[0]} ")
        assert shown(agenda.start) in reason(answer)
        assert words in reason(answer)


async def test_a_practitioner_who_is_elsewhere(callers: Callers, practice: Practice, agenda: Agenda) -> None:
    """The slot is free but its practitioner is taken through another agenda: 409 that names who."""
    other = await practice.open_agenda(practitioner=agenda.practitioner)
    await practice.create(appointment("booked", slots=other.slots[:1]))
    answer = await callers.software().post(
        "Appointment", appointment("booked", slots=agenda.slots[:1], start=agenda.start)
    )
    assert (answer.status_code, code(answer)) == (409, "actor-occupied")
    assert answer.json()["issue"][0]["diagnostics"] == agenda.practitioner
    assert await practice.slot_statuses(agenda.slots[:1]) == ["busy-unavailable"]


async def test_a_practitioner_who_joins_later_is_taken_too(
    callers: Callers, practice: Practice, agenda: Agenda
) -> None:
    """Added to a booked appointment by an update: occupied from then on, or refused."""
    booked = await practice.create(appointment("booked", slots=agenda.slots[:1]))
    other = await practice.open_agenda()
    joined = [{"actor": ref(other.practitioner), "status": "accepted"}]
    await practice.change(booked.id, participant=joined)
    assert [row[2] for row in await practice.occupied(other.practitioner)] == [booked.id]
    answer = await callers.software().post(
        "Appointment", appointment("booked", slots=other.slots[:1], start=other.start)
    )
    assert answer.status_code == 409
    assert (await practice.slot(agenda.slots[0]))["meta"]["versionId"] == "2", (
        "its own slot was not given back"
    )


@pytest.mark.parametrize(
    ("slot_members", "schedule_members", "status", "expected"),
    [
        ({"meta": for_professionals()}, {}, 422, "unknown-slot"),
        ({}, {"active": False}, 422, "schedule-inactive"),
        ({}, {"planningHorizon": {"end": "2026-11-20"}}, 422, "outside-horizon"),
        ({"status": "busy-unavailable"}, {}, 409, "slot-taken"),
    ],
)
async def test_what_a_patient_cannot_book(
    callers: Callers,
    practice: Practice,
    camille: str,
    slot_members: Resource,
    schedule_members: Resource,
    status: int,
    expected: str,
) -> None:
    agenda = await practice.open_agenda(1, slot_members=slot_members, **schedule_members)
    wanted = appointment("booked", slots=agenda.slots, patient=camille, start=agenda.start)
    answer = await callers.patient(camille).post("Appointment", wanted)
    assert (answer.status_code, code(answer)) == (status, expected)


@pytest.mark.parametrize("unfit", [{"active": False}, {"deceasedBoolean": True}])
async def test_nothing_is_booked_for_an_inactive_or_deceased_patient(
    callers: Callers, practice: Practice, agenda: Agenda, unfit: Resource
) -> None:
    patient = await practice.new_patient(**unfit)
    wanted = appointment("booked", slots=agenda.slots[:1], patient=patient, start=agenda.start)
    answer = await callers.software().post("Appointment", wanted)
    assert (answer.status_code, code(answer)) == (422, "patient-unavailable")


async def test_argonaut_replaces_atomically(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """The old one is cancelled only if the new one is taken; the new one names the old."""
    caller = callers.patient(camille)
    old = await practice.create(appointment("booked", slots=agenda.slots[:1], patient=camille))
    await practice.create(appointment("booked", slots=agenda.slots[1:2]))

    def instead(slot: str) -> Resource:
        wanted = appointment("proposed", slots=[slot], patient=camille)
        return parameters(appt_resource=wanted, cancelled_appt_id=f"Appointment/{old.id}")

    assert (await caller.post("Appointment/$book", instead(agenda.slots[1]))).status_code == 409
    assert (await caller.get(f"Appointment/{old.id}")).json()["status"] == "booked"
    answer = await caller.post("Appointment/$book", instead(agenda.slots[2]))
    [extension] = answer.json()["extension"]
    assert extension == {"url": REPLACES, "valueReference": ref(f"Appointment/{old.id}")}
    assert (await caller.get(f"Appointment/{old.id}")).json()["status"] == "cancelled"
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy", "busy"]


async def test_ihe_modifies_and_cancels_by_book(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """ITI-117: a resource that is booked changes, one that is cancelled cancels; one that is unknown books nothing."""
    caller = callers.patient(camille)
    stored = await practice.create(appointment("booked", slots=agenda.slots[:1], patient=camille))
    current = (await caller.get(f"Appointment/{stored.id}")).json()
    moved = {
        **current,
        "slot": [ref(f"Slot/{agenda.slots[1]}")],
        "start": utc(agenda.at(1)),
        "end": utc(agenda.at(2)),
    }
    answer = await caller.post("Appointment/$book", parameters(appointment_resource=moved))
    moved = answer.json()["entry"][0]["resource"]
    assert moved["start"] == utc(agenda.at(1))
    cancelled = {**moved, "status": "cancelled"}
    answer = await caller.post("Appointment/$book", parameters(appointment_resource=cancelled))
    assert answer.json()["entry"][0]["resource"]["status"] == "cancelled"
    assert await practice.slot_statuses(agenda.slots) == ["free", "free", "free"]
    unknown = {**cancelled, "id": unique("inconnu")}
    answer = await caller.post("Appointment/$book", parameters(appointment_resource=unknown))
    assert (answer.status_code, code(answer)) == (422, "illegal-transition")


@pytest.mark.parametrize("path", ["Appointment", "Appointment/$book"])
async def test_one_key_books_once(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, path: str
) -> None:
    """Sent twice at the same moment: one appointment and the same answer; another body under the key: 422."""
    caller, key = callers.patient(camille), str(uuid4())
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    answers = await asyncio.gather(*(caller.post(path, wanted, Idempotency_Key=key) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await practice.kinds(answers[0].json()["id"]) == ["booked"]
    other = {**wanted, "slot": [ref(f"Slot/{agenda.slots[1]}")]}
    answer = await caller.post(path, other, Idempotency_Key=key)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "duplicate")


async def test_a_key_knows_the_parameters_of_the_address(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """An operation reads them as its input: another appointment there is another request."""
    caller, key = callers.patient(camille), str(uuid4())
    wishes = [appointment("proposed", slots=[slot], patient=camille) for slot in agenda.slots[:2]]
    first, second = [
        (await caller.post("Appointment/$hold", parameters(appointment=wish))).json()["id"] for wish in wishes
    ]
    for replayed in (None, "true"):
        answer = await caller.post(f"Appointment/$book?appt-id={first}", parameters(), Idempotency_Key=key)
        assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [first]
        assert answer.headers.get("idempotency-replayed") == replayed
    other = await caller.post(f"Appointment/$book?appt-id={second}", parameters(), Idempotency_Key=key)
    assert (other.status_code, other.json()["issue"][0]["code"]) == (422, "duplicate")


async def test_a_refusal_is_not_remembered_by_its_key(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    rival = await practice.create(appointment("booked", slots=agenda.slots[:1]))
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start)
    caller, key = callers.patient(camille), str(uuid4())
    assert (await caller.post("Appointment", wanted, Idempotency_Key=key)).status_code == 409
    await practice.change(rival.id, status="cancelled")
    assert (await caller.post("Appointment", wanted, Idempotency_Key=key)).status_code == 201


@pytest.mark.parametrize("way", ["instance", "reference", "as it was answered", "as it was asked for"])
async def test_what_is_booked_already_is_not_written_again(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, way: str
) -> None:
    """A client that has not heard the answer calls again: 200, the same version, and nobody is told twice."""
    patient = callers.patient(camille)
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    held = (await patient.post("Appointment/$hold", parameters(appointment=wanted))).json()
    first = await patient.post(f"Appointment/{held['id']}/$book", parameters(comment="merci"))
    assert first.status_code == 200, first.text
    booked = first.json()
    path, said = {
        "instance": (f"Appointment/{held['id']}/$book", parameters(comment="merci")),
        "reference": ("Appointment/$book", parameters(appt_id=f"Appointment/{held['id']}")),
        "as it was answered": ("Appointment/$book", parameters(appt_resource=booked)),
        "as it was asked for": ("Appointment/$book", {**wanted, "id": held["id"]}),
    }[way]
    for caller in (patient, callers.software()):
        again = await caller.post(path, said)
        assert again.status_code == 200, again.text
        resource = again.json()["entry"][0]["resource"] if "entry" in again.json() else again.json()
        assert resource["meta"]["versionId"] == booked["meta"]["versionId"]
    assert await practice.kinds(held["id"]) == ["held", "booked"]
    more = await patient.post(f"Appointment/{held['id']}/$book", parameters(comment="merci encore"))
    assert (more.status_code, more.json()["comment"]) == (200, "merci encore"), "what is new is written"


async def test_what_was_booked_in_place_of_another_is_not_written_again(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Neither it nor the one that is cancelled for it."""
    patient = callers.patient(camille)

    first = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    old = (await patient.post("Appointment/$book", first)).json()
    wanted = appointment("proposed", slots=agenda.slots[2:], patient=camille)
    held = (await patient.post("Appointment/$hold", parameters(appointment=wanted))).json()
    said = parameters(cancelled_appt_id=f"Appointment/{old['id']}")
    answers = [await patient.post(f"Appointment/{held['id']}/$book", said) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200], answers[1].text
    assert len({answer.json()["meta"]["versionId"] for answer in answers}) == 1
    now = (await patient.get(f"Appointment/{old['id']}")).json()
    assert (now["status"], now["meta"]["versionId"]) == ("cancelled", "2")


async def test_the_trail_names_the_transactions_of_ihe(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """IHE ITI Scheduling (BALP): beside the interaction, of $find, $hold and $book on the type and on an appointment; and
    it is found by it."""
    caller = callers.patient(camille)
    window = {"start": agenda.start.isoformat(), "end": (agenda.start + timedelta(days=1)).isoformat()}
    given = parameters(**window, patient_reference=ref(camille), schedule=ref(f"Schedule/{agenda.id}"))
    assert (await caller.post("Appointment/$find", given)).status_code == 200
    wanted = appointment("proposed", slots=agenda.slots[:1], patient=camille)
    id_ = (await caller.post("Appointment/$hold", parameters(appointment=wanted))).json()["id"]
    assert (await caller.post(f"Appointment/{id_}/$book", parameters())).status_code == 200
    assert (await caller.get(f"Appointment/{id_}")).status_code == 200

    async def told(**query: str) -> list[list[str]]:
        trail = (await callers.software().get("AuditEvent", patient=camille, _sort="date", **query)).json()
        return [[one["code"] for one in e["resource"]["subtype"]] for e in trail.get("entry", ())]

    hold, book = ["operation", "ITI-116"], ["operation", "ITI-117"]
    found = await told(subtype="operation")
    assert found == [["operation", "ITI-115"], hold, book]
    assert await told(subtype="urn:ihe:event-type-code|ITI-117") == [book]
    assert await told(subtype="ITI-116,ITI-117") == [hold, book]
    assert await told(subtype="http://hl7.org/fhir/restful-interaction|ITI-117") == []
    assert ["read"] in await told(**{"subtype:not": "ITI-117"})
    assert book not in await told(**{"subtype:not": "ITI-117"})
    assert await told(subtype="urn:ihe:event-type-code|") == found

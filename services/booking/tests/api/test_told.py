"""What booking tells: every event against the closed copy of its schema, so that nothing undeclared leaks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from services.booking.tests.conftest import Callers
from services.booking.tests.factories import CONSULTATION, appointment, parameters, patient, ref, unique, utc
from services.booking.tests.practice import Agenda, Practice
from tests.contract.closing import closed_validator
from tests.fixtures.bells import hearing

from creneau_shared.fhir.storage.store import Resource
from creneau_shared.messaging.outbox import OUTBOX_CHANNEL


async def told(practice: Practice, id_: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of an appointment, each validated."""
    events = []
    for row in await practice.events(id_):
        kind, data = row["kind"], orjson.loads(row["data"])
        assert row["type"] == f"fr.creneau.booking.appointment.{kind}.v1"
        closed_validator(f"booking/appointment.{kind}.v1").validate(data)
        events.append((kind, data))
    return events


async def test_whatever_is_told_wakes_the_relay(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """Once it has committed, in another process: without a wake-up an event would wait for the relay's own look."""
    committed, software = practice.database.bells.of(OUTBOX_CHANNEL), callers.software()
    async with hearing(practice.database):
        for ask in (
            lambda: software.post(
                "Appointment",
                appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.at(0)),
            ),
            lambda: callers.patient(camille).post(
                "Appointment/$hold",
                parameters(appointment=appointment("proposed", slots=agenda.slots[1:2], patient=camille)),
            ),
            lambda: software.post("Patient", patient()),
        ):
            rung = committed.rung
            assert (await ask()).status_code == 201
            await asyncio.wait_for(committed.wait(asyncio.Event(), None, since=rung), 30)


async def test_a_visit_of_several_names_all_of_them(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str
) -> None:
    """By their references; of one, the reference that there always was."""
    other = await practice.new_patient(given="Denis")
    software = callers.software()
    for place, people in enumerate(([camille, other], [camille])):
        wanted = appointment(
            "booked", slots=agenda.slots[place : place + 1], actors=people, start=agenda.at(place)
        )
        made = await software.post("Appointment", wanted)
        assert made.status_code == 201, made.text
        [(_, data)] = await told(practice, made.json()["id"])
        assert (data["patient"], data.get("patients")) == (camille, people if len(people) > 1 else None)


async def test_a_life(callers: Callers, practice: Practice, agenda: Agenda, camille: str) -> None:
    """Held, booked, moved, amended, cancelled: each event says what its consumers need, and no name."""
    caller = callers.patient(camille)
    wanted = appointment(
        "proposed",
        slots=agenda.slots[:1],
        patient=camille,
        actors=[agenda.practitioner],
        serviceType=[CONSULTATION],
        comment="secret médical",
    )
    held = (await caller.post("Appointment/$hold", parameters(appointment=wanted))).json()
    path = f"Appointment/{held['id']}"
    await caller.post(f"{path}/$book", parameters())
    await caller.post(f"{path}/$reschedule", parameters(slot=ref(f"Slot/{agenda.slots[1]}")))
    await caller.patch(path, [{"op": "replace", "path": "/comment", "value": "autre secret"}])
    reason = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason", "code": "pat"}
        ]
    }
    cancelled = await caller.patch(
        path,
        [
            {"op": "replace", "path": "/status", "value": "cancelled"},
            {"op": "add", "path": "/cancelationReason", "value": reason},
        ],
    )
    assert cancelled.status_code == 200, cancelled.text
    events = await told(practice, held["id"])
    assert [kind for kind, _ in events] == ["held", "booked", "moved", "updated", "cancelled"]
    assert [data["version"] for _, data in events] == [1, 2, 3, 4, 5]
    assert [data["sequence"] for _, data in events] == [0, 1, 2, 3, 4]
    for _, data in events:
        assert (data["appointment"], data["patient"]) == (held["id"], camille)
        assert data["schedules"] == [f"Schedule/{agenda.id}"]
        assert [actor["reference"] for actor in data["actors"]] == [agenda.practitioner, agenda.location]
        assert "secret" not in str(data)
    (visit,) = CONSULTATION["coding"]
    assert events[0][1]["serviceType"] == [{**visit, "display": "ambulatory"}]
    assert events[2][1]["previous"] == {"start": utc(agenda.at(0)), "end": utc(agenda.at(1))}
    assert events[2][1]["slots"] == [f"Slot/{agenda.slots[1]}"]
    assert events[4][1]["cancellation"] == {"reason": "pat", "by": "patient"}


@pytest.mark.parametrize("beside", [[], ["https://ailleurs.example/fhir/Practitioner/12"]])
async def test_of_software_that_names_nobody_the_agendas_people_are_told(
    callers: Callers, practice: Practice, agenda: Agenda, camille: str, beside: list[str]
) -> None:
    """By an appointment of the patient alone, or with somebody of another base: a message says with whom and where, in the
    zone of the place."""
    software = callers.software()
    wanted = appointment("booked", slots=agenda.slots[:1], patient=camille, start=agenda.start, actors=beside)
    path = f"Appointment/{(await software.post('Appointment', wanted)).json()['id']}"
    await software.patch(path, [{"op": "replace", "path": "/status", "value": "cancelled"}])
    events = await told(practice, path.partition("/")[2])
    assert [kind for kind, _ in events] == ["booked", "cancelled"]
    for _, data in events:
        told_of = {actor["reference"] for actor in data["actors"]}
        assert told_of == {agenda.practitioner, agenda.location, *beside}
    stays = (await software.get(path)).json()["participant"]
    assert [participant["actor"]["reference"] for participant in stays] == [camille, *beside]


async def test_what_a_writer_put_into_codes_and_labels_is_not_told(
    practice: Practice, agenda: Agenda
) -> None:
    """A display, a code of one's own, a reason in words: each may name a person, and an event is kept by others."""
    (visit,) = CONSULTATION["coding"]
    own = {"system": "https://canari.example/codes", "code": "Canari", "display": "Canari"}
    stored = await practice.create(
        appointment(
            "booked",
            slots=agenda.slots[:1],
            serviceType=[{"coding": [{**visit, "display": "Canari"}, own], "text": "Canari"}],
        )
    )
    await practice.change(
        stored.id, status="cancelled", cancelationReason={"coding": [own], "text": "Canari"}
    )
    for kind, data in await told(practice, stored.id):
        assert "canari" not in str(data).lower(), kind
        assert [coding["code"] for coding in data["serviceType"]] == ["AMB"]


@pytest.mark.parametrize("way", ["put", "delete"])
async def test_the_practice_cancels(callers: Callers, practice: Practice, agenda: Agenda, way: str) -> None:
    """Cancelled without its times, or deleted: the event still says when it was to be, and whose act it was."""
    stored = await practice.create(appointment("booked", slots=agenda.slots[:1]))
    software, path = callers.software(), f"Appointment/{stored.id}"
    if way == "put":
        current = (await software.get(path)).json()
        bare = {name: value for name, value in current.items() if name not in ("start", "end")}
        assert (await software.put(path, {**bare, "status": "cancelled"})).status_code == 200
    else:
        await software.delete(path)
    _, (kind, data) = await told(practice, stored.id)
    assert kind == "cancelled"
    assert data["start"] == utc(agenda.start)
    assert data["cancellation"] == {"by": "provider"}


async def test_a_hold_that_runs_out_and_a_renegotiation(practice: Practice, agenda: Agenda) -> None:
    held = await practice.hold(appointment("proposed", slots=agenda.slots[:1]))
    booked = await practice.create(appointment("booked", slots=agenda.slots[1:2]))
    await practice.change(booked.id, status="pending")
    await practice.change(booked.id, status="proposed", start=None, end=None)
    practice.clock.advance(timedelta(seconds=practice.settings.hold_duration_s))
    async with practice.database.transaction() as connection:
        assert await practice.handlers.expiry.expire(connection, practice.clock.now(), [held.id]) == 1
    assert [kind for kind, _ in await told(practice, held.id)] == ["held", "hold-expired"]
    assert [kind for kind, _ in await told(practice, booked.id)] == ["booked", "updated", "updated"]


async def test_a_request_tells_nobody(callers: Callers, practice: Practice, camille: str) -> None:
    """Asked for, changed, withdrawn: nothing was ever taken."""
    created = await callers.patient(camille).post("Appointment", appointment("proposed", patient=camille))
    path = f"Appointment/{created.json()['id']}"
    await callers.patient(camille).patch(path, [{"op": "add", "path": "/comment", "value": "le matin"}])
    await callers.patient(camille).patch(path, [{"op": "replace", "path": "/status", "value": "cancelled"}])
    assert await told(practice, created.json()["id"]) == []


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {},
            {
                "name": "Camille Exemple",
                "email": "camille@exemple.fr",
                "emailVouched": True,
                "language": "fr",
            },
        ),
        (
            {
                "name": [
                    {"use": "old", "text": "Avant"},
                    {"use": "usual", "text": "Cam"},
                    {"family": "Exemple"},
                ],
                "telecom": [
                    {"system": "phone", "value": "+33612345678", "rank": 2},
                    {"system": "phone", "value": "+33100000000", "rank": 1, "use": "old"},
                    {"system": "sms", "value": "+33700000000"},
                    {"system": "email", "value": "x" * 300},
                ],
                "communication": [
                    {"language": {"coding": [{"code": "fr"}]}},
                    {"language": {"coding": [{"code": "pt-BR"}]}, "preferred": True},
                ],
            },
            {"name": "Cam", "phone": "+33612345678", "phoneVouched": True, "language": "pt"},
        ),
        (
            {"communication": [{"language": {"text": "breton"}}], "telecom": []},
            {"name": "Camille Exemple", "language": "fr"},
        ),
    ],
)
async def test_contacts(callers: Callers, practice: Practice, members: Resource, expected: Resource) -> None:
    """How a patient is reached travels on its own topic, and is forgotten with the patient."""
    software, id_ = callers.software(), unique("patient")
    resource = {name: value for name, value in {**patient(), "id": id_, **members}.items() if value != []}
    assert (await software.put(f"Patient/{id_}", resource)).status_code == 201
    assert (await software.delete(f"Patient/{id_}")).status_code == 204
    rows = await practice.database.pool.fetch(
        "SELECT topic, data FROM outbox WHERE key = $1 ORDER BY position", f"Patient/{id_}"
    )
    assert [row["topic"] for row in rows] == ["creneau.booking.contacts"] * 2
    data = orjson.loads(rows[0]["data"])
    closed_validator("booking/contact.changed.v1").validate(data)
    assert data == {"recipient": f"Patient/{id_}", **expected}
    assert rows[1]["data"] is None

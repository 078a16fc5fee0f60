"""`Patient/$erase`: said first, done when confirmed, and then nothing of the person is left in booking's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from services.booking.tests.client import Caller, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, patient, ref, unique
from services.booking.tests.issuer import Issuer, running_issuer
from services.booking.tests.practice import Agenda, Practice
from tests.contract.closing import closed_validator
from tests.fixtures.canaries import Canaries

from creneau_booking.app import create_app
from creneau_booking.handlers.people.erasure import PatientErasure
from creneau_booking.storage.people import erasures
from creneau_booking.storage.visits.appointments import NOBODY_ELSE
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, WriteContext
from creneau_shared.fhir.validation import validate

PROVENANCE = "X_Provenance"


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest.fixture
async def alone(fresh: Practice, issuer: Issuer) -> AsyncIterator[Callers]:
    """The API over a database of the test's own, so that all of it can be looked through."""
    settings = settings_for(str(fresh.settings.database_url), issuer.url)
    async with serving(create_app(settings, fresh.clock)) as client:
        yield Callers(client, issuer, fresh.clock)


def said(receipt: Resource, name: str) -> list[Any]:
    """The values of the parameters of this name."""
    found = [p for p in receipt["parameter"] if p["name"] == name]
    return [next((v for k, v in p.items() if k.startswith("value")), p.get("part")) for p in found]


def confirming(value: object) -> Resource:
    kind = "valueBoolean" if isinstance(value, bool) else "valueString"
    return {"resourceType": "Parameters", "parameter": [{"name": "confirm", kind: value}]}


EMPTY: Resource = {"resourceType": "Parameters"}


class Life:
    """A person who leaves something in every corner of booking."""

    def __init__(self, callers: Callers, practice: Practice) -> None:
        self.canaries = Canaries()
        self.practice = practice
        self.callers = callers
        subject = unique("citoyen")
        self.caller: Caller = callers.patient(subject=subject)
        self.whole = Caller(callers.client, callers.issuer.token("whole", subject))
        """the same account, by a client that may read all of its types"""
        self.id = ""
        self.appointments: list[str] = []

    def secretary(self) -> Caller:
        """Of a practice, which sees its patients."""
        token = self.callers.issuer.token(
            "practice", unique("secretariat"), creneau_role="secretary", creneau_organizations=["org-1"]
        )
        return Caller(self.callers.client, token)

    async def live(self) -> None:
        canaries, caller = self.canaries, self.caller
        made = await caller.post("Patient", canaries.own_patient(), Idempotency_Key=unique("k"))
        assert made.status_code == 201, made.text
        self.id, software = made.json()["id"], self.callers.software()
        whole = await software.put(f"Patient/{self.id}", {**canaries.patient("married"), "id": self.id})
        assert whole.status_code == 200, whole.text
        own = canaries.own_patient("moved", whole.json())
        changed = await caller.put(f"Patient/{self.id}", own)
        assert changed.status_code == 200, changed.text
        proxy = await software.post("RelatedPerson", canaries.related_person(f"Patient/{self.id}"))
        assert proxy.status_code == 201, proxy.text
        agenda = await self.practice.open_agenda(6)
        for index in range(3):
            self.appointments.append(await self._book(agenda, index))
        await self._more(agenda, software)

    async def _book(self, agenda: Agenda, index: int) -> str:
        wish = appointment(
            "booked",
            slots=[agenda.slots[index]],
            patient=f"Patient/{self.id}",
            actors=[agenda.practitioner],
            start=agenda.at(index),
        )
        variant, software = f"n{index}", self.callers.software()
        if index == 2:
            who = orjson.dumps(self.canaries.provenance(f"Patient/{self.id}")).decode()
            whole, headers = self.canaries.appointment(wish, variant), {PROVENANCE: who}
            answer = await software.post("Appointment", whole, Idempotency_Key=unique("k"), **headers)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])
        own = self.canaries.own_appointment(wish, variant)
        answer = await self.caller.post("Appointment", own, Idempotency_Key=unique("k"))
        assert answer.status_code == 201, answer.text
        made = answer.json()
        completed = await software.put(
            f"Appointment/{made['id']}", self.canaries.appointment(made, f"{variant}b")
        )
        assert completed.status_code == 200, completed.text
        return str(made["id"])

    async def _more(self, agenda: Agenda, software: Caller) -> None:
        first = f"Appointment/{self.appointments[0]}"
        moved = await self.caller.post(
            f"{first}/$reschedule",
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "slot", "valueReference": ref(f"Slot/{agenda.slots[4]}")}],
            },
        )
        assert moved.status_code == 200, moved.text
        reworded = await self.caller.patch(
            first, [{"op": "replace", "path": "/comment", "value": self.canaries.plant("reworded")}]
        )
        assert reworded.status_code == 200, reworded.text
        answered = await software.post(
            "AppointmentResponse", self.canaries.response(first, f"Patient/{self.id}")
        )
        assert answered.status_code == 201, answered.text
        doctor = self.canaries.response(first, agenda.practitioner)
        assert (await software.post("AppointmentResponse", doctor)).status_code == 201
        request = {"op": "replace", "path": "/status", "value": "cancelled"}
        cancelled = await self.caller.patch(f"Appointment/{self.appointments[1]}", [request])
        assert cancelled.status_code == 200, cancelled.text

    async def erase(self, said: object | None = True, **headers: str) -> Any:
        body = EMPTY if said is None else confirming(said)
        return await self.caller.post(f"Patient/{self.id}/$erase", body, **headers)


@pytest.fixture
async def life(alone: Callers, fresh: Practice) -> Life:
    living = Life(alone, fresh)
    await living.live()
    return living


async def everywhere(life: Life) -> list[tuple[str, str]]:
    return await life.canaries.in_database(str(life.practice.settings.database_url))


async def test_first_it_says_what_would_happen_and_nothing_does(life: Life) -> None:
    answer = await life.erase(None)
    assert answer.status_code == 200, answer.text
    foreseen = answer.json()
    assert validate(foreseen, "Parameters") == []
    assert said(foreseen, "done") == [False]
    assert {r["reference"] for r in said(foreseen, "cancelled")} == {
        f"Appointment/{life.appointments[0]}",
        f"Appointment/{life.appointments[2]}",
    }
    kept = {part[0]["valueCode"] for part in said(foreseen, "kept")}
    assert kept == {"past-appointments", "audit-trail", "messages", "record-number", "practices"}
    assert (await life.caller.get(f"Patient/{life.id}")).status_code == 200
    assert len(await everywhere(life)) > 100


@pytest.mark.parametrize("wrong", ["Quelqu'un d'autre", "-", False])
async def test_a_confirmation_that_is_none_erases_nothing(life: Life, wrong: object) -> None:
    answer = await life.erase(wrong)
    assert (answer.status_code, code(answer)) == (422, "confirmation-differs")
    assert (await life.caller.get(f"Patient/{life.id}")).status_code == 200


async def test_the_family_name_confirms_however_it_is_typed(life: Life) -> None:
    answer = await life.erase(f" {life.canaries.plant('familymoved').upper()} ")
    assert said(answer.json(), "done") == [True]


async def test_afterwards_nothing_of_the_person_is_left_in_the_database(life: Life) -> None:
    """Every row of every table, bytes and indexed words included; answers kept for others after the worker's look."""
    answer = await life.erase()
    assert answer.status_code == 200, answer.text
    life.practice.clock.advance(timedelta(seconds=life.practice.settings.erasure_sweep_after_s + 1))
    assert await life.practice.jobs().sweep_erased() == 1
    assert await everywhere(life) == []
    assert await life.practice.jobs().seal_erased() == 0
    life.practice.clock.advance(timedelta(hours=24))
    assert await life.practice.jobs().seal_erased() == 1
    last = await life.practice.database.pool.fetchrow("SELECT key, data FROM outbox ORDER BY position DESC")
    assert last is not None
    assert tuple(last) == (f"Patient/{life.id}", None)
    assert await life.practice.jobs().seal_erased() == 0
    subject_left = await life.practice.database.pool.fetchval(
        "SELECT count(*) FROM audit WHERE agent LIKE 'citoyen-%'"
    )
    assert subject_left == 0
    assert await life.practice.jobs().sweep_erased() == 0


async def test_appointments_to_come_are_given_back_and_told_before_the_person_is_forgotten(
    life: Life,
) -> None:
    await life.erase()
    events = await life.practice.database.pool.fetch(
        "SELECT type, key, data FROM outbox WHERE published_at IS NULL ORDER BY position"
    )
    kinds = [(row["type"].split(".")[-2], row["key"]) for row in events]
    assert kinds[-2:] == [("erased", f"Patient/{life.id}")] * 2
    cancelled = {key for kind, key in kinds if kind == "cancelled"}
    assert cancelled == set(life.appointments)
    told = orjson.loads(events[-2]["data"])
    closed_validator("booking/patient.erased.v1").validate(told)
    assert told["patient"] == f"Patient/{life.id}"
    assert set(told["cancelled"]) == {life.appointments[0], life.appointments[2]}
    assert events[-1]["data"] is None
    contacts = [kind for kind, key in kinds if key == f"Patient/{life.id}"]
    assert contacts == ["erased", "erased"]
    assert await life.practice.database.pool.fetchval("SELECT count(*) FROM occupancy") == 0
    busy = await life.practice.database.pool.fetchval("SELECT count(*) FROM slot WHERE status <> 'free'")
    assert busy == 0


async def test_a_past_appointment_stays_the_practice_s_without_the_person(life: Life) -> None:
    """When it has begun it is what happened: times, slot and professional stay, who came does not."""
    life.practice.clock.advance(timedelta(days=30))
    receipt = (await life.erase()).json()
    assert said(receipt, "cancelled") == []
    software = life.callers.software()
    kept = (await software.get(f"Appointment/{life.appointments[2]}")).json()
    assert validate(kept, "Appointment") == []
    assert kept["status"] == "booked"
    assert kept["slot"]
    people = [p["actor"] for p in kept["participant"]]
    assert {"display": "Patient effacé"} in people
    assert any(p.get("reference", "").startswith("Practitioner/") for p in people)
    history = (await software.get(f"Appointment/{life.appointments[0]}/_history")).json()
    assert len(history["entry"]) >= 3
    assert life.canaries.within(orjson.dumps(history)) == set()
    found = await software.get("Appointment", patient=f"Patient/{life.id}")
    assert found.json()["total"] == 0


async def test_the_trail_of_who_looked_stays_under_the_record_s_number(life: Life) -> None:
    before = await life.practice.database.pool.fetchval("SELECT count(*) FROM audit")
    await life.erase()
    rows = await life.practice.database.pool.fetch(
        "SELECT action, agent FROM audit WHERE resource_type = 'Patient' AND resource_id = $1 ORDER BY id",
        life.id,
    )
    assert rows[-1]["action"] == "D"
    assert {row["agent"].split("-")[0] for row in rows} == {f"Patient/{life.id}".split("-")[0], "logiciel"}
    assert await life.practice.database.pool.fetchval("SELECT count(*) FROM audit") == before + 1


async def test_the_same_call_again_gives_the_same_receipt(life: Life) -> None:
    """A client whose connection broke may ask again; the administration gets the receipt ever after."""
    key = unique("efface")
    first = await life.erase(True, Idempotency_Key=key)
    again = await life.erase(True, Idempotency_Key=key)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    events = await life.practice.database.pool.fetchval(
        "SELECT count(*) FROM outbox WHERE type LIKE '%erased%'"
    )
    assert events == 2
    later = await life.callers.software().post(f"Patient/{life.id}/$erase", EMPTY)
    assert later.json() == first.json()


async def test_the_account_has_no_rights_left_and_the_id_is_never_another_s(life: Life) -> None:
    await life.erase()
    assert (await life.caller.get(f"Patient/{life.id}")).status_code == 404
    software = life.callers.software()
    refused = await software.put(f"Patient/{life.id}", {**patient(), "id": life.id})
    assert (refused.status_code, code(refused)) == (410, "patient-erased")


async def test_nobody_erases_somebody_else(life: Life) -> None:
    """Another person's account sees no such Patient; who works for a practice is told that it is the person's own."""
    stranger = life.callers.patient(await life.practice.new_patient())
    assert (await stranger.post(f"Patient/{life.id}/$erase", confirming(True))).status_code == 404
    practice = life.secretary()
    refused = await practice.post(f"Patient/{life.id}/$erase", confirming(True))
    assert (refused.status_code, code(refused)) == (403, "person-only")
    assert (await life.callers.nobody().post(f"Patient/{life.id}/$erase", EMPTY)).status_code == 401
    assert (await life.caller.get(f"Patient/{life.id}")).status_code == 200


async def test_what_was_corrected_to_somebody_else_is_erased_where_it_was_the_person_s(life: Life) -> None:
    """An appointment put down for the wrong person, then corrected: the earlier version named them."""
    software = life.callers.software()
    other = await life.practice.new_patient(given="Dominique")
    path = f"Appointment/{life.appointments[2]}"
    current = (await software.get(path)).json()
    right = appointment("booked", patient=other, comment="Pour Dominique")
    corrected = {
        **{name: current[name] for name in ("resourceType", "id", "start", "end", "slot")},
        "status": "booked",
        "comment": right["comment"],
        "participant": [
            *right["participant"],
            *(p for p in current["participant"] if "Practitioner/" in p["actor"].get("reference", "")),
        ],
    }
    assert (await software.put(path, corrected)).status_code == 200
    await life.erase()
    history = orjson.dumps((await software.get(f"{path}/_history")).json())
    assert life.canaries.within(history) == set()
    assert (await software.get(path)).json()["comment"] == "Pour Dominique"


async def test_a_request_in_hand_that_writes_after_the_erasure_is_found_by_the_worker(life: Life) -> None:
    await life.erase()
    late = life.canaries.appointment(appointment("waitlist", patient=f"Patient/{life.id}"), "late")
    repository = life.practice.repository  # what was judged before the erasure is only written after it
    async with life.practice.database.transaction() as connection:
        await repository.insert(
            connection,
            life.practice.context(),
            late,
            repository.facts(late, id_=unique("late")),
            NOBODY_ELSE,
            own_id=False,
        )
    assert await everywhere(life) != []
    life.practice.clock.advance(timedelta(seconds=life.practice.settings.erasure_sweep_after_s + 1))
    assert await life.practice.jobs().sweep_erased() == 1
    assert await everywhere(life) == []


async def test_one_who_cannot_be_swept_keeps_nobody_else_from_being_so(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that takes too long, for one person, every time: the others are looked for, and their tombstones are
    repeated."""
    await life.erase()
    practice = life.practice
    await practice.database.pool.execute(
        "INSERT INTO erased_patient (id, erased_at, receipt) SELECT 'long', erased_at - interval '1 second', '{}'"
        " FROM erased_patient"
    )
    sweep = PatientErasure.sweep

    async def hindered(self: PatientErasure, connection: Connection, context: WriteContext, id_: str) -> int:
        if id_ == "long":
            await connection.execute("SET LOCAL statement_timeout = 1")
            await connection.execute("SELECT pg_sleep(60)")
        return await sweep(self, connection, context, id_)

    practice.clock.advance(timedelta(hours=24))
    with monkeypatch.context() as hindrance:
        hindrance.setattr(PatientErasure, "sweep", hindered)
        await practice.jobs().finish_erasures()
    assert await everywhere(life) == []
    sealed = "SELECT id FROM erased_patient WHERE sealed_at IS NOT NULL"
    assert [row["id"] for row in await practice.database.pool.fetch(sealed)] == [life.id]
    assert await practice.jobs().sweep_erased() == 1


async def test_kept_answers_are_looked_through_a_few_pages_at_once(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever page they stand on, those that name one of the erased go, and no others."""
    monkeypatch.setattr(erasures, "ANSWER_PAGES", 2)
    gone, stays = (unique("parti"), unique("parti")), unique("reste")
    named = [gone[0], *[stays] * 60, gone[1]]
    subject = unique("reponses")
    await practice.database.pool.executemany(
        "INSERT INTO idempotency (issuer, subject, client, key, digest, status, content)"
        " VALUES ('issuer', $1, '', $2, '', 200, $3)",
        [(subject, str(number), f"Patient/{id_} {'x' * 1500}".encode()) for number, id_ in enumerate(named)],
    )
    async with practice.database.connection() as connection:
        assert await erasures.sweep_answers(connection, gone) == 2
    left = "SELECT count(*) FROM idempotency WHERE subject = $1"
    assert await practice.database.pool.fetchval(left, subject) == 60


async def test_a_deleted_patient_s_account_is_theirs_no_more_also_when_it_is_restored(
    callers: Callers, practice: Practice
) -> None:
    """A restore by the practice gives the record back, not the rights that an account had."""
    subject = unique("citoyen")
    caller = callers.patient(subject=subject)
    made = (await caller.post("Patient", patient(birthDate="1970-02-03"))).json()
    software = callers.software()
    assert (await software.delete(f"Patient/{made['id']}")).status_code == 204
    assert (await caller.get(f"Patient/{made['id']}")).status_code == 404
    restored = await software.put(f"Patient/{made['id']}", {**made, "birthDate": "1970-02-03"})
    assert restored.status_code == 201, restored.text
    assert (await caller.get(f"Patient/{made['id']}")).status_code == 404
    assert (await callers.patient(subject=subject).get(f"Patient/{made['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"name": [{"family": "EXEMPLE"}], "birthDate": "1970-02-03"}, 201),
        ({"name": [{"family": "Exemple"}]}, 201),
        ({"name": [{"family": "Exemple"}], "birthDate": "1999-01-01"}, 409),
        ({"name": [{"family": "Durand"}], "birthDate": "1970-02-03"}, 409),
    ],
)
async def test_an_id_is_given_back_to_the_same_person_only(
    callers: Callers, sent: Resource, status: int
) -> None:
    software = callers.software()
    id_ = unique("patient")
    first = {**patient(birthDate="1970-02-03"), "id": id_}
    assert (await software.put(f"Patient/{id_}", first)).status_code == 201
    await software.delete(f"Patient/{id_}")
    answer = await software.put(f"Patient/{id_}", {"resourceType": "Patient", "id": id_, **sent})
    assert answer.status_code == status, answer.text

"""What the machine does after each act: the answer and the database are compared with what the model says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from copy import deepcopy
from datetime import datetime, timedelta
from threading import Thread
from typing import Any, TypeVar

import httpx
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from services.booking.tests.client import Caller
from services.booking.tests.factories import appointment, ref, utc
from services.booking.tests.life.facts import Counter, Key, Offer, Side, Slot, Visit
from services.booking.tests.life.model import Model
from services.booking.tests.life.world import (
    PATIENTS,
    Town,
    new_model,
)
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.truths import require_found

from creneau_booking.storage.mapping.appointment import COUNTER_PROPOSAL
from creneau_shared.fhir.storage.store import Resource

T = TypeVar("T")
AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")

_SLOTS = """
SELECT schedule.id AS agenda, slot.start, slot."end", coalesce(slot.name, slot.id::text) AS id, slot.status::text AS status
FROM slot JOIN schedule ON schedule.key = slot.schedule_key
"""
_VISITS = """
SELECT id, convert_from(content, 'UTF8')::jsonb AS said FROM appointment WHERE NOT deleted
"""
_OCCUPIED = "SELECT actor, lower(period), upper(period) FROM occupancy"
_TOLD = """
SELECT position, split_part(type, '.', 5) AS kind, convert_from(data, 'UTF8') AS data FROM outbox
WHERE topic = 'creneau.booking.appointments' AND position > $1 ORDER BY position
"""

patients = st.sampled_from(PATIENTS)
picks = st.integers(0, 40)
agendas = st.sampled_from(AGENDAS)
sides = st.booleans()
speakers: st.SearchStrategy[Side] = st.sampled_from(["patient", "practice"])


class Loop:
    """An event loop in a thread of its own, so that a synchronous state machine can drive the database."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(120)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Comparing(RuleBasedStateMachine):
    """One life of the town."""

    loop: Loop
    town: Town

    def __init__(self) -> None:
        super().__init__()
        self.loop.run(self.town.begin_again())
        self.model = new_model()
        self.ids: dict[Key, str] = {}
        self.order: list[str] = []
        self.told_until = self.loop.run(self._last_told())
        self.variant, self.words, self.pushed = 0, 1, 0
        self.check()

    # -- doing and comparing ---------------------------------------------------------------------------------

    async def _last_told(self) -> int:
        position = "SELECT coalesce(max(position), 0) FROM outbox"
        return int(await self.town.practice.database.pool.fetchval(position))

    async def _told(self) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.town.practice.database.pool.fetch(_TOLD, self.told_until)
        self.told_until = rows[-1]["position"] if rows else self.told_until
        return [(row["kind"], json.loads(row["data"])) for row in rows]

    def do(
        self,
        what: str,
        send: Coroutine[Any, Any, httpx.Response | None],
        then: Callable[[Model, Any], bool],
    ) -> Any:
        """Something is done; what the model says of it is what was answered. The answer's body, where it was allowed."""
        self.town.practice.clock.advance(timedelta(seconds=1))
        response = self.loop.run(send)
        events = self.loop.run(self._told())
        accepted = response is None or response.status_code < 300
        body = response.json() if response is not None and accepted and response.content else None
        if response is not None:
            assert response.status_code < 500, response.text
        trial = deepcopy(self.model)
        trial.now = self.town.practice.clock.now()
        trial.told = [offer_of(data) for kind, data in events if kind == "offered"]
        trial.is_guess = not accepted
        allowed = then(trial, body)
        if allowed:
            trial.offer()
        said = "" if response is None else f" → {response.status_code}"
        if response is not None and not accepted:
            said += " " + ",".join(
                c.get("code", "")
                for i in response.json().get("issue", ())
                for c in i["details"].get("coding", ())
            )
        if isinstance(body, dict) and body.get("resourceType") == "Appointment":
            said += f" {body['id'][-6:]} {body['status']}"
        note(f"{trial.now:%d %H:%M:%S} {what}{said}")
        if not (trial.is_guess and trial.is_unsure):
            assert allowed == accepted, f"{what}: the model says {allowed} ({trial.why}), the answer is{said}"
        if accepted:
            assert not trial.told, f"offered without need: {trial.told}"
            self.model = trial
        self.check()
        return body if accepted else None

    def check(self) -> None:
        """The slots and the appointments are as the model has them."""
        self.loop.run(self._check())

    async def _check(self) -> None:
        pool = self.town.practice.database.pool
        rows = await pool.fetch(_SLOTS)
        self.ids = {(row["agenda"], row["start"], row["end"]): row["id"] for row in rows}
        there = {(row["agenda"], row["start"], row["end"]): row["status"] for row in rows}
        said = self.model.statuses()
        assert there == said, _difference(there, said)
        occupied = {
            (row["actor"].removeprefix("Patient/"), row[1], row[2]) for row in await pool.fetch(_OCCUPIED)
        }
        everybody = self.model.occupied()
        assert occupied == everybody, f"taken beside: {occupied - everybody}, and not: {everybody - occupied}"
        visits = {}
        for row in await pool.fetch(_VISITS):
            resource = json.loads(row["said"])
            visits[row["id"]] = resource["status"], proposed_in(resource)
        expected = {visit.id: (visit.status, visit.counter) for visit in self.model.visits.values()}
        assert visits == expected, _difference(visits, expected)

    def teardown(self) -> None:
        """Whatever the model believes."""
        self.loop.run(self._require_truth())

    async def _require_truth(self) -> None:
        database, now = self.town.practice.database, self.town.practice.clock.now()
        await require_one_truth(database.pool, now, told=True)
        async with database.transaction() as connection:
            await require_found(connection)

    # -- choosing --------------------------------------------------------------------------------------------

    def a_slot(self, agenda: str, pick: int) -> Slot | None:
        """One of the agenda's, most of the time one to come."""
        slots = sorted((s for s in self.model.slots.values() if s.agenda == agenda), key=lambda s: s.start)
        coming = [s for s in slots if s.start > self.model.now] if pick % 8 else slots
        return coming[pick % len(coming)] if coming else None

    def a_visit(self, pick: int, *statuses: str) -> Visit | None:
        found = [v for id_ in self.order if (v := self.model.visits[id_]).status in statuses]
        return found[pick % len(found)] if found else None

    def caller(self, patient: str, by_patient: bool) -> Caller:
        return self.town.patient(patient) if by_patient else self.town.software()

    def named(self, slots: Sequence[Slot]) -> list[str]:
        return [self.ids[s.key] for s in slots]

    def professional(self, slot: Slot) -> str:
        return next(who for who in self.model.people(slot) if who.startswith("Practitioner/"))

    def wanted(
        self, patient: str, slots: Sequence[Slot], status: str, by_patient: bool, **more: Any
    ) -> Resource:
        """A practice says itself who sees its patient; for a patient, the agenda does."""
        actors = [] if by_patient else sorted({self.professional(slot) for slot in slots})
        resource = appointment(
            status, slots=self.named(slots), patient=f"Patient/{patient}", actors=actors, **more
        )
        start, end = min(s.start for s in slots), max(s.end for s in slots)
        return {"start": utc(start), "end": utc(end), **resource}

    def begun(self, visit_of: Callable[[str], Visit], body: Resource | None) -> Visit:
        """The visit that the answer is about, or a stand-in for one that there is not."""
        resource = body
        if body is not None and body["resourceType"] == "Bundle":
            resource = body["entry"][0]["resource"]
        id_ = resource["id"] if resource is not None else "nobody"
        if id_ not in self.order and id_ != "nobody":
            self.order.append(id_)
        return visit_of(id_)


def _difference(there: dict[Any, Any], said: dict[Any, Any]) -> str:
    return "\n".join(
        f"{key}: there is {there.get(key)}, the model says {said.get(key)}"
        for key in sorted({*there, *said}, key=str)
        if there.get(key) != said.get(key)
    )


def proposed_in(said: Resource) -> Counter | None:
    """The other time that an Appointment says is proposed."""
    proposal = next((e for e in said.get("extension", ()) if e["url"] == COUNTER_PROPOSAL), None)
    if proposal is None:
        return None
    by, start, end = (
        next(
            value
            for part in proposal["extension"]
            if part["url"] == url
            for value in part.values()
            if value != url
        )
        for url in ("by", "start", "end")
    )
    side: Side = "patient" if by["reference"].startswith("Patient/") else "practice"
    return Counter(side, datetime.fromisoformat(start), datetime.fromisoformat(end))


def offer_of(data: dict[str, Any]) -> Offer:
    [agenda] = data["schedules"]
    start, end, until = (datetime.fromisoformat(data[name]) for name in ("start", "end", "heldUntil"))
    return Offer(data["appointment"], (agenda.removeprefix("Schedule/"), start, end), until)


def patch(caller: Caller, path: str, status: str) -> Coroutine[Any, Any, httpx.Response]:
    return caller.patch(path, [{"op": "replace", "path": "/status", "value": status}])


def respond(
    caller: Caller, id_: str, actor: str, status: str, at: tuple[datetime, datetime] | None = None
) -> Coroutine[Any, Any, httpx.Response]:
    times = {"start": utc(at[0]), "end": utc(at[1])} if at else {}
    said = {
        "resourceType": "AppointmentResponse",
        "appointment": ref(f"Appointment/{id_}"),
        "actor": ref(actor),
        "participantStatus": status,
        **times,
    }
    return caller.post("AppointmentResponse", said)


def call_of(call: dict[str, Any]) -> Resource:
    parts = []
    for name, value in call.items():
        parts.append(
            {"name": name, "resource": value}
            if isinstance(value, dict)
            else {"name": name, "valueUri": value}
        )
    return {"resourceType": "Parameters", "parameter": parts}

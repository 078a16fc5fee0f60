"""The machine that lives in the town: whatever clients, practices, software, the directory and time may do, in any order,
over HTTP; after each step the database says what the model says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from copy import deepcopy
from datetime import datetime, timedelta
from threading import Thread
from typing import Any, Literal, TypeVar

import httpx
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from services.booking.tests.api.test_series import weekly
from services.booking.tests.client import Caller
from services.booking.tests.factories import appointment, parameters, ref, slot, utc
from services.booking.tests.life.model import Key, Model, Offer, Slot, Visit
from services.booking.tests.life.world import (
    BLOCKS,
    PATIENTS,
    VISIT,
    WIDTH,
    Town,
    _version,
    asked_by,
    new_model,
    room,
    rule_of,
)
from services.booking.tests.one_place import require_one_truth
from services.booking.tests.surgery import hear, role_resource
from services.booking.tests.truths import require_found

from creneau_booking.storage.appointment_mapper import OVERBOOKING_REASON, REPLACES
from creneau_booking.storage.calendars import follow_calendar, keep_busy
from creneau_booking.storage.wishes import WAITING_AGENDA
from creneau_shared.fhir.storage.store import Resource

T = TypeVar("T")
AGENDAS = ("cabinet", "annexe", "salle", "groupe", "confirme", "flux", "regles")
_SLOTS = """
SELECT schedule.id AS agenda, slot.start, slot."end", coalesce(slot.name, slot.id::text) AS id, slot.status::text AS status
FROM slot JOIN schedule ON schedule.key = slot.schedule_key
"""
_VISITS = """
SELECT id, convert_from(content, 'UTF8')::json ->> 'status' AS status FROM appointment WHERE NOT deleted
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


class Life(RuleBasedStateMachine):
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
        trial.told = [_offer_of(data) for kind, data in events if kind == "offered"]
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
        visits = {row["id"]: row["status"] for row in await pool.fetch(_VISITS)}
        expected = {visit.id: visit.status for visit in self.model.visits.values()}
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

    def wanted(self, patient: str, slots: Sequence[Slot], status: str, **more: Any) -> Resource:
        resource = appointment(status, slots=self.named(slots), patient=f"Patient/{patient}", **more)
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

    # -- booking ---------------------------------------------------------------------------------------------

    def _new(
        self,
        patient: str,
        slots: Sequence[Slot],
        how: str,
        by_patient: bool,
        part: tuple[datetime, datetime] | None = None,
        instead: str | None = None,
    ) -> None:
        caller = self.caller(patient, by_patient)
        times = {"start": utc(part[0]), "end": utc(part[1])} if part else {}
        keys = [s.key for s in slots]
        if how == "hold":
            send = caller.post("Appointment/$hold", {**self.wanted(patient, slots, "proposed"), **times})
        elif instead is not None:
            wanted = {**self.wanted(patient, slots, "proposed"), **times}
            call = {"appt-resource": wanted, "cancelled-appt-id": instead}
            send = caller.post("Appointment/$book", _parameters(call))
        elif how == "book":
            send = caller.post("Appointment/$book", {**self.wanted(patient, slots, "proposed"), **times})
        else:
            send = caller.post("Appointment", {**self.wanted(patient, slots, "booked"), **times})

        def then(model: Model, body: Any) -> bool:
            if how == "hold" and by_patient and (same := model.same_hold(patient, keys)) is not None:
                return body is None or same.id == body["id"]
            account = patient if by_patient else None
            visit = self.begun(lambda id_: Visit(id_, patient, "", account=account), body)
            status: Literal["held", "booked"] = "held" if how == "hold" else "booked"
            return model.new(visit, keys, status, by_patient=by_patient, part=part, instead=instead)

        by = "patient" if by_patient else "practice"
        where = ", ".join(f"{s.agenda} {s.start:%d %H:%M}" for s in slots)
        beside = f" instead of {instead}" if instead else ""
        self.do(f"{by} {how} {patient} {where}{f' part {part}' if part else ''}{beside}", send, then)

    @rule(
        patient=patients,
        agenda=agendas,
        pick=picks,
        how=st.sampled_from(["book", "post", "hold"]),
        by_patient=sides,
    )
    def take(self, patient: str, agenda: str, pick: int, how: str, by_patient: bool) -> None:
        if (wanted := self.a_slot(agenda, pick)) is not None:
            self._new(patient, [wanted], how, by_patient)

    @rule(patient=patients, agenda=st.sampled_from(["cabinet", "annexe"]), pick=picks, how=st.sampled_from(["book", "hold"]),
          by_patient=sides)  # fmt: skip
    def take_two(self, patient: str, agenda: str, pick: int, how: str, by_patient: bool) -> None:
        """Two that follow each other, or do not."""
        one, other = self.a_slot(agenda, pick), self.a_slot(agenda, pick + 1)
        if one is not None and other is not None and one is not other:
            self._new(patient, sorted([one, other], key=lambda s: s.start), how, by_patient)

    @rule(
        patient=patients,
        pick=picks,
        at=st.integers(0, 2),
        how=st.sampled_from(["book", "hold"]),
        by_patient=sides,
    )
    def take_a_part(self, patient: str, pick: int, at: int, how: str, by_patient: bool) -> None:
        wanted = self.a_slot("salle", pick)
        if wanted is None or wanted.end - wanted.start <= VISIT:
            return
        start = wanted.start + at * VISIT
        if start + VISIT <= wanted.end:
            self._new(patient, [wanted], how, by_patient, (start, start + VISIT))

    @precondition(lambda self: self.order)
    @rule(agenda=agendas, pick=picks, which=picks, by_patient=sides)
    def take_instead(self, agenda: str, pick: int, which: int, by_patient: bool) -> None:
        old = self.a_visit(which, "booked", "pending")
        wanted = self.a_slot(agenda, pick)
        if old is not None and wanted is not None and old.keeps != "offer":
            self._new(old.patient, [wanted], "book", by_patient, instead=old.id)

    # -- what becomes of it ----------------------------------------------------------------------------------

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides, how=st.sampled_from(["$book", "patch", "$confirm"]))
    def book_what_is_held(self, which: int, by_patient: bool, how: str) -> None:
        visit = self.a_visit(which, "pending")
        if visit is None or (how == "$confirm" and by_patient):
            return
        caller, path = self.caller(visit.patient, by_patient), f"Appointment/{visit.id}"
        send = (
            _patch(caller, path, "booked") if how == "patch" else caller.post(f"{path}/{how}", parameters())
        )
        by = "patient" if by_patient else "practice"

        def then(model: Model, _: Any) -> bool:
            if how == "$confirm":
                return model.confirm(visit.id)
            return model.book(visit.id, by_patient=by_patient)

        self.do(f"{by} {how} {visit.id[-6:]}", send, then)

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides, how=st.sampled_from(["$cancel", "patch"]))
    def cancel(self, which: int, by_patient: bool, how: str) -> None:
        visit = self.a_visit(which, "pending", "booked", "arrived", "waitlist")
        if visit is None:
            return
        caller, path = self.caller(visit.patient, by_patient), f"Appointment/{visit.id}"
        send = (
            _patch(caller, path, "cancelled")
            if how == "patch"
            else caller.post(f"{path}/$cancel", parameters())
        )

        def then(model: Model, _: Any) -> bool:
            if how == "$cancel" and visit.keeps == "offer":
                return model.decline(visit.id)
            return model.cancel(visit.id, by_patient=by_patient)

        by = "patient" if by_patient else "practice"
        self.do(f"{by} {how} cancels {visit.id[-6:]}", send, then)

    @precondition(lambda self: any(v.keeps == "offer" for v in self.model.visits.values()))
    @rule(which=picks, yes=sides, how=st.sampled_from(["patch", "response"]))
    def answer_an_offer(self, which: int, yes: bool, how: str) -> None:
        offered = [id_ for id_ in self.order if self.model.visits[id_].keeps == "offer"]
        visit = self.model.visits[offered[which % len(offered)]]
        caller = self.town.patient(visit.patient)
        if how == "patch":
            send = _patch(caller, f"Appointment/{visit.id}", "booked" if yes else "waitlist")
        else:
            caller = self.town.callers.with_scopes("answering", f"Patient/{visit.patient}")
            send = _response(caller, visit.id, f"Patient/{visit.patient}", "accepted" if yes else "declined")
        self.do(
            f"patient {'accepts' if yes else 'declines'} the offer {visit.id[-6:]} by {how}",
            send,
            lambda model, _: model.book(visit.id, by_patient=True) if yes else model.decline(visit.id),
        )

    @precondition(lambda self: any(v.keeps == "asked" for v in self.model.visits.values()))
    @rule(which=picks, yes=sides)
    def answer_as_practice(self, which: int, yes: bool) -> None:
        asked = [id_ for id_ in self.order if self.model.visits[id_].keeps == "asked"]
        visit = self.model.visits[asked[which % len(asked)]]
        agenda = self.model.agendas[self.model.of(visit)[0].agenda]
        who = next(p for p in agenda.people if p.startswith("Practitioner/"))
        send = _response(self.town.software(), visit.id, who, "accepted" if yes else "declined")
        self.do(
            f"practice answers {yes} {visit.id[-6:]}",
            send,
            lambda model, _: (model.book if yes else model.cancel)(visit.id, by_patient=False),
        )

    @precondition(lambda self: self.order)
    @rule(which=picks, agenda=agendas, pick=picks, by_patient=sides)
    def move(self, which: int, agenda: str, pick: int, by_patient: bool) -> None:
        visit, wanted = self.a_visit(which, "pending", "booked"), self.a_slot(agenda, pick)
        if visit is None or wanted is None or (visit.keeps == "offer" and not by_patient):
            return
        if visit.brings and by_patient:
            return  # whom the practice has brought, no patient brings elsewhere
        caller = self.caller(visit.patient, by_patient)
        call = {"resourceType": "Parameters",
                "parameter": [{"name": "slot", "valueReference": ref(f"Slot/{self.ids[wanted.key]}")}]}  # fmt: skip
        by = "patient" if by_patient else "practice"
        self.do(
            f"{by} moves {visit.id[-6:]} to {agenda} {wanted.start:%d %H:%M}",
            caller.post(f"Appointment/{visit.id}/$reschedule", call),
            lambda model, _: model.move(visit.id, [wanted.key], by_patient=by_patient),
        )

    @precondition(lambda self: self.order)
    @rule(which=picks, status=st.sampled_from(["arrived", "fulfilled", "noshow", "entered-in-error"]))
    def practice_says(self, which: int, status: str) -> None:
        visit = self.a_visit(which, "pending", "booked", "arrived", "fulfilled", "noshow")
        if visit is not None:
            self.do(
                f"{visit.id[-6:]} is {status}",
                _patch(self.town.software(), f"Appointment/{visit.id}", status),
                lambda model, _: model.become(visit.id, status),
            )

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides)
    def extend(self, which: int, by_patient: bool) -> None:
        visit = self.a_visit(which, "pending", "booked")
        if visit is None or visit.keeps == "offer":
            return
        send = self.caller(visit.patient, by_patient).post(f"Appointment/{visit.id}/$hold", parameters())
        by = "patient" if by_patient else "practice"
        self.do(
            f"{by} extends {visit.id[-6:]}",
            send,
            lambda model, _: model.extend(visit.id, by_patient=by_patient),
        )

    @precondition(lambda self: self.order)
    @rule(which=picks, by_patient=sides)
    def delete(self, which: int, by_patient: bool) -> None:
        visit = self.a_visit(which, "pending", "booked", "waitlist")
        if visit is None:
            return
        by = "patient" if by_patient else "practice"

        def then(model: Model, _: Any) -> bool:
            return model.forget(visit.id, by_patient=by_patient)

        self.do(
            f"{by} deletes {visit.id[-6:]}",
            self.caller(visit.patient, by_patient).delete(f"Appointment/{visit.id}"),
            then,
        )
        self.order = [id_ for id_ in self.order if id_ in self.model.visits]

    @rule(patient=patients, agenda=st.sampled_from(["cabinet", "annexe", "flux", "regles"]), pick=picks)
    def put_over(self, patient: str, agenda: str, pick: int) -> None:
        """The practice has a reason."""
        wanted = self.a_slot(agenda, pick)
        if wanted is None:
            return
        reason = {"url": OVERBOOKING_REASON, "valueString": "urgence"}
        resource = self.wanted(patient, [wanted], "booked", extension=[reason])
        key = wanted.key

        def then(model: Model, body: Any) -> bool:
            return model.put_over(self.begun(lambda id_: Visit(id_, patient, ""), body), key)

        what = f"practice puts {patient} over {agenda} {wanted.start:%d %H:%M}"
        self.do(what, self.town.software().post("Appointment", resource), then)

    @rule(patient=patients, who=st.sampled_from(["Practitioner/one", "Practitioner/three", "Device/scanner"]),
          block=st.integers(0, 3), first=st.integers(0, 5), length=st.integers(1, 3))  # fmt: skip
    def walk_in(self, patient: str, who: str, block: int, first: int, length: int) -> None:
        start = BLOCKS[block] + first * timedelta(minutes=10)
        end = start + length * timedelta(minutes=15)
        resource = appointment(
            "booked", patient=f"Patient/{patient}", actors=[who], start=start, length=end - start
        )

        def then(model: Model, body: Any) -> bool:
            visit = self.begun(lambda id_: Visit(id_, patient, "", brings=frozenset({who})), body)
            return model.walk_in(visit, start, end)

        what = f"{patient} walks in to {who} {start:%d %H:%M}-{end:%H:%M}"
        self.do(what, self.town.software().post("Appointment", resource), then)

    # -- series ----------------------------------------------------------------------------------------------

    @rule(patient=patients, position=st.integers(0, WIDTH - 1), by_patient=sides)
    def take_a_series(self, patient: str, position: int, by_patient: bool) -> None:
        """Nine in the morning (or a little later) on three Saturdays, of which the clocks change between two."""
        moments = [BLOCKS[n] + position * VISIT for n in (0, 2, 3)]
        keys = [("cabinet", moment, moment + VISIT) for moment in moments]
        first = self.model.at(keys[0])
        if first is None:
            return
        wanted = self.wanted(patient, [first], "proposed", extension=[weekly(3)])
        send = self.caller(patient, by_patient).post("Appointment/$book", parameters(appt_resource=wanted))

        def then(model: Model, body: Any) -> bool:
            series = len(model.visits)
            ids = [entry["resource"]["id"] for entry in body["entry"]] if body else ["n0", "n1", "n2"]
            if body:
                self.order += ids
            for number, (id_, key) in enumerate(zip(ids, keys, strict=True)):
                visit = Visit(
                    id_, patient, "", account=patient if by_patient else None, series=series, number=number
                )
                if not model.new(visit, [key], "booked", by_patient=by_patient):
                    return False
            return True

        self.do(f"{'patient' if by_patient else 'practice'} series {patient} {position}", send, then)

    def _of_series(self, model: Model, visit: Visit, scope: str) -> list[Visit]:
        """Those that a change is about: of those to come the later ones, or all, and the one that is named."""
        members = sorted(
            (v for v in model.visits.values() if v.series == visit.series), key=lambda v: v.number
        )
        return [
            v
            for v in members
            if (scope == "all" or v.number >= visit.number)
            and (
                v.id == visit.id
                or (v.status in ("pending", "booked", "arrived") and v.start and v.start > model.now)
            )
        ]

    @precondition(lambda self: any(v.series is not None for v in self.model.visits.values()))
    @rule(which=picks, scope=st.sampled_from(["all", "this-and-following"]), by_patient=sides)
    def cancel_a_series(self, which: int, scope: str, by_patient: bool) -> None:
        found = [
            id_
            for id_ in self.order
            if (v := self.model.visits[id_]).series is not None and v.status == "booked"
        ]
        if not found:
            return
        visit = self.model.visits[found[which % len(found)]]
        call = parameters(scope=scope)
        send = self.caller(visit.patient, by_patient).post(f"Appointment/{visit.id}/$cancel", call)
        self.do(
            f"{'patient' if by_patient else 'practice'} cancels {scope} from {visit.id[-6:]}",
            send,
            lambda model, _: all(
                model.cancel(v.id, by_patient=by_patient) for v in self._of_series(model, visit, scope)
            ),
        )

    @precondition(lambda self: any(v.series is not None for v in self.model.visits.values()))
    @rule(
        which=picks,
        scope=st.sampled_from(["all", "this-and-following"]),
        position=st.integers(0, 2),
        by_patient=sides,
    )
    def move_a_series(self, which: int, scope: str, position: int, by_patient: bool) -> None:
        found = [
            id_
            for id_ in self.order
            if (v := self.model.visits[id_]).series is not None and v.status == "booked"
        ]
        if not found:
            return
        visit = self.model.visits[found[which % len(found)]]
        assert visit.start is not None
        before = visit.start
        block = max(b for b in BLOCKS if b <= before)
        moment = block + position * VISIT
        if (target := self.model.at(("cabinet", moment, moment + VISIT))) is None:
            return
        call = {"resourceType": "Parameters",
                "parameter": [{"name": "slot", "valueReference": ref(f"Slot/{self.ids[target.key]}")},
                              {"name": "scope", "valueCode": scope}]}  # fmt: skip

        def then(model: Model, _: Any) -> bool:
            members = self._of_series(model, visit, scope)
            if moment > before:
                members.reverse()
            for one in members:
                assert one.start is not None
                start = one.start + (moment - before)
                if not model.move(one.id, [("cabinet", start, start + VISIT)], by_patient=by_patient):
                    return False
            return True

        send = self.caller(visit.patient, by_patient).post(f"Appointment/{visit.id}/$reschedule", call)
        by = "patient" if by_patient else "practice"
        self.do(f"{by} moves {scope} from {visit.id[-6:]} to {moment:%d %H:%M}", send, then)

    # -- waiting ---------------------------------------------------------------------------------------------

    @rule(patient=patients, agenda=agendas, urgent=sides, replaces=st.one_of(st.none(), picks))
    def wait_for(self, patient: str, agenda: str, urgent: bool, replaces: int | None) -> None:
        """As the practice's who says how urgent it is, else as one's own."""
        old = None if replaces is None else self.a_visit(replaces, "booked", "pending", "cancelled")
        extensions: list[Resource] = [{"url": WAITING_AGENDA, "valueReference": ref(f"Schedule/{agenda}")}]
        if old is not None:
            extensions.append({"url": REPLACES, "valueReference": ref(f"Appointment/{old.id}")})
        wanted = appointment("waitlist", patient=f"Patient/{patient}", extension=extensions)
        if urgent:
            wanted["priority"] = 1
        rank = 1 if urgent else 5

        def then(model: Model, body: Any) -> bool:
            return model.wait(
                self.begun(
                    lambda id_: Visit(
                        id_, patient, "", waits_for=agenda, rank=rank, replaces=old.id if old else None
                    ),
                    body,
                )
            )

        what = f"{patient} waits for {agenda}{' urgently' if urgent else ''}{f' instead of {old.id[-6:]}' if old else ''}"
        self.do(what, self.caller(patient, not urgent).post("Appointment", wanted), then)

    # -- agendas ---------------------------------------------------------------------------------------------

    @rule(agenda=st.sampled_from(["cabinet", "annexe", "groupe", "confirme", "regles"]), pick=picks,
          status=st.sampled_from(["free", "busy", "busy-unavailable"]))  # fmt: skip
    def push(self, agenda: str, pick: int, status: str) -> None:
        """Its software says again what it knows of a slot."""
        said = self.a_slot(agenda, pick)
        if said is None:
            return
        id_, key = self.ids[said.key], said.key
        self.do(
            f"{agenda} says {status} of {said.start:%d %H:%M}",
            self.town.software().put(
                f"Slot/{id_}", slot(id_, agenda, said.start, said.end - said.start, status)
            ),
            lambda model, _: model.say(key, status),
        )

    @rule(agenda=st.sampled_from(["cabinet", "annexe", "groupe"]), pick=picks)
    def remove(self, agenda: str, pick: int) -> None:
        if (gone := self.a_slot(agenda, pick)) is not None:
            key = gone.key
            self.do(
                f"{agenda} removes {gone.start:%d %H:%M}",
                self.town.software().delete(f"Slot/{self.ids[key]}"),
                lambda model, _: model.remove(key),
            )

    @rule(
        agenda=st.sampled_from(["cabinet", "annexe", "groupe"]),
        block=st.integers(0, 3),
        position=st.integers(0, 2),
    )
    def add(self, agenda: str, block: int, position: int) -> None:
        start = BLOCKS[block] + position * VISIT
        key = (agenda, start, start + VISIT)
        if self.model.at(key) is None:
            self.pushed += 1
            id_ = f"{agenda}-{self.pushed}-more"
            self.do(
                f"{agenda} adds {start:%d %H:%M}",
                self.town.software().put(f"Slot/{id_}", slot(id_, agenda, start, VISIT)),
                lambda model, _: model.say(key, "free"),
            )

    @rule(
        block=st.integers(0, 3),
        said=st.lists(st.sampled_from(["free", "free", "busy", None]), min_size=3, max_size=3),
    )
    def synchronise(self, block: int, said: list[str | None]) -> None:
        """The feed says what there is in a block."""
        low = BLOCKS[block]
        high = low + WIDTH * VISIT
        told = {
            ("flux", low + n * VISIT, low + (n + 1) * VISIT): status
            for n, status in enumerate(said)
            if status
        }
        entries = []
        for (_, start, _), status in told.items():
            one = slot("x", "flux", start, VISIT, status)
            del one["id"]
            entries.append({"resource": one})
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        path = f"Schedule/flux/$sync-slots?from={utc(low)}&to={utc(high)}"

        def then(model: Model, body: Any) -> bool:
            counts = model.synchronise("flux", (low, high), told)
            if body is not None:
                answered = {p["name"]: p["valueInteger"] for p in body["parameter"] if "valueInteger" in p}
                assert answered == counts
            return True

        self.do(f"flux synchronises {low:%d %H:%M} {said}", self.town.software().post(path, bundle), then)

    @rule(agenda=agendas, block=st.integers(0, 3), again=sides)
    def close(self, agenda: str, block: int, again: bool) -> None:
        """A block of time is closed, and what is there cancelled; or it is opened again."""
        low, high = BLOCKS[block] - timedelta(hours=1), BLOCKS[block] + timedelta(hours=3)
        call: Resource = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "period", "valuePeriod": {"start": utc(low), "end": utc(high)}},
                {"name": "action", "valueCode": "reopen" if again else "cancel"},
                {"name": "confirm", "valueBoolean": True},
            ],
        }

        def then(model: Model, body: Any) -> bool:
            if high <= model.now:
                return False
            if again:
                model.reopen(agenda, low, high)
                if agenda == "regles":
                    model.restate(agenda, asked_by(self.variant))
                return True
            hit = model.close(agenda, low, high)
            if body is not None:
                told = [
                    part["valueReference"]["reference"].removeprefix("Appointment/")
                    for p in body["parameter"]
                    if p["name"] == "appointment"
                    for part in p["part"]
                    if part["name"] == "reference"
                ]
                assert sorted(told) == sorted(hit), f"closing hits {hit}, and it was told {told}"
                hit = told
            for id_ in hit:
                visit = model.visits[id_]
                if visit.keeps == "offer":
                    model.decline(id_)
                elif visit.status in ("booked", "pending"):
                    model.cancel(id_, by_patient=False)
                model.offer()
            return True

        what = f"{agenda} {'reopens' if again else 'closes'} {low:%d %H:%M}"
        self.do(what, self.town.software().post(f"Schedule/{agenda}/$close", call), then)

    @rule(variant=st.integers(0, 3))
    def state_other_rules(self, variant: int) -> None:
        def then(model: Model, _: Any) -> bool:
            model.restate("regles", asked_by(variant))
            return True

        self.variant = variant
        self.do(
            f"regles: variant {variant}", self.town.software().put("Schedule/regles", rule_of(variant)), then
        )

    @rule(who=st.sampled_from(["PractitionerRole/one-b", "PractitionerRole/two-a", "Location/room"]))
    def come_or_go(self, who: str) -> None:
        """The directory says that a situation of practice, or a room, is no more; or is there again."""
        self.words += 1
        back = who in self.model.gone
        if who == "Location/room":
            said = room("active" if back else "suspended")
        else:
            name = who.partition("/")[2]
            person, organization = name.split("-")
            said = role_resource(name, f"Practitioner/{person}", organization, active=back)

        async def speak() -> None:
            await hear(self.town.practice, _version(said, self.words))

        def then(model: Model, _: Any) -> bool:
            closed = [agenda for agenda in model.agendas if not model.is_open(agenda)]
            model.gone = model.gone - {who} if back else model.gone | {who}
            for agenda in closed:
                if model.is_open(agenda):
                    model.free_again(agenda)
            return True

        self.do(f"the directory: {who} {'comes' if back else 'goes'}", speak(), then)

    @rule(agenda=st.sampled_from(["cabinet", "annexe", "flux"]), block=st.integers(0, 3), first=st.integers(0, 3),
          length=st.integers(0, 2))  # fmt: skip
    def be_busy_elsewhere(self, agenda: str, block: int, first: int, length: int) -> None:
        """The professional's own calendar says when they are busy."""
        low = BLOCKS[block] + first * timedelta(minutes=10)
        times = [(low, low + length * VISIT)] if length else []
        practice = self.town.practice

        async def read() -> None:
            now = practice.clock.now()
            async with practice.database.transaction() as connection:
                await follow_calendar(connection, agenda, f"https://exemple.fr/{agenda}.ics", now)
                await keep_busy(connection, agenda, times, (now, now + timedelta(days=60)), now)

        def then(model: Model, _: Any) -> bool:
            model.calendar(agenda, times)
            return True

        self.do(f"{agenda} busy elsewhere {times}", read(), then)

    # -- time ------------------------------------------------------------------------------------------------

    @rule(
        minutes=st.sampled_from([1, 11, 50, 300, 780, 1500, 4000]),
        swept=st.sampled_from([True, True, True, False]),
    )
    def pass_time(self, minutes: int, swept: bool) -> None:
        self.town.practice.clock.advance(timedelta(minutes=minutes))
        self.model.now = self.town.practice.clock.now()
        note(f"{self.model.now:%d %H:%M:%S} {minutes} minutes have passed")
        if swept:
            self.sweep()

    @precondition(lambda self: self.model.run_out())
    @rule()
    def sweep(self) -> None:
        """What the worker does within a second of an end."""

        async def work() -> None:
            await self.town.practice.jobs().expire_holds()

        self.loop.run(work())
        events = self.loop.run(self._told())
        model = self.model
        model.told = [_offer_of(data) for kind, data in events if kind == "offered"]
        for kind, data in events:
            if kind in ("hold-expired", "cancelled"):
                visit = model.visits[data["appointment"]]
                assert model.has_run_out(visit), f"{visit} was ended before its time"
                model.expire(visit)
        assert not model.run_out(), f"have run out, and are not ended: {model.run_out()}"
        assert not model.told, f"offered without need: {model.told}"
        note(f"{model.now:%d %H:%M:%S} swept: {[(kind, data['appointment'][-6:]) for kind, data in events]}")
        self.check()


def _difference(there: dict[Any, Any], said: dict[Any, Any]) -> str:
    return "\n".join(
        f"{key}: there is {there.get(key)}, the model says {said.get(key)}"
        for key in sorted({*there, *said}, key=str)
        if there.get(key) != said.get(key)
    )


def _offer_of(data: dict[str, Any]) -> Offer:
    [agenda] = data["schedules"]
    start, end, until = (datetime.fromisoformat(data[name]) for name in ("start", "end", "heldUntil"))
    return Offer(data["appointment"], (agenda.removeprefix("Schedule/"), start, end), until)


def _patch(caller: Caller, path: str, status: str) -> Coroutine[Any, Any, httpx.Response]:
    return caller.patch(path, [{"op": "replace", "path": "/status", "value": status}])


def _response(caller: Caller, id_: str, actor: str, status: str) -> Coroutine[Any, Any, httpx.Response]:
    said = {
        "resourceType": "AppointmentResponse",
        "appointment": ref(f"Appointment/{id_}"),
        "actor": ref(actor),
        "participantStatus": status,
    }
    return caller.post("AppointmentResponse", said)


def _parameters(call: dict[str, Any]) -> Resource:
    parts = []
    for name, value in call.items():
        parts.append(
            {"name": name, "resource": value}
            if isinstance(value, dict)
            else {"name": name, "valueUri": value}
        )
    return {"resourceType": "Parameters", "parameter": parts}

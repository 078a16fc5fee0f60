"""The operations, on what is the caller's and on what is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from creneau_shared.security.principal import Action
from creneau_shared.security.role_table import OPERATIONS
from tests.conformance import builders
from tests.conformance.matrix.expectation import Caller, Expectation, Item
from tests.conformance.matrix.questions import Found, Question
from tests.conformance.matrix.world import Practice, World
from tests.conformance.matrix.writing import without_right

BEYOND = "beyond the right"
"""whatever comes after it was found to be theirs"""


class Operations:
    """The questions of one world."""

    def __init__(self, world: World, callers: Sequence[Caller]) -> None:
        self.world = world
        self.callers = callers

    def on_instances(self) -> Iterator[Question]:
        """Each operation on each appointment, sent so that whoever may do it does not succeed either."""
        nothing = {"resourceType": "Parameters"}
        unreadable = {**nothing, "parameter": [{"name": "until", "valueString": "never"}]}
        for caller in self.callers:
            for item in self.world.living("Appointment"):
                yield self._on(caller, item, "hold", nothing)
                yield self._on(caller, item, "book", {**item.resource, "status": "noshow"})
                yield self._on(caller, item, "reschedule", nothing)
                yield self._on(caller, item, "wait", unreadable)
            for kind in self.world.types:
                yield from (self._validate(caller, item) for item in self.world.living(kind))

    def _on(self, caller: Caller, item: Item, code: str, body: dict[str, Any]) -> Question:
        name = f"{item.name} ${code}"
        kind, action = _right(code)

        def expected(table: Expectation) -> Found:
            refused = table.refusal(caller, kind, action) or table.refusal(caller, kind, "u")
            return {name: refused or (BEYOND if table.sees(caller, item, "u") else 404)}

        def read(answers: Sequence[httpx.Response]) -> Found:
            status = answers[0].status_code
            within = status in (400, 409, 422) or (status == 403 and not without_right(answers[0]))
            return {name: BEYOND if within else status}

        return Question(caller, "operation", "POST", f"/{item.address}/${code}", read, expected, json=body)

    def _validate(self, caller: Caller, item: Item) -> Question:
        name = f"{item.name} $validate"

        def expected(table: Expectation) -> Found:
            refused = table.refusal(caller, item.type, "r")
            return {name: refused or (200 if table.sees(caller, item, "r") else 404)}

        def read(answers: Sequence[httpx.Response]) -> Found:
            return {name: answers[0].status_code}

        return Question(caller, "operation", "GET", f"/{item.address}/$validate", read, expected)

    def bookings(self, roles: Collection[str]) -> Iterator[Question]:
        """`$book` and `$hold` of a fresh slot of A's and of B's for Camille, Yann and Brune."""
        for caller in (caller for caller in self.callers if caller.role in roles):
            for name, practice in (("A", self.world.a), ("B", self.world.b)):
                for number, person in enumerate(("camille", "yann", "brune")):
                    code = ("book", "hold")[number % 2]
                    yield self._booking(caller, name, practice, self.world[person], code)

    def _booking(self, caller: Caller, at: str, practice: Practice, person: Item, code: str) -> Question:
        name = f"${code} for {person.name} at {at}"
        slot = builders.created(self.world.system, self.world.slot(practice))
        resource = builders.appointment(person.id, slot, status="proposed")

        def expected(table: Expectation) -> Found:
            kind, action = _right(code)
            own = table.people(caller, kind, action)
            theirs = table.practices(caller, kind, action)
            allowed = {
                "all": True,
                "own": person.id in own,
                "practice": practice.id in theirs and bool(person.now.owners & theirs),
            }.get(table.reach(caller, kind, action), False)
            return {name: "done" if allowed else "refused"}

        def read(answers: Sequence[httpx.Response]) -> Found:
            status = answers[0].status_code
            if status == 201:
                self.world.system.delete(f"/Appointment/{answers[0].json()['id']}").raise_for_status()
            said = {201: "done", 401: "refused", 403: "refused", 422: "refused"}
            return {name: said.get(status, answers[0].text[:200])}

        return Question(caller, "booking", "POST", f"/Appointment/${code}", read, expected, json=resource)

    def ignoring(self) -> Iterator[Question]:
        """`$find` finds the time of an appointment free for whoever is to move it, and for nobody else."""
        for name, practice in (("camille at A", self.world.a), ("yann at B", self.world.b)):
            slot = practice["overlapping"]
            start = datetime.fromisoformat(slot.resource["start"])
            asked = {
                "start": builders.instant(start),
                "end": builders.instant(start + timedelta(minutes=20)),
                "schedule": practice["second agenda"].address,
                "ignore-appointment": self.world[name].address,
            }
            for caller in self.callers:
                yield self._find(caller, self.world[name], f"/Appointment/$find?{urlencode(asked)}")

    def _find(self, caller: Caller, item: Item, url: str) -> Question:
        def expected(table: Expectation) -> Found:
            return {item.name: table.sees(caller, item, "r")}

        def read(answers: Sequence[httpx.Response]) -> Found:
            status = answers[0].status_code
            return {item.name: bool(answers[0].json()["total"]) if status == 200 else status}

        return Question(caller, "$find", "GET", url, read, expected)


def _right(code: str) -> tuple[str, Action]:
    right = OPERATIONS[code].right
    assert right is not None
    return right

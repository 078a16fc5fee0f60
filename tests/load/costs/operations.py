"""The main operations, each as often as asked, one call after the other over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from tests.load import data
from tests.load.system import System

JSON_PATCH = "application/json-patch+json"
CANCELLED = [{"op": "replace", "path": "/status", "value": "cancelled"}]


@dataclass
class Operations:
    """The calls. Each books, moves and cancels what an earlier one has left: they are asked in the order of `all`."""

    system: System
    agenda: data.Agenda
    slots: Iterator[data.Slot] = field(init=False)
    booked: list[str] = field(default_factory=list)
    """ids, by software"""
    held: list[tuple[str, str]] = field(default_factory=list)
    """ids, and the token of whose it is"""
    confirmed: list[tuple[str, str]] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slots = iter(self.agenda.slots)
        self.software = self.system.token_of("system")
        self.people = enumerate(self.system.patients())
        self.client = httpx.Client(base_url=f"http://{self.system.host}/fhir", timeout=60)

    def all(self) -> dict[str, Callable[[], None]]:
        """One call of each operation, by its name."""
        return {
            "software books": self.book_by_software,
            "a patient books": self.book_by_patient,
            "$hold": self.hold,
            "$book of a hold": self.confirm,
            "$reschedule": self.move,
            "cancel": self.cancel,
            "feed of one slot": self.feed,
            "transaction of 20 slots": self.feed_many,
            "read by id": self.read,
            "free week": self.free_week,
            "$find": self.find,
        }

    def book_by_software(self) -> None:
        number = len(self.booked)
        body = self.agenda.appointment(next(self.slots), data.patient_id(number))
        self.booked.append(self._send("POST", "/Appointment", self.software, body)["id"])

    def book_by_patient(self) -> None:
        number, token = next(self.people)
        body = self.agenda.appointment(next(self.slots), data.patient_id(number))
        self._send("POST", "/Appointment", token, body)

    def hold(self) -> None:
        number, token = next(self.people)
        proposed = self.agenda.appointment(next(self.slots), data.patient_id(number)) | {"status": "proposed"}
        given = {"resourceType": "Parameters", "parameter": [{"name": "appointment", "resource": proposed}]}
        self.held.append((self._send("POST", "/Appointment/$hold", token, given)["id"], token))

    def confirm(self) -> None:
        id_, token = self.held.pop()
        self._send("POST", f"/Appointment/{id_}/$book", token, {"resourceType": "Parameters"})
        self.confirmed.append((id_, token))

    def move(self) -> None:
        id_, token = self.confirmed.pop()
        to = {"name": "slot", "valueReference": {"reference": f"Slot/{next(self.slots).id}"}}
        given = {"resourceType": "Parameters", "parameter": [to]}
        self._send("POST", f"/Appointment/{id_}/$reschedule", token, given)
        self.moved.append((id_, token))

    def cancel(self) -> None:
        id_, token = self.moved.pop()
        self._send("PATCH", f"/Appointment/{id_}", token, CANCELLED, JSON_PATCH)

    def feed(self) -> None:
        [slot] = self._new_slots(1)
        self._send("PUT", f"/Slot/{slot['id']}", self.software, slot)

    def feed_many(self) -> None:
        entries = [
            {"resource": slot, "request": {"method": "PUT", "url": f"Slot/{slot['id']}"}}
            for slot in self._new_slots(20)
        ]
        self._send(
            "POST", "", self.software, {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        )

    def read(self) -> None:
        self._send("GET", f"/Appointment/{self.booked[0]}", self.software)

    def free_week(self) -> None:
        self._send("GET", self.agenda.week_query().removeprefix("/fhir"), None)

    def find(self) -> None:
        self._send("GET", self.agenda.find_query().removeprefix("/fhir"), None)

    def _new_slots(self, count: int) -> list[dict[str, Any]]:
        """Slots beyond those that are there, in the same agenda."""
        first = data.FIRST_DAY + timedelta(days=data.DAYS)
        made = []
        for _ in range(count):
            made.append(data.slot(0, first + timedelta(minutes=15 * self._fed)) | {"id": str(uuid4())})
            self._fed += 1
        return made

    _fed: int = 0

    def _send(
        self,
        method: str,
        path: str,
        token: str | None,
        body: Any = None,
        content: str = "application/fhir+json",
    ) -> dict[str, Any]:
        headers = {"Content-Type": content, "Accept": "application/fhir+json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        answer = self.client.request(method, path, json=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

"""Whatever names something that the caller may not know of is answered as what names nothing.

Each way to name a thing is asked with the id of an invisible one and with one that was never used; status, headers and
body must be alike once the ids are masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any
from uuid import uuid4

import httpx
from deploy.local.topology import SERVICES

from creneau_shared.security.role_table import STAFF
from creneau_shared.type_table import PUBLIC
from tests.conformance import builders
from tests.conformance.matrix.batches import entry_of
from tests.conformance.matrix.expectation import READING, Caller, Expectation, Item
from tests.conformance.matrix.questions import Found, Question
from tests.conformance.matrix.world import World

HEADERS = ("ETag", "Last-Modified", "Location", "Content-Location", "Allow", "Expires", "WWW-Authenticate")
FHIR = {"Content-Type": builders.JSON}
MARK = "{id}"
PERSONAL = ("Appointment", "AppointmentResponse", "Patient", "RelatedPerson")
"""what a practice may say something about where it is its own"""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WHEN = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT"
)
_HEX = re.compile(r"\b[0-9a-f]{32}\b")
"""of an OperationOutcome's id"""
_SEALED = re.compile(r"_cursor=[\w\-=.%]+|~sealed\.[\w\-=.%]+")
"""cursors, and what a link keeps to itself"""
WINDOW = "start=2027-01-01T08:00:00Z&end=2027-01-02T08:00:00Z"


@dataclass(frozen=True)
class Shape:
    """One way to name a thing: `{id}` stands for its id."""

    name: str
    method: str
    url: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    """whether no entry of a batch can be this"""
    by_persons: bool = False
    """whether it is for patients to ask: to practices an unknown slot of a request is nothing"""

    def ask(self, caller: Caller, id_: str, read: Any, expected: Any) -> Question:
        body = None if self.body is None else json.loads(json.dumps(self.body).replace(MARK, id_))
        headers = {name: value.replace(MARK, id_) for name, value in self.headers}
        url = self.url.replace(MARK, id_)
        return Question(
            caller, self.name, self.method, url, read, expected, json=body, headers={**FHIR, **headers}
        )


def parameters(**values: Any) -> dict[str, Any]:
    entries = [
        {"name": name.replace("_", "-"), **({"resource": v} if isinstance(v, dict) else {"valueString": v})}
        for name, v in values.items()
    ]
    return {"resourceType": "Parameters", "parameter": entries}


ASKING = (
    "public", "camille", "yann", "patient of nobody", "secretary A", "software B", "secretary T", "secretary of nobody",
    "regulator", "counsellor for camille", "operator",
)  # fmt: skip
"""Callers among whom everybody has their like."""
ASKING_ALONE = ("public", "yann", "secretary A")


class Oracles:
    """The questions of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.callers = [world.callers[name] for name in ASKING]
        self._definitions = [
            definition
            for service in SERVICES
            for definition in httpx.get(f"{world.stack.service_url(service)}/operation-definitions").json()
        ]

    def alone(self) -> Iterator[Question]:
        """Each shape as a request of its own, for one thing of each type."""
        for caller in (self.world.callers[name] for name in ASKING_ALONE):
            for item in self._invisible_to(caller, most=1):
                yield from (_compared(shape, caller, item) for shape in self._shapes(caller, item))

    def in_batches(self) -> Iterator[Question]:
        """All shapes that can be entries: a batch for each of a few things of each type, and one for what there is not."""
        for caller in self.callers:
            for item in self._invisible_to(caller, most=2):
                shapes = [shape for shape in self._shapes(caller, item) if not shape.alone]
                yield _compared_batch(shapes, caller, item)

    def _invisible_to(self, caller: Caller, *, most: int) -> Iterator[Item]:
        """At most so many things of each type of which the caller may see no version at all."""
        table, counted = Expectation(), dict[str, int]()
        for item in self.world.items.values():
            seen = (table.sees(caller, item, a, v) for a in READING for v in item.versions)
            if not any(seen) and counted.setdefault(item.type, 0) < most:
                counted[item.type] += 1
                yield item

    def _shapes(self, caller: Caller, item: Item) -> list[Shape]:
        kind = item.type
        at, whole = f"/{kind}/{MARK}", {**item.resource, "id": MARK}
        some: list[Shape] = [
            Shape("read", "GET", at),
            Shape("vread", "GET", f"{at}/_history/1"),
            Shape("history", "GET", f"{at}/_history"),
            Shape("PUT", "PUT", at, whole),
            Shape("PUT if it is version 1", "PUT", at, whole, (("If-Match", 'W/"1"'),)),
            Shape("PUT if there is none", "PUT", at, whole, (("If-None-Match", "*"),)),
            Shape("PUT by condition", "PUT", f"/{kind}?_id={MARK}", whole),
            Shape("PATCH", "PATCH", at, {"resourceType": "Parameters"}),
            Shape("PATCH by condition", "PATCH", f"/{kind}?_id={MARK}", {"resourceType": "Parameters"}),
            Shape("DELETE", "DELETE", at),
            Shape("DELETE by condition", "DELETE", f"/{kind}?_id={MARK}"),
            Shape("search", "GET", f"/{kind}?_id={MARK}"),
            Shape(
                "search for all but it",
                "GET",
                f"/{kind}?_id:not={MARK}&_lastUpdated=le{self.world.ended}&_summary=count",
            ),
            Shape("provenance of it", "GET", f"/Provenance?target={kind}/{MARK}"),
            Shape("trail of it", "GET", f"/AuditEvent?entity={kind}/{MARK}", alone=True),
        ]
        some += self._operations(kind)
        if kind in PUBLIC:
            # Who publishes chooses the ids (their software feeds agendas by PUT): that one is in use cannot be hidden.
            some = [shape for shape in some if shape.method != "PUT"]
        if kind in PERSONAL:
            some.append(Shape("Provenance about it", "POST", "/Provenance", _provenance(f"{kind}/{MARK}")))
        some += getattr(self, f"_of_{kind.lower()}", list)()
        return [shape for shape in some if caller.role not in STAFF or not shape.by_persons]

    def _operations(self, kind: str) -> Iterator[Shape]:
        """Every operation that the services say they have on a thing of this type."""
        for definition in self._definitions:
            types = definition.get("resource") or self.world.types
            if definition["instance"] and kind in types:
                at = f"/{kind}/{MARK}/${definition['code']}"
                yield Shape(f"POST ${definition['code']}", "POST", at, {"resourceType": "Parameters"})
                yield Shape(f"GET ${definition['code']}", "GET", at)

    def _of_patient(self) -> list[Shape]:
        slot = self.world.b["slot"].resource
        new = builders.appointment(MARK, dict(slot), status="proposed")
        related = {"resourceType": "RelatedPerson", "patient": {"reference": f"Patient/{MARK}"}}
        return [
            Shape("appointments of", "GET", f"/Appointment?patient={MARK}"),
            Shape("chain", "GET", f"/Appointment?patient:Patient._id={MARK}"),
            Shape("compartment", "GET", f"/Patient/{MARK}/Appointment"),
            Shape("messages of", "GET", f"/Communication?subject=Patient/{MARK}"),
            Shape("slots for", "GET", f"/Slot?status=free&bookable-by={MARK}&_count=2"),
            Shape("$find for", "GET", f"/Appointment/$find?{WINDOW}&patient-reference=Patient/{MARK}"),
            Shape("POST Appointment for", "POST", "/Appointment", new),
            Shape("POST RelatedPerson of", "POST", "/RelatedPerson", related),
            Shape("trail of the person", "GET", f"/AuditEvent?patient={MARK}", alone=True),
            Shape(
                "unless there is one of theirs", "POST", "/RelatedPerson", related,
                (("If-None-Exist", f"patient={MARK}"),),
            ),
            Shape(
                "$hold for", "POST", "/Appointment/$hold",
                parameters(appt_id=f"proposal.{uuid4()}", patient_id=MARK),
            ),
        ]  # fmt: skip

    def _of_appointment(self) -> list[Shape]:
        at = f"/Appointment/{MARK}"
        response = {
            "resourceType": "AppointmentResponse",
            "appointment": {"reference": f"Appointment/{MARK}"},
            "actor": {"reference": self.world["camille"].address},
            "participantStatus": "accepted",
        }
        nowhere = builders.appointment(str(uuid4()), {"id": str(uuid4()), "start": WHEN, "end": UNTIL})
        return [
            Shape("answers to", "GET", f"/AppointmentResponse?appointment={MARK}"),
            Shape("messages about", "GET", f"/Communication?based-on=Appointment/{MARK}"),
            Shape("slots of", "GET", f"/Slot?_has:Appointment:slot:_id={MARK}"),
            Shape("POST AppointmentResponse to", "POST", "/AppointmentResponse", response),
            Shape("$hold by reference", "POST", "/Appointment/$hold", parameters(appt_id=MARK)),
            Shape("$book by reference", "POST", "/Appointment/$book", parameters(appt_id=MARK)),
            Shape("$book a resource", "POST", "/Appointment/$book", {**nowhere, "id": MARK}),
            Shape(
                "$book instead of", "POST", "/Appointment/$book",
                parameters(appt_resource=nowhere, cancelled_appt_id=MARK),
            ),
            Shape("$reschedule", "POST", f"{at}/$reschedule", parameters(start=WHEN)),
            Shape("$confirm", "POST", f"{at}/$confirm", parameters()),
            Shape("$cancel", "POST", "/Appointment/$cancel", parameters(appointment=f"Appointment/{MARK}")),
            Shape("$find but for", "GET", f"/Appointment/$find?{WINDOW}&ignore-appointment=Appointment/{MARK}"),
        ]  # fmt: skip

    def _of_slot(self) -> list[Shape]:
        slot = {"id": MARK, "start": WHEN, "end": UNTIL}
        return [
            Shape("appointments in", "GET", f"/Appointment?slot={MARK}"),
            Shape("agenda of", "GET", f"/Schedule?_has:Slot:schedule:_id={MARK}"),
            *(
                Shape(f"POST Appointment in, for {name}", "POST", "/Appointment",
                      {k: v for k, v in builders.appointment(self.world[name].id, slot).items()
                       if k not in ("start", "end")})
                for name in ("camille", "yann", "zoe")
            ),
            *(
                Shape(
                    f"proposing it for {name}",
                    "POST",
                    "/Appointment",
                    builders.appointment(self.world[name].id, slot, status="proposed"),
                    by_persons=True,
                )
                for name in ("camille", "yann")
            ),
            Shape("$hold of", "POST", "/Appointment/$hold",
                  parameters(appt_id=f"proposal.{MARK}", patient_id=self.world["camille"].id)),
            Shape("$book of", "POST", "/Appointment/$book",
                  parameters(appt_id=f"proposal.{MARK}", patient_id=self.world["yann"].id)),
            Shape("$reschedule to", "POST", f"/{self.world['corrected'].address}/$reschedule",
                  parameters(slot=f"Slot/{MARK}")),
        ]  # fmt: skip


WHEN, UNTIL = "2027-01-01T09:00:00Z", "2027-01-01T09:20:00Z"


def _provenance(target: str) -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target}],
        "recorded": "2026-01-05T08:00:00Z",
        "agent": [{"who": {"display": "Accueil"}}],
    }


def masked(text: str, id_: str) -> str:
    """The text without the id that was asked for, and without what differs from answer to answer."""
    text = _HEX.sub("<hex>", _SEALED.sub("<sealed>", text.replace(id_, MARK)))
    return _UUID.sub("<uuid>", _WHEN.sub("<when>", text))


def _said(answer: httpx.Response, id_: str) -> str:
    headers = {name: masked(answer.headers[name], id_) for name in HEADERS if name in answer.headers}
    return f"{answer.status_code} {headers} {masked(answer.text, id_)}"


def _alike(of_it: str, of_none: str) -> str:
    """`alike`, or where the two part."""
    if of_it == of_none:
        return "alike"
    same = takewhile(lambda pair: pair[0] == pair[1], zip(of_it, of_none, strict=False))
    place = max(sum(1 for _ in same) - 40, 0)
    return f"{of_it[:24]} … {of_it[place : place + 200]} BUT OF NONE {of_none[:24]} … {of_none[place : place + 120]}"


def _compared(shape: Shape, caller: Caller, item: Item) -> Question:
    """A question that is asked twice: what comes of it is what both answers say."""
    unused = str(uuid4())
    other = shape.ask(caller, unused, None, None)

    def read(answers: Sequence[httpx.Response]) -> Found:
        of_it, of_none = _said(answers[0], item.id), _said(answers[1], unused)
        return {item.name: _alike(of_it, of_none)}

    question = shape.ask(caller, item.id, read, lambda _: {item.name: "alike"})
    return replace(question, also=other)


def _compared_batch(shapes: list[Shape], caller: Caller, item: Item) -> Question:
    unused = str(uuid4())

    def bundle(id_: str) -> dict[str, Any]:
        entries = [entry_of(shape.ask(caller, id_, None, None)) for shape in shapes]
        return {"resourceType": "Bundle", "type": "batch", "entry": entries}

    def read(answers: Sequence[httpx.Response]) -> Found:
        it, none = (
            [masked(json.dumps(entry), id_) for entry in answer.json()["entry"]]
            for answer, id_ in zip(answers, (item.id, unused), strict=True)
        )
        return {
            f"{item.name}: {shape.name}": _alike(one, other)
            for shape, one, other in zip(shapes, it, none, strict=True)
        }

    def expected(_: Expectation) -> Found:
        return {f"{item.name}: {shape.name}": "alike" for shape in shapes}

    first, second = (
        Question(caller, "oracle in a batch", "POST", "", read, expected, json=bundle(id_))
        for id_ in (item.id, unused)
    )
    return replace(first, also=second)

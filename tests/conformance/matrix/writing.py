"""Every way of writing, by everybody, without destroying anything: what may be changed is said to have changed since
(`If-Match` of a version that there never was), and what is created is nobody else's concern."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from creneau_shared.security.principal import Action
from creneau_shared.type_table import COMPARTMENT, PUBLIC
from tests.conformance import builders
from tests.conformance.matrix.expectation import Caller, Expectation, Item
from tests.conformance.matrix.questions import Found, Question
from tests.conformance.matrix.world import Practice, World, reference

NO_VERSION = {"If-Match": 'W/"999"'}
FHIR = {"Content-Type": builders.JSON}
METHODS: dict[str, tuple[Action, str]] = {
    "PUT": ("u", "update"),
    "PATCH": ("u", "patch"),
    "DELETE": ("d", "delete"),
}
NOTHING_TO_PATCH = {"resourceType": "Parameters"}
REFUSED = "refused"


@dataclass(frozen=True)
class New:
    """Something that could be created: whose it would be, about whom, and which practices know those."""

    name: str
    resource: dict[str, Any]
    owners: frozenset[str]
    patients: frozenset[str] = frozenset()
    known_to: frozenset[str] | None = None


class Writing:
    """The questions of one world."""

    def __init__(self, world: World, callers: Sequence[Caller]) -> None:
        self.world = world
        self.callers = callers
        statement = world.system.get("/metadata").json()["rest"][0]["resource"]
        self._offered = {
            resource["type"]: {interaction["code"] for interaction in resource["interaction"]}
            for resource in statement
        }

    def changes(self) -> Iterator[Question]:
        """PUT, PATCH and DELETE of each thing, by its id and by a condition."""
        for caller in self.callers:
            for item in self.world.items.values():
                for method in METHODS:
                    yield self._change(caller, item, method, conditional=False)
                    yield self._change(caller, item, method, conditional=True)

    def _change(self, caller: Caller, item: Item, method: str, *, conditional: bool) -> Question:
        name = f"{item.name} {method}"

        def expected(table: Expectation) -> Found:
            judge = self._conditional if conditional else self._plain
            return {name: judge(table, caller, item, method)}

        def read(answers: Sequence[httpx.Response]) -> Found:
            return {name: answers[0].status_code}

        url = f"/{item.type}?_id={item.id}" if conditional else f"/{item.address}"
        body = {"PUT": dict(item.resource), "PATCH": NOTHING_TO_PATCH}.get(method)
        way = "conditional write" if conditional else "write"
        return Question(caller, way, method, url, read, expected, json=body, headers={**NO_VERSION, **FHIR})

    def _plain(self, table: Expectation, caller: Caller, item: Item, method: str) -> int:
        action, interaction = METHODS[method]
        if interaction not in self._offered[item.type]:
            return 405
        if refused := table.refusal(caller, item.type, action):
            return refused
        if table.sees(caller, item, action):
            return self._of_its_own(table, caller, item, method)
        if item.type in PUBLIC and table.sees(caller, item, "r"):
            return 403
        return 204 if method == "DELETE" else 404

    def _of_its_own(self, table: Expectation, caller: Caller, item: Item, method: str) -> int:
        if not item.now.deleted:
            return 412
        if method == "PUT":
            chosen = table.reach(caller, item.type, "u") == "all" or item.type not in COMPARTMENT
            return 412 if chosen else 404
        return {"PATCH": 410, "DELETE": 204}[method]

    def _conditional(self, table: Expectation, caller: Caller, item: Item, method: str) -> int:
        action, interaction = METHODS[method]
        if interaction not in self._offered[item.type]:
            return 405
        if refused := table.refusal(caller, item.type, action) or table.refusal(caller, item.type, "s"):
            return refused
        designated: Action = "u" if caller.role == "regulator" else "s"
        if item.now.deleted or not table.sees(caller, item, designated):
            return {"PUT": 412, "PATCH": 404, "DELETE": 204}[method]
        return self._plain(table, caller, item, method)

    # -- creating --------------------------------------------------------------------------------------------

    def creations(self, roles: Collection[str]) -> Iterator[Question]:
        """Something of A's and of B's, about Camille, Yann and Brune, of each type that can be created."""
        for caller in self.callers:
            if caller.role in roles:
                yield from (self._create(caller, new) for new in self._new())

    def _new(self) -> Iterator[New]:
        for name, practice in (("A", self.world.a), ("B", self.world.b)):
            yield from self._entries(name, practice)
            for person in ("camille", "yann", "brune"):
                yield from self._about(name, practice, self.world[person])
        for person in ("camille", "yann"):
            patient = self.world[person]
            said: dict[str, Any] = {"resourceType": "RelatedPerson", "patient": reference(patient)}
            yield New(f"RelatedPerson of {person}", said, patient.now.owners, patient.now.patients)
        for answered, actor in (("camille at A", "camille"), ("yann at B", "yann")):
            of = self.world[answered].now
            said = {
                "resourceType": "AppointmentResponse",
                "appointment": reference(self.world[answered]),
                "actor": reference(self.world[actor]),
                "participantStatus": "accepted",
            }
            yield New(f"AppointmentResponse to {answered}", said, of.owners, of.patients)
            said = {
                "resourceType": "Provenance",
                "target": [reference(self.world[answered])],
                "recorded": "2026-01-05T08:00:00Z",
                "agent": [{"who": {"display": "Accueil"}}],
            }
            yield New(f"Provenance of {answered}", said, of.owners)

    def _entries(self, name: str, practice: Practice) -> Iterator[New]:
        whose, owners = reference(practice.organization), frozenset({practice.id})
        for resource in (
            builders.location(managingOrganization=whose),
            {"resourceType": "HealthcareService", "name": "Offre", "providedBy": whose},
            {
                "resourceType": "PractitionerRole",
                "practitioner": reference(practice["practitioner"]),
                "organization": whose,
            },
            builders.organization(partOf=whose),
            {"resourceType": "Device", "owner": whose},
            builders.schedule(practice["role"].address),
            self.world.slot(practice),
        ):
            yield New(f"{resource['resourceType']} of {name}", resource, owners)

    def _about(self, name: str, practice: Practice, person: Item) -> Iterator[New]:
        slot = practice["slot"].resource
        yield New(
            f"Appointment of {person.name} at {name}",
            builders.appointment(person.id, dict(slot), status="proposed"),
            frozenset({practice.id}),
            person.now.patients,
            person.now.owners,
        )

    def _create(self, caller: Caller, new: New) -> Question:
        kind = str(new.resource["resourceType"])

        def expected(table: Expectation) -> Found:
            refused = table.refusal(caller, kind, "c")
            return {new.name: refused or (201 if may_create(table, caller, new) else REFUSED)}

        def read(answers: Sequence[httpx.Response]) -> Found:
            status = answers[0].status_code
            if status == 201 and kind == "Appointment":
                # A person's requests are counted.
                self.world.system.delete(f"/Appointment/{answers[0].json()['id']}").raise_for_status()
            said = REFUSED if status in (403, 404, 422) and not without_right(answers[0]) else status
            return {new.name: said}

        return Question(caller, "create", "POST", f"/{kind}", read, expected, json=new.resource)


def may_create(table: Expectation, caller: Caller, new: New) -> bool:
    """Whether it would be theirs, and is about people whom they know."""
    kind = str(new.resource["resourceType"])
    practices = table.practices(caller, kind, "c")
    return {
        "all": True,
        "own": bool(new.patients) and new.patients <= table.people(caller, kind, "c"),
        "practice": bool(new.owners & practices)
        and (new.known_to is None or bool(new.known_to & table.practices(caller, kind, "c"))),
    }.get(table.reach(caller, kind, "c"), False)


def without_right(answer: httpx.Response) -> bool:
    """Whether they were refused for what they are (the role, no practice), and not for what they sent."""
    issue = answer.json()["issue"][0]
    codes = {coding.get("code") for coding in issue.get("details", {}).get("coding", ())}
    return answer.status_code == 403 and codes <= {"no-practice"}

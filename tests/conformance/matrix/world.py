"""The world that is asked about: two practices and a telephone secretariat, their agendas, five persons, and one of each
thing that is somebody's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from deploy.local.tokens import SCOPES

from creneau_shared.clock import SystemClock
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.security.memberships import DELEGATIONS, MAY
from creneau_shared.security.principal import Role, Scope
from creneau_shared.security.rights import BY_LINK, MAY_ALL, REGULATION, SHARED
from tests.conformance import builders
from tests.conformance.builders import Resource, created, next_day
from tests.conformance.matrix.expectation import Caller, Item, Version
from tests.fixtures.stack import Stack

WORD = "matricielle"
"""a word in the narrative of everything in the world"""
SLOT_TYPE = "https://mos.esante.gouv.fr/NOS/TRE_R314-TypeCreneau/FHIR/TRE-R314-TypeCreneau"
CONFIDENTIALITY = "https://creneau.sante.fr/fhir/CodeSystem/confidentiality"
NOT_OPEN = {"meta": {"security": [{"system": SLOT_TYPE, "code": "PRO"}]}}
HIDDEN = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "HIDDEN-FROM-PROXIES"}]}}
MINOR: dict[str, Any] = {"birthDate": f"{datetime.now(UTC).year - 9}-01-01"}


def reference(item: Item | str) -> dict[str, str]:
    return {"reference": item if isinstance(item, str) else item.address}


def narrated(resource: Resource) -> Resource:
    """The resource with a narrative that has `WORD` in it."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{WORD}</div>'
    return {**resource, "text": {"status": "generated", "div": div}}


@dataclass
class Practice:
    """An organisation with its directory entries, agenda and slots."""

    organization: Item
    software: httpx.Client
    items: dict[str, Item] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Item:
        return self.items[name]

    @property
    def id(self) -> str:
        return self.organization.id


class World:
    """Everything, by name, and everybody who may ask for it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.begun = _now()
        self.items: dict[str, Item] = {}
        self.callers: dict[str, Caller] = {}
        self.system = stack.client("system")
        self._day = next_day()
        self._slots = 0
        self.a = self._practice("A")
        self.b = self._practice("B")
        self.t = Practice(self._organization("T"), stack.client("system"))
        self._delegate()
        self._people()
        self._appointments()
        self._statements()
        _outside(self._communications())
        self._callers()
        self.ended = _now()
        self.by_address = {item.address: item for item in self.items.values()}

    # -- looking ---------------------------------------------------------------------------------------------

    def of(self, kind: str) -> list[Item]:
        return [item for item in self.items.values() if item.type == kind]

    def living(self, kind: str) -> list[Item]:
        return [item for item in self.of(kind) if not item.now.deleted]

    @property
    def types(self) -> list[str]:
        return list(dict.fromkeys(item.type for item in self.items.values()))

    def __getitem__(self, name: str) -> Item:
        return self.items[name]

    # -- filling ---------------------------------------------------------------------------------------------

    def _put(self, name: str, client: httpx.Client, resource: Resource, **whose: Any) -> Item:
        return self._keep(name, created(client, narrated(resource)), Version(**whose))

    def _keep(self, name: str, stored: Resource, *versions: Version) -> Item:
        self.items[name] = item = Item(name, stored, versions)
        return item

    def _organization(self, name: str) -> Item:
        stored = created(self.system, narrated(builders.organization()))
        self.stack.replicate(stored)
        return self._keep(f"organization {name}", stored, Version(frozenset({stored["id"]})))

    def _practice(self, name: str) -> Practice:
        organization = self._organization(name)
        software = self.stack.client("software", organizations=[organization.id])
        practice = Practice(organization, software)
        owners = frozenset({organization.id})
        whose = reference(organization)

        def put(what: str, resource: Resource, **more: Any) -> Item:
            item = self._put(f"{what} {name}", software, resource, owners=owners, **more)
            practice.items[what] = item
            return item

        place = put("place", builders.location(managingOrganization=whose))
        offer = put("offer", {"resourceType": "HealthcareService", "name": "Offre", "providedBy": whose})
        person = put("practitioner", builders.practitioner())
        role = put(
            "role",
            {
                "resourceType": "PractitionerRole",
                "practitioner": reference(person),
                "organization": whose,
                "healthcareService": [reference(offer)],
                "location": [reference(place)],
            },
        )
        put("endpoint", _endpoint(whose))
        put("device", {"resourceType": "Device", "owner": whose, "modelNumber": "D3"})
        self.stack.replicate(*(dict(item.resource) for item in (place, offer, person, role)))
        put("agenda", builders.schedule(role.address))
        put("second agenda", builders.schedule(person.address))
        for what, more in (
            ("slot", {}),
            ("slot not open", NOT_OPEN),
        ):
            put(what, self.slot(practice, **more), open=more is not NOT_OPEN)
        gone = put("slot gone", self.slot(practice, **NOT_OPEN), open=False)
        software.delete(f"/{gone.address}").raise_for_status()
        version = gone.now
        practice.items["slot gone"] = self._keep(
            gone.name,
            dict(gone.resource),
            version,
            Version(version.owners, open=False, deleted=True),
        )
        return practice

    def _overlapping(self, practice: Practice, appointment: str) -> None:
        """A slot of the practice's second agenda at the time of one of its appointments, whose people are taken then."""
        taken = self[f"slot of {appointment}"].resource
        start = datetime.fromisoformat(taken["start"])
        resource = builders.slot(practice["second agenda"].id, start)
        owners = frozenset({practice.id})
        name = f"at the time of {appointment}"
        practice.items["overlapping"] = self._put(name, practice.software, resource, owners=owners)

    def slot(self, practice: Practice, **more: Any) -> Resource:
        """A slot of the practice's agenda that is not stored yet, at a time of its own."""
        self._slots += 1
        start = self._day + timedelta(minutes=20 * (self._slots % 40), days=self._slots // 40)
        return builders.slot(practice["agenda"].id, start, **more)

    def _delegate(self) -> None:
        """A lets T's secretaries book."""
        grant = self._put(
            "delegation",
            self.a.software,
            {
                "resourceType": "OrganizationAffiliation",
                "active": True,
                "organization": reference(self.a.organization),
                "participatingOrganization": reference(self.t.organization),
                "code": [{"coding": [{"system": DELEGATIONS, "code": "book"}]}],
            },
            owners=frozenset({self.a.id}),
        )
        self.stack.replicate(dict(grant.resource))
        with self.stack.client("regulator") as regulation:
            self._put(
                "practitioner of the regulation",
                regulation,
                builders.regulator(),
                owners=frozenset({REGULATION}),
            )

    def _people(self) -> None:
        """Camille with her child Lou and Yann by accounts of their own, Zoé by a code; Brune, whom B has registered."""
        self.accounts = {name: f"{name}-{uuid4().hex}" for name in ("camille", "yann", "zoe")}
        for name in self.accounts:
            headers = {"Authorization": f"Bearer {self._own_token(name)}"}
            with httpx.Client(base_url=self.stack.fhir, headers=headers) as own:
                self._person(name, own)
                if name == "camille":
                    self._person("lou", own, **MINOR)
        self._person("brune", self.b.software, owners=frozenset({self.b.id}))

    def _own_token(self, name: str) -> str:
        """Zoé has no account at the issuer: she has proven her e-mail address by a code."""
        subject = self.accounts[name]
        if name == "zoe":
            return self.stack.contact_token("email", f"{subject}@exemple.test")
        return self.stack.token("patient", subject)

    def _person(
        self, name: str, client: httpx.Client, *, owners: frozenset[str] = frozenset(), **more: Any
    ) -> None:
        """Registered with what a person may say of themselves; the narrative is the deployment's word."""
        said = {"resourceType": "Patient", "name": [{"family": "Fictive", "given": [name.title()]}], **more}
        stored = self._written(narrated(created(client, said)))
        self._keep(name, stored, *[Version(owners, frozenset({stored["id"]}))] * 2)

    def _written(self, resource: Resource) -> Resource:
        """The resource as the deployment itself has written it."""
        answer = self.system.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def known_to(self, person: str, *practices: Practice) -> None:
        """These practices have or had an appointment with this person, whose superseded versions they do not see."""
        item = self.items[person]
        owners = frozenset(practice.id for practice in practices)
        self._keep(person, dict(item.resource), *item.versions[:-1], Version(owners, item.now.patients))

    def _appointments(self) -> None:
        """Each in a slot of its own; one was entered for Zoé and is Camille's, one is deleted, one hidden from proxies."""
        self.known_to("camille", self.a)
        self.known_to("lou", self.a, self.b)
        self.known_to("yann", self.b)
        self.known_to("zoe", self.a)
        for name, practice, person, more in (
            ("camille at A", self.a, "camille", {}),
            ("yann at B", self.b, "yann", {}),
            ("lou at A", self.a, "lou", {}),
            ("lou at B, hidden", self.b, "lou", HIDDEN),
            ("corrected", self.a, "zoe", {}),
            ("cancelled and gone", self.a, "camille", {}),
        ):
            self._appointment(name, practice, person, **more)
        self._overlapping(self.a, "camille at A")
        self._overlapping(self.b, "yann at B")
        corrected = self.items["corrected"]
        said = {**corrected.resource}
        said["participant"] = builders.appointment(
            self["camille"].id, dict(self["slot of corrected"].resource)
        )["participant"]
        stored = self._written(said)
        now = Version(corrected.now.owners, self["camille"].now.patients)
        self._keep("corrected", stored, corrected.now, now)
        gone = self.items["cancelled and gone"]
        self.system.delete(f"/{gone.address}").raise_for_status()
        last = Version(gone.now.owners, gone.now.patients, deleted=True)
        self._keep(gone.name, dict(gone.resource), gone.now, last)
        for slot in self.living("Slot"):
            # Taking it has made a version, and so has giving it back.
            stored = self.system.get(f"/{slot.address}").json()
            self._keep(slot.name, stored, *[slot.now] * int(stored["meta"]["versionId"]))

    def _appointment(self, name: str, practice: Practice, person: str, **more: Any) -> None:
        owners = frozenset({practice.id})
        free = created(practice.software, narrated(self.slot(practice)))
        stored = created(self.system, narrated(builders.appointment(self[person].id, free, **more)))
        self._keep(name, stored, Version(owners, self[person].now.patients, shared="meta" not in more))
        self._keep(f"slot of {name}", free, Version(owners))

    def _statements(self) -> None:
        """What is about appointments and people: answers, representatives, provenances."""
        for name, practice, appointment, actor, patients in (
            ("answer of camille", self.a, "camille at A", "camille", {"camille"}),
            ("answer of yann", self.b, "yann at B", "yann", {"yann"}),
            ("answer of lou", self.a, "lou at A", "lou", {"lou"}),
            ("answer of A's role", self.a, "lou at A", "role A", set()),
        ):
            self._put(
                name,
                self.system,
                {
                    "resourceType": "AppointmentResponse",
                    "appointment": reference(self[appointment]),
                    "actor": reference(self[actor]),
                    "participantStatus": "accepted",
                },
                owners=frozenset({practice.id}),
                patients=frozenset(self[p].id for p in patients),
            )
        for person in ("camille", "yann", "zoe", "brune"):
            self._put(
                f"representative of {person}",
                self.system,
                {"resourceType": "RelatedPerson", "patient": reference(self[person])},
                owners=self[person].now.owners,
                patients=self[person].now.patients,
            )
        parent = builders.resources(
            self.system.get("/RelatedPerson", params={"patient": self["lou"].address})
        )
        stated = self._written(narrated(parent[0]))
        of_lou = self["lou"].now
        self._keep("parent of lou", stated, *[Version(of_lou.owners, of_lou.patients)] * 2)
        for name, client, target, owners in (
            ("provenance of A", self.a.software, "camille at A", {self.a.id}),
            ("provenance of B", self.b.software, "yann", {self.b.id}),
            ("provenance of nobody", self.system, "camille at A", set()),
        ):
            said = {
                "resourceType": "Provenance",
                "target": [reference(self[target])],
                "recorded": "2026-01-05T08:00:00Z",
                "agent": [{"who": {"display": "Accueil"}}],
            }
            self._put(name, client, said, owners=frozenset(owners))

    async def _communications(self) -> None:
        """As notifications would have stored them; nothing consumes events here."""
        store = GenericStore("Communication", self.stack.fhir)
        connection: Any = await asyncpg.connect(self.stack.database_url("notifications"))
        try:
            for name, practice, person, shared in (
                ("message to camille", self.a, "camille", True),
                ("message to yann", self.b, "yann", True),
                ("message to lou, hidden", self.b, "lou", False),
                ("message to lou", self.a, "lou", True),
            ):
                resource = narrated(
                    {
                        "resourceType": "Communication",
                        "status": "completed",
                        "subject": reference(self[person]),
                        "recipient": [reference(self[person])],
                    }
                )
                belonging = [*owned_by([practice.id]), *([f"{SHARED}{self[person].id}"] if shared else [])]
                context = WriteContext(now=SystemClock().now())
                stored = await store.create(connection, context, resource, belonging=belonging)
                self._keep(
                    name,
                    {**resource, "id": stored.id},
                    Version(frozenset({practice.id}), self[person].now.patients, shared=shared),
                )
        finally:
            await connection.close()

    # -- who asks --------------------------------------------------------------------------------------------

    def _callers(self) -> None:
        a, b, t = (practice.id for practice in (self.a, self.b, self.t))
        camille, yann, zoe, lou = (self[name].id for name in ("camille", "yann", "zoe", "lou"))
        own = {"camille": {camille, lou}, "yann": {yann}, "zoe": {zoe}}
        self._caller("public", "public")
        for name, ids in own.items():
            self._caller(
                name,
                "patient",
                {"token": self._own_token(name)},
                people=dict.fromkeys(ids, MAY_ALL),
                oneself=frozenset({self[name].id}),
            )
        self._caller(
            "camille, by the issuer",
            "patient",
            {"subject": uuid4().hex, "patient": camille},
            people={camille: MAY_ALL},
            oneself=frozenset({camille}),
        )
        visit = self["camille at A"].id
        self._caller(
            "camille, by a link",
            "patient",
            {"token": self.stack.link_token(visit, camille)},
            people={camille: BY_LINK},
            appointment=visit,
        )
        self._caller(
            "yann, by a link to what is not his",
            "patient",
            {"token": self.stack.link_token(visit, yann)},
            appointment="somebody else's",
        )
        self._caller("patient of nobody", "patient", {"subject": uuid4().hex})
        roles: tuple[Role, ...] = ("practitioner", "secretary", "software")
        for role in roles:
            for name, id_ in (("A", a), ("B", b)):
                self._caller(f"{role} {name}", role, {"organizations": [id_]}, practices={id_: MAY_ALL})
        self._caller(
            "secretary T", "secretary", {"organizations": [t]}, practices={t: MAY_ALL, a: MAY["book"]}
        )
        self._caller("secretary of nobody", "secretary", {"subject": uuid4().hex})
        person = self.a["practitioner"].id
        self._caller(
            "secretary by role at A",
            "secretary",
            {"practitioner": person},
            practices={a: MAY_ALL},
            practitioner=person,
        )
        self._caller("regulator", "regulator")
        self._caller(
            "counsellor for camille",
            "counsellor",
            {"acting_for": camille},
            people={camille: MAY_ALL - {"manage"}},
        )
        self._caller("counsellor for nobody", "counsellor")
        self._caller("operator", "operator")
        self._caller("system", "system")

    def _caller(self, name: str, role: Role, claims: dict[str, Any] | None = None, **known: Any) -> None:
        given = dict(claims or {})
        token = given.pop("token", None) or (None if role == "public" else self.stack.token(role, **given))
        words = SCOPES.get(role, "").split()
        scopes = tuple(scope for word in words if (scope := Scope.parse(word)) is not None)
        said = claims or {}
        people = frozenset(str(said[claim]) for claim in ("patient", "acting_for") if claim in said)
        by_token = (people, frozenset(said.get("organizations", ())))
        self.callers[name] = Caller(name, role, token, scopes, by_token=by_token, **known)


def _endpoint(whose: Resource) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/"
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"system": f"{system}endpoint-connection-type", "code": "hl7-fhir-rest"},
        "payloadType": [{"text": "Agenda"}],
        "address": "https://agenda.example/fhir",
        "managingOrganization": whose,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _outside(coroutine: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()

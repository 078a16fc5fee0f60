"""Appointments as stored FHIR resources, and as the facts that the rules work on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.participants import Described
from creneau_booking.domain.status import claims
from creneau_booking.storage.appointment_facts import facts, fhir_instant, relative
from creneau_booking.storage.ownership import organizations_of, require_theirs, show_patients
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.ids import new_id
from creneau_shared.security.rights import AGENDA, SHARED

TAKEN_TYPES = ("Practitioner", "PractitionerRole", "Device", "Location", "HealthcareService")
"""types of actors who belong to somebody"""

HELD_UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/held-until"
"""Extension on Appointment: the instant until which a pending appointment keeps its slots."""

REPLACES = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.replaces"

_AGREED = {"booked": "accepted", "pending": "tentative"}
"""the answer of an agenda's people, by the status of the appointment: who publishes a free slot has agreed"""


def appointment_terms(facts: Appointment, schedules: Sequence[str], owners: Collection[str]) -> list[str]:
    """The internal terms of an appointment: its agendas, their organisations, and whose representatives see it."""
    agendas = [f"{AGENDA}{schedule.removeprefix('Schedule/')}" for schedule in schedules]
    shared = [] if facts.hidden else [f"{SHARED}{p.removeprefix('Patient/')}" for p in facts.patients]
    return [*agendas, *owned_by(owners), *shared]


class AppointmentRepository:
    """Reads and writes appointments; knows how a fact is said in FHIR."""

    def __init__(self, store: GenericStore, base_url: str) -> None:
        self.store = store
        self.base_url = base_url

    def identify(self, resource: Resource, id_: str | None) -> Resource:
        """The resource under the id that it will have, so that what it takes can name it."""
        return {**resource, "id": id_ or new_id()}

    def facts(self, resource: Resource, *, id_: str | None = None, version: int = 1) -> Appointment:
        return facts(resource, self.base_url, id_=id_, version=version)

    def resource(self, stored: Stored) -> Resource:
        assert stored.content is not None
        return loads(stored.content)

    def stored_facts(self, stored: Stored) -> Appointment:
        return self.facts(self.resource(stored), id_=stored.id, version=stored.version)

    def is_to_come(self, stored: Stored, now: datetime) -> bool:
        """Whether the appointment takes time that has not begun."""
        if stored.content is None:
            return False
        facts = self.stored_facts(stored)
        return claims(facts.status) and facts.start is not None and facts.start > now

    async def insert(
        self,
        connection: Connection,
        context: WriteContext,
        identified: Resource,
        facts: Appointment,
        schedules: Sequence[str],
        owners: Collection[str],
    ) -> Stored:
        """Store a new appointment, in these agendas of these organisations, who see its patients from now on."""
        if not schedules:
            owners = await self._owners_of_people(connection, context, facts)
        belonging = appointment_terms(facts, schedules, owners)
        stored = await self.store.create(
            connection, context, identified, identified["id"], belonging=belonging
        )
        await show_patients(connection, facts.patients, owned_by(owners))
        return stored

    async def update(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        facts: Appointment,
        schedules: Sequence[str] = (),
        owners: Collection[str] = (),
    ) -> Stored:
        """Store the next version; agendas and organisations that it comes to are named, those that it had are kept."""
        belonging = appointment_terms(facts, schedules, owners)
        stored = await self.store.replace(
            connection, context, current, resource, belonging=belonging, keeping=True
        )
        if owners:
            await show_patients(connection, facts.patients, owned_by(owners))
        return stored

    async def _owners_of_people(
        self, connection: Connection, context: WriteContext, facts: Appointment
    ) -> frozenset[str]:
        """Whose an appointment in no agenda is: its people's and places' organisations'. A practice takes its own only."""
        actors = [p.reference for p in facts.participants if p.reference and p.type in TAKEN_TYPES]
        belonging = await organizations_of(connection, actors) if actors else {}
        if context.organizations is None:
            return frozenset().union(*belonging.values())
        require_theirs(actors, belonging, context.organizations, "Appointment.participant")
        theirs = frozenset().union(*belonging.values()) & context.organizations
        return theirs or context.organizations

    async def require_known_patients(
        self, connection: Connection, context: WriteContext, facts: Appointment
    ) -> None:
        """Unprocessable when a practice names a Patient whom it does not know: booking for somebody opens no record."""
        if context.organizations is None or not facts.patients:
            return
        ids = [reference.removeprefix("Patient/") for reference in facts.patients]
        rows = await connection.fetch(
            "SELECT id FROM patient WHERE id = ANY($1) AND terms && $2::text[]",
            ids,
            owned_by(context.organizations),
        )
        unknown = set(ids) - {row["id"] for row in rows}
        if unknown:
            names = ", ".join(f"Patient/{id_}" for id_ in sorted(unknown))
            raise Unprocessable(
                f"{names} n'est pas connu de votre cabinet : inscrivez d'abord cette personne (POST Patient).",
                f"{names} is not known to your practice: register that person first (POST Patient).",
                code="not-found",
                expression="Appointment.participant",
                details_code="unknown-patient",
            )

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        return await self.store.delete(connection, context, current)

    def with_times(self, resource: Resource, start: datetime, end: datetime) -> Resource:
        """The resource with the start and end of what it took, where it did not say them itself."""
        if "start" in resource and "end" in resource:
            return resource
        return {**resource, "start": fhir_instant(start), "end": fhir_instant(end)}

    def as_held(self, resource: Resource, until: datetime) -> Resource:
        """The resource as a hold: pending, its participants tentative unless they answered, its end stated."""
        participants = [
            {**p, "status": "tentative" if p["status"] == "needs-action" else p["status"]}
            for p in resource["participant"]
        ]
        held = self.without_hold(resource)
        extension = [*held.get("extension", ()), {"url": HELD_UNTIL, "valueInstant": fhir_instant(until)}]
        return {**held, "status": "pending", "participant": participants, "extension": extension}

    def as_booked(self, resource: Resource) -> Resource:
        """The resource once everyone it takes has been taken: booked, its participants accepted."""
        undecided = ("tentative", "needs-action")
        participants = [
            {**p, "status": "accepted" if p["status"] in undecided else p["status"]}
            for p in resource["participant"]
        ]
        return {**self.without_hold(resource), "status": "booked", "participant": participants}

    def without_hold(self, resource: Resource) -> Resource:
        rest = copy(resource)
        extensions = [e for e in rest.pop("extension", ()) if e.get("url") != HELD_UNTIL]
        return {**rest, "extension": extensions} if extensions else rest

    def keeping_hold(self, resource: Resource, stored: Stored) -> Resource:
        """The resource with the end of the hold that is stored: only the server says how long a hold lasts."""
        said = [e for e in self.resource(stored).get("extension", ()) if e.get("url") == HELD_UNTIL]
        rest = self.without_hold(resource)
        return {**rest, "extension": [*rest.get("extension", ()), *said]} if said else rest

    def with_agenda(self, resource: Resource, leaving: Collection[str], joining: Collection[str]) -> Resource:
        """The resource with other people of the agenda: those who leave are out, those who join have accepted.

        They are tentative as long as the appointment itself is.
        """
        status = "accepted" if resource["status"] == "booked" else "tentative"
        staying = [p for p in resource["participant"] if self._actor(p) not in leaving]
        present = {self._actor(p) for p in staying}
        added = [_required(actor, status) for actor in sorted(joining) if actor not in present]
        return {**resource, "participant": [*staying, *added]}

    def with_people(
        self, resource: Resource, agenda: Collection[str], people: Collection[str], before: Resource | None
    ) -> Resource:
        """The resource with the agenda's people as the agenda has them: required, and agreed as far as it goes.

        `people` are all whom the resource may name beside persons; what its sender says of them is left aside. Whom
        the stored appointment (`before`) has already stays as it is there, until they agree.
        """
        agreed = _AGREED.get(resource["status"])
        status = agreed or "needs-action"
        kept = {self._actor(p): p for p in before["participant"]} if before is not None else {}
        settled, present = [], set()
        for participant in resource["participant"]:
            actor = self._actor(participant)
            present.add(actor)
            if actor is None or actor not in people:
                settled.append(participant)
            elif actor in kept:
                answer = kept[actor]["status"]
                settled.append(
                    {**kept[actor], "status": answer if answer == "declined" else agreed or answer}
                )
            else:
                settled.append(_required(actor, status))
        added = [_required(actor, status) for actor in agenda if actor not in present]
        return {**resource, "participant": [*settled, *added]}

    def with_answer(self, resource: Resource, actor: str, status: str) -> Resource:
        """The resource with the answer of one participant."""
        participants = [
            {**p, "status": status} if self._actor(p) == actor else p for p in resource["participant"]
        ]
        return {**resource, "participant": participants}

    def with_replaced(self, resource: Resource, replaced: str | None) -> Resource:
        """The resource, saying which appointment (id) it replaces."""
        if replaced is None:
            return resource
        extension = {"url": REPLACES, "valueReference": {"reference": f"Appointment/{replaced}"}}
        return {**resource, "extension": [*resource.get("extension", ()), extension]}

    def described(self, resource: Resource) -> list[Described]:
        """Each participant: its reference, as the rules see it, and all that is said of it."""
        return [(self._actor(participant), participant) for participant in resource["participant"]]

    def _actor(self, participant: Resource) -> str | None:
        reference = participant.get("actor", {}).get("reference")
        return relative(reference, self.base_url) if reference else None

    def as_cancelled(self, resource: Resource) -> Resource:
        """The resource as cancelled, without a word on why."""
        return {**self.without_hold(resource), "status": "cancelled"}


def _required(reference: str, status: str) -> Resource:
    return {"actor": {"reference": reference}, "required": "required", "status": status}

"""Appointments as stored FHIR resources, and as the facts that the rules work on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.status import claims
from creneau_booking.storage.appointment_mapper import facts, said
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


def appointment_terms(facts: Appointment, schedules: Sequence[str], owners: Collection[str]) -> list[str]:
    """The internal terms of an appointment: its agendas, their organisations, and whose representatives see it."""
    agendas = [f"{AGENDA}{schedule.removeprefix('Schedule/')}" for schedule in schedules]
    shared = [] if facts.hidden else [f"{SHARED}{p.removeprefix('Patient/')}" for p in facts.patients]
    return [*agendas, *owned_by(owners), *shared]


class AppointmentRepository:
    """Reads and writes appointments: stored resources, and the facts in them."""

    def __init__(self, store: GenericStore, base_url: str) -> None:
        self.store = store
        self.base_url = base_url

    def new(self, resource: Resource, id_: str | None, version: int = 1) -> tuple[Resource, Appointment]:
        """A resource under the id that it will have, so that what it takes can name it, and its facts; without a hold,
        which is not its sender's to say."""
        resource = {**resource, "id": id_ or new_id()}
        facts = self.facts(resource, version=version).without_hold()
        return said(facts, resource), facts

    def next(self, current: Stored, resource: Resource) -> Appointment:
        """The facts of what is to be the next version."""
        return self.facts(resource, id_=current.id, version=current.version + 1)

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
        resource: Resource,
        facts: Appointment,
        schedules: Sequence[str],
        owners: Collection[str],
    ) -> Stored:
        """Store a new appointment as its facts are, in these agendas of these organisations, who see its patients from now on."""
        if not schedules:
            owners = await self._owners_of_people(connection, context, facts)
        belonging = appointment_terms(facts, schedules, owners)
        stored = await self.store.create(
            connection, context, said(facts, resource), facts.id, belonging=belonging
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
        """Store the next version as its facts are; agendas and organisations that it comes to are named, those that it had
        are kept."""
        belonging = appointment_terms(facts, schedules, owners)
        stored = await self.store.replace(
            connection, context, current, said(facts, resource), belonging=belonging, keeping=True
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

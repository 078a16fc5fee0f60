"""The Patient type: each write is checked against what its author may state, and updates identity and contact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from creneau_booking.domain.appointment import patient_actor
from creneau_booking.domain.deletion import require_no_visits
from creneau_booking.domain.ended_patients import ended
from creneau_booking.domain.identity import with_plain_ins
from creneau_booking.domain.rehearsal import require_not_kept
from creneau_booking.handlers.people.ended_patients import EndedPatients
from creneau_booking.handlers.people.patients import (
    ContactSettings,
    patient_removed,
    patient_written,
    require_more_than_asked,
    require_successor,
    require_writable,
)
from creneau_booking.handlers.people.registrations import People
from creneau_booking.storage.availability.actors import stop_taking
from creneau_booking.storage.people.named_people import with_known_links
from creneau_booking.storage.people.patients import require_same_person
from creneau_booking.storage.unshown import real
from creneau_booking.storage.visits.upcoming import visits_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext


class PatientStore(GenericStore):
    """The generic store of Patients, with the rules on who may state what."""

    def __init__(
        self, base_url: str, people: People, contacts: ContactSettings, visits: EndedPatients
    ) -> None:
        super().__init__(
            "Patient",
            base_url,
            people.patient_changed,
            people.patient_belonging,
            listed=partial(real, "Patient"),
        )
        self.base_url = base_url
        self._contacts = contacts
        self._visits = visits

    async def as_known(self, connection: Connection, context: WriteContext, resource: Resource) -> Resource:
        return with_plain_ins(await with_known_links(connection, context, resource, self.base_url))

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        belonging: Sequence[str] | None = None,
    ) -> Stored:
        require_not_kept("Patient", id_)
        require_writable(context, None, resource)
        stored = await super().create(connection, context, resource, id_, belonging=belonging)
        await patient_written(connection, context, self._contacts, stored.id, None, resource)
        return stored

    async def replace(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        belonging: Sequence[str] | None = None,
        keeping: bool = False,
    ) -> Stored:
        require_not_kept("Patient", current.id)
        await require_more_than_asked(connection, context, current.id, "record")
        if current.deleted:
            await require_same_person(connection, current, resource)
        resource = await with_known_links(connection, context, resource, self.base_url)
        before = None if current.content is None else loads(current.content)
        require_writable(context, before, resource)
        how = ended(before, resource)
        if how is not None:
            if how.successor is not None:
                await require_successor(connection, context, how.successor)
            await self._visits.look_again(connection, context, current.id, how)
        stored = await super().replace(
            connection, context, current, resource, belonging=belonging, keeping=keeping
        )
        await patient_written(connection, context, self._contacts, stored.id, before, resource)
        return stored

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Refuses while the patient has visits to come, or visits being booked at this moment: the practice would wait for
        somebody who is told nothing."""
        require_not_kept("Patient", current.id)
        own = [patient_actor(f"Patient/{current.id}", hidden=hidden) for hidden in (False, True)]
        await stop_taking(connection, people=own, now=context.now)
        require_no_visits("Patient", current.id, await visits_of(connection, current.id, context.now))
        stored = await super().delete(connection, context, current)
        await patient_removed(connection, context, stored.id)
        return stored

"""Appointments as stored FHIR resources, and as the facts that the rules work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.status import ENDED, claims
from creneau_booking.domain.transitions import MOVABLE
from creneau_booking.domain.waiting import rank_of
from creneau_booking.storage.agendas.ownership import organizations_of, require_theirs, show_patients
from creneau_booking.storage.mapping.appointment import (
    REPLACES,
    WAITING_SINCE,
    facts,
    lasting,
    said,
)
from creneau_booking.storage.mapping.series import template_of
from creneau_booking.storage.mapping.wishes import wish_of
from creneau_booking.storage.visits.waiting import agendas_of_slots, leave_line, stand_in_line
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.ids import new_id
from creneau_shared.security.rights import AGENDA, INSTEAD, SHARED, instead_of

_HIDE_EARLIER = f"""
UPDATE resource_history SET compartment = ARRAY(
  SELECT t FROM unnest(compartment) AS t WHERE NOT (starts_with(t, '{SHARED}') OR starts_with(t, '{INSTEAD}')))
WHERE resource_type = 'Appointment' AND id = $1
"""
TAKEN_TYPES = ("Practitioner", "PractitionerRole", "Device", "Location", "HealthcareService")
"""types of actors that belong to an organisation"""
_IDS = "(SELECT $1::text[])::text[]"
"""hidden from the planner: one plan serves all"""
_LOCK = f"""
SELECT id, version, last_updated, content, terms FROM appointment WHERE id = ANY({_IDS} || ARRAY(
  SELECT substring(replaced #>> '{{}}' FROM 'Appointment/([^/]+)') FROM appointment AS own CROSS JOIN LATERAL jsonb_path_query(
    convert_from(own.content, 'UTF8')::jsonb, '$.extension[*] ? (@.url == "{REPLACES}").valueReference.reference') AS replaced
  WHERE own.id = ANY({_IDS}) AND own.terms && ARRAY['status=waitlist', 'status=pending']))
ORDER BY id FOR UPDATE
"""
"""Also locks what waiting and pending ones replace: whoever accepts these gives that up."""


@dataclass(frozen=True, slots=True)
class Whose:
    """The agendas (references) of an appointment, and their owners (Organization ids)."""

    schedules: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Patient (id) → owners who know them already, as far as that was looked up"""
    alone: bool = False
    """whether it is theirs alone from now on; earlier owners keep the earlier versions"""

    @property
    def told(self) -> frozenset[str] | None:
        """The organisations that an event names; None: look them up once it is stored."""
        return self.owners if self.schedules else None

    def strangers(self, patients: Sequence[str]) -> list[str]:
        """Returns the patients (references) who may be unknown to one of the owners."""
        return [
            p for p in patients if not self.owners <= self.known.get(p.removeprefix("Patient/"), frozenset())
        ]


NOBODY_ELSE = Whose()
"""the appointment joins no other agendas, and leaves none"""


def appointment_terms(facts: Appointment, whose: Whose) -> list[str]:
    """Returns the internal terms of an appointment: its agendas, their organisations, the patients whose representatives
    see it, and the appointment that it replaces or would replace."""
    agendas = [f"{AGENDA}{schedule.removeprefix('Schedule/')}" for schedule in whose.schedules]
    shared = [] if facts.hidden else [f"{SHARED}{p.removeprefix('Patient/')}" for p in facts.patients]
    instead = [instead_of(facts.replaces, p) for p in facts.patients] if facts.replaces and shared else []
    return [*agendas, *owned_by(whose.owners), *shared, *instead]


class AppointmentRepository:
    """Reads and writes appointments: stored resources, and the facts in them."""

    def __init__(self, store: GenericStore, base_url: str) -> None:
        self.store = store
        self.base_url = base_url

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        """Locks and returns the current version, and also locks the visit that it would replace: see `lock_all`."""
        return (await self.lock_all(connection, [id_])).get(id_)

    async def lock_all(self, connection: Connection, ids: Sequence[str]) -> Mapping[str, Stored]:
        """Locks these, and what waiting ones among them would replace, in the order of their ids; returns the current
        versions by id. Whoever changes several at once locks them all before changing any."""
        rows = await connection.fetch(_LOCK, list(ids))
        return {row["id"]: Stored("Appointment", *row) for row in rows}

    def new(self, resource: Resource, id_: str | None, version: int = 1) -> tuple[Resource, Appointment]:
        """Returns a resource under its future id, so that what it takes can name it, and its facts. Leaves out any hold: the
        sender has no say in that."""
        resource = {**resource, "id": id_ or new_id()}
        facts = self.facts(resource, version=version).without_hold()
        return said(facts, resource), facts

    def next(self, current: Stored, resource: Resource) -> Appointment:
        """Returns the facts of the next version."""
        return self.facts(resource, id_=current.id, version=current.version + 1)

    def facts(self, resource: Resource, *, id_: str | None = None, version: int = 1) -> Appointment:
        return facts(resource, self.base_url, id_=id_, version=version)

    def resource(self, stored: Stored) -> Resource:
        assert stored.content is not None
        return loads(stored.content)

    def stored_facts(self, stored: Stored) -> Appointment:
        return self.facts(self.resource(stored), id_=stored.id, version=stored.version)

    def series_begun(self, current: Stored | None, appointment: Resource) -> Resource | None:
        """Returns the recurrenceTemplate of a series that begins with this version: it is held or booked, and nothing was taken
        before (by `current`; None: a new appointment). Returns None for any other: for one that is in a series already, and
        for a visit that is recorded when it has begun, since the others have not."""
        template = template_of(appointment)
        if template is None or appointment["status"] not in MOVABLE:
            return None
        before = self.stored_facts(current) if current is not None else None
        is_new = before is None or not (claims(before.status) or before.occurrence is not None)
        return template if is_new else None

    def is_to_come(self, stored: Stored, now: datetime) -> bool:
        """Whether the appointment takes time that has not begun, and is not over already."""
        if stored.content is None:
            return False
        facts = self.stored_facts(stored)
        return (
            claims(facts.status)
            and facts.status not in ENDED
            and facts.start is not None
            and facts.start > now
        )

    async def insert(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        facts: Appointment,
        whose: Whose,
        *,
        own_id: bool,
    ) -> Stored:
        """Stores a new appointment with these facts, for its owners, who see its patients from now on. `own_id`: nobody else
        can be using its id."""
        if not whose.schedules:
            whose = replace(whose, owners=await self._owners_of_people(connection, context, facts))
        await show_patients(connection, whose.strangers(facts.patients), owned_by(whose.owners))
        belonging = appointment_terms(facts, whose)
        written = said(facts, resource)
        if own_id:
            stored = await self.store.create_named(connection, context, written, belonging)
        else:
            stored = await self.store.create(connection, context, written, facts.id, belonging=belonging)
        await self._keep_in_line(connection, facts, written, waited=False)
        return stored

    async def update(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        facts: Appointment,
        whose: Whose = NOBODY_ELSE,
    ) -> Stored:
        """Stores the next version with these facts: for its new owners alone (`whose.alone`), or for its earlier owners as
        well."""
        if whose.alone and not whose.schedules:
            whose = replace(whose, owners=await self._owners_of_people(connection, context, facts))
        await show_patients(connection, whose.strangers(facts.patients), owned_by(whose.owners))
        belonging = appointment_terms(facts, whose)
        written = said(facts, resource)
        if current.content is not None:
            written = lasting(written, self.resource(current))
        stored = await self.store.replace(
            connection, context, current, written, belonging=belonging, keeping=not whose.alone
        )
        await self._keep_in_line(connection, facts, written, waited=_waited(current))
        return stored

    async def hide_earlier(self, connection: Connection, id_: str) -> None:
        """Hides the superseded versions of an appointment that is hidden by now, from representatives and from links."""
        await connection.execute(_HIDE_EARLIER, id_)

    async def _keep_in_line(
        self, connection: Connection, facts: Appointment, written: Resource, *, waited: bool
    ) -> None:
        """Keeps its place in the waiting list, if it waits; `waited`: whether its last version did."""
        if facts.waiting_since is None:
            # Who has accepted keeps their place until the practice has agreed.
            if waited and facts.confirmation != "asked":
                await leave_line(connection, facts.id)
            return
        if facts.status != "waitlist" or len(set(facts.patients)) != 1:
            return
        wish = wish_of(written, self.base_url)
        if wish.slots and not wish.agendas:
            wish = replace(wish, agendas=frozenset(await agendas_of_slots(connection, sorted(wish.slots))))
        rank, since = rank_of(written.get("priority")), facts.waiting_since
        await stand_in_line(connection, facts.id, facts.patients[0], rank, since, wish, hidden=facts.hidden)

    async def _owners_of_people(
        self, connection: Connection, context: WriteContext, facts: Appointment
    ) -> frozenset[str]:
        """Returns the owners of an appointment in no agenda: those of its people and places; a practice's own only."""
        actors = [p.reference for p in facts.participants if p.reference and p.type in TAKEN_TYPES]
        belonging = await organizations_of(connection, actors) if actors else {}
        if context.organizations is not None:
            require_theirs(actors, belonging, context.organizations, "appointment")
        return context.owners(frozenset[str]().union(*belonging.values()))

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        if _waited(current):
            await leave_line(connection, current.id)
        return await self.store.delete(connection, context, current)


def _waited(stored: Stored) -> bool:
    return stored.content is not None and WAITING_SINCE.encode() in stored.content

"""The service over one database, and a way to fill it: what the tests of storage and of the API stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Record
from services.booking.tests.factories import BASE, SLOT_LENGTH, patient, schedule, slot, unique
from services.booking.tests.telling import in_words

from creneau_booking.app import create_commands, create_erasure, create_rehearsal
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.manner import Manner
from creneau_booking.handlers.people.departures import Departures
from creneau_booking.jobs import Jobs
from creneau_booking.messaging.directory_replica import DirectoryReplica
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.agendas.rules import schedule_changed
from creneau_booking.storage.slots.store import SlotStore
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_shared.clock import FixedClock
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore, nothing_more
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.security.principal import Role


@dataclass(frozen=True)
class Agenda:
    """One agenda with consecutive free slots."""

    id: str
    practitioner: str
    location: str
    start: datetime
    slots: tuple[str, ...]

    def at(self, index: int) -> datetime:
        return self.start + index * SLOT_LENGTH


@dataclass
class Practice:
    """Booking's storage and handlers over a database, with a clock that stands still until it is moved."""

    database: Database
    settings: BookingSettings
    clock: FixedClock
    repository: AppointmentRepository = field(init=False)
    handlers: AppointmentHandlers = field(init=False)

    def __post_init__(self) -> None:
        commands = create_commands(self.settings)
        self.repository, self.handlers = commands.repository, commands.handlers
        self.database.closes_with = self.handlers.waiting.offer_freed
        self.slots = SlotStore(BASE)

    def context(
        self,
        subject: str = "cabinet",
        patients: Sequence[str] | None = None,
        *,
        issuer: str = "test",
        organizations: Sequence[str] | None = None,
        role: Role = "system",
    ) -> WriteContext:
        """A write of this subject, limited to these patients (ids) or organizations (ids), or to none."""
        return WriteContext(
            now=self.clock.now(),
            subject=subject,
            issuer=issuer,
            role=role,
            patient_ids=None if patients is None else frozenset(p.removeprefix("Patient/") for p in patients),
            organizations=None if organizations is None else frozenset(organizations),
            own_organizations=frozenset(organizations or ()),
        )

    def replica(self) -> DirectoryReplica:
        """What hears the directory."""
        return DirectoryReplica(BASE, Departures(self.repository, self.handlers), self.clock)

    def jobs(self, settings: BookingSettings | None = None) -> Jobs:
        """What time brings."""
        settings = settings or self.settings
        return Jobs(
            self.database,
            settings,
            self.handlers.expiry,
            create_erasure(settings),
            create_rehearsal(settings),
            self.clock,
        )

    # -- filling ---------------------------------------------------------------------------------------------

    async def put(self, resource: Resource) -> str:
        """Store a resource under its id; `Type/id`."""
        kind, id_ = resource["resourceType"], resource["id"]
        changed = schedule_changed if kind == "Schedule" else nothing_more
        store: Any = self.slots if kind == "Slot" else GenericStore(kind, BASE, changed)
        async with self.database.transaction() as connection:
            await store.create(connection, self.context(), resource, id_)
        return f"{kind}/{id_}"

    async def open_agenda(
        self,
        count: int = 3,
        *,
        practitioner: str | None = None,
        start: datetime | None = None,
        slot_members: Resource | None = None,
        **schedule_members: Any,
    ) -> Agenda:
        """An agenda of a practitioner at a place, with `count` free slots from a week from now on."""
        practitioner = practitioner or f"Practitioner/{unique('prat')}"
        location, id_ = f"Location/{unique('lieu')}", unique("agenda")
        await self.put(schedule(id_, [practitioner, location], **schedule_members))
        start, ids = await self.fill(id_, count, start, **(slot_members or {}))
        return Agenda(id_, practitioner, location, start, ids)

    async def fill(
        self, agenda: str, count: int, start: datetime | None = None, **members: Any
    ) -> tuple[datetime, tuple[str, ...]]:
        """`count` free slots in an agenda, one after the other; when the first starts, and their ids."""
        start = start or self.clock.now().replace(hour=9, minute=0, second=0) + timedelta(days=7)
        ids = tuple(unique(f"creneau{index}") for index in range(count))
        async with self.database.transaction() as connection:
            for index, slot_id in enumerate(ids):
                resource = slot(slot_id, agenda, start + index * SLOT_LENGTH, **members)
                await self.slots.create(connection, self.context(), resource, slot_id)
        return start, ids

    async def new_patient(self, **more: Any) -> str:
        return await self.put({**patient(**more), "id": unique("patient")})

    # -- doing -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[Connection]:
        """A transaction, of which one is told as a caller is."""
        with in_words():
            async with self.database.transaction() as connection:
                yield connection

    async def create(self, resource: Resource, context: WriteContext | None = None) -> Stored:
        async with self._told() as connection:
            return await self.handlers.create(connection, context or self.context(), resource)

    async def hold(self, resource: Resource, context: WriteContext | None = None) -> Stored:
        async with self._told() as connection:
            stored, _ = await self.handlers.holding.begin(connection, context or self.context(), resource)
            return stored

    async def change(self, id_: str, *, move: bool = False, **members: Any) -> Stored:
        """The next version of an appointment, with other members (None: without)."""
        async with self._told() as connection:
            current = await self.repository.store.lock(connection, id_)
            assert current is not None
            resource = {**self.repository.resource(current), **members}
            resource = {name: value for name, value in resource.items() if value is not None}
            return await self.handlers.change(
                connection, self.context(), current, resource, Manner(move=move)
            )

    # -- looking ---------------------------------------------------------------------------------------------

    async def slot(self, id_: str) -> Resource:
        async with self.database.connection() as connection:
            stored = await self.slots.read(connection, id_)
        assert stored is not None
        assert stored.content is not None
        return loads(stored.content)

    async def slot_statuses(self, ids: Sequence[str]) -> list[str]:
        return [(await self.slot(id_))["status"] for id_ in ids]

    async def occupied(self, actor: str) -> list[tuple[datetime, datetime, str]]:
        """When an actor is taken, and by which appointment."""
        rows = await self.database.pool.fetch(
            "SELECT lower(period) AS s, upper(period) AS e, appointment_id AS a FROM occupancy"
            " WHERE actor = $1 ORDER BY 1",
            actor,
        )
        return [(row["s"], row["e"], row["a"]) for row in rows]

    async def events(self, key: str) -> list[Record]:
        """What was told of an aggregate, in order: type (short) and data."""
        return await self.database.pool.fetch(
            "SELECT split_part(type, '.', 5) AS kind, type, data FROM outbox WHERE key = $1 ORDER BY position",
            key,
        )

    async def kinds(self, key: str) -> list[str]:
        return [row["kind"] for row in await self.events(key)]

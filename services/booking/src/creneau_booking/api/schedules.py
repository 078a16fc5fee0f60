"""The Schedule type: an agenda with visits to come is not deleted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from creneau_booking.domain.deletion import require_no_visits
from creneau_booking.domain.rehearsal import require_not_kept
from creneau_booking.storage.agendas.ownership import agenda_handed_over, lock_visits, schedule_belonging
from creneau_booking.storage.agendas.rules import schedule_changed
from creneau_booking.storage.availability.actors import stop_taking
from creneau_booking.storage.availability.agendas import beside_others
from creneau_booking.storage.availability.freshness import SYNCHRONISED_AT
from creneau_booking.storage.openings.made_slots import OpeningStore
from creneau_booking.storage.outside.followed_calendars import leave_calendars
from creneau_booking.storage.people.named_people import with_known_actors
from creneau_booking.storage.unshown import real
from creneau_booking.storage.visits.upcoming import visits_in
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.security.rights import OWNER


class ScheduleStore(GenericStore):
    """The generic store of Schedules, which also keeps their availability and their owners."""

    def __init__(self, base_url: str, openings: OpeningStore | None = None) -> None:
        self._openings = openings or OpeningStore(base_url)
        self.base_url = base_url
        super().__init__(
            "Schedule",
            base_url,
            self._follow,
            partial(schedule_belonging, base_url),
            listed=partial(real, "Schedule"),
        )

    async def _follow(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """Updates the agenda's availability and the slots that are made from its rules."""
        await schedule_changed(connection, context, kind, stored, resource)
        await self._openings.stated(
            connection, stored.id, resource, context.now, is_new=kind == "create" and stored.version == 1
        )

    async def as_known(self, connection: Connection, context: WriteContext, resource: Resource) -> Resource:
        return await with_known_actors(connection, context, resource, self.base_url)

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        belonging: Sequence[str] | None = None,
    ) -> Stored:
        require_not_kept("Schedule", id_)
        return await super().create(connection, context, resource, id_, belonging=belonging)

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
        require_not_kept("Schedule", current.id)
        # Only these can hand an agenda over.
        may_hand_over = context.organizations is None or len(context.organizations) > 1
        if may_hand_over and _names_others(current, resource):
            await lock_visits(connection, [current.id])  # before its people: writing it waits for them
        stored = await super().replace(
            connection, context, current, resource, belonging=belonging, keeping=keeping
        )
        if may_hand_over:
            had = [term for term in current.terms or () if term.startswith(OWNER)]
            has = await connection.fetchval("SELECT terms FROM schedule WHERE id = $1", stored.id)
            has = [term for term in has if term.startswith(OWNER)]
            await agenda_handed_over(connection, stored.id, had, has, context.now)
        return stored

    async def lock(self, connection: Connection, id_: str) -> Stored | None:
        """Takes the lock of agenda writers before the row's lock: the directory's events take them in this order."""
        await beside_others(connection)
        return await super().lock(connection, id_)

    async def synchronised(self, connection: Connection, context: WriteContext, id_: str) -> None:
        """Marks the agenda as synchronised as a whole: from the first time on its Schedule has the extension that says when.
        Locks the Schedule before anything in the agenda. Does nothing if there is no Schedule."""
        await beside_others(connection)
        if _unmarked(await self.read(connection, id_)) is None:
            return
        current = await self.lock(connection, id_)
        content = _unmarked(current)
        if current is None or content is None:  # a rival was first
            return
        resource = loads(content)
        said = {"url": SYNCHRONISED_AT, "valueInstant": exact_instant(context.now)}
        await self.replace(
            connection, context, current, {**resource, "extension": [*resource.get("extension", ()), said]}
        )

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Refuses while the agenda has visits to come, or visits being booked at this moment. Also removes the calendar that
        it follows, with the password, and the secret address by which the agenda is read."""
        require_not_kept("Schedule", current.id)
        await leave_calendars(connection, current.id, context.now)
        await stop_taking(connection, schedules=[current.id], now=context.now)
        require_no_visits("Schedule", current.id, await visits_in(connection, current.id, context.now))
        return await super().delete(connection, context, current)


def _names_others(current: Stored, resource: Resource) -> bool:
    """Whether the next version of an agenda names other actors."""
    return current.content is None or loads(current.content).get("actor") != resource.get("actor")


def _unmarked(agenda: Stored | None) -> bytes | None:
    """Returns the agenda's content; None if it is deleted or already has the extension SYNCHRONISED_AT."""
    content = agenda.content if agenda is not None else None
    return content if content is not None and SYNCHRONISED_AT.encode() not in content else None

"""Booking's replica of the directory: the facts that it searches and renders, kept up to date from the topic.

Idempotent by itself: the directory's own version decides, so that a replay or a rebuild from the beginning never
puts an older state over a newer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.handlers.people.departures import Departures
from creneau_booking.storage.agendas.ownership import BELONGING_TYPES, actor_known
from creneau_booking.storage.agendas.rules import INHERITED, actor_changed, place_said
from creneau_booking.storage.agendas.working_places import named_with
from creneau_booking.storage.availability.agendas import actor_stated, is_gone
from creneau_booking.storage.openings.whose import actor_of_openings
from creneau_booking.storage.tables import REPLICA_TYPES
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.search.layout import table_name
from creneau_shared.fhir.storage.replica import ReplicaStore
from creneau_shared.fhir.storage.store import Stored
from creneau_shared.fhir.zones import stated_zone
from creneau_shared.messaging.effects import Handler
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.rebuild import Replica

RESOURCE_CHANGED = "fr.creneau.directory.resource.changed.v1"


FOLLOWED = frozenset((*BELONGING_TYPES, *INHERITED))
"""Types from which agendas get their owners and rules: while these are made anew, no Schedule is written."""


KEYS = " UNION ALL ".join(
    f"SELECT '{name}/' || id FROM {table_name(name)} WHERE NOT deleted" for name in REPLICA_TYPES
)
"""The statement that lists the keys of all resources in the replica"""


class DirectoryReplica:
    """Applies `resource.changed` events to the replica tables."""

    def __init__(self, base_url: str, departures: Departures, clock: Clock) -> None:
        self._stores = {name: ReplicaStore(name, base_url) for name in REPLICA_TYPES}
        self._departures = departures
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        return {RESOURCE_CHANGED: self.apply}

    @staticmethod
    def alone(event: ReceivedEvent) -> bool:
        """Whether the event has a transaction of its own: it changes agendas or cancels visits, and their writers wait for
        it. With 499 other events in its transaction they would wait for seconds."""
        return event.raw is None or event.key.partition("/")[0] in FOLLOWED

    def replica(self) -> Replica:
        """Returns the replica for a rebuild. A rebuild cancels no visits for a missing resource: only the directory's own
        event does."""
        return Replica(KEYS, self._forget)

    async def _forget(self, connection: Connection, key: str) -> None:
        resource_type, _, id_ = key.partition("/")
        was_gone = await is_gone(connection, key)
        named = await named_with(connection, key)
        await self._stores[resource_type].sweep(connection, id_)
        await self._follow(connection, key, named, self._clock.now(), was_gone=was_gone)

    async def _follow(
        self,
        connection: Connection,
        key: str,
        named_before: Sequence[str],
        now: datetime,
        *,
        was_gone: bool,
        states_zone: bool = False,
    ) -> None:
        """Updates the agendas of an actor. `named_before`: the references by which agendas could name it (`named_with`)
        until now, such as the professional whose role it was. `states_zone`: the resource states its time zone."""
        resource_type = key.partition("/")[0]
        named = sorted({*named_before, *await named_with(connection, key)})
        if resource_type in BELONGING_TYPES:
            await actor_known(connection, key, now)
        # Before rows of agendas are locked: writers of slots wait for the agendas' people first, then for these rows.
        await actor_stated(connection, key, named, now, was_gone=was_gone)
        if resource_type in INHERITED:
            await actor_changed(connection, key, now)
        if resource_type in ("Location", "PractitionerRole") or states_zone:
            await place_said(connection, key, named, now)
        await actor_of_openings(connection, key, named, now, states_zone=states_zone)

    async def apply(self, connection: Connection, event: ReceivedEvent) -> None:
        """Stores the resource as it is now, or forgets it if the event is a tombstone. Ignores a tombstone older than the
        resource: a dead letter may be replayed when the resource exists again."""
        resource_type, _, id_ = event.key.partition("/")
        store = self._stores.get(resource_type)
        if store is None:
            return
        if event.raw is None and await store.is_there_since(connection, id_, event.time):
            return
        now = self._clock.now()
        visits: tuple[Stored, ...] = ()
        states_zone = False
        was_gone = await is_gone(connection, event.key)
        named = await named_with(connection, event.key)
        if event.raw is None:
            visits = await self._departures.foresee(connection, event.key, now)
            await self._departures.leave_calendars(connection, event.key, now)
            await store.forget(connection, id_)
        else:
            # Read anew rather than from `data`, so that decimals stay as they were written.
            resource = loads(event.raw)["resource"]
            await store.apply(connection, resource)
            states_zone = stated_zone(resource) is not None
        await self._follow(connection, event.key, named, now, was_gone=was_gone, states_zone=states_zone)
        await self._departures.cancel(connection, visits, now)

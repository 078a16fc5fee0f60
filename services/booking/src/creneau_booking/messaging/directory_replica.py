"""Booking's replica of the directory: the facts that it searches and renders, kept up to date from the topic.

Idempotent by itself: the directory's own version decides, so that a replay or a rebuild from the beginning never
puts an older state over a newer one.
"""

from __future__ import annotations

from creneau_booking.handlers.departures import Departures
from creneau_booking.storage.agenda_rules import INHERITED, actor_changed
from creneau_booking.storage.availability.agendas import actor_stated
from creneau_booking.storage.ownership import BELONGING_TYPES, actor_known
from creneau_booking.storage.tables import REPLICA_TYPES
from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.replica import ReplicaStore
from creneau_shared.messaging.consumer import Handler
from creneau_shared.messaging.events import ReceivedEvent

RESOURCE_CHANGED = "fr.creneau.directory.resource.changed.v1"


class DirectoryReplica:
    """Applies `resource.changed` events to the replica tables."""

    def __init__(self, base_url: str, departures: Departures, clock: Clock) -> None:
        self._stores = {name: ReplicaStore(name, base_url) for name in REPLICA_TYPES}
        self._departures = departures
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        return {RESOURCE_CHANGED: self.apply}

    async def apply(self, connection: Connection, event: ReceivedEvent) -> None:
        """Store the resource as it is now, or forget it when the event is a tombstone."""
        resource_type, _, id_ = event.key.partition("/")
        store = self._stores.get(resource_type)
        if store is None:
            return
        if event.raw is None:
            await store.forget(connection, id_)
        else:
            # Read anew rather than from `data`, so that decimals stay as they were written.
            await store.apply(connection, loads(event.raw)["resource"])
        if resource_type in BELONGING_TYPES:
            await actor_known(connection, event.key)
        if resource_type in INHERITED:
            await actor_changed(connection, event.key)
        now = self._clock.now()
        await actor_stated(connection, event.key, now)
        if event.raw is None:
            await self._departures.cancel_visits(connection, event.key, now)

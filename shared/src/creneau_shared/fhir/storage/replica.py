"""A replica of another service's resources, in the same tables as one's own, so that the same search runs over it.

The owner's id, version and bytes are kept as they are.
"""

from __future__ import annotations

from datetime import datetime

from creneau_shared.clock import CLOCKS_APART
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.search.index import index_resource
from creneau_shared.fhir.storage.generic import NOTHING, GenericStore
from creneau_shared.fhir.storage.store import Resource, Stored


class ReplicaStore(GenericStore):
    """Writes the versions that the owner of a type publishes; never older over newer."""

    async def apply(self, connection: Connection, resource: Resource) -> bool:
        """Stores the owner's version of a resource; False when this one or a later one is here already. A swept one is not
        here, and may be stored again: the topic has it after all."""
        meta = resource["meta"]
        stored = Stored(
            self.resource_type,
            resource["id"],
            int(meta["versionId"]),
            datetime.fromisoformat(meta["lastUpdated"]),
            dumps(resource),
        )
        entries = index_resource(self.resource_type, resource, base_url=self._base_url)
        current = await self.lock(connection, stored.id)
        if current is None:
            return await self._insert_version(connection, stored, entries, rivals=True)
        if current.version > stored.version or (current.version == stored.version and not current.deleted):
            return False
        await self._overwrite(connection, stored, entries)
        return True

    async def forget(self, connection: Connection, id_: str) -> None:
        """Removes a resource that its owner has deleted; a later version may still bring it back."""
        await self._remove(connection, id_, versions=1)

    async def is_there_since(self, connection: Connection, id_: str, at: datetime) -> bool:
        """Whether the owner stated after `at` that the resource exists: a deletion told from `at` is outdated then."""
        current = await self.read(connection, id_)
        return current is not None and not current.deleted and current.last_updated > at + CLOCKS_APART

    async def sweep(self, connection: Connection, id_: str) -> None:
        """Removes a resource that a rebuild has not found, and that nobody has said is deleted: the same version may still
        bring it back."""
        await self._remove(connection, id_, versions=0)

    async def _remove(self, connection: Connection, id_: str, *, versions: int) -> None:
        current = await self.lock(connection, id_)
        if current is not None and not current.deleted:
            gone = Stored(self.resource_type, id_, current.version + versions, current.last_updated, None)
            await self._overwrite(connection, gone, NOTHING)

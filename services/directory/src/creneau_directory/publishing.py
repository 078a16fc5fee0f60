"""The events of the directory: the present state of each resource, on one compacted topic."""

from __future__ import annotations

import orjson

from creneau_directory.views import published
from creneau_shared.fhir.storage.store import Stored
from creneau_shared.messaging.events import Event
from creneau_shared.messaging.topics import Topic

SOURCE = "/creneau/directory"
RESOURCES = Topic(name="creneau.directory.resources", compacted=True)
RESOURCE_CHANGED = "fr.creneau.directory.resource.changed.v1"


def resource_event(stored: Stored, correlation_id: str | None) -> Event:
    """The event of a resource as everybody may see it, or a tombstone if it is deleted; the key is `Type/id`."""
    name = f"{stored.resource_type}/{stored.id}"
    return Event(
        topic=RESOURCES.name,
        key=name,
        type=RESOURCE_CHANGED,
        subject=name,
        source=SOURCE,
        data=None if stored.content is None else {"resource": orjson.Fragment(published(stored.content))},
        correlation_id=correlation_id,
    )

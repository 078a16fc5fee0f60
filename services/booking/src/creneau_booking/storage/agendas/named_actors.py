"""The actors that a Schedule names."""

from __future__ import annotations

from creneau_booking.storage.mapping.appointment import relative
from creneau_shared.fhir.storage.store import Resource


def actors_named(schedule: Resource, base_url: str) -> list[str]:
    """Returns the actors of a Schedule that are in this base (`Type/id`). Leaves out actors on another server, whatever
    their id."""
    named = (relative(str(actor.get("reference", "")), base_url) for actor in schedule.get("actor", ()))
    return [name for name in named if name.count("/") == 1]

"""Whom an agenda is of, as its Schedule names them."""

from __future__ import annotations

from creneau_booking.storage.appointment_mapper import relative
from creneau_shared.fhir.storage.store import Resource


def actors_named(schedule: Resource, base_url: str) -> list[str]:
    """The actors of a Schedule who are of this base (`Type/id`): whoever stands on another server is nobody here, whatever
    their id."""
    named = (relative(str(actor.get("reference", "")), base_url) for actor in schedule.get("actor", ()))
    return [name for name in named if name.count("/") == 1]

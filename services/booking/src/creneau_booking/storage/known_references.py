"""What a new appointment refers to: its slots and its people, each found or refused."""

from __future__ import annotations

from creneau_booking.storage.people.named_people import with_known_people
from creneau_booking.storage.slot_references import with_known_slots
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, WriteContext


async def with_known_references(
    connection: Connection, context: WriteContext, appointment: Resource, base_url: str
) -> Resource:
    """Returns the appointment with its slots as `with_known_slots`, and its people as `with_known_people`, leave them."""
    appointment = await with_known_slots(connection, context, appointment, base_url)
    return await with_known_people(connection, context, appointment, base_url)

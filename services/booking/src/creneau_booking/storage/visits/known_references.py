"""What an Appointment means, however it is sent: its slots and its people, each found or refused, and the time of its slots."""

from __future__ import annotations

from creneau_booking.domain.status import SLOT_STATUS_OF
from creneau_booking.storage.agendas.slots_of_agendas import period_of
from creneau_booking.storage.people.named_people import with_known_people
from creneau_booking.storage.visits.named_slots import with_known_slots
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.rest.exchange import json_object
from creneau_shared.fhir.storage.store import Resource, WriteContext

NOTHING: Resource = {}


async def with_known_references(
    connection: Connection,
    context: WriteContext,
    appointment: Resource,
    base_url: str,
    *,
    before: Resource = NOTHING,
) -> Resource:
    """Returns the appointment with its slots as `with_known_slots`, and its people as `with_known_people`, leave them. What
    stands in its stored version (`before`) alike stays as it is."""
    if appointment.get("slot") != before.get("slot"):
        appointment = await with_known_slots(connection, context, appointment, base_url)
    known = before.get("participant", ())
    if appointment["participant"] == known:
        return appointment
    return await with_known_people(connection, context, appointment, base_url, before=known)


async def with_time_of_slots(connection: Connection, appointment: Resource) -> Resource:
    """Returns an appointment that takes its slots with their start and end, if it has neither (R4 app-3: only a request may
    be without). It need not be valid yet: what is no list of slots that exist stays as it is."""
    slots, status = appointment.get("slot"), appointment.get("status")
    if (
        "start" in appointment
        or "end" in appointment
        or not isinstance(slots, list)
        or status not in SLOT_STATUS_OF
    ):
        return appointment
    named = [str(json_object(slot).get("reference", "")).rpartition("/")[2] for slot in slots]
    period = await period_of(connection, named)
    if period is None:
        return appointment
    start, end = (exact_instant(moment) for moment in period)
    return {**appointment, "start": start, "end": end}

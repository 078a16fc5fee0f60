"""Closing a time of an agenda: its appointments are moved or cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.manner import Manner
from creneau_booking.storage.openings.closing import FreeTime
from creneau_booking.storage.slots.store import SlotStore
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext

RESCHEDULE_REASON = "https://creneau.sante.fr/fhir/StructureDefinition/reschedule-reason"
"""string on Appointment: why the practice has moved it."""
_CANCELLATION = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"

Outcome = Literal["moved", "cancelled", "left"]


@dataclass(frozen=True, slots=True)
class Closure:
    """A closure: the agenda (id), from when to when, and why."""

    schedule: str
    period: tuple[datetime, datetime]
    reason: str | None


class ClosureHandlers:
    """Moves and cancels the appointments in a closure, each separately."""

    def __init__(
        self, repository: AppointmentRepository, handlers: AppointmentHandlers, slots: SlotStore
    ) -> None:
        self._repository = repository
        self._handlers = handlers
        self._slots = slots

    async def cancel(
        self, connection: Connection, context: WriteContext, current: Stored, reason: str | None
    ) -> Stored:
        """Cancels a locked appointment in the practice's name. The patient of an offer goes back to the waiting list."""
        if self._repository.stored_facts(current).is_offer:
            waiting = {**self._repository.resource(current), "status": "waitlist"}
            return await self._handlers.change(connection, context, current, waiting)
        why: Resource = {"coding": [{"system": _CANCELLATION, "code": "prov"}]}
        if reason:
            why["text"] = reason
        resource = {
            **self._repository.resource(current),
            "status": "cancelled",
            "cancelationReason": why,
        }
        return await self._handlers.change(connection, context, current, resource)

    async def move(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        to: FreeTime,
        reason: str | None,
    ) -> Stored:
        """Moves a locked appointment to a free slot of its agenda; gives the old time back only if the new one is taken."""
        stored = await self._slots.read(connection, to.slot)
        slot = loads(stored.content) if stored is not None and stored.content is not None else {}
        resource = {
            **self._repository.resource(current),
            "start": exact_instant(to.start),
            "end": exact_instant(to.end),
            "slot": [{"reference": f"Slot/{to.slot}"}],
            **{name: slot[name] for name in SAID_BY_SLOT if name in slot},
        }
        others = [e for e in resource.get("extension", ()) if e.get("url") != RESCHEDULE_REASON]
        if reason:
            others.append({"url": RESCHEDULE_REASON, "valueString": reason})
        if others:
            resource["extension"] = others
        return await self._handlers.change(connection, context, current, resource, Manner(move=True))

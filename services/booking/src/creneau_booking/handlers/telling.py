"""Writes domain events to the outbox, in the transaction of the change that they report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import Actor, AppointmentEvent, Together, ToldOccurrence
from creneau_booking.domain.rehearsal import is_rehearsal
from creneau_booking.domain.transitions import EventKind
from creneau_booking.publishing import appointment_event
from creneau_booking.storage.agendas.ownership import owners_of
from creneau_booking.storage.agendas.slots_of_agendas import all_agenda_actors, schedules_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.messaging.outbox import append

TOLD_TOGETHER: frozenset[EventKind] = frozenset({"booked", "moved", "cancelled"})
_together: ContextVar[Together | None] = ContextVar("several of a series change", default=None)


@contextmanager
def told_together(series: str | None, occurrences: Sequence[ToldOccurrence]) -> Iterator[None]:
    """Inside the block, the event of the first of these occurrences reports all of them. A single one is told as usual."""
    in_order = sorted(occurrences, key=lambda one: (one.start, one.appointment))
    several = series is not None and len(in_order) > 1
    token = _together.set(
        Together(series, in_order[0].appointment, tuple(in_order)) if several and series is not None else None
    )
    try:
        yield
    finally:
        _together.reset(token)


async def tell(
    connection: Connection,
    context: WriteContext,
    event: AppointmentEvent,
    before: Appointment | None = None,
) -> None:
    """Publishes `event`. Missing agendas and owners are looked up, missing times are taken from `before`. Events of a
    rehearsal are not published."""
    if is_rehearsal(event.appointment):
        return
    if not event.schedules:
        event = replace(event, schedules=await schedules_of(connection, event.appointment.slots))
    if event.appointment.slots and not event.appointment.names_practice:
        # Software may name the patient only; the patient is nevertheless told with whom and where the visit is.
        agenda = await all_agenda_actors(connection, event.appointment.slots)
        event = replace(event, appointment=event.appointment.in_other_agendas((), agenda))
    if event.owners is None:
        event = replace(event, owners=await owners_of(connection, event.appointment.id))
    after, together = event.appointment, _together.get()
    if together is not None and event.kind in TOLD_TOGETHER and together.has(after.id):
        event = replace(event, together=together)
    if before is not None and (after.start is None or after.end is None):
        event = replace(event, appointment=replace(after, start=before.start, end=before.end))
    await append(connection, [appointment_event(event, context.correlation_id)])


def acting(context: WriteContext) -> Actor:
    """The actor of a write, as events name it."""
    if context.by_service:
        return "system"
    return "patient" if context.by_patient else "provider"

"""The practice's rules, held against what a patient wants to take, cancel or move."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain import access_rules as rules
from creneau_booking.domain.appointment import Appointment, SlotFact
from creneau_booking.storage.agenda_rules import (
    births_of,
    future_appointments,
    rules_of_schedules,
    rules_of_slots,
    take_turns,
)
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


async def require_bookable(
    connection: Connection, context: WriteContext, wanted: Appointment, slots: Sequence[SlotFact]
) -> None:
    """Unprocessable when a rule of their agendas keeps the patient from the slots that `wanted` newly takes."""
    if context.patient_ids is None or not slots:
        return
    agendas = await rules_of_schedules(connection, sorted({slot.schedule for slot in slots}))
    for slot in slots:
        if slot.schedule in agendas:
            rules.require_open(agendas[slot.schedule], slot.start, context.now)
    for schedule, agenda in agendas.items():
        start = min(slot.start for slot in slots if slot.schedule == schedule)
        for patient in wanted.patients:
            id_ = patient.removeprefix("Patient/")
            if agenda.rules.age is not None:
                rules.require_age(agenda, (await births_of(connection, [id_])).get(id_), start)
            if agenda.rules.appointments_max is not None:
                await take_turns(connection, patient, schedule)
                counts = await future_appointments(
                    connection,
                    patient,
                    context.now,
                    besides=wanted.id,
                    hidden_too=not context.represents(id_),
                )
                rules.require_room(agenda, counts.get(schedule, 0))


async def require_changeable(connection: Connection, context: WriteContext, before: Appointment) -> None:
    """Unprocessable when it is too late for the patient to cancel or move; what is only held is free to go."""
    if context.patient_ids is None or before.status == "pending" or before.start is None:
        return
    for agenda in await rules_of_slots(connection, before.slots):
        rules.require_changeable(agenda, before.start, context.now)

"""Applies the practice's rules and the patient's quotas to what a patient wants to take, cancel or move."""

from __future__ import annotations

from collections.abc import Mapping

from creneau_booking.domain import access_rules as rules
from creneau_booking.domain.access_rules import AgendaRules
from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.quotas import Quotas, require_room_to_come
from creneau_booking.domain.refusals.agendas import NotOpenToNewPatients, ReferralRequired
from creneau_booking.domain.rules import Claim
from creneau_booking.storage.agendas.rules import births_of, rules_of_slots, standing_of, upcoming_of
from creneau_booking.storage.people.known_patients import known_at
from creneau_booking.storage.people.patients import require_all, require_registered
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import WriteContext


async def require_bookable(
    connection: Connection,
    context: WriteContext,
    quotas: Quotas,
    wanted: Appointment,
    claim: Claim,
) -> None:
    """Refuses the slots that `wanted` newly takes by its claim if a rule of their agendas or the patient's quota forbids them.
    Concurrent bookings of the patient wait already, because the action was counted (`storage.actions`)."""
    slots = claim.new_slots
    if not context.by_patient or not slots:
        return
    [patient] = set(wanted.patients)
    schedules = sorted({slot.schedule for slot in slots})
    id_ = patient.removeprefix("Patient/")
    hidden_too = not context.represents(id_)
    # The appointments of one series count as one, unless the agenda states its own maximum.
    besides = [wanted.id, *wanted.fellows]
    agendas, to_come = await standing_of(
        connection, schedules, patient, context.now, besides=besides, hidden_too=hidden_too
    )
    for slot in slots:
        if slot.schedule in agendas:
            begins = max(slot.start, claim.start)
            rules.require_open(agendas[slot.schedule], slot.start, context.now, begins=begins)
    demanded = [agenda.rules for agenda in agendas.values()]
    if any(r.referral_required for r in demanded) and not wanted.referred:
        raise ReferralRequired()
    if known_only := [slot for slot in slots if slot.known_only]:
        oneself = [id_] if hidden_too else []
        known = (await known_at(connection, [id_], context.now, oneself=oneself))[id_]
        if not all(known.takes(slot) for slot in known_only):
            raise NotOpenToNewPatients()
    for schedule, agenda in agendas.items():
        if agenda.rules.age is not None:
            start = min(slot.start for slot in slots if slot.schedule == schedule)
            rules.require_age(agenda, (await births_of(connection, [id_])).get(id_), start)
    most = {schedule: _most(agendas, schedule) for schedule in schedules}
    own = [said for said in most.values() if said is not None]
    if own and wanted.fellows:
        besides = [wanted.id]
        to_come += len(wanted.fellows)
    if to_come >= min([quotas.future_least, *own]):
        upcoming = await upcoming_of(connection, patient, context.now, besides=besides, hidden_too=hidden_too)
        specialties = frozenset(specialty for slot in slots for specialty in slot.specialties)
        counsellor = context.role == "counsellor"
        require_room_to_come(quotas, upcoming, most, specialties, counsellor=counsellor)


def _most(agendas: Mapping[str, AgendaRules], schedule: str) -> int | None:
    agenda = agendas.get(schedule)
    return None if agenda is None else agenda.rules.appointments_max


async def require_changeable(connection: Connection, context: WriteContext, before: Appointment) -> None:
    """Raises ChangeTooLate if a patient cancels or moves after an agenda's deadline. Pending appointments have none."""
    if not context.by_patient or before.status == "pending" or before.start is None:
        return
    for agenda in await rules_of_slots(connection, before.slots):
        rules.require_changeable(agenda, before.start, context.now)


async def require_known_patients(
    connection: Connection,
    context: WriteContext,
    wanted: Appointment,
    known: Mapping[str, frozenset[str]] | None = None,
) -> None:
    """Raises UnknownPatients if a Patient does not exist, or a practice does not know them. `known`: as
    `LockedSlots.patients`; None: it is looked up."""
    ids = [reference.removeprefix("Patient/") for reference in wanted.patients]
    practices = context.organizations
    if known is None:
        await require_registered(connection, ids, "appointment", practices)
        return
    theirs = {id_ for id_, owners in known.items() if practices is None or not owners.isdisjoint(practices)}
    require_all(ids, theirs, "appointment", practices)

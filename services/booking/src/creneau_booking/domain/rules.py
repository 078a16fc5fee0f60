"""The rules of booking, pure: facts in, a claim or a typed refusal out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES, Appointment, SlotFact
from creneau_booking.domain.status import (
    PATIENT_MAY_SET,
    SLOT_STATUS_OF,
    AppointmentStatus,
    SlotStatus,
    may_follow,
)
from creneau_shared.errors import Conflict, Forbidden, Unprocessable

PUBLIC_VISIBILITY = "PUBLIC"


@dataclass(frozen=True, slots=True)
class Claim:
    """What an appointment takes: its slots under a new status, and its people for a half-open period."""

    slots: tuple[SlotFact, ...]
    slot_status: SlotStatus
    actors: tuple[str, ...]
    """in sorted order, so that rivals take them in the same order"""
    start: datetime
    end: datetime

    @property
    def schedules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"Schedule/{slot.schedule}" for slot in self.slots))


def claim_for(
    appointment: Appointment,
    slots: Sequence[SlotFact],
    *,
    by_patient: bool,
    now: datetime,
    roles: Mapping[str, str] = {},
) -> Claim:
    """What `appointment` must take to have its status.

    `slots` are the locked facts of the slots that it names; `roles` resolves PractitionerRole references.
    Unprocessable when it can never be (unknown slot, past, outside the horizon, times that do not fit);
    Conflict when somebody else was faster; Forbidden when the slot is not open to patients.
    """
    _require_known(appointment, slots)
    if by_patient:
        _require_open_to_patients(appointment, slots, now)
    for slot in slots:
        _require_in_horizon(slot)
        if slot.status != "free":
            raise taken(slot)
    start, end = period(appointment, slots)
    return Claim(
        slots=tuple(slots),
        slot_status=SLOT_STATUS_OF[appointment.status],
        actors=exclusive_actors(appointment, slots, roles),
        start=start,
        end=end,
    )


def taken(slot: SlotFact) -> Conflict:
    """The refusal that the slower of two rivals gets."""
    held = slot.status == "busy-tentative"
    return Conflict(
        f"Le créneau du {_when(slot.start)} (Slot/{slot.id}) "
        + ("est en cours de réservation par quelqu'un d'autre." if held else "vient d'être pris.")
        + " Choisissez-en un autre.",
        f"The slot of {_when(slot.start)} (Slot/{slot.id}) "
        + ("is being booked by someone else." if held else "has just been taken.")
        + " Choose another one.",
        code="conflict",
        expression="Appointment.slot",
        details_code="slot-held" if held else "slot-taken",
        diagnostics=f"Slot/{slot.id} is {slot.status}",
    )


def occupied(actors: Iterable[str], start: datetime) -> Conflict:
    """The refusal when a person or a device is already taken at that time, perhaps through another agenda."""
    names = ", ".join(sorted(actors))
    return Conflict(
        f"{names} a déjà un rendez-vous à cette heure ({_when(start)}). Choisissez un autre créneau.",
        f"{names} already has an appointment at that time ({_when(start)}). Choose another slot.",
        code="conflict",
        expression="Appointment.participant",
        details_code="actor-occupied",
        diagnostics=names,
    )


def _when(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M%z")


def period(appointment: Appointment, slots: Sequence[SlotFact]) -> tuple[datetime, datetime]:
    """The appointment's period: its own, which every agenda's slots must cover, or else that of its slots.

    Slots of one agenda must follow each other without a gap (GP Connect); a part of a larger slot is allowed (ISiK).
    """
    spans = [
        _span(list(group)) for _, group in groupby(sorted(slots, key=_agenda_order), key=lambda s: s.schedule)
    ]
    if appointment.start is not None and appointment.end is not None:
        start, end = appointment.start, appointment.end
    elif spans:
        start, end = spans[0]
    else:
        raise Unprocessable(
            "Un rendez-vous a besoin d'un créneau, ou d'un début et d'une fin.",
            "An appointment needs a slot, or a start and an end.",
            expression="Appointment.start",
            details_code="no-time",
        )
    if end <= start:
        raise Unprocessable(
            "Le rendez-vous doit finir après son début.",
            "The appointment must end after it starts.",
            expression="Appointment.end",
            details_code="appointment-order",
        )
    for first, last in spans:
        if start < first or end > last:
            raise Unprocessable(
                f"Le rendez-vous ({_when(start)} – {_when(end)}) déborde de ses créneaux ({_when(first)} – {_when(last)}).",
                f"The appointment ({_when(start)} – {_when(end)}) reaches beyond its slots ({_when(first)} – {_when(last)}).",
                expression="Appointment.start",
                details_code="outside-slot",
            )
    return start, end


def _agenda_order(slot: SlotFact) -> tuple[str, datetime]:
    return slot.schedule, slot.start


def _span(slots: Sequence[SlotFact]) -> tuple[datetime, datetime]:
    for before, after in pairwise(slots):
        if before.end != after.start:
            raise Unprocessable(
                f"Les créneaux Slot/{before.id} et Slot/{after.id} ne se suivent pas.",
                f"The slots Slot/{before.id} and Slot/{after.id} do not follow each other.",
                expression="Appointment.slot",
                details_code="slots-not-adjacent",
            )
    return slots[0].start, slots[-1].end


def exclusive_actors(
    appointment: Appointment, slots: Sequence[SlotFact], roles: Mapping[str, str]
) -> tuple[str, ...]:
    """The people and devices that the appointment takes: its agendas' and its own, who have not declined."""
    mentioned = [actor for slot in slots for actor in slot.actors]
    mentioned += [p.reference for p in appointment.participants if p.reference and p.status != "declined"]
    resolved = (roles.get(reference, reference) for reference in mentioned)
    return tuple(sorted({actor for actor in resolved if actor.split("/", 1)[0] in EXCLUSIVE_TYPES}))


def unresolved_roles(appointment: Appointment, slots: Sequence[SlotFact]) -> tuple[str, ...]:
    """The PractitionerRoles that must be resolved to know who is taken.

    A role in an agenda that names its Practitioner too needs no look-up: that Practitioner is the one.
    """
    accompanied = {
        actor
        for slot in slots
        if any(a.startswith("Practitioner/") for a in slot.actors)
        for actor in slot.actors
    }
    mentioned = {actor for slot in slots for actor in slot.actors}
    mentioned |= {p.reference for p in appointment.participants if p.reference and p.status != "declined"}
    return tuple(sorted(a for a in mentioned - accompanied if a.startswith("PractitionerRole/")))


def _require_known(appointment: Appointment, slots: Sequence[SlotFact]) -> None:
    missing = set(appointment.slots) - {slot.id for slot in slots}
    if missing:
        names = ", ".join(f"Slot/{id_}" for id_ in sorted(missing))
        raise Unprocessable(
            f"Créneau inconnu : {names}.",
            f"Unknown slot: {names}.",
            code="not-found",
            expression="Appointment.slot",
            details_code="unknown-slot",
        )
    for slot in slots:
        if not slot.schedule_active:
            raise Unprocessable(
                f"L'agenda Schedule/{slot.schedule} n'est plus ouvert à la réservation.",
                f"The agenda Schedule/{slot.schedule} is no longer open for booking.",
                expression="Appointment.slot",
                details_code="schedule-inactive",
            )


def _require_open_to_patients(appointment: Appointment, slots: Sequence[SlotFact], now: datetime) -> None:
    if len(set(appointment.patients)) != 1:
        raise Unprocessable(
            "Un rendez-vous se prend pour une personne : un participant Patient, et un seul.",
            "An appointment is for one person: one Patient participant, and only one.",
            expression="Appointment.participant",
            details_code="one-patient",
        )
    if not slots:
        raise Unprocessable(
            "Choisissez un créneau : Appointment.slot.",
            "Choose a slot: Appointment.slot.",
            code="required",
            expression="Appointment.slot",
            details_code="no-slot",
        )
    for slot in slots:
        if slot.start <= now:
            raise Unprocessable(
                f"Le créneau du {_when(slot.start)} est passé.",
                f"The slot of {_when(slot.start)} is in the past.",
                expression="Appointment.slot",
                details_code="slot-in-the-past",
            )
        if slot.visibility and PUBLIC_VISIBILITY not in slot.visibility:
            raise Forbidden(
                "Ce créneau est réservé aux professionnels.",
                "This slot is for professionals only.",
                expression="Appointment.slot",
                details_code="slot-not-public",
            )


def _require_in_horizon(slot: SlotFact) -> None:
    before = slot.horizon_start is not None and slot.start < slot.horizon_start
    after = slot.horizon_end is not None and slot.end > slot.horizon_end
    if before or after:
        raise Unprocessable(
            f"Le créneau Slot/{slot.id} est hors de la période que couvre son agenda.",
            f"The slot Slot/{slot.id} lies outside the period that its agenda covers.",
            expression="Appointment.slot",
            details_code="outside-horizon",
        )


def require_transition(before: AppointmentStatus, after: AppointmentStatus, *, by_patient: bool) -> None:
    """Unprocessable when the state machine does not allow it, naming both ends; Forbidden when a patient may not."""
    if not may_follow(before, after):
        raise Unprocessable(
            f"Un rendez-vous « {before} » ne peut pas devenir « {after} ».",
            f"An appointment that is “{before}” cannot become “{after}”.",
            expression="Appointment.status",
            details_code="illegal-transition",
            diagnostics=f"from {before} to {after}",
        )
    require_allowed_status(after if before != after else "booked", by_patient=by_patient)


def require_allowed_status(status: AppointmentStatus, *, by_patient: bool) -> None:
    """Forbidden when a patient sets a status that only the practice can know."""
    if by_patient and status not in PATIENT_MAY_SET:
        raise Forbidden(
            f"Seul le cabinet peut donner le statut « {status} » à un rendez-vous.",
            f"Only the practice can give an appointment the status “{status}”.",
            expression="Appointment.status",
            details_code="status-not-yours",
        )


def is_moved(before: Appointment, after: Appointment) -> bool:
    """Whether the change touches when or with whom: slots, start, end."""
    return (before.start, before.end, set(before.slots)) != (after.start, after.end, set(after.slots))


def require_unmoved(before: Appointment, after: Appointment) -> None:
    """A patient's PUT or PATCH must not change time, slot or patient (ISiK); $reschedule is for that."""
    if is_moved(before, after) or before.patients != after.patients:
        raise Unprocessable(
            "Pour changer d'horaire, utilisez $reschedule : l'ancien créneau n'est rendu que si le nouveau est pris.",
            "To change the time, use $reschedule: the old slot is given back only once the new one is taken.",
            expression="Appointment.slot",
            details_code="use-reschedule",
        )


def require_cancellable(before: Appointment, now: datetime, *, by_patient: bool) -> None:
    """A patient cancels what is to come; the past is the practice's to correct."""
    if by_patient and before.start is not None and before.start <= now:
        raise Unprocessable(
            "Ce rendez-vous a déjà commencé : il ne peut plus être annulé.",
            "This appointment has already started: it can no longer be cancelled.",
            expression="Appointment.status",
            details_code="already-started",
        )

"""The rules of changing an appointment: which status may follow, what a patient may change, what moves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES, Appointment
from creneau_booking.domain.status import ENDED, AppointmentStatus, claims
from creneau_booking.domain.transitions import MOVABLE, TRANSITIONS, Transition, may_follow
from creneau_shared.errors import Forbidden, Unprocessable

_WHEN_AND_WHO = frozenset({"start", "end", "slot", "minutesDuration", "requestedPeriod", "participant"})
_AFTER_A_CANCELLATION = frozenset({"status", "cancelationReason", "meta", "text"})
_WHO_IS_TAKEN = (*EXCLUSIVE_TYPES, "PractitionerRole")


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
    _require_theirs(TRANSITIONS[before, after], after, by_patient=by_patient)


def require_allowed_status(status: AppointmentStatus, *, by_patient: bool) -> None:
    """Forbidden when a patient makes an appointment of a status that only the practice can know."""
    _require_theirs(TRANSITIONS[None, status], status, by_patient=by_patient)


def _require_theirs(step: Transition, status: AppointmentStatus, *, by_patient: bool) -> None:
    if by_patient and not step.by_patient:
        raise Forbidden(
            f"Seul le cabinet peut donner le statut « {status} » à ce rendez-vous.",
            f"Only the practice can give this appointment the status “{status}”.",
            expression="Appointment.status",
            details_code="status-not-yours",
        )


def require_unended(
    status: AppointmentStatus, before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    """Unprocessable when what is over is amended, naming each element (GP Connect: a cancelled appointment is not).

    `before` and `after`: what is said, by element. Why it was cancelled may be said later; of a visit that took place
    or was missed, only when, where and who are fixed.
    """
    if status not in ENDED:
        return
    amendable = _AFTER_A_CANCELLATION if status in ("cancelled", "entered-in-error") else None
    touched = [
        name
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
        and (name in _WHEN_AND_WHO if amendable is None else name not in amendable)
    ]
    if touched:
        raise Unprocessable(
            f"Un rendez-vous « {status} » ne se modifie plus ({', '.join(touched)}) : prenez-en un autre.",
            f"An appointment that is “{status}” is not amended any more ({', '.join(touched)}): book another one.",
            expression=[f"Appointment.{name}" for name in touched],
            details_code="already-ended",
        )


def require_movable(status: AppointmentStatus) -> None:
    """Unprocessable when the visit has begun, is over, or takes no time yet."""
    if status not in MOVABLE:
        raise Unprocessable(
            f"Un rendez-vous « {status} » ne peut pas être déplacé.",
            f"An appointment that is “{status}” cannot be moved.",
            expression="Appointment.status",
            details_code="not-movable",
        )


def is_moved(before: Appointment, after: Appointment) -> bool:
    """Whether the change touches when, or which slots."""
    return (before.start, before.end, set(before.slots)) != (after.start, after.end, set(after.slots))


def takes_others(before: Appointment, after: Appointment) -> bool:
    """Whether the change touches whom the appointment takes: people or devices that can be in one place only."""
    return _taken_by(before) != _taken_by(after)


def _taken_by(appointment: Appointment) -> set[str]:
    return {
        p.reference
        for p in appointment.participants
        if p.reference and p.type in _WHO_IS_TAKEN and p.status != "declined"
    }


def require_unmoved(before: Appointment, after: Appointment) -> None:
    """A patient's PUT or PATCH must not change when or with whom (ISiK); `$reschedule` is for that."""
    if claims(before.status) and (is_moved(before, after) or takes_others(before, after)):
        raise Unprocessable(
            "Pour changer d'horaire ou de praticien, utilisez $reschedule : l'ancien créneau n'est rendu que si le"
            " nouveau est pris.",
            "To change the time or the practitioner, use $reschedule: the old slot is given back only once the new"
            " one is taken.",
            expression="Appointment.slot",
            details_code="use-reschedule",
        )


def require_same_patient(before: Appointment, after: Appointment) -> None:
    """A patient cannot hand an appointment over to someone else."""
    if set(before.patients) != set(after.patients):
        raise Unprocessable(
            "Un rendez-vous ne change pas de patient : annulez-le et prenez-en un autre.",
            "An appointment does not change its patient: cancel it and book another one.",
            expression="Appointment.participant",
            details_code="other-patient",
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


def require_missed(after: Appointment, now: datetime) -> None:
    """Nobody has missed an appointment that has not begun."""
    if after.start is not None and now < after.start:
        raise Unprocessable(
            "Ce rendez-vous n'a pas encore commencé : le patient ne peut pas l'avoir manqué.",
            "This appointment has not started yet: the patient cannot have missed it.",
            expression="Appointment.status",
            details_code="not-started",
        )


def require_own_live_hold(held: bool, own: bool, live: bool) -> None:
    """A patient confirms and extends a hold of their own account that has not run out, and nothing else."""
    if not held:
        raise Forbidden(
            "Ce rendez-vous attend l'accord du cabinet : lui seul peut le confirmer.",
            "This appointment waits for the practice's agreement: only the practice can confirm it.",
            expression="Appointment.status",
            details_code="waits-for-practice",
        )
    if not own:
        raise Forbidden(
            "Cette mise en attente a été commencée par un autre compte : lui seul peut la confirmer.",
            "This hold was begun by another account: only that account can confirm it.",
            expression="Appointment.status",
            details_code="hold-not-yours",
        )
    if not live:
        raise Unprocessable(
            "La mise en attente est terminée : cherchez de nouveau et choisissez un créneau.",
            "The hold has run out: search again and choose a slot.",
            expression="Appointment.status",
            details_code="hold-expired",
        )


def unknown_slots(ids: Iterable[str]) -> Unprocessable:
    """The refusal of slots that do not exist."""
    names = ", ".join(f"Slot/{id_}" for id_ in sorted(ids))
    return Unprocessable(
        f"Créneau inconnu : {names}.",
        f"Unknown slot: {names}.",
        code="not-found",
        expression="Appointment.slot",
        details_code="unknown-slot",
    )

"""The rules of changing an appointment: which status may follow, what a patient may change, what moves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES, Appointment
from creneau_booking.domain.refusals.changes import (
    AlreadyEnded,
    AlreadyStarted,
    HoldExpired,
    HoldNotTheirs,
    IllegalTransition,
    MovedByAmending,
    NotMovable,
    NotStarted,
    OtherPatient,
    StatusNotTheirs,
    WaitsForPractice,
)
from creneau_booking.domain.status import ENDED, AppointmentStatus, claims
from creneau_booking.domain.transitions import MOVABLE, TRANSITIONS, Transition, may_follow

_WHEN_AND_WHO = frozenset({"start", "end", "slot", "minutesDuration", "requestedPeriod", "participant"})
_AFTER_A_CANCELLATION = frozenset({"status", "cancelationReason", "meta", "text"})
_WHO_IS_TAKEN = (*EXCLUSIVE_TYPES, "PractitionerRole")


def require_transition(before: AppointmentStatus, after: AppointmentStatus, *, by_patient: bool) -> None:
    """Refused when the state machine does not allow it, naming both ends, and when a patient may not."""
    if not may_follow(before, after):
        raise IllegalTransition(before, after)
    _require_theirs(TRANSITIONS[before, after], after, by_patient=by_patient)


def require_allowed_status(status: AppointmentStatus, *, by_patient: bool) -> None:
    """Refused when a patient makes an appointment of a status that only the practice can know."""
    _require_theirs(TRANSITIONS[None, status], status, by_patient=by_patient)


def _require_theirs(step: Transition, status: AppointmentStatus, *, by_patient: bool) -> None:
    if by_patient and not step.by_patient:
        raise StatusNotTheirs(status)


def require_unended(
    status: AppointmentStatus, before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    """Refused when what is over is amended, naming each element (GP Connect: a cancelled appointment is not).

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
        raise AlreadyEnded(status, tuple(touched))


def require_movable(status: AppointmentStatus) -> None:
    """Refused when the visit has begun, is over, or takes no time yet."""
    if status not in MOVABLE:
        raise NotMovable(status)


def is_moved(before: Appointment, after: Appointment) -> bool:
    """Whether the change touches when, or which slots."""
    return (before.start, before.end, set(before.slots)) != (after.start, after.end, set(after.slots))


def is_there(
    before: Appointment, slots: Collection[str], time: tuple[datetime, datetime], now: datetime
) -> bool:
    """Whether what is to be moved to these slots and that time has them already, and has not run out: the call is one that
    was answered before, or changes nothing, not even what is proposed of it."""
    has_run_out = before.held_until is not None and before.held_until <= now
    return (before.start, before.end, set(before.slots)) == (*time, set(slots)) and not has_run_out


def takes_others(before: Appointment, after: Appointment) -> bool:
    """Whether the change touches whom the appointment takes: people or devices that can be in one place only."""
    return _taken_by(before) != _taken_by(after)


def is_for_others(before: Appointment, after: Appointment) -> bool:
    """Whether the change touches for whom the appointment is: each has their own time, and their place in a group."""
    return set(before.patients) != set(after.patients)


def _taken_by(appointment: Appointment) -> set[str]:
    return {
        p.reference
        for p in appointment.participants
        if p.reference and p.type in _WHO_IS_TAKEN and p.status != "declined"
    }


def require_unmoved(before: Appointment, after: Appointment) -> None:
    """A patient's PUT or PATCH must not change when or with whom (ISiK); `$reschedule` is for that."""
    if claims(before.status) and (is_moved(before, after) or takes_others(before, after)):
        raise MovedByAmending()


def require_same_patient(before: Appointment, after: Appointment) -> None:
    """A patient cannot hand an appointment over to someone else."""
    if set(before.patients) != set(after.patients):
        raise OtherPatient()


def require_to_come(before: Appointment, now: datetime, *, by_patient: bool) -> None:
    """A patient cancels and moves what is to come; the past is the practice's to correct."""
    if by_patient and before.start is not None and before.start <= now:
        raise AlreadyStarted()


def require_missed(after: Appointment, now: datetime) -> None:
    """Nobody has missed an appointment that has not begun."""
    if after.start is not None and now < after.start:
        raise NotStarted()


def require_own_live_hold(held: bool, own: bool, live: bool) -> None:
    """A patient confirms and extends a hold of their own account that has not run out, and nothing else."""
    if not held:
        raise WaitsForPractice()
    if not own:
        raise HoldNotTheirs()
    if not live:
        raise HoldExpired()

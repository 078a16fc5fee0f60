"""The rules of changing an appointment: which status may follow, what a patient may change, which change is a move."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from creneau_booking.domain.appointment import EXCLUSIVE_TYPES, Appointment
from creneau_booking.domain.refusals.changes import (
    AlreadyEnded,
    AlreadyStarted,
    CancelledOtherwise,
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
    """Raises IllegalTransition (with both statuses) if there is no such step, StatusNotTheirs if a patient may not do it."""
    if not may_follow(before, after):
        raise IllegalTransition(before, after)
    _require_theirs(TRANSITIONS[before, after], after, by_patient=by_patient)


def require_allowed_status(status: AppointmentStatus, *, by_patient: bool) -> None:
    """Refuses a patient's new appointment whose status only the practice can give."""
    _require_theirs(TRANSITIONS[None, status], status, by_patient=by_patient)


def _require_theirs(step: Transition, status: AppointmentStatus, *, by_patient: bool) -> None:
    if by_patient and not step.by_patient:
        raise StatusNotTheirs(status)


def require_unended(
    status: AppointmentStatus, before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    """Refuses to amend an appointment that is over, naming each element (GP Connect: a cancelled one is not amended).

    `before` and `after`: the elements and their values. The reason of a cancellation may be given later; if the visit took
    place or was missed, only time, slots and participants are fixed.
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


def require_not_over(status: AppointmentStatus) -> None:
    """Refuses that a patient deletes an appointment that is over: who sees that it was cancelled, and by whom, keeps seeing
    it."""
    if status in ENDED:
        raise AlreadyEnded(status, ())


def require_cancelled_as_it_stands(before: Appointment, after: Appointment) -> None:
    """Refuses a cancellation that says another time, slot or patient: whom it concerns would be told of a visit that never
    was, or not at all (GP Connect: a cancellation changes status and reason). Times and slots may be left out."""
    if before.status in ENDED or after.status not in ("cancelled", "entered-in-error"):
        return
    stands = {"start": before.start, "end": before.end, "slot": set(before.slots)}
    said = {"start": after.start, "end": after.end, "slot": set(after.slots)}
    otherwise = [name for name, value in said.items() if value and value != stands[name]]
    if set(after.patients) != set(before.patients):
        otherwise.append("participant")
    if otherwise:
        raise CancelledOtherwise(tuple(otherwise))


def require_movable(status: AppointmentStatus) -> None:
    """Refuses to move a visit that has begun, is over, or takes no time yet."""
    if status not in MOVABLE:
        raise NotMovable(status)


def is_moved(before: Appointment, after: Appointment) -> bool:
    """Whether start, end or slots change."""
    return (before.start, before.end, set(before.slots)) != (after.start, after.end, set(after.slots))


def is_there(
    before: Appointment, slots: Collection[str], time: tuple[datetime, datetime], now: datetime
) -> bool:
    """Whether the appointment has these slots and this time already, and its hold has not expired. Then the move is a
    repeated call, or changes nothing, not even a counter-proposal."""
    has_run_out = before.held_until is not None and before.held_until <= now
    return (before.start, before.end, set(before.slots)) == (*time, set(slots)) and not has_run_out


def takes_others(before: Appointment, after: Appointment) -> bool:
    """Whether the people or devices change that the appointment takes: those that can be in one place only."""
    return _taken_by(before) != _taken_by(after)


def is_for_others(before: Appointment, after: Appointment) -> bool:
    """Whether other patients come: each has their own time, and their place in a group. Who declines comes no more."""
    return set(before.coming) != set(after.coming)


def who_leaves(before: Appointment, after: Appointment) -> tuple[str, ...]:
    """The patients (references) who come no more, in sorted order; none unless others still come and nobody joins them.
    Their time and their places are given back, and nothing is taken for it."""
    coming, came = set(after.coming), set(before.coming)
    return tuple(sorted(came - coming)) if coming and coming < came else ()


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
    """Refuses a patient who cancels or moves a visit that has begun: only the practice corrects the past."""
    if by_patient and before.start is not None and before.start <= now:
        raise AlreadyStarted()


def require_missed(before: AppointmentStatus | None, after: Appointment, now: datetime) -> None:
    """Refuses that an appointment becomes, or is entered as, `noshow` before it has begun."""
    becomes_missed = after.status == "noshow" != before
    if becomes_missed and after.start is not None and now < after.start:
        raise NotStarted()


def require_own_live_hold(held: bool, own: bool, live: bool) -> None:
    """Refuses a patient who confirms or extends anything but a live hold of their own account."""
    if not held:
        raise WaitsForPractice()
    if not own:
        raise HoldNotTheirs()
    if not live:
        raise HoldExpired()

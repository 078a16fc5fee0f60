"""The rehearsal: an agenda on which the deployment books test appointments repeatedly, to know that booking works.

The booking service keeps one such agenda and one such patient. They can only be booked with each other: no real person
can be booked there, and nothing real can be hidden behind it.
"""

from __future__ import annotations

from collections.abc import Collection

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.rehearsal import RehearsalApart, RehearsalKept

ORGANIZATION = "creneau-rehearsal"
"""id of the Organization that owns the agenda, and for which the rehearsing caller acts. No directory has it."""
SCHEDULE = "creneau-rehearsal"
PATIENT = "creneau-rehearsal"
DEVICE = "creneau-rehearsal"
"""the agenda's actor: a Device that does not exist elsewhere"""

_KEPT = {("Schedule", SCHEDULE), ("Patient", PATIENT)}
_COMPANY = {f"Patient/{PATIENT}", f"Device/{DEVICE}"}


def is_rehearsal(appointment: Appointment) -> bool:
    """Whether an appointment is for the rehearsal's patient."""
    return f"Patient/{PATIENT}" in appointment.patients


def require_apart(wanted: Appointment, schedules: Collection[str]) -> None:
    """Refuses an appointment that has only the rehearsal's agenda or only its patient, or further participants.
    `schedules`: the agendas (references) in which it is."""
    agenda = f"Schedule/{SCHEDULE}"
    if agenda not in schedules and not is_rehearsal(wanted):
        return
    named = {one.reference for one in wanted.participants}
    if set(schedules) != {agenda} or not is_rehearsal(wanted) or not named <= _COMPANY:
        raise RehearsalApart


def require_still_apart(before: Appointment, after: Appointment, schedules: Collection[str]) -> None:
    """Applies `require_apart` to a change; `schedules`: the agendas that it touches, empty if they stay as they are."""
    if is_rehearsal(before) != is_rehearsal(after):
        raise RehearsalApart
    require_apart(after, schedules or ([f"Schedule/{SCHEDULE}"] if is_rehearsal(before) else []))


def require_not_kept(resource_type: str, id_: str | None) -> None:
    """Refuses every caller who writes the rehearsal's agenda or patient."""
    if (resource_type, id_) in _KEPT:
        raise RehearsalKept(resource_type)

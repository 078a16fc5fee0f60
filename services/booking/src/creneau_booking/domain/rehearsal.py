"""The rehearsal: an agenda on which the deployment books for nobody, again and again, to know that booking works.

There is one such agenda and one such patient, both kept by booking itself, and they are for each other alone: nobody
real can be booked there, and nothing real can be hidden behind it.
"""

from __future__ import annotations

from collections.abc import Collection

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.refusals.rehearsal import RehearsalApart, RehearsalKept

ORGANIZATION = "creneau-rehearsal"
"""id of the Organization whose the agenda is: for whom the caller that rehearses has to speak. No directory has it."""
SCHEDULE = "creneau-rehearsal"
PATIENT = "creneau-rehearsal"
DEVICE = "creneau-rehearsal"
"""what the agenda's time is of: no Device that anybody has"""

_KEPT = {("Schedule", SCHEDULE), ("Patient", PATIENT)}
_COMPANY = {f"Patient/{PATIENT}", f"Device/{DEVICE}"}


def is_rehearsal(appointment: Appointment) -> bool:
    """Whether an appointment is for nobody."""
    return f"Patient/{PATIENT}" in appointment.patients


def require_apart(wanted: Appointment, schedules: Collection[str]) -> None:
    """Refuse an appointment that has one of them without the other, or anybody else beside. `schedules`: the agendas
    (references) in which it is."""
    agenda = f"Schedule/{SCHEDULE}"
    if agenda not in schedules and not is_rehearsal(wanted):
        return
    named = {one.reference for one in wanted.participants}
    if set(schedules) != {agenda} or not is_rehearsal(wanted) or not named <= _COMPANY:
        raise RehearsalApart


def require_still_apart(before: Appointment, after: Appointment, schedules: Collection[str]) -> None:
    """The same of a change; `schedules`: the agendas that it touches, none where they stay as they are."""
    if is_rehearsal(before) != is_rehearsal(after):
        raise RehearsalApart
    require_apart(after, schedules or ([f"Schedule/{SCHEDULE}"] if is_rehearsal(before) else []))


def require_not_kept(resource_type: str, id_: str | None) -> None:
    """Refuse to write what booking itself keeps for its rehearsals, whoever asks."""
    if (resource_type, id_) in _KEPT:
        raise RehearsalKept(resource_type)

"""What can happen to an appointment, as the domain tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.transitions import EventKind

Actor = Literal["patient", "provider", "system"]


@dataclass(frozen=True, slots=True)
class ToldOccurrence:
    """One of a series as it is once all of them have changed."""

    appointment: str
    start: datetime
    end: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Together:
    """What several of a series are told as: by the event of one of them, `teller` (id), with all of them in order of time."""

    series: str
    teller: str
    occurrences: tuple[ToldOccurrence, ...]

    def has(self, appointment: str) -> bool:
        return any(one.appointment == appointment for one in self.occurrences)


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    """One thing that happened to `appointment`, which is its state afterwards."""

    kind: EventKind
    appointment: Appointment
    schedules: tuple[str, ...] = ()
    previous: tuple[datetime, datetime] | None = None
    by: Actor = "system"
    record_ended: bool = False
    """whether it was cancelled because the patient has died, or their record is out of use: nobody is told of it"""
    held_until: datetime | None = None
    awaits_practice: bool = False
    """whether it is kept until then for the practice to answer"""
    owners: frozenset[str] | None = None
    """ids of the organisations whose appointment it is; None where the change did not have to know"""
    together: Together | None = None
    """with which others of its series it changed"""

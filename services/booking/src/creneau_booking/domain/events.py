"""The events of an appointment, as the domain states them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.transitions import EventKind

Actor = Literal["patient", "provider", "system"]


@dataclass(frozen=True, slots=True)
class ToldOccurrence:
    """One appointment of a series, after all of them have changed."""

    appointment: str
    start: datetime
    end: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Together:
    """Several appointments of a series that one event reports: that of `teller` (id). `occurrences` are in order of time."""

    series: str
    teller: str
    occurrences: tuple[ToldOccurrence, ...]

    def has(self, appointment: str) -> bool:
        return any(one.appointment == appointment for one in self.occurrences)


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    """One change of `appointment`, which is its state afterwards."""

    kind: EventKind
    appointment: Appointment
    schedules: tuple[str, ...] = ()
    previous: tuple[datetime, datetime] | None = None
    by: Actor = "system"
    record_ended: bool = False
    """whether it was cancelled because the patient has died, or their record is out of use: nobody gets a message"""
    held_until: datetime | None = None
    awaits_practice: bool = False
    """whether it waits until `held_until` for the practice's answer"""
    owners: frozenset[str] | None = None
    """ids of the organisations whose appointment it is; None where the change did not need them"""
    together: Together | None = None
    """the appointments of its series that changed with it"""

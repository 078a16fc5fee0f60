"""An appointment as the event that announces it tells it: no name, no free text, references only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Change(StrEnum):
    """What happened to the appointment."""

    HELD = "held"
    BOOKED = "booked"
    MOVED = "moved"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    HOLD_EXPIRED = "hold-expired"
    OFFERED = "offered"


class Mode(StrEnum):
    """How the visit takes place; the values are v3-ActCode's encounter codes."""

    PRACTICE = "AMB"
    HOME = "HH"
    VIDEO = "VR"


ENCOUNTER_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@dataclass(frozen=True, slots=True)
class Appointment:
    """One version of an appointment. Instants carry their zone; `sequence` is iCalendar's SEQUENCE."""

    id: str
    version: int
    status: str
    start: datetime
    end: datetime
    patient: str | None
    actors: tuple[str, ...]
    """references such as `Practitioner/12`, declined participants left out"""
    mode: Mode | None
    sequence: int
    organizations: tuple[str, ...] = ()
    """ids of the organisations whose appointment it is"""
    proposed: datetime | None = None
    """another start, which the practice proposes and the patient has not answered"""
    hidden: bool = False
    """from the patient's representatives, who may share the patient's address: no message leaves"""
    others: tuple[str, ...] = ()
    """further patients beside `patient`, as of a couple or a family"""

    @property
    def patients(self) -> tuple[str, ...]:
        """All patients of the visit; each is told."""
        return self.others if self.patient is None else (self.patient, *self.others)

    def stays_with(self, before: Appointment) -> bool:
        """Whether at least one of the earlier patients is still a patient of it."""
        return self.patients == before.patients or not set(self.patients).isdisjoint(before.patients)

    def actors_of(self, resource_type: str) -> tuple[str, ...]:
        """The references to actors of one type, in the event's order."""
        return tuple(actor for actor in self.actors if actor.startswith(f"{resource_type}/"))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One visit of a series that changed together, after the change."""

    appointment: str
    start: datetime
    end: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    """One event: what changed (`change`), when (`time`), and the appointment after it."""

    id: str
    change: Change
    time: datetime
    appointment: Appointment
    previous_start: datetime | None = None
    cancelled_by: str | None = None
    """`patient`, `provider` or `system`, when cancelled"""
    record_ended: bool = False
    """whether it was cancelled because the patient has died, or their record is out of use"""
    held_until: datetime | None = None
    """until when the offer is kept"""
    awaited: bool = False
    """whether the practice has to agree or, once cancelled, had to"""
    together: tuple[Occurrence, ...] = ()
    """all of the series that changed with it, in order of time: told with this event"""
    told_elsewhere: bool = False
    """whether another event of its series tells of it"""
    was_booked: bool = False
    """whether it was booked for the same patient before, and has not been cancelled since: it is in their calendar"""

    def following(self, known: AppointmentEvent | None) -> AppointmentEvent:
        """Sets `was_booked` from the last event known. A booked visit that waits for the practice again (moved to an agenda
        that has to agree) is still in the patient's calendar."""
        if known is None or not self.appointment.stays_with(known.appointment):
            return self
        status = known.appointment.status
        return replace(self, was_booked=status == "booked" or (status == "pending" and known.was_booked))

    @property
    def was_only_asked(self) -> bool:
        """Whether what ended was a request: the practice refused it, or did not answer, and nothing had been booked."""
        return self.change is Change.CANCELLED and self.awaited and not self.was_booked

    @property
    def is_request(self) -> bool:
        """Whether the practice has not agreed to it yet, and nothing was booked before."""
        return self.appointment.status == "pending" and not self.was_booked

    @property
    def is_unanswered(self) -> bool:
        """Whether it was cancelled because the practice, which had to agree, did not answer in time."""
        return self.change is Change.CANCELLED and self.awaited and self.cancelled_by == "system"

    @property
    def moments(self) -> tuple[datetime, ...]:
        """Every start that it tells of: the visit's, those of the same series, the previous one."""
        before = () if self.previous_start is None else (self.previous_start,)
        return (self.appointment.start, *(one.start for one in self.together), *before)

    def told_to(self, recipient: str) -> AppointmentEvent:
        """The event for one of several patients, without the others."""
        if not self.appointment.others:
            return self
        return replace(self, appointment=replace(self.appointment, patient=recipient, others=()))


def mode_of(codings: Sequence[tuple[str | None, str | None]]) -> Mode | None:
    """The way of visiting that (system, code) pairs of serviceType name, if any does."""
    for system, code in codings:
        if system == ENCOUNTER_SYSTEM and code in tuple(Mode):
            return Mode(code)
    return None

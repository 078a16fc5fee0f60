"""An appointment as the rules see it: no FHIR, no database, no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from creneau_booking.domain.status import AppointmentStatus

EXCLUSIVE_TYPES = ("Practitioner", "Device")
"""Actors that can be in one place only, beside patients and rooms. A PractitionerRole stands for its Practitioner; a
Location that is no room receives many."""
CANCELLATION_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
"""The system of the codes that say why an appointment does not take place."""


def patient_actor(reference: str, *, hidden: bool) -> str:
    """A patient as somebody who is in one place only. What is hidden from their representatives is held apart, so that
    no refusal tells these of it."""
    return f"{reference}#hidden" if hidden else reference


@dataclass(frozen=True, slots=True)
class Participant:
    """Who takes part: a reference such as `Practitioner/12` (None: described only), and their answer."""

    reference: str | None
    status: str

    @property
    def type(self) -> str | None:
        return self.reference.split("/", 1)[0] if self.reference else None


@dataclass(frozen=True, slots=True)
class Code:
    """A coding, as events carry it."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Appointment:
    """What the rules need of one appointment. `slots` holds Slot ids; instants carry their zone."""

    id: str
    version: int
    status: AppointmentStatus
    start: datetime | None
    end: datetime | None
    slots: tuple[str, ...]
    participants: tuple[Participant, ...]
    service_type: tuple[Code, ...] = ()
    cancelation_reason: str | None = None
    """a code of CANCELLATION_REASONS"""
    visit: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what it is for, by element (`serviceType` …): codes as `system|code`"""
    hidden: bool = False
    """from those who represent the patient: a minor may see a doctor without their parents' knowledge"""

    double_booking_reason: str | None = None
    """why its patient may have another visit at that time, in the words of whoever decided it"""

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(p.reference for p in self.participants if p.reference and p.type == "Patient")

    @property
    def sequence(self) -> int:
        """iCalendar's SEQUENCE: grows with every change, starts at 0."""
        return self.version - 1


@dataclass(frozen=True, slots=True)
class SlotFact:
    """What is known of a slot at the moment it is locked."""

    id: str
    start: datetime
    end: datetime
    status: str
    schedule: str
    schedule_open: bool
    """whether the agenda is active, and everyone and everything that it names"""
    horizon_start: datetime | None
    horizon_end: datetime | None
    actors: tuple[str, ...]
    """the agenda's actors, as references"""
    exclusive: tuple[str, ...] = ()
    """those of them who can be in one place only: a role stands for its Practitioner, a place counts if it is a room"""
    taken_by: str | None = None
    """id of the appointment that has it"""
    displaced: bool = False
    """whether it would be free, were nobody of its agenda taken elsewhere"""
    visibility: frozenset[str] = frozenset()
    """TRE_R314 codes (PUBLIC, PRO, SNP, CPTS); empty: open to all"""
    owners: frozenset[str] = frozenset()
    """ids of the organisations whose agenda it is"""
    offers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """what it is for, by element, as in `Appointment.visit`; an element that it does not have is missing"""

    @property
    def specialties(self) -> frozenset[str]:
        return self.offers.get("specialty", frozenset())

"""Refusals: resources that are unknown, unavailable or erased, for the caller at least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_shared.refusal import Refusal

PatientsNamedIn = Literal["appointment", "answer", "proxy", "provenance", "link"]
"""What names Patients: a visit, an answer, a representative, a Provenance, or a link between records."""


@dataclass(eq=False)
class UnknownPatients(Refusal):
    """Patients (ids, in order) who do not exist, or (`to_practice`) are unknown to the practice that names them."""

    ids: tuple[str, ...]
    named_in: PatientsNamedIn
    to_practice: bool


@dataclass(eq=False)
class PatientsUnclear(Refusal):
    """Participants (index, text) who are stated to be Patients, but are none of this base."""

    said: tuple[tuple[int, str], ...]


@dataclass(eq=False)
class SuccessorUnclear(Refusal):
    """A record with visits to come is replaced by one that is not of this base, or that leads to none."""


@dataclass(eq=False)
class PatientsUnavailable(Refusal):
    """Patients (ids) for whom nothing can be booked: deleted, inactive or deceased."""

    ids: tuple[str, ...]


@dataclass(eq=False)
class PatientErased(Refusal):
    """The Patient was erased at their own request, in this version."""

    id: str
    version: int


@dataclass(eq=False)
class OtherPerson(Refusal):
    """The id belonged to another person."""

    id: str


@dataclass(eq=False)
class BirthDateSettled(Refusal):
    """An account would correct a birth date on which the end of a parent's authority depends."""


@dataclass(eq=False)
class AppointmentUnknown(Refusal):
    """The caller answers an appointment that they may not see."""


@dataclass(eq=False)
class AppointmentNotSeen(Refusal):
    """The writer of an AppointmentResponse may not see its appointment (reference, if any)."""

    reference: str | None


@dataclass(eq=False)
class UnknownTarget(Refusal):
    """A target (index) of a Provenance does not exist, or not for its author."""

    index: int
    resource_type: str
    id: str

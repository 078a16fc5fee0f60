"""Refused: who is registered, what is known of them, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from creneau_shared.refusal import Refusal

PatientsNamedIn = Literal["appointment", "answer", "proxy", "provenance", "link"]
"""What names Patients: a visit, an answer to one, who represents them, where something comes from, what replaces a
record."""


@dataclass(eq=False)
class UnknownPatients(Refusal):
    """Patients (ids, in order) who are not there, or (`to_practice`) not known to the practice that names them."""

    ids: tuple[str, ...]
    named_in: PatientsNamedIn
    to_practice: bool


@dataclass(eq=False)
class PatientsUnclear(Refusal):
    """Participants (index, what is said) who are said to be Patients, and are none of this base."""

    said: tuple[tuple[int, str], ...]


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
    """The id was that of another person."""

    id: str


@dataclass(eq=False)
class BirthDateSettled(Refusal):
    """An account would correct a birth date that a parent's authority ends by."""


@dataclass(eq=False)
class AppointmentUnknown(Refusal):
    """The appointment that somebody answers is none that they may see."""


@dataclass(eq=False)
class AppointmentNotSeen(Refusal):
    """The appointment (reference, if any) that an answer is stored for is none that its writer may see."""

    reference: str | None


@dataclass(eq=False)
class UnknownTarget(Refusal):
    """What a Provenance (index of its target) is about does not exist, or not for whoever says it."""

    index: int
    resource_type: str
    id: str

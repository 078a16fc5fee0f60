"""Refused: who takes part in an appointment, and what a patient says of it."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class NotOnePatient(Refusal):
    """A patient's appointment is for none or several."""


@dataclass(eq=False)
class NobodyComes(Refusal):
    """A visit whose patients have all declined."""


@dataclass(eq=False)
class PatientNotTheirs(Refusal):
    """The caller does not act for the patient, who is named at these indexes."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class ParticipantsNotTheirs(Refusal):
    """Participants whom a patient's word cannot bring."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class NotOffered(Refusal):
    """The appointment asks in `element` for something that its slots do not offer."""

    element: str


@dataclass(eq=False)
class ParticipantsTouched(Refusal):
    """A patient changes more of the participants than their own answer: these, or (none) takes some away."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class UnknownActors(Refusal):
    """Nobody knows these actors (references, in order), named at these indexes or by the slots."""

    actors: tuple[str, ...]
    indexes: tuple[int, ...]


@dataclass(eq=False)
class ActorsNotTheirs(Refusal):
    """Actors (references, in order) of another practice, named at these indexes or by the slots."""

    actors: tuple[str, ...]
    indexes: tuple[int, ...]


@dataclass(eq=False)
class NoActorOfTheirs(Refusal):
    """An appointment without a slot concerns nobody of the practice."""


@dataclass(eq=False)
class AnswerForOthers(Refusal):
    """A patient answers for somebody else."""


@dataclass(eq=False)
class ElementsNotTheirs(Refusal):
    """Elements (paths within Appointment) that are not, or no longer, the patient's to say."""

    elements: tuple[str, ...]

"""Refusals: the participants of an appointment, and the elements that a patient sets in it."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class NotOnePatient(Refusal):
    """A patient's appointment is for no patient, or for several."""


@dataclass(eq=False)
class NobodyComes(Refusal):
    """All patients of the visit have declined."""


@dataclass(eq=False)
class PatientNotTheirs(Refusal):
    """The caller does not act for the patient, who is named at these indexes."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class ParticipantsNotTheirs(Refusal):
    """Participants whom a patient may not add."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class NotOffered(Refusal):
    """The appointment asks in `element` for something that its slots do not offer."""

    element: str


@dataclass(eq=False)
class ParticipantsTouched(Refusal):
    """A patient changes these participants beyond their own answer; no indexes: the patient removes some."""

    indexes: tuple[int, ...]


@dataclass(eq=False)
class UnknownActors(Refusal):
    """These actors (references, in order), named at these indexes or by the slots, are unknown."""

    actors: tuple[str, ...]
    indexes: tuple[int, ...]


@dataclass(eq=False)
class ActorsNotTheirs(Refusal):
    """Actors (references, in order) of another practice, named at these indexes or by the slots."""

    actors: tuple[str, ...]
    indexes: tuple[int, ...]


@dataclass(eq=False)
class NoActorOfTheirs(Refusal):
    """An appointment without a slot names nobody of the practice."""


@dataclass(eq=False)
class AnswerForOthers(Refusal):
    """A patient answers for somebody else."""


@dataclass(eq=False)
class ElementsNotTheirs(Refusal):
    """Elements (paths within Appointment) that a patient may not, or no longer, set."""

    elements: tuple[str, ...]

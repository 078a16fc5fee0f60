"""Refusals: changes of an appointment, and who may make them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class IllegalTransition(Refusal):
    """The state machine has no such step."""

    before: str
    after: str


@dataclass(eq=False)
class StatusNotTheirs(Refusal):
    """Only the practice gives this status."""

    status: str


@dataclass(eq=False)
class AlreadyEnded(Refusal):
    """A change amends these elements of an appointment that is over (`status`); none: a patient deletes it."""

    status: str
    elements: tuple[str, ...]


@dataclass(eq=False)
class CancelledOtherwise(Refusal):
    """A cancellation says these elements otherwise than the appointment that it ends."""

    elements: tuple[str, ...]


@dataclass(eq=False)
class NotMovable(Refusal):
    """An appointment of this status is not moved."""

    status: str


@dataclass(eq=False)
class MovedByAmending(Refusal):
    """A patient changes when or with whom by an update."""


@dataclass(eq=False)
class OtherPatient(Refusal):
    """The appointment would change its patient."""


@dataclass(eq=False)
class AlreadyStarted(Refusal):
    """A patient cancels or moves a visit that has begun."""


@dataclass(eq=False)
class NotStarted(Refusal):
    """`noshow` is set for a visit that has not begun."""


@dataclass(eq=False)
class WaitsForPractice(Refusal):
    """A patient confirms an appointment that only the practice confirms."""


@dataclass(eq=False)
class HoldNotTheirs(Refusal):
    """The hold was begun by another account."""


@dataclass(eq=False)
class AnsweredTooLate(Refusal):
    """The practice had until then to answer."""

    until: datetime


@dataclass(eq=False)
class HoldExpired(Refusal):
    """The hold has run out."""


@dataclass(eq=False)
class NotAHold(Refusal):
    """An appointment that waits for the practice is no hold, and cannot be extended."""


@dataclass(eq=False)
class HoldNotExtensible(Refusal):
    """The hold was extended as often as is allowed."""

    extensions: int

"""Refusals: answers of participants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class AnswerForAnotherPractice(Refusal):
    """A practice answers for somebody of another practice."""


@dataclass(eq=False)
class AnswererUnknown(Refusal):
    """An answer names its actor (`said`) by no reference, nor by an identifier of anybody whom its writer sees."""

    said: str


@dataclass(eq=False)
class AnsweredAfterEnd(Refusal):
    """The answered appointment has begun or is over (`status`)."""

    status: str


@dataclass(eq=False)
class AnsweredAfterStart(Refusal):
    """An acceptance would book a request whose time (`start`) has come."""

    start: datetime


@dataclass(eq=False)
class AnswerOrder(Refusal):
    """An answer says only one end of a time, or its end is not after its start."""


@dataclass(eq=False)
class AnswerTimes(Refusal):
    """An answer other than a counter-proposal says a time that nobody has proposed."""


@dataclass(eq=False)
class ProposalNotInAgenda(Refusal):
    """A practice proposes a time that an agenda of the visit does not have."""

    start: datetime


@dataclass(eq=False)
class ProposalBegun(Refusal):
    """The time that is proposed, or accepted, has begun or is over."""

    start: datetime


@dataclass(eq=False)
class ProposalNotFree(Refusal):
    """An accepted counter-proposal's time is not free."""

    start: datetime


@dataclass(eq=False)
class MayOnlyAnswer(Refusal):
    """The holder of a message's link may only accept or decline."""

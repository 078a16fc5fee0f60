"""Refusals: a practice's rules on who may book its agenda online, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class NotOpenYet(Refusal):
    """Slots of the agenda can be booked from `days` days before: this one from `opening` on."""

    days: int
    start: datetime
    opening: datetime
    zone: tzinfo


@dataclass(eq=False)
class NoticeTooShort(Refusal):
    """The agenda is booked at least `notice` before the slot starts."""

    notice: timedelta
    start: datetime
    zone: tzinfo


@dataclass(eq=False)
class BirthDateUnknown(Refusal):
    """The agenda asks for an age (in months, half-open) and the patient's is not known."""

    from_months: int
    below_months: int | None


@dataclass(eq=False)
class AgeOutsideLimit(Refusal):
    """The patient is not of the age (in months, half-open) that the agenda takes."""

    from_months: int
    below_months: int | None


@dataclass(eq=False)
class ReferralRequired(Refusal):
    """The agenda asks for a referral, and the appointment names none."""


@dataclass(eq=False)
class NotOpenToNewPatients(Refusal):
    """Online, the agenda takes only patients whom the practice knows."""


@dataclass(eq=False)
class ChangeTooLate(Refusal):
    """A patient cancels or moves later than `deadline` before the start."""

    deadline: timedelta
    start: datetime
    zone: tzinfo

"""Refused: how much one patient, one account or one counsellor may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from creneau_shared.refusal import Refusal

Among = Literal["all", "specialty", "agenda"]
"""Which of a patient's appointments to come are counted."""
Actor = Literal["counsellor", "account", "patient"]
"""Whose bookings are counted."""


@dataclass(eq=False)
class TooManyBookings(Refusal):
    """So many bookings and moves within an hour; one more is possible after `wait`."""

    actor: Actor
    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyHoldsBegun(Refusal):
    """So many holds begun within an hour by an account."""

    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyCancellations(Refusal):
    """So many cancellations within a day by an account."""

    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyToCome(Refusal):
    """The patient has `count` appointments to come, of at most `most`."""

    among: Among
    count: int
    most: int


@dataclass(eq=False)
class TooManyRequestsWaiting(Refusal):
    """The patient has so many requests waiting."""

    waiting: int


@dataclass(eq=False)
class TooManyPatients(Refusal):
    """The account has registered as many people as one may."""

    most: int


@dataclass(eq=False)
class TooManyHolds(Refusal):
    """So many slots are held already; each for so long."""

    held: int
    duration: timedelta

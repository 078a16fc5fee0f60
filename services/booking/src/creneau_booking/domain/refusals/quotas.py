"""Refusals: how much one patient, one account or one counsellor may book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from creneau_shared.refusal import Refusal

Among = Literal["all", "specialty", "agenda"]
"""The patient's appointments to come that are counted."""
Actor = Literal["counsellor", "account", "patient"]
"""Whose bookings are counted."""


@dataclass(eq=False)
class TooManyBookings(Refusal):
    """`number` bookings and moves within an hour; one more is possible after `wait`."""

    actor: Actor
    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyHoldsBegun(Refusal):
    """An account has begun `number` holds within an hour."""

    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyCancellations(Refusal):
    """An account has cancelled `number` appointments within a day."""

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
    """The patient, or all the people together for whom the account acts, have `waiting` requests already."""

    whose: Literal["patient", "account"]
    waiting: int


@dataclass(eq=False)
class TooManyPatients(Refusal):
    """The account has registered the maximum of people."""

    most: int


@dataclass(eq=False)
class TooManyChanges(Refusal):
    """The Patient was changed `number` times within a day."""

    number: int
    wait: timedelta


@dataclass(eq=False)
class TooManyHolds(Refusal):
    """`held` slots are held already, each for `duration`."""

    held: int
    duration: timedelta

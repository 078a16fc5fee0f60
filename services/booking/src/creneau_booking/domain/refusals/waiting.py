"""Refusals: wishes on the waiting list, and changes of offers."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class UnreadableWish(Refusal):
    """An extension (its url) of a waiting-list request cannot be read."""

    url: str


@dataclass(eq=False)
class AwaitedUnknown(Refusal):
    """Agendas (ids) that an extension (its url) of a waiting-list request names do not exist."""

    url: str
    agendas: tuple[str, ...]


@dataclass(eq=False)
class WishOver(Refusal):
    """All periods that a wish names are over."""


@dataclass(eq=False)
class SeriesNotAwaited(Refusal):
    """A series is waited for, as an extension (its url) says: one freed time would be the first of it alone."""

    url: str


@dataclass(eq=False)
class VisitNotBooked(Refusal):
    """An earlier time is waited for instead of an appointment that is not booked (`status`)."""

    status: str


@dataclass(eq=False)
class ReplacedNotTheirs(Refusal):
    """A waiting-list request would replace something other than a booked appointment of the same person."""


@dataclass(eq=False)
class NothingEarlier(Refusal):
    """An earlier time is waited for instead of a visit that has begun."""


@dataclass(eq=False)
class OfferNotMovable(Refusal):
    """An offer of the waiting list can be accepted or refused, but neither moved nor extended."""

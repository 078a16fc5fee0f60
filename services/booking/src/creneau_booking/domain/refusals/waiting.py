"""Refused: the waiting list: what cannot be waited for, and what an offer is not for."""

from __future__ import annotations

from dataclasses import dataclass

from creneau_shared.refusal import Refusal


@dataclass(eq=False)
class UnreadableWish(Refusal):
    """An extension (its url) of a waiting-list request says what cannot be read."""

    url: str


@dataclass(eq=False)
class AwaitedUnknown(Refusal):
    """Agendas (ids) that an extension (its url) of a waiting-list request names do not exist."""

    url: str
    agendas: tuple[str, ...]


@dataclass(eq=False)
class WishOver(Refusal):
    """The time for which somebody would wait is over."""


@dataclass(eq=False)
class VisitNotBooked(Refusal):
    """Something earlier is waited for than what is no booked visit."""

    status: str


@dataclass(eq=False)
class ReplacedNotTheirs(Refusal):
    """What a waiting-list request would replace is no booked appointment of the same person."""


@dataclass(eq=False)
class NothingEarlier(Refusal):
    """Something earlier is waited for than a visit that has begun."""


@dataclass(eq=False)
class OfferNotMovable(Refusal):
    """An offer of the waiting list is accepted or refused, and neither moved nor put off."""

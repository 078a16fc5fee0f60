"""The criteria that a situation must meet to be found, and the order of those found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from creneau_shared.clock import PARIS


@dataclass(frozen=True, slots=True)
class Near:
    """A circle: degrees (WGS 84), kilometres."""

    latitude: float
    longitude: float
    km: float


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a situation must be. `cares`: codes and share (0 to 1) of each kind of care, the likeliest first; `every`: it
    has all these terms; `some`: it has one term of each group; `none`: it has none of these; `origin`: of distances."""

    cares: tuple[tuple[tuple[str, ...], float], ...] = ()
    every: tuple[str, ...] = ()
    some: tuple[tuple[str, ...], ...] = ()
    none: tuple[str, ...] = ()
    names: tuple[tuple[tuple[str, ...], float], ...] = ()
    """for each word of a name: the terms that it may stand for, and how sure that is (0 to 1)"""
    within: str | None = None
    """the term of the place"""
    large: bool = False
    """whether `within` may hold so many situations that a sample of them stands for all"""
    circle: Near | None = None
    origin: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the situations found, and which page of them is wanted."""

    by_distance: bool = False
    in_turn: int = 0
    """number of cares, from the first, whose best situations are shown in turn"""
    day: int = 0
    """days since 1970, in Paris: of which the situations are; the seed that draws the sample, and who comes first among
    equals"""
    offset: int = 0
    count: int = 20


def day_of(moment: datetime) -> int:
    """The number of the day in Paris (days since 1970)."""
    return (moment.astimezone(PARIS).date() - date(1970, 1, 1)).days

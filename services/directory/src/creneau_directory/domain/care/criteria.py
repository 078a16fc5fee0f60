"""What a situation must be to be found, and how what is found is ordered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Near:
    """A circle: degrees (WGS 84), kilometres."""

    latitude: float
    longitude: float
    km: float


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a situation must be. `cares`: codes and share (0 to 1) of each kind of care, the first first; `every`: terms
    that it has all of; `some`: of each group one; `none`: terms that it has not; `origin`: where distances begin."""

    cares: tuple[tuple[tuple[str, ...], float], ...] = ()
    every: tuple[str, ...] = ()
    some: tuple[tuple[str, ...], ...] = ()
    none: tuple[str, ...] = ()
    names: tuple[tuple[tuple[str, ...], float], ...] = ()
    """for each word of a name: the terms that it may be, and how sure that is"""
    within: str | None = None
    """the term of the place"""
    large: bool = False
    """whether so many may be within it that a part of them stands for all"""
    circle: Near | None = None
    origin: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """How what is found is ordered, and which part of it is wanted."""

    by_distance: bool = False
    in_turn: int = 0
    """of how many cares, the first ones, the best are shown in turn"""
    day: int = 0
    """by which it is drawn who stands for many, and who comes first among equals: days since 1970, in Paris"""
    offset: int = 0
    count: int = 20

"""Capacities of a place (ror-location-supported-capacity): what each must have, and the rule of their changes.

Each change states when the capacity was counted (`capacityUpdateDate`): never in the future, and always later than the
capacity that it replaces (ROR, patch-capacitaire).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from creneau_directory.domain.ror.urls import CAPACITY, Resource, codes, value_of

_ONCE: Final = (
    "capacityType",
    "capacityStatus",
    "temporalityCapacity",
    "nbCapacity",
    "capacitySourceType",
    "capacityUpdateDate",
    "temporaryAssignement",
)
_AT_MOST_ONCE: Final = ("genderCapacityAvailable", "capacityClosingType", "additionalBedType", "crisisType")
_IDENTITY: Final = (
    *_AT_MOST_ONCE,
    "capacityType",
    "capacityStatus",
    "temporalityCapacity",
    "temporaryAssignement",
)
"""The parts that identify one capacity among those of a place."""
_CLOCKS_DIFFER: Final = timedelta(minutes=5)

Problem = Literal["missing", "repeated", "unfit"]


@dataclass(frozen=True, slots=True)
class CapacityFault:
    """A part of a capacity that is missing, repeated or unfit."""

    part: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class StaleCapacity:
    """A capacity (index of the extension) was not counted later than the one that it replaces, or in the future."""

    index: int
    counted: str
    known: str | None
    """when the replaced one was counted; None: the new one is in the future"""


def capacities(place: Resource) -> Iterator[tuple[int, Resource]]:
    """The capacities of a place, with the indexes of their extensions."""
    for index, extension in enumerate(place.get("extension", ())):
        if extension.get("url") == CAPACITY:
            yield index, extension


def capacity_faults(place: Resource) -> Iterator[tuple[int, CapacityFault]]:
    """Yields the faults of the capacities of a place, with the index of the extension."""
    for index, capacity in capacities(place):
        parts: dict[str, list[Any]] = {}
        for part in capacity.get("extension", ()):
            parts.setdefault(str(part.get("url")), []).append(value_of(part))
        for name in (*_ONCE, *_AT_MOST_ONCE):
            values = parts.get(name, [])
            if not values and name in _ONCE:
                yield index, CapacityFault(name, "missing")
            elif len(values) > 1:
                yield index, CapacityFault(name, "repeated")
        number = parts.get("nbCapacity", [0])[0]
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            yield index, CapacityFault("nbCapacity", "unfit")
        if any(_moment(value) is None for value in parts.get("capacityUpdateDate", ())):
            yield index, CapacityFault("capacityUpdateDate", "unfit")


def stale_capacities(before: Resource, after: Resource, now: datetime) -> Iterator[StaleCapacity]:
    """Yields the capacities of `after` that changed without a new count, or were counted in the future."""
    known = {_identity(capacity): capacity for _, capacity in capacities(before)}
    for index, capacity in capacities(after):
        earlier = known.get(_identity(capacity))
        if earlier == capacity:
            continue
        text, counted = _counted(capacity)
        if counted is None:
            continue
        if counted > now + _CLOCKS_DIFFER:
            yield StaleCapacity(index, text, None)
        if earlier is None:
            continue
        known_text, known_at = _counted(earlier)
        if known_at is not None and counted <= known_at:
            yield StaleCapacity(index, text, known_text)


def _identity(capacity: Resource) -> tuple[tuple[str, tuple[str, ...]], ...]:
    parts = {
        str(part.get("url")): tuple(codes(value_of(part)))
        for part in capacity.get("extension", ())
        if part.get("url") in _IDENTITY
    }
    return tuple(sorted(parts.items()))


def _counted(capacity: Resource) -> tuple[str, datetime | None]:
    for part in capacity.get("extension", ()):
        if part.get("url") == "capacityUpdateDate":
            value = value_of(part)
            return str(value), _moment(value)
    return "", None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, Mapping) or value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

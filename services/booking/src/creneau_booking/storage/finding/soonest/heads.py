"""What the steps of `$soonest` pass on: agendas by their heads, and the first slot of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Record

from creneau_shared.fhir.search.includes import Row

Place = tuple[Any, int]
"""place in the order of an answer: a time or a distance, and the agenda (key)"""
NO_AGENDA = 2**63 - 1
"""sorts after the keys of all agendas"""


@dataclass(frozen=True, slots=True)
class Head:
    """An agenda (key) and from when on its first slot is to be looked for."""

    schedule: int
    start: datetime
    distance_m: float | None

    def place(self) -> tuple[datetime, int]:
        return self.start, self.schedule


@dataclass(frozen=True, slots=True)
class First:
    """The first slot of an agenda that the caller could book."""

    schedule: int
    agenda: str
    """its id"""
    start: datetime
    row: Row

    def place(self, *, by_distance: bool) -> Place:
        """Its place in the order of the answer."""
        if by_distance:
            return (self.row.distance_m if self.row.distance_m is not None else math.inf), self.schedule
        return self.start, self.schedule


Portion = tuple[list[Head], Place | None]
"""agendas, and the place of the order up to which all agendas have been given; None: these were all"""


def earliest(heads: Iterable[Head]) -> list[Head]:
    """Returns the earliest head of each agenda, in order."""
    first: dict[int, Head] = {}
    for head in sorted(heads, key=Head.place):
        first.setdefault(head.schedule, head)
    return list(first.values())


def head_of(row: Record) -> Head:
    return Head(row["schedule_key"], row["start"], row["distance"])


def first_of(record: Record, distances: dict[int, float | None]) -> First:
    distance = distances[record["schedule_key"]]
    row = Row("Slot", record["id"], record["version"], record["last_updated"], record["content"], distance)
    return First(record["schedule_key"], record["agenda"], record["start"], row)

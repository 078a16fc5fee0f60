"""What a page shows of a professional, a place and a free time: facts without FHIR."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

Way = Literal["practice", "video", "home"]
PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True, slots=True)
class Place:
    """Where care is given."""

    id: str
    name: str
    lines: tuple[str, ...]
    postal_code: str
    city: str
    zone: ZoneInfo = PARIS
    latitude: float | None = None
    longitude: float | None = None
    phone: str | None = None
    within: tuple[str, ...] = ()
    """the ids of the buildings that it is part of, the nearest first"""

    @property
    def address(self) -> str:
        """On one line: `3 rue des Genêts, 35000 Rennes`."""
        town = f"{self.postal_code} {self.city}".strip()
        return ", ".join(part for part in (*self.lines, town) if part)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a professional usually works: FHIR's days (`mon` …) and two local times, `09:00`."""

    days: tuple[str, ...]
    opens: str
    closes: str


@dataclass(frozen=True, slots=True)
class Professional:
    """A professional in one place of exercise (PractitionerRole)."""

    id: str
    """of the PractitionerRole"""
    name: str
    specialties: tuple[str, ...]
    place: Place | None
    phone: str | None
    languages: tuple[str, ...] = ()
    organization: str | None = None
    service: str | None = None
    """id of the HealthcareService"""
    by_appointment: bool = True
    hours: tuple[Hours, ...] = ()
    remarks: str | None = None
    practitioner: str | None = None
    """id of the Practitioner"""
    sector: str | None = None
    """of fees: a code of TRE_R282; None if it is not stated"""
    access: tuple[str, ...] = ()
    """what the place allows for: `wheelchair`, `hearing` …"""
    new_patients: bool | None = None
    """None if it is not stated"""
    clock: ZoneInfo = PARIS
    """time zone if no place is known"""

    @property
    def zone(self) -> ZoneInfo:
        return self.place.zone if self.place else self.clock

    def or_as(self, other: Professional) -> Professional:
        """Merges two roles of a person when either may be meant: without a place, unless both have the same."""
        if self.place == other.place:
            return self
        return replace(self, place=None, phone=None, clock=self.zone if self.zone == other.zone else PARIS)


@dataclass(frozen=True, slots=True)
class Opening:
    """A free time that can be booked now: a Slot, in the zone of its place."""

    slot: str
    schedule: str
    start: datetime
    end: datetime
    reason: str | None
    """what it is for, in the practice's words"""
    modes: frozenset[str] = frozenset()
    """`AMB` on site, `VR` by video, `HH` at home (HL7 ActCode)"""
    walk_in: bool = False
    places: int | None = None
    """how many places a group has left; None: the time is for one person"""

    @property
    def day(self) -> date:
        return self.start.date()


def way_of(modes: Collection[str]) -> Way:
    """Where a visit is: by video if that is its only mode, at home if AMB is no mode, else at the practice."""
    if set(modes) == {"VR"}:
        return "video"
    return "home" if "HH" in modes and "AMB" not in modes else "practice"


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for a visit (motif de consultation): the practice's own words and how long it takes."""

    text: str
    minutes: int
    modes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Availability:
    """The first free times of a professional."""

    openings: tuple[Opening, ...] = ()
    known: bool = True
    """False when the agenda could not be asked"""
    connected: bool = True
    """whether there is an agenda here at all"""


@dataclass(frozen=True, slots=True)
class Card:
    """One result: the professional and when they are free."""

    professional: Professional
    availability: Availability = field(default_factory=Availability)

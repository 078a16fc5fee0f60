"""What the town is made of: visits, people and places, as booking and the directory tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

START = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
"""in the night to the 28th the clocks of Paris go from two to three"""
VISIT = timedelta(minutes=20)
PARIS = ZoneInfo("Europe/Paris")
PATIENTS = ("Patient/ana", "Patient/bao", "Patient/cleo")
PROFESSIONALS = ("Practitioner/un", "Practitioner/deux")
PLACES = {
    "Location/nord": "Europe/Paris",
    "Location/sud": "Indian/Reunion",
    "Location/ouest": "America/Martinique",
}
"""whose clocks are hours before or behind those of Paris"""
ROLES = {place.replace("Location", "PractitionerRole"): place for place in PLACES}
"""situations in which a professional practises, and where that is"""
WORKS = PROFESSIONALS[0]
"""whose situations all of these are"""
DESCRIBED = (*PLACES, *PROFESSIONALS, *ROLES)
STANDS_ASKED = ("pending", "booked")
OVER = ("arrived", "fulfilled", "noshow")

Channel = Literal["email", "sms"]
CHANNELS: tuple[Channel, ...] = ("email", "sms")


@dataclass(frozen=True)
class Said:
    """One event of booking about a visit: its number in the town, when it was told, and its data."""

    number: int
    change: str
    time: datetime
    data: Mapping[str, Any]

    @property
    def visit(self) -> str:
        return str(self.data["appointment"])

    def at(self, name: str) -> datetime:
        return datetime.fromisoformat(self.data[name])


@dataclass
class Visit:
    """A visit as booking has it."""

    id: str
    patient: str
    status: str
    start: datetime
    actors: tuple[str, ...]
    mode: str = "AMB"
    version: int = 0
    proposed: datetime | None = None
    proposed_by_patient: bool = False
    hidden: bool = False
    asked: bool = False
    """it waits for its practice"""
    offered: bool = False
    """the waiting list offers it"""

    @property
    def end(self) -> datetime:
        return self.start + VISIT


@dataclass(frozen=True)
class Person:
    """How somebody is reached."""

    email: str | None
    phone: str | None
    vouched: bool
    language: str

    def given(self, channel: Channel) -> str | None:
        return self.email if channel == "email" else self.phone


@dataclass
class Heard:
    """A visit as it was heard of last; `basis`: the event by which its reminders are, told at `told_at`."""

    id: str
    version: int
    status: str
    start: datetime
    end: datetime
    patient: str | None
    actors: frozenset[str]
    mode: str
    hidden: bool
    proposed: datetime | None
    basis: int
    told_at: datetime
    until: datetime | None = None
    of_series: bool = False
    """whether what it is now was told with others"""
    moved: bool = False
    """whether what is told of it is that it was moved"""
    before: datetime | None = None
    """from when, as far as its patient was told"""
    in_calendar: bool = False
    """whether it was booked for the same person when it was heard of before, whatever is asked since"""

    @property
    def told(self) -> tuple[object, ...]:
        """What messages say of it, and whom."""
        return self.patient, self.start, self.end, self.actors, self.mode, self.hidden


@dataclass
class Owed:
    """A message that is to leave: of which versions of which visits it tells, from when until when. `channel`: by which it is
    planned; what is told at once leaves by another where that one does not serve."""

    kind: str
    rule: str
    channel: Channel
    recipient: str
    tells: dict[str, int]
    due: datetime
    expires: datetime
    basis: int
    """the event by which it is owed"""
    about: Heard | None = None
    """of news: the visit whose event it was"""
    starts: Mapping[str, datetime] = field(default_factory=dict)
    """of news: when each visit is of which it tells"""
    before: datetime | None = None
    """of news: when that visit had been before, as far as its patient was told"""
    of_several: bool = False
    """whether it tells of a series"""
    beside: bool = False
    """whether another channel repeats it"""


@dataclass(frozen=True)
class Departure:
    """What came to the mail server or the provider of text messages, and what became of it there."""

    message: UUID
    channel: Channel
    address: str
    said: str
    times: Mapping[str, datetime] = field(default_factory=dict)
    """of the visits in the calendar file"""
    sequences: Mapping[str, int] = field(default_factory=dict)
    """of the visits in the calendar file: which of several versions is the later one"""
    outcome: str = "accept"


class DisagreementError(AssertionError):
    """What was done is not what the rules say."""

"""What the town is made of: agendas, slots and visits, as the model has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

Keeps = Literal["hold", "asked", "offer"]
Side = Literal["patient", "practice"]
Key = tuple[str, datetime, datetime]
"""agenda, start and end: of one agenda no two slots are at the same time"""
TAKING = ("pending", "booked", "arrived", "fulfilled", "noshow")
OPEN_END = datetime(9999, 1, 1, tzinfo=UTC)
ANSWERABLE = timedelta(hours=15)
"""a visit that is no further away may be too near for anybody to be asked, with a night between"""


@dataclass(frozen=True)
class Agenda:
    """What is stated of an agenda and stays so."""

    name: str
    people: frozenset[str]
    """who can be in one place only"""
    capacity: int = 1
    confirms: bool = False
    parts: bool = False
    adjacent_max: int = 4
    deadline: timedelta = timedelta(0)
    """how long before the visit a patient may last change it"""
    stale_after: timedelta | None = None
    stands_on: frozenset[str] = frozenset()
    """without whom it is closed"""


@dataclass
class Slot:
    """`by`: the visit that has it; `guests`: of a group, whose place is by which visit."""

    uid: int
    agenda: str
    start: datetime
    end: datetime
    said: str = "free"
    by: str | None = None
    guests: dict[str, str] = field(default_factory=dict)
    over: list[str] = field(default_factory=list)
    """the visits that the practice has put beside that one, in their order"""
    by_rule: bool = False
    """made by the agenda's rules, and written by nobody since"""
    closed: bool = False
    """blocked by a closure, and by no rule open again"""

    @property
    def key(self) -> Key:
        return self.agenda, self.start, self.end

    @property
    def is_taken(self) -> bool:
        return self.by is not None or bool(self.guests)


@dataclass
class Visit:
    """An appointment, or the wish for one."""

    id: str
    patient: str
    status: str
    slots: list[int] = field(default_factory=list)
    start: datetime | None = None
    end: datetime | None = None
    keeps: Keeps | None = None
    """why it is pending, where that has an end"""
    until: datetime = OPEN_END
    account: str | None = None
    """whose hold it is"""
    waits_for: str | None = None
    rank: int = 5
    since: datetime = OPEN_END
    asked_about: set[int] = field(default_factory=set)
    """the slots that were offered to it"""
    agreed: bool = False
    """offered, and its practice has agreed beforehand"""
    counter: Counter | None = None
    """another time that is proposed"""
    yes: set[Side] = field(default_factory=set)
    """of what waits for its practice: who has said yes to its time"""
    replaces: str | None = None
    extended: int = 0
    brings: frozenset[str] = frozenset()
    """whom a visit without a slot takes beside its patient"""
    series: int | None = None
    number: int = 0

    @property
    def takes(self) -> bool:
        return self.status in TAKING


@dataclass(frozen=True)
class Counter:
    """Another time that one side proposes to the other."""

    by: Side
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Offer:
    """What was told: a slot is offered to a visit."""

    visit: str
    key: Key
    until: datetime


class DisagreementError(AssertionError):
    """What was done is not what the rules say."""

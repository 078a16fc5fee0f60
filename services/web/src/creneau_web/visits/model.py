"""An appointment as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from creneau_web.care.model import PARIS, Place, Professional, Way, way_of

Status = Literal[
    "proposed",
    "pending",
    "booked",
    "arrived",
    "fulfilled",
    "cancelled",
    "noshow",
    "entered-in-error",
    "checked-in",
    "waitlist",
]
ASKED: Status = "pending"
"""status of a visit booked, moved or accepted where the practice has still to agree"""
LIVE: frozenset[str] = frozenset({"proposed", "booked", "pending", "arrived", "checked-in"})
By = Literal["patient", "provider", "system"]


@dataclass(frozen=True, slots=True)
class OtherTime:
    """Another time that somebody proposes for a visit, in the zone of the place."""

    start: datetime
    end: datetime
    by_practice: bool


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who cancelled a visit, and what they say about it."""

    by: By | None
    words: tuple[str, ...] = ()
    """in the practice's words"""
    instead: str | None = None
    """id of the Appointment that was made in its place"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One Appointment of somebody whom the account may see."""

    id: str
    status: Status
    start: datetime
    """in the zone of the place"""
    end: datetime
    patient: str | None
    """id of the Patient"""
    patient_name: str | None
    professional: Professional | None
    """None where the agenda has no professional, or is gone"""
    reason: str | None
    modes: frozenset[str]
    comment: str | None
    instructions: str | None
    slot: str | None
    etag: str | None
    cancelable_until: datetime | None = None
    reschedulable_until: datetime | None = None
    professional_name: str | None = None
    place: Place | None = None
    """None where it is not known, or which of several"""
    zone: ZoneInfo = PARIS
    """of the place"""
    place_name: str | None = None
    sequence: int = 0
    """how often it was changed: SEQUENCE of its calendar file"""
    updated: datetime | None = None
    """when it was changed last"""
    offered: bool = False
    """whether it is what the waiting list offers"""
    hidden: bool = False
    """whether it is not shown to those who act for the patient; nobody is written to about it"""
    asks_practice: bool = False
    """whether the practice has still to agree"""
    asked_until: datetime | None = None
    """until when it may"""
    asks_patient: bool = False
    """whether the patient has still to agree to the visit, whatever other time the practice proposes"""
    other_time: OtherTime | None = None
    moved_because: str | None = None
    """why the practice has moved it, in its words"""
    cancellation: Cancellation | None = None
    series: str | None = None
    """identifier of its series (`system|value`)"""
    number: int = 1
    """which one of its series it is"""

    @property
    def with_whom(self) -> str | None:
        return self.professional.name if self.professional else self.professional_name

    @property
    def way(self) -> Way:
        """Where one meets."""
        return way_of(self.modes)

    def may_still(self, until: datetime | None, now: datetime) -> bool:
        """Whether something possible `until` then may still be done. None: not by this account: it only sees the visit, or
        several patients share it."""
        return self.is_live(now) and until is not None and until > now

    def waits_for_answer(self, now: datetime) -> bool:
        """Whether the patient has something to answer that is to come: to the visit, or to another time for it."""
        standing = self.standing(now)
        proposed = standing is not None and standing.by_practice
        return self.status in LIVE and (proposed or (self.asks_patient and self.start > now))

    def standing(self, now: datetime) -> OtherTime | None:
        """The other time that is proposed, while it may be accepted."""
        return self.other_time if self.other_time is not None and self.other_time.start > now else None

    def is_live(self, now: datetime) -> bool:
        """Whether it is still to come."""
        return self.status in LIVE and self.end > now

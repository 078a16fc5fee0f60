"""An appointment as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from creneau_web.care.model import PARIS, Professional

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
LIVE: frozenset[str] = frozenset({"booked", "pending", "arrived", "checked-in"})


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
    place_name: str | None = None
    sequence: int = 0
    """how often it was changed: SEQUENCE of its calendar file"""
    updated: datetime | None = None
    """when it was changed last"""
    offered: bool = False
    """whether it is what the waiting list offers"""

    @property
    def zone(self) -> ZoneInfo:
        return self.professional.zone if self.professional else PARIS

    @property
    def with_whom(self) -> str | None:
        return self.professional.name if self.professional else self.professional_name

    @property
    def by_video(self) -> bool:
        """By video and in no other way."""
        return self.modes == {"VR"}

    def may_still(self, until: datetime | None, now: datetime) -> bool:
        """Whether something may be done that may be done until then; where nothing is said, this account may not: it only
        sees the visit, or several patients share it."""
        return self.is_live(now) and until is not None and until > now

    def is_live(self, now: datetime) -> bool:
        """Whether it is still to come."""
        return self.status in LIVE and self.end > now

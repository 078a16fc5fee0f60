"""Who represents whom: a parent until majority, a legal representative, a carer; what each may do, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from creneau_booking.domain.access_rules import Birth, local_instant, months_later

MAJORITY_MONTHS = 18 * 12
SCOPES = ("see", "book", "cancel")
"""what a person lets somebody do for them"""
EVERYTHING = frozenset({"see", "book", "cancel", "register", "manage"})
"""what oneself, a parent or a legal representative may do"""
RESPONSIBLE = frozenset({"PRN", "MTH", "FTH", "GUARD", "POWATT", "ONESELF"})
"""relationships (v3-RoleCode) of those who answer for a person: parents, guardians, mandataries; and oneself"""
_CIVIL_ZONE = ZoneInfo("Europe/Paris")
_MIDNIGHT = datetime.min.time()


@dataclass(frozen=True, slots=True)
class Proxy:
    """What a RelatedPerson states: for whom (Patient id), as what (v3-RoleCode), what they may do, from when until when
    (half-open; None: open)."""

    patient: str
    relationships: frozenset[str]
    may: frozenset[str]
    since: datetime | None
    until: datetime | None
    active: bool = True

    @property
    def is_oneself(self) -> bool:
        """The person's own account, where somebody else had registered them."""
        return "ONESELF" in self.relationships


def majority(birth: Birth) -> date:
    """The day on which a person is of age, on the latest of the days on which they may have been born."""
    return months_later(birth.last, MAJORITY_MONTHS)


def is_minor(birth: Birth, now: datetime) -> bool:
    """Whether a person is under age at `now`, by the civil day in France."""
    return now.astimezone(_CIVIL_ZONE).date() < majority(birth)


def end_of_minority(birth: Birth) -> datetime:
    """The instant at which parents no longer answer for their child."""
    return local_instant(majority(birth), _MIDNIGHT, _CIVIL_ZONE)

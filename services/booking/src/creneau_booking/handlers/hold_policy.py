"""How long a hold lasts, and how many there may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from creneau_booking.domain.refusals.changes import HoldNotExtensible, NotAHold
from creneau_booking.domain.refusals.quotas import TooManyHolds
from creneau_booking.handlers.own_holds import OwnHold


@dataclass(frozen=True)
class HoldPolicy:
    """How long a hold lasts, how often it may be extended, and how many one account or client may have at once."""

    duration: timedelta
    extensions_max: int
    per_subject_max: int
    """for a patient's account"""
    per_client_max: int
    """for all other callers, such as a practice's software"""
    confirmation: timedelta
    """how long a practice that confirms may take to answer"""

    def term(self, now: datetime, instead: Sequence[OwnHold]) -> tuple[datetime, int]:
        """Until when a hold that begins `now` lasts, and how often it was extended. If it replaces holds of the same account
        (`instead`), it counts as their extension; without extensions left, it ends when they would have ended."""
        extensions = max((own.extensions for own in instead), default=-1)
        if extensions >= self.extensions_max:
            return min(own.until for own in instead), extensions
        return now + self.duration, extensions + 1

    def require_one_more(self, held: int, *, by_patient: bool) -> None:
        """Raises TooManyHolds if a caller with `held` live holds may have no other."""
        # Requests of a patient's account wait for each other already (`OwnWord`). Those of software do not: its limit only
        # stops mistakes.
        if held >= (self.per_subject_max if by_patient else self.per_client_max):
            raise TooManyHolds(held, self.duration)

    def require_extensible(self, extensions: int | None) -> None:
        """Raises NotAHold if there is no hold (None), HoldNotExtensible if no extension is left."""
        if extensions is None:
            raise NotAHold()
        if extensions >= self.extensions_max:
            raise HoldNotExtensible(extensions)

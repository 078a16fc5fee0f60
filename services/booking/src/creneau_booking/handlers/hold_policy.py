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
    """How long a hold lasts, how often it may be put off, and how many one account or client may have at once."""

    duration: timedelta
    extensions_max: int
    per_subject_max: int
    """of a patient's account"""
    per_client_max: int
    """of a practice's software, or of any other"""
    confirmation: timedelta
    """how long a practice that confirms may take to answer"""

    def term(self, now: datetime, instead: Sequence[OwnHold]) -> tuple[datetime, int]:
        """Until when a hold that begins `now` lasts, and how often it was put off. In the place of others of the same account
        it goes on with them: as one that is put off, or when that is no longer possible until they would have ended."""
        extensions = max((own.extensions for own in instead), default=-1)
        if extensions >= self.extensions_max:
            return min(own.until for own in instead), extensions
        return now + self.duration, extensions + 1

    def require_one_more(self, held: int, *, by_patient: bool) -> None:
        """TooManyHolds when whoever has `held` live ones may have no other."""
        # A patient's account waits its turn already (`OwnWord`). Software has its holds counted without waiting for its
        # other requests: its limit is there to stop a mistake.
        if held >= (self.per_subject_max if by_patient else self.per_client_max):
            raise TooManyHolds(held, self.duration)

    def require_extensible(self, extensions: int | None) -> None:
        """NotAHold without any (None); HoldNotExtensible when it was put off as often as may be."""
        if extensions is None:
            raise NotAHold()
        if extensions >= self.extensions_max:
            raise HoldNotExtensible(extensions)

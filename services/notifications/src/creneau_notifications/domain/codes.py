"""How many codes may go to one letter box, and be asked for from one network: few at once, and not many a day. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many codes within `window`, and within 24 hours."""

    window: timedelta
    window_max: int
    day_max: int

    def again_at(self, sent: Sequence[datetime], now: datetime) -> datetime | None:
        """When another code may be sent, after those `sent` (in order); None: now."""
        waits = [
            within[-most] + span
            for span, most in ((self.window, self.window_max), (DAY, self.day_max))
            if len(within := [at for at in sent if at > now - span]) >= most
        ]
        return max(waits, default=None)

    def remembered(self, sent: Sequence[datetime], now: datetime) -> list[datetime]:
        """The times in `sent` that still count, with `now` added."""
        return [*(at for at in sent if at > now - max(DAY, self.window)), now]


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """How one-time codes are made and used."""

    lifetime: timedelta
    tries_max: int
    to_letter_box: Pace
    from_network: Pace

"""How often, and until when, a delivery that failed for now is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter, bounded in number and by the message's own deadline.

    With these defaults the delays are 15 s, 30 s, 1 min … 1 h, 1 h …: the last try comes about a day after
    the first. A try that came to nobody, since no server could be reached or none let this deployment in, counts nothing:
    its message waits as long as it is of use.
    """

    attempts_max: int = 30
    """the most that the tries of a message count together"""
    delay_first: timedelta = timedelta(seconds=15)
    delay_max: timedelta = timedelta(hours=1)
    factor: float = 2.0
    jitter: float = 0.2
    """a delay is spread over ± this part of itself, so that what failed together does not return together"""

    def next_attempt(
        self, attempts: int, spent: int, now: datetime, deadline: datetime, random: Callable[[], float]
    ) -> datetime | None:
        """When to try again after `attempts` tries (≥ 1), which together count `spent`; None when it is not worth it any
        more.

        `random` gives a number in [0, 1).
        """
        if spent >= self.attempts_max:
            return None
        # The exponent is bounded so that a long life cannot overflow the float.
        growth = self.factor ** min(attempts - 1, 64)
        delay_s = min(self.delay_first.total_seconds() * growth, self.delay_max.total_seconds())
        spread = 1 + self.jitter * (2 * random() - 1)
        moment = now + timedelta(seconds=delay_s * spread)
        return moment if moment < deadline else None

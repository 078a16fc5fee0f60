"""What is counted for the answer of one request, while it is being made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from creneau_shared.limits import costs
from creneau_shared.limits.callers import Counted
from creneau_shared.limits.leases import Limiter


@dataclass
class Meter:
    """Counts an answer for its caller as it grows, so that a Bundle asks for no more than its requests could alone."""

    limiter: Limiter
    counted: Sequence[Counted]
    charged: int = 0
    """units counted so far"""

    async def require_no_debt(self) -> None:
        """Raises TooManyRequests while the caller owes for what was answered. Asks the deployment's bucket: not to be called
        by whoever holds a connection."""
        await self.limiter.take(self.counted, 0)

    def answered(self, answer_bytes: int) -> None:
        """Counts what an answer of this length, so far, costs beyond what was counted."""
        cost = costs.of_answer(answer_bytes)
        if cost > self.charged:
            self.limiter.charge(self.counted, cost - self.charged)
            self.charged = cost


def uncounted() -> Meter:
    """The meter of a request that nobody is counted for here: a worker carries it out."""
    return Meter(Limiter(), ())

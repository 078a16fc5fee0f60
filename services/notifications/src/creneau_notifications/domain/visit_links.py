"""Until when a link to a visit works, and as what. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from creneau_notifications.domain.appointment import Appointment

Situation = Literal["open", "cancelled", "blocked", "replaced", "ended"]
"""open: works; cancelled: says so and nothing else; blocked: answered wrongly too often; replaced: by a newer one; ended:
the visit is over, or is no longer this person's"""
OVER = frozenset({"cancelled", "noshow", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class VisitLinkRules:
    """How long links work, and how often one may be answered wrongly."""

    after_visit: timedelta
    tries_max: int
    token_lifetime: timedelta

    def situation(
        self, appointment: Appointment, *, recipient: str, tries: int, is_newest: bool, now: datetime
    ) -> Situation:
        """The state of a link that was sent to `recipient`, with `tries` wrong answers so far."""
        if recipient not in appointment.patients or appointment.hidden:
            return "ended"
        if now >= appointment.start + self.after_visit:
            return "ended"
        if not is_newest:
            return "replaced"
        if tries >= self.tries_max:
            return "blocked"
        return "cancelled" if appointment.status in OVER else "open"

"""When to remind, as data. A rule is one line; nothing else in the code knows a delay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from creneau_notifications.domain.civil import civil_before


class Channel(StrEnum):
    """The way a message travels."""

    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class ReminderRule:
    """Remind `days` calendar days and `hours` elapsed hours before the start.

    Calendar days keep the hour on the place's clock across a clock change. `booked_ahead_min` is how long
    before the start the booking must have been made, lest the reminder follow the confirmation closely.
    """

    name: str
    channel: Channel
    booked_ahead_min: timedelta
    days: int = 0
    hours: int = 0

    def due(self, start: datetime, zone: ZoneInfo) -> datetime:
        """The instant (UTC) at which the reminder leaves, at a civil hour of `zone` and before `start`."""
        local = start.astimezone(zone) - timedelta(days=self.days)
        return civil_before(local.astimezone(UTC) - timedelta(hours=self.hours), zone)


REMINDER_RULES = (
    ReminderRule("7-days", Channel.EMAIL, booked_ahead_min=timedelta(days=10), days=7),
    ReminderRule("2-days", Channel.EMAIL, booked_ahead_min=timedelta(days=3), days=2),
    ReminderRule("2-hours", Channel.SMS, booked_ahead_min=timedelta(hours=6), hours=2),
)

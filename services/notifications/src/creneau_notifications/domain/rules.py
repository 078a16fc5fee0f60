"""What a channel tells and when, as data. A reminder rule is one line of its channel; nothing else in the code knows a
delay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from creneau_notifications.domain.civil import civil_before


@dataclass(frozen=True, slots=True)
class ReminderRule:
    """Remind `days` calendar days and `hours` elapsed hours before the start.

    Calendar days keep the hour on the place's clock across a clock change. `booked_ahead_min` is how long
    before the start the booking must have been made, lest the reminder follow the confirmation closely.
    """

    name: str
    booked_ahead_min: timedelta
    days: int = 0
    hours: int = 0

    def due(self, start: datetime, zone: ZoneInfo) -> datetime:
        """The instant (UTC) at which the reminder leaves, at a civil hour of `zone` and before `start`."""
        local = start.astimezone(zone) - timedelta(days=self.days)
        return civil_before(local.astimezone(UTC) - timedelta(hours=self.hours), zone)


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What one channel is for. `notices`: tells at once what happens to an appointment. `offers`: also sends what waits for
    an answer, as offers of the waiting list. `stands_in`: sends notices to recipients whom no `notices` channel reaches."""

    notices: bool
    reminders: tuple[ReminderRule, ...]
    offers: bool = False
    stands_in: bool = False
    wakes: bool = False
    """a sleeper hears it arrive"""

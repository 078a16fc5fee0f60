"""Hours at which a person may be written to unasked: 8:00 to 20:00 by the clock of the visit's place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

OPENS = time(8, 0)
CLOSES = time(20, 0)
LAST_PLANNED = time(19, 30)
"""Where a reminder that would fall in the night is put: early enough for a retry before `CLOSES`."""

SETTING_OUT = timedelta(hours=4)
"""A person who must be somewhere this soon after opening may have set out before reading a morning message."""


def is_civil(instant: datetime, zone: ZoneInfo) -> bool:
    """Whether the place's clock shows a civil hour at `instant`."""
    return OPENS <= instant.astimezone(zone).time() < CLOSES


def civil_before(instant: datetime, zone: ZoneInfo) -> datetime:
    """`instant` when it is civil, else the last planned time of the evening before it. In UTC.

    Earlier rather than later: a reminder moved past the start of the visit would be worth nothing.
    """
    local = instant.astimezone(zone)
    if is_civil(instant, zone):
        return instant.astimezone(UTC)
    evening = local.date() if local.time() >= CLOSES else local.date() - timedelta(days=1)
    return datetime.combine(evening, LAST_PLANNED, zone).astimezone(UTC)


def civil_after(instant: datetime, zone: ZoneInfo) -> datetime:
    """`instant` when it is civil, else the next opening. In UTC."""
    local = instant.astimezone(zone)
    if is_civil(instant, zone):
        return instant.astimezone(UTC)
    morning = local.date() if local.time() < OPENS else local.date() + timedelta(days=1)
    return datetime.combine(morning, OPENS, zone).astimezone(UTC)


def waits_until(moments: Iterable[datetime], now: datetime, zone: ZoneInfo) -> datetime:
    """The earliest time (UTC) to wake somebody with news of visits at these moments: now, or the morning if it can wait."""
    morning = civil_after(now, zone)
    return now if any(now <= moment < morning + SETTING_OUT for moment in moments) else morning

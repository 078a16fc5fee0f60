"""When somebody would like to come, as the directory read it in what they typed, and as free times are asked for by it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

_DAYS = {
    "monday": "mon",
    "tuesday": "tue",
    "wednesday": "wed",
    "thursday": "thu",
    "friday": "fri",
    "saturday": "sat",
    "sunday": "sun",
    "weekend": "sat,sun",
}
_TIMES = {"morning": "morning", "afternoon": "afternoon", "evening": "evening", "noon": "12:00-14:00"}
_AHEAD = {"today": 0, "tomorrow": 1, "after-tomorrow": 2}
NARROWING = frozenset({*_DAYS, *_TIMES, *_AHEAD})
"""codes of `$find-care` by which free times are chosen; the others (at night, soon) choose none"""


def asked_by(wishes: Iterable[str], now: datetime, zone: tzinfo) -> list[tuple[str, str]]:
    """The parameters of `Slot/$soonest` for these wishes (`NARROWING`); days ahead by the clock of the professionals. Of two
    days either will do, as of two times of day."""
    said = [wish for wish in wishes if wish in NARROWING]
    asked = [
        (name, ",".join(table[wish] for wish in said if wish in table))
        for name, table in (("days", _DAYS), ("times", _TIMES))
    ]
    if ahead := [_AHEAD[wish] for wish in said if wish in _AHEAD]:
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        first, last = (
            (midnight + timedelta(days=days)).replace(tzinfo=zone) for days in (min(ahead), max(ahead) + 1)
        )
        asked += [("after", max(now, first).isoformat()), ("before", last.isoformat())]
    return [(name, value) for name, value in asked if value]

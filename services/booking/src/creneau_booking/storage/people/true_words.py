"""Elements that a patient may send because they can be checked: `created` must be now, `minutesDuration` the visit's length.

Frontends fill them in because their guides ask for it (GP Connect and GAP: `created`; Cerner: `minutesDuration`). Any other
value is the practice's to state.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from creneau_booking.domain.appointment import Appointment
from creneau_shared.fhir.datatypes import parse_interval

ABOUT_NOW = timedelta(days=1)
"""tolerated difference of a device's clock, or of a date's zone"""


def without_true_words(said: Mapping[str, Any], wanted: Appointment, now: datetime) -> dict[str, Any]:
    """Returns a new appointment without `created` and `minutesDuration`, where these are true."""
    left = dict(said)
    if _is_about_now(left.get("created"), now):
        del left["created"]
    if wanted.start is not None and wanted.end is not None:
        minutes = (wanted.end - wanted.start) / timedelta(minutes=1)
        if left.get("minutesDuration") == minutes:
            del left["minutesDuration"]
    return left


def _is_about_now(created: Any, now: datetime) -> bool:
    try:
        low, high = parse_interval(str(created), UTC)
    except ValueError:
        return False
    return high - low <= timedelta(days=1) and low - ABOUT_NOW <= now <= high + ABOUT_NOW

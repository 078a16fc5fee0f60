"""The times that a slot or a visit may have. Nobody would find one outside them, and queries around it would span
centuries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from creneau_booking.domain.refusals.slots import LastsTooLong, OutOfReach

REACH = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""from when (inclusive) to when (exclusive) something may take place"""
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""outside these moments, local time in some zone leaves the calendar"""
LENGTH_MAX = timedelta(days=366)
"""the longest slot or visit"""


def require_in_reach(kind: str, name: str, moment: datetime) -> None:
    """Raises OutOfReach if the moment, the `name` of a `kind`, is outside `REACH`."""
    first, last = REACH
    if not first <= moment < last:
        raise OutOfReach(kind, name, first.year, last.year - 1)


def later(moment: datetime, by: timedelta) -> datetime:
    """The moment `by` later, at most `LAST`."""
    try:
        return min(moment + by, LAST)
    except OverflowError:
        return LAST


def require_sensible(kind: str, start: datetime, end: datetime) -> None:
    """Raises OutOfReach if `start` or `end` is outside `REACH`, LastsTooLong if they are too far apart. `kind`: the type of
    the resource (Slot, Appointment, AppointmentResponse)."""
    for name, moment in (("start", start), ("end", end)):
        require_in_reach(kind, name, moment)
    if end - start > LENGTH_MAX:
        raise LastsTooLong(kind, LENGTH_MAX.days)

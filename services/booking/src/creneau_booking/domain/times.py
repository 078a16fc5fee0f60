"""Which times a slot or a visit may have: one beyond them would be found by nobody, and would make each look at what lies
around it a look over centuries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from creneau_booking.domain.refusals.slots import LastsTooLong, OutOfReach

REACH = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""from when (inclusive) to when (exclusive) something may take place"""
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""the moments before and after which some clock on earth leaves the calendar"""
LENGTH_MAX = timedelta(days=366)
"""a longer slot or visit is none"""


def require_in_reach(kind: str, name: str, moment: datetime) -> None:
    """OutOfReach when the moment, the `name` of a `kind`, lies in no year of ours."""
    first, last = REACH
    if not first <= moment < last:
        raise OutOfReach(kind, name, first.year, last.year - 1)


def later(moment: datetime, by: timedelta) -> datetime:
    """The moment that comes `by` later; the calendar's last where it has none."""
    try:
        return min(moment + by, LAST)
    except OverflowError:
        return LAST


def require_sensible(kind: str, start: datetime, end: datetime) -> None:
    """OutOfReach when one of the ends lies in no year of ours, LastsTooLong when they are too far apart. `kind`: Slot or
    Appointment, whose `start` and `end` they are."""
    for name, moment in (("start", start), ("end", end)):
        require_in_reach(kind, name, moment)
    if end - start > LENGTH_MAX:
        raise LastsTooLong(kind, LENGTH_MAX.days)

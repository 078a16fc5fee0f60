"""Which times a slot or a visit may have: one beyond them would be found by nobody, and would make each look at what lies
around it a look over centuries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from creneau_booking.domain.refusals.slots import LastsTooLong, OutOfReach

REACH = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""from when (inclusive) to when (exclusive) something may take place"""
LENGTH_MAX = timedelta(days=366)
"""a longer slot or visit is none"""


def require_sensible(kind: str, start: datetime, end: datetime) -> None:
    """OutOfReach when one of the ends lies in no year of ours, LastsTooLong when they are too far apart. `kind`: Slot or
    Appointment, whose `start` and `end` they are."""
    first, last = REACH
    for name, moment in (("start", start), ("end", end)):
        if not first <= moment < last:
            raise OutOfReach(kind, name, first.year, last.year - 1)
    if end - start > LENGTH_MAX:
        raise LastsTooLong(kind, LENGTH_MAX.days)

"""Converts local times to instants, also on the days of clock changes.

A local time is the first instant at which the clock shows it or later: a time that the clock skips is the instant of the
jump, and a time that comes twice is the first. So an opening from 1:00 to 4:00 lasts two hours in spring and four in
autumn, and none is lost or doubled.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from creneau_booking.domain.openings.rules import Moment


def first_instant(wall: datetime, zone: tzinfo) -> int:
    """The first instant (seconds since 1970) at which the clocks of `zone` show `wall` (without zone) or later."""
    early = wall.replace(tzinfo=zone, fold=0)
    moment = int(early.timestamp())
    if datetime.fromtimestamp(moment, zone).replace(tzinfo=None) == wall:
        return moment
    return _jump(int(wall.replace(tzinfo=zone, fold=1).timestamp()), moment, zone)


def _jump(before: int, after: int, zone: tzinfo) -> int:
    """The instant of the only clock change between two instants."""
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def wall_of(moment: Moment, zone: tzinfo, *, end: bool = False) -> datetime:
    """The local time (without zone) of a stated moment; a whole day begins, or with `end` ends, at midnight."""
    if isinstance(moment, datetime):
        return moment.astimezone(zone).replace(tzinfo=None)
    return datetime.combine(moment + timedelta(days=1) if end else moment, time.min)


def seconds_of(moment: Moment, zone: tzinfo, *, end: bool = False) -> int:
    """The stated moment in seconds since 1970; for a whole day its beginning, or with `end` its end."""
    if isinstance(moment, datetime):
        return int(moment.timestamp())
    return first_instant(wall_of(moment, zone, end=end), zone)


def day_of(seconds: int, zone: tzinfo) -> date:
    """The local day of an instant."""
    return datetime.fromtimestamp(seconds, zone).date()


def whole_day(day: date, zone: tzinfo) -> tuple[int, int]:
    """The beginning and end of a local day, 23 to 25 hours long."""
    start = datetime.combine(day, time.min)
    return first_instant(start, zone), first_instant(start + timedelta(days=1), zone)


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

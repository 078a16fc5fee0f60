"""VTIMEZONE as every calendar reads it: each clock change as a yearly rule (RFC 5545 §3.6.5; Outlook reads TZID,
DTSTART, RRULE and the two offsets, and nothing else: [MS-STANOICAL] 2.2.47)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard
from icalendar.prop import vRecur

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
YEARS_BEFORE, YEARS_AFTER = 1, 2
"""A rule must hold in these years around the appointment."""


@dataclass(frozen=True, slots=True)
class Change:
    """A clock change: when (UTC), between which offsets, into what."""

    at: datetime
    before: timedelta
    after: timedelta
    name: str
    daylight: bool

    @property
    def onset(self) -> datetime:
        """The local time, by the clock before it, at which the change happens."""
        return (self.at + self.before).replace(tzinfo=None)


@lru_cache(maxsize=64)
def timezone_bytes(zone: str, year: int) -> bytes:
    """The VTIMEZONE of an IANA zone for appointments of `year`, kept as bytes: it is half of every file."""
    component = Timezone()
    component.add("tzid", zone)
    info = ZoneInfo(zone)
    changes = list(changes_between(info, year - YEARS_BEFORE, year + YEARS_AFTER))
    for daylight in (False, True):
        of_kind = [change for change in changes if change.daylight is daylight]
        for part in _observances(of_kind):
            component.add_component(part)
    if not changes:
        component.add_component(_steady(info, year))
    content: bytes = component.to_ical()
    return content


def changes_between(zone: ZoneInfo, first: int, last: int) -> Iterator[Change]:
    """The clock changes from the beginning of year `first` to the end of year `last`, exact to the second."""
    start, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    for low, high in pairwise(days):
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            at = _instant_of_change(zone, low, high)
            before, after = (at - timedelta(seconds=1)).astimezone(zone), at.astimezone(zone)
            yield Change(at, _offset(before), _offset(after), str(after.tzname()), bool(after.dst()))


def _instant_of_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second of the new offset, by halving the day in which it changes."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _observances(changes: Sequence[Change]) -> Iterator[TimezoneStandard | TimezoneDaylight]:
    """One observance if one yearly rule describes all changes, else one observance for each change."""
    rule = _yearly(changes)
    for change in changes[:1] if rule is not None else changes:
        part = TimezoneDaylight() if change.daylight else TimezoneStandard()
        part.add("dtstart", change.onset)
        part.add("tzoffsetfrom", change.before)
        part.add("tzoffsetto", change.after)
        part.add("tzname", change.name)
        if rule is not None:
            part.add("rrule", rule)
        yield part


def _yearly(changes: Sequence[Change]) -> vRecur | None:
    """`BYMONTH=3;BYDAY=-1SU` when every change is on that day at that local time; None when no such rule fits."""
    if len(changes) < YEARS_BEFORE + YEARS_AFTER + 1:
        return None
    onsets = [change.onset for change in changes]
    same = {(o.month, o.weekday(), o.time()) for o in onsets}
    steady = {(change.before, change.after) for change in changes}
    places = [
        {(o.day - 1) // 7 + 1, *((-1,) if (o + timedelta(days=7)).month != o.month else ())} for o in onsets
    ]
    common = set.intersection(*places)
    if len(same) != 1 or len(steady) != 1 or not common:
        return None
    # In some years the last of a month is also the fourth: what is last every year is written as last.
    place = -1 if -1 in common else min(common)
    onset = onsets[0]
    return vRecur(freq="YEARLY", bymonth=onset.month, byday=f"{place}{WEEKDAYS[onset.weekday()]}")


def _steady(zone: ZoneInfo, year: int) -> TimezoneStandard:
    """The one offset of a zone whose clocks do not change."""
    moment = datetime(year, 1, 1, tzinfo=UTC).astimezone(zone)
    part = TimezoneStandard()
    part.add("dtstart", datetime(1970, 1, 1))  # noqa: DTZ001 - the local time of an onset has no zone
    part.add("tzoffsetfrom", _offset(moment))
    part.add("tzoffsetto", _offset(moment))
    part.add("tzname", str(moment.tzname()))
    return part


def _offset(moment: datetime) -> timedelta:
    offset = moment.utcoffset()
    assert offset is not None
    return offset

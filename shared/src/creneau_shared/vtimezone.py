"""The clock of a place in a calendar file, as every calendar reads it: each clock change as a yearly rule (VTIMEZONE, RFC
5545 §3.6.5; Outlook reads TZID, DTSTART, RRULE and the two offsets, and nothing else: [MS-STANOICAL] 2.2.47). The files of
messages and of pages have the same, as one event may come by both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    info = ZoneInfo(zone)
    changes = list(changes_between(info, year - YEARS_BEFORE, year + YEARS_AFTER))
    by_kind = ([change for change in changes if change.daylight is daylight] for daylight in (False, True))
    observances = [part for of_kind in by_kind for part in _observances(of_kind)] or [_steady(info, year)]
    lines = ["BEGIN:VTIMEZONE", f"TZID:{zone}", *(line for part in observances for line in part)]
    return "".join(f"{line}\r\n" for line in (*lines, "END:VTIMEZONE")).encode()


def calendar_times(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end by the clock of the place. In UTC where that clock shows one of them a second time: a local time that
    occurs twice means its first occurrence (RFC 5545 §3.3.5)."""
    local = start.astimezone(zone), end.astimezone(zone)
    if any(moment.fold for moment in local):
        return start.astimezone(UTC), end.astimezone(UTC)
    return local


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


def _observances(changes: Sequence[Change]) -> Iterator[list[str]]:
    """The lines of one observance if one yearly rule describes all changes, else of one for each change."""
    rule = _yearly(changes)
    for change in changes[:1] if rule is not None else changes:
        yield _observance(change, rule)


def _observance(change: Change, rule: str | None = None) -> list[str]:
    kind = "DAYLIGHT" if change.daylight else "STANDARD"
    return [
        f"BEGIN:{kind}",
        f"DTSTART:{change.onset:%Y%m%dT%H%M%S}",
        *((f"RRULE:{rule}",) if rule is not None else ()),
        f"TZNAME:{change.name}",
        f"TZOFFSETFROM:{_written(change.before)}",
        f"TZOFFSETTO:{_written(change.after)}",
        f"END:{kind}",
    ]


def _yearly(changes: Sequence[Change]) -> str | None:
    """`FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3` when every change is on that day at that local time; None when no such rule fits."""
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
    return f"FREQ=YEARLY;BYDAY={place}{WEEKDAYS[onset.weekday()]};BYMONTH={onset.month}"


def _steady(zone: ZoneInfo, year: int) -> list[str]:
    """The one offset of a zone whose clocks do not change."""
    moment = datetime(year, 1, 1, tzinfo=UTC).astimezone(zone)
    offset = _offset(moment)
    return _observance(Change(EPOCH - offset, offset, offset, str(moment.tzname()), daylight=False))


def _written(offset: timedelta) -> str:
    """`+0200`, with seconds where there are some (RFC 5545 §3.3.14)."""
    sign, seconds = ("-" if offset < timedelta() else "+"), abs(int(offset.total_seconds()))
    minutes, rest = divmod(seconds, 60)
    return f"{sign}{minutes // 60:02}{minutes % 60:02}{f'{rest:02}' if rest else ''}"


def _offset(moment: datetime) -> timedelta:
    offset = moment.utcoffset()
    assert offset is not None
    return offset

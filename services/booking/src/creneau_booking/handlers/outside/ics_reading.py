"""Busy times out of an iCalendar file (RFC 5545): when, and nothing else; titles are never looked at.

A file that is not ours may be hostile: its size, its events, its repetitions and what each of these may make are bounded,
and no repetition is followed beyond the window that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any

from dateutil.rrule import rrulestr
from icalendar import Calendar

from creneau_booking.domain.busy_times import Period, merged
from creneau_booking.domain.not_read import NotReadError, TooLargeError, UnreadableError

EVENTS_MAX = 5_000
REPEATED_MAX = 300
OCCURRENCES_MAX = 20_000
LONGEST = timedelta(days=62)
"""a longer event is cut: nobody is away for ever by mistake"""
OLDEST = timedelta(days=366 * 15)
"""a repetition that began before is not followed"""
FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})


def busy_times(contents: Sequence[bytes], within: Period, zone: tzinfo) -> list[Period]:
    """When the owner of what these files hold together is busy; `zone` holds where an event names none. NotReadError."""
    try:
        parts = [part for content in contents for part in Calendar.from_ical(content).walk()]
        return merged(_periods(parts, within, zone), within)
    except NotReadError:
        raise
    except Exception as error:
        # The library raises whatever its parts raise: IndexError, TypeError, OverflowError beside ValueError.
        raise UnreadableError(type(error).__name__) from error


def _periods(parts: Sequence[Any], within: Period, zone: tzinfo) -> Iterator[Period]:
    events = [part for part in parts if part.name == "VEVENT"]
    if len(events) > EVENTS_MAX:
        raise TooLargeError("too many events")
    if sum("RRULE" in event for event in events) > REPEATED_MAX:
        raise TooLargeError("too many repetitions")
    moved: dict[str, set[datetime]] = {}
    for event in events:
        if "RECURRENCE-ID" in event:
            instead = _instant(event["RECURRENCE-ID"].dt, zone)
            moved.setdefault(str(event.get("UID", "")), set()).add(instead)
    left = OCCURRENCES_MAX
    for event in events:
        if not _blocks(event):
            continue
        span = _span(event, zone)
        if span is None:
            continue
        for period in _repeated(event, span, within, zone, moved.get(str(event.get("UID", "")), set())):
            left -= 1
            if left < 0:
                raise TooLargeError("too many occurrences")
            yield period
    for part in parts:
        if part.name == "VFREEBUSY":
            yield from _freebusy(part)


def _blocks(event: Any) -> bool:
    return str(event.get("TRANSP", "OPAQUE")).upper() != "TRANSPARENT" and str(
        event.get("STATUS", "")
    ).upper() != ("CANCELLED")


def _span(event: Any, zone: tzinfo) -> tuple[datetime | date, timedelta] | None:
    """The first start, as it is said, and how long it lasts."""
    if "DTSTART" not in event:
        return None
    start = event["DTSTART"].dt
    all_day = not isinstance(start, datetime)
    if "DTEND" in event:
        length = _instant(event["DTEND"].dt, zone) - _instant(start, zone)
    elif "DURATION" in event:
        length = event["DURATION"].dt
    else:
        length = (
            _instant(start + timedelta(days=1), zone) - _instant(start, zone) if all_day else timedelta(0)
        )
    return (start, min(length, LONGEST)) if length > timedelta(0) else None


def _repeated(
    event: Any, span: tuple[datetime | date, timedelta], within: Period, zone: tzinfo, moved: set[datetime]
) -> Iterator[Period]:
    start, length = span
    first = _instant(start, zone)
    if "RRULE" not in event or "RECURRENCE-ID" in event:
        yield first, first + length
        return
    rules = event["RRULE"]
    for rule in rules if isinstance(rules, list) else [rules]:
        frequency = str((rule.get("FREQ") or [""])[0]).upper()
        if frequency not in FREQUENCIES:
            raise TooLargeError("repeats too often")
        if within[0] - first > OLDEST:
            continue
        # Counted by the clock of the event's own zone: nine o'clock stays nine o'clock across a change of clocks.
        local = start if isinstance(start, datetime) else datetime.combine(start, time.min, zone)
        own = local.tzinfo or zone
        text = rule.to_ical().decode()
        bound = (within[1].astimezone(own).replace(tzinfo=None) + timedelta(days=1)).strftime("%Y%m%dT%H%M%S")
        # The window bounds every rule: one that goes on would be counted for ever.
        parts = [part for part in text.split(";") if not part.upper().startswith(("UNTIL=", "COUNT="))]
        until, count = rule.get("UNTIL"), rule.get("COUNT")
        last = _instant(until[0], zone) if until else None
        skipped = _skipped(event, zone) | moved
        bounded = rrulestr(";".join([*parts, f"UNTIL={bound}"]), dtstart=local.replace(tzinfo=None))
        for naive in islice(_looked_for(bounded, within[1] - first), int(count[0]) if count else None):
            moment = naive.replace(tzinfo=own).astimezone(UTC)
            if moment >= within[1] or (last is not None and moment > last + _day_of(until)):
                break
            if moment + length > within[0] and moment not in skipped:
                yield moment, moment + length


class _Months(tuple[int, ...]):
    """The months of a rule, of which each day that is looked at is asked: so the days are counted."""

    left: int

    def __contains__(self, month: object) -> bool:
        self.left -= 1
        if self.left < 0:
            raise _NeverError
        return super().__contains__(month)


class _NeverError(Exception):
    pass


def _looked_for(rule: Any, during: timedelta) -> Iterator[datetime]:
    """What a rule makes from its start on. One that never holds (each 30 February) is looked for so long, and the rest of
    two years; dateutil itself does it until the year 9999, which takes ten seconds."""
    months = _Months(rule._bymonth or range(1, 13))
    months.left = max(0, during.days) + 2 * 366
    rule._bymonth = months
    with suppress(_NeverError):
        yield from rule


def _day_of(until: Any) -> timedelta:
    """A day that is named as the last one belongs to the repetition."""
    return timedelta(0) if isinstance(until[0], datetime) else timedelta(days=1) - timedelta(microseconds=1)


def _skipped(event: Any, zone: tzinfo) -> set[datetime]:
    said = event.get("EXDATE", [])
    lists = said if isinstance(said, list) else [said]
    return {_instant(one.dt, zone) for dates in lists for one in dates.dts}


def _freebusy(part: Any) -> Iterator[Period]:
    said = part.get("FREEBUSY", [])
    for one in said if isinstance(said, list) else [said]:
        if str(one.params.get("FBTYPE", "BUSY")).upper() == "FREE":
            continue
        start, end = one.start, one.end
        yield start.astimezone(UTC), end.astimezone(UTC)


def _instant(moment: date, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day, tzinfo=zone).astimezone(UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)

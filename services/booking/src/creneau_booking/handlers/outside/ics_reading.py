"""Reads busy times from iCalendar files (RFC 5545): times only, never titles.

Each event stands for itself: one that cannot be read is busy at its first time, if that is known, and the others count. A
calendar of which no event can be read is unreadable.

A foreign file may be hostile: its size, events, repetitions and the work for them are bounded, and no repetition is
followed beyond the window. What the library does of itself is bounded where this is called: in `reading_process`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import chain, islice
from typing import Any

from icalendar import Calendar
from icalendar.timezone import tzp

from creneau_booking.domain.busy_times import Period, merged
from creneau_booking.domain.not_read import NotReadError, TooLargeError, UnreadableError
from creneau_booking.handlers.outside.ics_repeating import LOOKED_AT_MAX, Budget, repeated

EVENTS_MAX = 5_000
REPEATED_MAX = 300
OCCURRENCES_MAX = 20_000
LONGEST = timedelta(days=62)
"""longer occurrences of a repeating event are cut to this: nobody is away for ever by mistake"""
_LOOKED_AT_FOR_A_CHANGE = 4
"""a change of all later occurrences takes about as long, for each event that it may change, as this many days"""
UNREAD = timedelta(hours=1)
"""how long an event is busy whose end cannot be read"""
_A_DAY = timedelta(days=1)
_OF_THE_LIBRARY = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""what reading a part of a file may raise; NotReadError and MemoryError are none of these"""


def busy_times(contents: Sequence[bytes], within: Period, zone: tzinfo) -> list[Period]:
    """The busy times in all these files together; `zone`: for times without a zone. Raises NotReadError."""
    try:
        parts = [part for content in contents for part in _parsed(content).walk()]
        return merged(_periods(parts, within, zone), within)
    except (NotReadError, MemoryError):
        raise
    except Exception as error:
        # The library raises whatever its parts raise: IndexError, TypeError, OverflowError beside ValueError.
        raise UnreadableError(type(error).__name__) from error


def _parsed(content: bytes) -> Any:
    # icalendar keeps the time zones that a file defines, and takes them for those of the same names in later files. This
    # makes it forget them: two files may call two zones « Customized Time Zone ».
    tzp.use_zoneinfo()
    return Calendar.from_ical(content)


@dataclass(frozen=True, slots=True)
class _Later:
    """The changed event from one occurrence on (RECURRENCE-ID with RANGE=THISANDFUTURE)."""

    since: datetime
    event: Any


@dataclass(slots=True)
class _Changed:
    """The changed occurrences of an event (UID): the original starts of those stated separately, and changes for all later
    ones."""

    moved: set[datetime] = field(default_factory=set)
    moved_days: set[date] = field(default_factory=set)
    """the same where only the day is stated"""
    later: list[_Later] = field(default_factory=list)


def _periods(parts: Sequence[Any], within: Period, zone: tzinfo) -> Iterator[Period]:
    events = [part for part in parts if part.name == "VEVENT"]
    if len(events) > EVENTS_MAX:
        raise TooLargeError("too many events")
    if sum(len(_listed(event, "RRULE")) for event in events) > REPEATED_MAX:
        raise TooLargeError("too many repetitions")
    changed: dict[str, _Changed] = {}
    for event in events:
        if "RECURRENCE-ID" in event:
            of_event = changed.setdefault(str(event.get("UID", "")), _Changed())
            # Of an event that cannot be read only what it says of itself is lost.
            with suppress(*_OF_THE_LIBRARY):
                _note_change(of_event, event, zone)
    budget = Budget(LOOKED_AT_MAX)
    unread = 0
    of_events: list[Period] = []
    for event in events:
        own = changed.get(str(event.get("UID", "")), _Changed())
        try:
            of_events += islice(_busy(event, within, zone, own, budget), OCCURRENCES_MAX + 1)
        except _OF_THE_LIBRARY:
            unread += 1
            of_events += _once(event, zone)
        if len(of_events) > OCCURRENCES_MAX:
            raise TooLargeError("too many occurrences")
    if events and unread == len(events) and not of_events:
        raise UnreadableError("no event")
    stated = (_freebusy(part) for part in parts if part.name == "VFREEBUSY")
    for count, period in enumerate(chain(of_events, chain.from_iterable(stated))):
        if count == OCCURRENCES_MAX:
            raise TooLargeError("too many occurrences")
        yield period


def _note_change(changed: _Changed, event: Any, zone: tzinfo) -> None:
    """Notes of which occurrence a separate event is the change, and whether of all later ones too."""
    said = event["RECURRENCE-ID"].dt
    instead = _instant(said, zone)
    if isinstance(said, datetime):
        changed.moved.add(instead)
    else:
        changed.moved_days.add(said)
    if str(event["RECURRENCE-ID"].params.get("RANGE", "")).upper() == "THISANDFUTURE":
        changed.later.append(_Later(instead, event))


def _once(event: Any, zone: tzinfo) -> list[Period]:
    """The first time of an event of which the rest cannot be read; nothing if that cannot be either."""
    with suppress(*_OF_THE_LIBRARY):
        first = _instant(event["DTSTART"].dt, zone)
        length = UNREAD
        with suppress(*_OF_THE_LIBRARY):
            length = min(_length(event, zone), LONGEST)
        return [(first, first + length)] if _blocks(event) and length > timedelta(0) else []
    return []


def _blocks(event: Any) -> bool:
    return str(event.get("TRANSP", "OPAQUE")).upper() != "TRANSPARENT" and str(
        event.get("STATUS", "")
    ).upper() != ("CANCELLED")


def _length(event: Any, zone: tzinfo) -> timedelta:
    """The duration of an event; zero if it is only a moment."""
    start = event["DTSTART"].dt
    if "DTEND" in event:
        return _instant(event["DTEND"].dt, zone) - _instant(start, zone)
    if "DURATION" in event:
        length: timedelta = event["DURATION"].dt
        return length
    if isinstance(start, datetime):
        return timedelta(0)
    return _instant(start + timedelta(days=1), zone) - _instant(start, zone)


def _busy(event: Any, within: Period, zone: tzinfo, changed: _Changed, budget: Budget) -> Iterator[Period]:
    """The busy times of an event: of all its occurrences, or of the one that it replaces."""
    if "DTSTART" not in event:
        return
    start = event["DTSTART"].dt
    first, length = _instant(start, zone), _length(event, zone)
    if "RECURRENCE-ID" in event:
        if _blocks(event) and length > timedelta(0):
            yield first, first + length
        return
    # In the event's own zone: nine o'clock stays nine o'clock across a clock change.
    own = (start.tzinfo if isinstance(start, datetime) else None) or zone
    budget.spend(_LOOKED_AT_FOR_A_CHANGE * len(changed.later))
    later = sorted((one for one in changed.later if "DTSTART" in one.event), key=lambda one: one.since)
    sinces = [one.since for one in later]
    shifts = [_wall(_instant(one.event["DTSTART"].dt, zone), own) - _wall(one.since, own) for one in later]
    lengths = [min(_length(one.event, zone), LONGEST) for one in later]
    around = (
        within[0] - max([min(length, LONGEST), *lengths]) - max([timedelta(0), *shifts]),
        within[1] - min([timedelta(0), *shifts]),
    )
    out = [one.dt for dates in _listed(event, "EXDATE") for one in dates.dts]
    # Some programs name the day of an occurrence that has a time.
    left_out = {_instant(moment, zone) for moment in out if isinstance(moment, datetime)} | changed.moved
    days_out = {day for day in out if not isinstance(day, datetime)} | changed.moved_days
    blocks = _blocks(event)
    stated = (
        [(first, length)] if "RRULE" not in event else _by_rules(event, around, own, zone, length, budget)
    )
    for moment, lasts in chain(stated, _further(event, zone, length, budget)):
        if moment in left_out or (days_out and _wall(moment, own).date() in days_out):
            continue
        begin, end, there = moment, moment + lasts, blocks
        if change := bisect_right(sinces, moment):
            begin = (_wall(moment, own) + shifts[change - 1]).replace(tzinfo=own).astimezone(UTC)
            end, there = begin + lengths[change - 1], _blocks(later[change - 1].event)
        if there and begin < within[1] and end > max(begin, within[0]):
            yield begin, end


def _by_rules(
    event: Any, within: Period, own: tzinfo, zone: tzinfo, length: timedelta, budget: Budget
) -> Iterator[tuple[datetime, timedelta]]:
    """The starts of an event by its rules, each with the duration."""
    first = _wall(_instant(event["DTSTART"].dt, zone), own)
    since, until = (_wall(moment, own) for moment in within)
    for rule in _listed(event, "RRULE"):
        ends = rule.get("UNTIL")
        last = _instant(ends[0], zone) + _day_of(ends) if ends else None
        for naive in repeated(rule, first, since - _A_DAY, until + _A_DAY, budget):
            moment = naive.replace(tzinfo=own).astimezone(UTC)
            if last is not None and moment > last:
                break
            yield moment, min(length, LONGEST)


def _further(
    event: Any, zone: tzinfo, length: timedelta, budget: Budget
) -> Iterator[tuple[datetime, timedelta]]:
    """The further dates of an event (RDATE), with the duration; a period has its own."""
    for dates in _listed(event, "RDATE"):
        for one in dates.dts:
            budget.spend()
            if not isinstance(one.dt, tuple):
                yield _instant(one.dt, zone), length
                continue
            start, end = _instant(one.dt[0], zone), one.dt[1]
            yield start, end if isinstance(end, timedelta) else _instant(end, zone) - start


def _day_of(until: Any) -> timedelta:
    """The time to add to UNTIL: if it is a whole day, that day is included."""
    return timedelta(0) if isinstance(until[0], datetime) else _A_DAY - timedelta(microseconds=1)


def _listed(event: Any, name: str) -> list[Any]:
    said = event.get(name, [])
    return said if isinstance(said, list) else [said]


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    """The local time, without zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _freebusy(part: Any) -> Iterator[Period]:
    for one in _listed(part, "FREEBUSY"):
        if str(one.params.get("FBTYPE", "BUSY")).upper() == "FREE":
            continue
        start, end = one.start, one.end
        yield start.astimezone(UTC), end.astimezone(UTC)


def _instant(moment: date, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day, tzinfo=zone).astimezone(UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)

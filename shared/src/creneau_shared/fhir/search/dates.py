"""FHIR dates as half-open intervals of instants, by their precision (FHIR R4 search.html#date).

A date without a zone is local: a day of Europe/Paris lasts 23 or 25 hours when clocks change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
"""An open beginning."""
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
"""An open end."""
POINT = timedelta(microseconds=1)
"""The length of an instant: the finest that PostgreSQL keeps."""

# A raw "+" in a query arrives as a blank: `T16:20:00 02:00` is taken as `T16:20:00+02:00`.
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+\- ]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


class NotADateError(ValueError):
    """The text is not a FHIR date, dateTime or instant."""


def interval(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """The instants that `text` covers, `[low, high)` in UTC; `zone` applies when the text names none.

    Raises NotADateError. A time that occurs twice at a clock change is the first of the two. A leap second counts as the
    second before it, a date beyond the calendar as its first or last moment (many write “for ever” as `9999-12-31`).
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise NotADateError(text)
    try:
        return _calendar(match, zone) if match["hour"] is None else _clock(match, zone)
    except ValueError as error:
        raise NotADateError(text) from error


def _calendar(match: re.Match[str], zone: tzinfo) -> tuple[datetime, datetime]:
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    low = date(year, month, day)
    if match["day"]:
        following = low + timedelta(days=1) if low < date.max else None
    elif match["month"]:
        following = _first_of(year + month // 12, month % 12 + 1)
    else:
        following = _first_of(year + 1, 1)
    return _midnight(low, zone), _midnight(following, zone) if following else LATEST


def _first_of(year: int, month: int) -> date | None:
    """The first day of a month; None after the end of the calendar."""
    return date(year, month, 1) if year <= date.max.year else None


def _midnight(day: date, zone: tzinfo) -> datetime:
    return _within_calendar(datetime(day.year, day.month, day.day, tzinfo=zone))


def _clock(match: re.Match[str], zone: tzinfo) -> tuple[datetime, datetime]:
    fraction = (match["fraction"] or "")[:6]
    second = int(match["second"] or 0)
    low = _within_calendar(
        datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if second == 60 else second,
            int(fraction.ljust(6, "0")) if fraction else 0,
            tzinfo=_offset(match["zone"]) or zone,
        )
    )
    if fraction:
        length = timedelta(microseconds=10 ** (6 - len(fraction)))
    else:
        length = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    return low, low + length if low <= LATEST - length else LATEST


def _within_calendar(moment: datetime) -> datetime:
    """The moment in UTC; beyond the calendar, its first or last moment."""
    try:
        return min(moment.astimezone(UTC), LATEST - POINT)
    except OverflowError:
        return EARLIEST if moment.year == date.min.year else LATEST - POINT


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("offset out of range")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _instant(text: str) -> datetime | None:
    """Reads quickly what an instant nearly always is: complete, with its zone. None for other texts."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _within_calendar(moment) if moment.tzinfo is not None else None


def value_interval(value: Any, zone: tzinfo, *, instant: bool) -> tuple[datetime, datetime] | None:
    """The interval of an element's value (date, dateTime, instant or Period); None when it holds no date.

    With `instant`, a point in time whatever its written precision.
    """
    if isinstance(value, str):
        if not instant:
            return interval(value, zone)
        low = _instant(value) or interval(value, zone)[0]
        return low, low + POINT
    if isinstance(value, Mapping):
        start, end = value.get("start"), value.get("end")
        if isinstance(start, str) or isinstance(end, str):
            return (
                interval(start, zone)[0] if isinstance(start, str) else EARLIEST,
                interval(end, zone)[1] if isinstance(end, str) else LATEST,
            )
    return None

"""FHIR dates as half-open intervals of instants, by their precision (FHIR R4 search.html#date).

A date without a zone is local: a day of Europe/Paris lasts 23 or 25 hours when clocks change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from creneau_shared.fhir.datatypes import (
    CALENDAR_BEGIN,
    CALENDAR_END,
    POINT,
    parse_interval,
    within_calendar,
)


def _instant(text: str) -> datetime | None:
    """Reads quickly what an instant nearly always is: complete, with its zone. None for other texts."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return within_calendar(moment) if moment.tzinfo is not None else None


def value_interval(value: Any, zone: tzinfo, *, instant: bool) -> tuple[datetime, datetime] | None:
    """The interval of an element's value (date, dateTime, instant or Period); None when it holds no date.

    With `instant`, a point in time whatever its written precision. Raises ValueError for what is no date.
    """
    if isinstance(value, str):
        if not instant:
            return parse_interval(value, zone)
        low = _instant(value) or parse_interval(value, zone)[0]
        return low, low + POINT
    if isinstance(value, Mapping):
        start, end = value.get("start"), value.get("end")
        if isinstance(start, str) or isinstance(end, str):
            return (
                parse_interval(start, zone)[0] if isinstance(start, str) else CALENDAR_BEGIN,
                parse_interval(end, zone)[1] if isinstance(end, str) else CALENDAR_END,
            )
    return None

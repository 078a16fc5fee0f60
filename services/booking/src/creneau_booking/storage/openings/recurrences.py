"""Reads how an opening recurs, as FR Core writes an RRULE: an extension for each of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from creneau_booking.domain.openings.rules import Frequency, Recurrence
from creneau_booking.storage.openings.values import DATED, DAYS, UnreadError, read_moment
from creneau_shared.fhir.storage.store import Resource

TIMES_A_DAY_MAX = 48
"""most occurrences in a day"""
_FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)


def recurrence(part: Resource) -> Recurrence:
    given: dict[str, list[Any]] = {}
    for one in part.get("extension", ()):
        value = next((v for key, v in one.items() if key.startswith("value")), None)
        given.setdefault(str(one.get("url")), []).append(value)
    where = "extension.where(url='rrule')"
    frequency = (given.get("freq") or [None])[0]
    said = frequency.get("code") if isinstance(frequency, dict) else frequency
    code = next((known for known in _FREQUENCIES if known == str(said).upper()), None)
    if code is None:
        raise UnreadError("frequency", f"{where}.extension.where(url='freq')", ", ".join(_FREQUENCIES))

    def numbers(name: str, least: int, most: int, *, both_ends: bool = False) -> list[int]:
        found = []
        for value in given.get(name, ()):
            for text in str(value).split(","):
                number = _whole(text, name)
                if not least <= (abs(number) if both_ends else number) <= most:
                    raise UnreadError("number", f"{where}.extension.where(url='{name}')", f"{least}–{most}")
                found.append(number)
        return found

    def first(name: str, most: int) -> int | None:
        return next(iter(numbers(name, 1, most)), None)

    until = (given.get("until") or [None])[0]
    ends = isinstance(until, str) and len(until) >= DATED
    if until is not None and not ends:
        raise UnreadError("date", f"{where}.extension.where(url='until')")
    rule = Recurrence(
        frequency=code,
        interval=first("interval", 1000) or 1,
        count=first("count", 10_000),
        until=read_moment(until) if ends else None,
        months=frozenset(numbers("byMonth", 1, 12)),
        weeks=frozenset(numbers("byWeekNo", 1, 53, both_ends=True)),
        year_days=frozenset(numbers("byYearDay", 1, 366, both_ends=True)),
        month_days=frozenset(numbers("byMonthDay", 1, 31, both_ends=True)),
        weekdays=frozenset(_weekdays(given.get("byDay", ()), code, where)),
        hours=tuple(sorted(set(numbers("byHour", 0, 23)))),
        minutes=tuple(sorted(set(numbers("byMinute", 0, 59)))),
        seconds=tuple(sorted(set(numbers("bySecond", 0, 59)))),
        week_start=DAYS.get(str((given.get("wkst") or ["MO"])[0])[:2].upper(), 0),
    )
    if rule.times_a_day > TIMES_A_DAY_MAX:
        raise UnreadError("too-often", where, str(TIMES_A_DAY_MAX))
    if rule.weeks and code != "YEARLY":
        raise UnreadError("not-with", f"{where}.extension.where(url='byWeekNo')", f"byWeekNo, {code}")
    return rule


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        where = f"extension.where(url='rrule').extension.where(url='{name}')"
        raise UnreadError("number", where, name) from None


def _weekdays(values: Iterable[Any], frequency: str, where: str) -> Iterator[tuple[int, int]]:
    element = f"{where}.extension.where(url='byDay')"
    for text in (part.strip().upper() for value in values for part in str(value).split(",")):
        if text in ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"):
            text = text[:2]
        day = DAYS.get(text[-2:])
        ordinal = text[:-2].lstrip("+") or "0"
        if day is None or not ordinal.lstrip("-").isdecimal() or abs(int(ordinal)) > 53:
            raise UnreadError("day", element, text[:20])
        if ordinal != "0" and frequency not in ("MONTHLY", "YEARLY"):
            raise UnreadError("not-with", element, f"{text[:20]}, {frequency}")
        yield int(ordinal), day

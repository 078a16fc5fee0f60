"""The days and local times of a recurrence: RFC 5545 §3.3.10, day by day.

It walks over the days of the wanted window, so that the cost of a rule depends on the number of days only.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import product

from creneau_booking.domain.openings.rules import Recurrence

_DAY = timedelta(days=1)


def occurrences(rule: Recurrence, first: datetime, since: date, until: date) -> Iterator[datetime]:
    """The local times (without zone) of the recurrence that began at `first`, from the day `since` to the day `until`, both
    included, in order. The caller applies `rule.until` and `rule.count`."""
    times = _times(rule, first)
    day = max(since, first.date())
    while day <= until:
        if _holds(rule, first.date(), day):
            for moment in times:
                start = datetime.combine(day, moment)
                if start >= first:
                    yield start
        day += _DAY


def first_day(rule: Recurrence, first: datetime, since: date) -> date:
    """The day from which to walk: the first one if occurrences are counted (`rule.count`), else `since`."""
    return first.date() if rule.count is not None else max(since, first.date())


def _times(rule: Recurrence, first: datetime) -> list[time]:
    hours = rule.hours or (first.hour,)
    minutes = rule.minutes or (first.minute,)
    seconds = rule.seconds or (first.second,)
    return [time(*moment) for moment in product(sorted(hours), sorted(minutes), sorted(seconds))]


def _holds(rule: Recurrence, first: date, day: date) -> bool:
    return _in_turn(rule, first, day) and _within(rule, day) and _on_its_day(rule, first, day)


def _in_turn(rule: Recurrence, first: date, day: date) -> bool:
    """Whether the day's period (day, week, month, year) is a multiple of `interval` after the first one's."""
    if rule.interval == 1:
        return True
    if rule.frequency == "DAILY":
        passed = (day - first).days
    elif rule.frequency == "WEEKLY":
        passed = (_week(day, rule.week_start) - _week(first, rule.week_start)).days // 7
    elif rule.frequency == "MONTHLY":
        passed = (day.year - first.year) * 12 + day.month - first.month
    else:
        passed = day.year - first.year
    return passed % rule.interval == 0


def _week(day: date, start: int) -> date:
    """The first day of the day's week."""
    return day - timedelta(days=(day.weekday() - start) % 7)


def _within(rule: Recurrence, day: date) -> bool:
    return (
        (not rule.months or day.month in rule.months)
        and (not rule.weeks or not rule.weeks.isdisjoint(_week_numbers(day, rule.week_start)))
        and (not rule.year_days or not rule.year_days.isdisjoint(_from_both_ends(*_of_year(day))))
        and (not rule.month_days or not rule.month_days.isdisjoint(_from_both_ends(*_of_month(day))))
        and (not rule.weekdays or not rule.weekdays.isdisjoint(_names(rule, day)))
    )


def _on_its_day(rule: Recurrence, first: date, day: date) -> bool:
    """Whether the day fits, if the rule names no day: it has to be that of the first occurrence."""
    if rule.weeks or rule.year_days or rule.month_days or rule.weekdays:
        return True
    if rule.frequency == "WEEKLY":
        return day.weekday() == first.weekday()
    if rule.frequency == "MONTHLY":
        return day.day == first.day
    if rule.frequency == "YEARLY":
        return day.day == first.day and (bool(rule.months) or day.month == first.month)
    return True


def _names(rule: Recurrence, day: date) -> Iterator[tuple[int, int]]:
    """The ways in which `rule.weekdays` may name a day: Mondays, the second Monday, the last but one."""
    yield 0, day.weekday()
    yearly = rule.frequency == "YEARLY" and not rule.months
    place, length = _of_year(day) if yearly else _of_month(day)
    yield (place - 1) // 7 + 1, day.weekday()
    yield -((length - place) // 7 + 1), day.weekday()


def _of_year(day: date) -> tuple[int, int]:
    """The number of the day in its year, and the length of that year."""
    return day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365


def _of_month(day: date) -> tuple[int, int]:
    return day.day, calendar.monthrange(day.year, day.month)[1]


def _from_both_ends(place: int, length: int) -> tuple[int, int]:
    return place, place - length - 1


def _week_numbers(day: date, start: int) -> tuple[int, int]:
    """The week's number from the beginning and from the end of the year: week 1 is the first with four days in it."""
    middle = _week(day, start) + 3 * _DAY
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    weeks = (_last_middle(middle.year, start).timetuple().tm_yday - 1) // 7 + 1
    return number, number - weeks - 1


def _last_middle(year: int, start: int) -> date:
    """The fourth day of the last week of a year."""
    middle = _week(date(year, 12, 31), start) + 3 * _DAY
    return middle if middle.year == year else middle - 7 * _DAY

"""When the occurrences of a series are (checklist 81): by day, week, month and year, at one local time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from creneau_booking.domain.refusals.series import OccurrenceWithoutDay, RecurrenceUnread, SeriesOffPattern
from creneau_booking.domain.series import LAST, Monthly, Recurrence, occurrences
from creneau_booking.storage.mapping.series import RECURRENCE_TEMPLATE, recurrence_of

PARIS = ZoneInfo("Europe/Paris")


def days(recurrence: Recurrence, first: date) -> list[tuple[int, str]]:
    start = datetime(first.year, first.month, first.day, 9, tzinfo=PARIS)
    found = occurrences(recurrence, start, PARIS, 24)
    assert {at.astimezone(PARIS).hour for _, at in found} == {9}
    return [(number, at.astimezone(PARIS).date().isoformat()[2:]) for number, at in found]


def test_81_by_the_day_of_the_month() -> None:
    """On that day of each month, or of every other; the hour is the place's on both sides of the clock change."""
    monthly = Recurrence(monthly=Monthly(day=15), count=4)
    assert days(monthly, date(2027, 1, 15)) == [
        (1, "27-01-15"),
        (2, "27-02-15"),
        (3, "27-03-15"),
        (4, "27-04-15"),
    ]
    every_other = Recurrence(monthly=Monthly(), interval=2, last=date(2028, 1, 31))
    assert days(every_other, date(2027, 11, 3)) == [(1, "27-11-03"), (2, "28-01-03")]


def test_81_by_which_weekday_of_the_month() -> None:
    """The second Tuesday; the last Friday, which is the fourth or the fifth."""
    second = Recurrence(monthly=Monthly(nth=2, weekday=1), count=3)
    assert days(second, date(2027, 1, 12)) == [(1, "27-01-12"), (2, "27-02-09"), (3, "27-03-09")]
    last = Recurrence(monthly=Monthly(nth=LAST, weekday=4), count=3)
    assert days(last, date(2027, 1, 29)) == [(1, "27-01-29"), (2, "27-02-26"), (3, "27-03-26")]
    with pytest.raises(SeriesOffPattern):
        days(second, date(2027, 1, 13))


def test_81_a_day_that_a_month_does_not_have_is_named() -> None:
    """No other day is taken for it, nor is it passed over in silence; it may be left out, and keeps its number."""
    with pytest.raises(OccurrenceWithoutDay) as refused:
        days(Recurrence(monthly=Monthly(day=30), count=4), date(2027, 1, 30))
    assert (refused.value.number, refused.value.year, refused.value.month, refused.value.day) == (
        2,
        2027,
        2,
        30,
    )
    without = Recurrence(monthly=Monthly(day=30), count=4, numbers_left_out=frozenset({2}))
    assert days(without, date(2027, 1, 30)) == [(1, "27-01-30"), (3, "27-03-30"), (4, "27-04-30")]
    yearly = Recurrence(monthly=Monthly(), interval=12, count=2)
    with pytest.raises(OccurrenceWithoutDay):
        days(yearly, date(2028, 2, 29))


def test_81_by_days() -> None:
    assert days(Recurrence(daily=True, count=3), date(2027, 3, 27)) == [
        (1, "27-03-27"),
        (2, "27-03-28"),
        (3, "27-03-29"),
    ]


@pytest.mark.parametrize(
    "recurrence",
    [
        Recurrence(interval=1_000_000, count=3),
        Recurrence(interval=1_000_000, daily=True, count=3),
        Recurrence(monthly=Monthly(day=30), interval=100_000, count=3),
        Recurrence(interval=1_000_000, last=date(9999, 12, 31)),
    ],
)
def test_81_a_series_beyond_all_years_is_none(recurrence: Recurrence) -> None:
    """All of them or none: it is not cut where the calendar ends."""
    with pytest.raises(RecurrenceUnread):
        occurrences(recurrence, datetime(2026, 11, 30, 9, tzinfo=UTC), UTC, 24)


def template(kind: str, **more: list[dict[str, object]]) -> dict[str, object]:
    parts: list[dict[str, object]] = [
        {"url": "recurrenceType", "valueCodeableConcept": {"coding": [{"code": kind}]}},
        {"url": "occurrenceCount", "valuePositiveInt": 3},
    ]
    parts += [{"url": name, "extension": said} for name, said in more.items()]
    return {"url": RECURRENCE_TEMPLATE, "extension": parts}


def test_81_as_r5_writes_it() -> None:
    interval = {"url": "monthInterval", "valuePositiveInt": 2}
    by_day = template("monthly", monthlyTemplate=[{"url": "dayOfMonth", "valuePositiveInt": 15}, interval])
    assert recurrence_of(by_day) == Recurrence(monthly=Monthly(day=15), interval=2, count=3)
    nth: dict[str, object] = {"url": "nthWeekOfMonth", "valueCoding": {"code": "last"}}
    weekday: dict[str, object] = {"url": "dayOfWeek", "valueCoding": {"code": "fri"}}
    by_weekday = template("mo", monthlyTemplate=[nth, weekday, interval])
    assert recurrence_of(by_weekday).monthly == Monthly(nth=LAST, weekday=4)
    yearly = template("yearly", yearlyTemplate=[{"url": "yearInterval", "valuePositiveInt": 1}])
    assert recurrence_of(yearly) == Recurrence(monthly=Monthly(), interval=12, count=3)
    for wrong in (
        template("weekly", monthlyTemplate=[interval]),
        template("monthly", monthlyTemplate=[{"url": "dayOfMonth", "valuePositiveInt": 32}]),
        template("monthly", monthlyTemplate=[weekday]),
        template("hourly"),
    ):
        with pytest.raises(RecurrenceUnread):
            recurrence_of(wrong)

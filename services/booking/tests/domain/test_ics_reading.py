"""Busy times out of calendars: repetitions by the clock of their place, exceptions, and files that mean harm."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from creneau_booking.domain.not_read import NotReadError
from creneau_booking.handlers.outside.ics_reading import busy_times

PARIS = ZoneInfo("Europe/Paris")
WITHIN = (datetime(2026, 10, 19, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))


def calendar(*events: str) -> bytes:
    parts = "".join(f"BEGIN:VEVENT\r\nUID:{n % 2}\r\n{e}\r\nEND:VEVENT\r\n" for n, e in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{parts}END:VCALENDAR\r\n".encode()


def starts(content: bytes) -> list[str]:
    return [f"{start:%m-%d %H:%M}" for start, _ in busy_times([content], WITHIN, PARIS)]


def test_nine_o_clock_stays_nine_o_clock() -> None:
    weekly = "DTSTART;TZID=Europe/Paris:20260105T090000\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY"
    assert starts(calendar(weekly)) == ["10-19 07:00", "10-26 08:00", "11-02 08:00"]


def test_exceptions_moves_and_ends() -> None:
    weekly = (
        "DTSTART;TZID=Europe/Paris:20260105T090000\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY;UNTIL=20261026T080000Z"
        "\r\nEXDATE;TZID=Europe/Paris:20261019T090000"
    )
    other = "DTSTART:20200101T000000Z\r\nDURATION:PT1M"
    moved = "RECURRENCE-ID;TZID=Europe/Paris:20261026T090000\r\nDTSTART:20261027T120000Z\r\nDURATION:PT1H"
    assert starts(calendar(weekly, other, moved)) == ["10-27 12:00"]


def test_days_are_the_places_own() -> None:
    [(start, end)] = busy_times([calendar("DTSTART;VALUE=DATE:20261025")], WITHIN, PARIS)
    assert end - start == timedelta(hours=25)
    assert start.astimezone(PARIS).hour == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        calendar("DTSTART:20261020T090000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=SECONDLY"),
        calendar(*(["DTSTART:20261020T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY"] * 301)),
        calendar(*(["DTSTART:20261020T090000Z"] * 5_001)),
    ],
)
def test_what_means_harm_is_refused(content: bytes) -> None:
    with pytest.raises(NotReadError):
        busy_times([content], WITHIN, PARIS)


def test_so_many_times_and_no_more() -> None:
    twice = "DTSTART:20261020T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=2"
    assert starts(calendar(twice)) == ["10-20 09:00", "10-21 09:00"]


def test_what_never_happens_ends() -> None:
    """A date that no year has is looked for within the window only, not for ever."""
    event = "DTSTART:20200101T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ="
    for rule in ("DAILY;BYMONTH=2;BYMONTHDAY=30", "DAILY;BYSETPOS=2", "WEEKLY;BYMONTH=6;BYWEEKNO=52",
                 "MONTHLY;BYMONTHDAY=31;BYMONTH=4", "YEARLY;INTERVAL=4;BYYEARDAY=366;BYMONTH=1"):  # fmt: skip
        begun = time.thread_time()
        assert starts(calendar(event + rule, f"{event}{rule};COUNT=3")) == []
        assert time.thread_time() - begun < 1, "until the year 9999 it takes twenty seconds"


def test_what_happens_seldom_is_found() -> None:
    """Up to the last day of the window, from the first year that is followed on."""
    event = "DTSTART:20120101T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ="
    for rule in (
        "YEARLY;BYMONTH=11;BYMONTHDAY=8",
        "YEARLY;INTERVAL=14;BYMONTH=11;BYMONTHDAY=8",
        "YEARLY;BYYEARDAY=312",
        "MONTHLY;INTERVAL=2;BYMONTHDAY=8",
        "WEEKLY;BYDAY=SU;BYMONTH=11;BYMONTHDAY=8",
        "DAILY;BYMONTH=11;BYMONTHDAY=8",
    ):
        assert starts(calendar(event + rule)) == ["11-08 09:00"], rule

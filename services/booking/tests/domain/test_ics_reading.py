"""Busy times out of calendars: repetitions by the clock of their place, exceptions, and files that mean harm."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from icalendar import vRecur

from creneau_booking.domain.not_read import NotReadError, TooLargeError, UnreadableError
from creneau_booking.handlers.outside import ics_reading
from creneau_booking.handlers.outside.ics_reading import busy_times
from creneau_booking.handlers.outside.ics_repeating import LOOKED_AT_MAX, Budget, repeated

PARIS = ZoneInfo("Europe/Paris")
WITHIN = (datetime(2026, 10, 19, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))


def calendar(*events: str) -> bytes:
    parts = "".join(f"BEGIN:VEVENT\r\nUID:{n % 2}\r\n{e}\r\nEND:VEVENT\r\n" for n, e in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{parts}END:VCALENDAR\r\n".encode()


def starts(content: bytes) -> list[str]:
    return [f"{start:%m-%d %H:%M}" for start, _ in busy_times([content], WITHIN, PARIS)]


def free_and_busy(count: int) -> bytes:
    first = WITHIN[0]
    lines = "".join(f"FREEBUSY:{first + timedelta(minutes=n):%Y%m%dT%H%M%SZ}/PT30S\r\n" for n in range(count))
    return f"BEGIN:VCALENDAR\r\nBEGIN:VFREEBUSY\r\n{lines}END:VFREEBUSY\r\nEND:VCALENDAR\r\n".encode()


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


def test_a_time_zone_is_of_its_own_file() -> None:
    """Outlook gives each of its zones the same name: that of another file counts for nothing, nor that of an earlier one."""
    event = "BEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID={name}:20261020T090000\r\nDURATION:PT1H\r\nEND:VEVENT\r\n"
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:{name}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:{offset}\r\n"
        "TZOFFSETTO:{offset}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )

    def defining(name: str, offset: str) -> bytes:
        parts = (zone + event).format(name=name, offset=offset)
        return f"BEGIN:VCALENDAR\r\n{parts}END:VCALENDAR\r\n".encode()

    for name in ("Customized Time Zone", "Romance Standard Time"):
        assert starts(defining(name, "+1300")) == ["10-19 20:00"]
        assert starts(defining(name, "+0400")) == ["10-20 05:00"]
    both = [defining("Customized Time Zone", offset) for offset in ("+1300", "+0400")]
    assert [f"{start:%m-%d %H:%M}" for start, _ in busy_times(both, WITHIN, PARIS)] == [
        "10-19 20:00",
        "10-20 05:00",
    ]
    named = event.format(name="Romance Standard Time")
    assert starts(f"BEGIN:VCALENDAR\r\n{named}END:VCALENDAR\r\n".encode()) == ["10-20 07:00"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        calendar("DTSTART:20261020T090000Z\r\nDURATION:PT1S\r\nRRULE:FREQ=SECONDLY"),
        calendar(*(["DTSTART:20261020T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY"] * 301)),
        calendar(*(["DTSTART:20261020T090000Z"] * 5_001)),
        free_and_busy(20_001),
    ],
)
def test_what_means_harm_is_refused(content: bytes) -> None:
    with pytest.raises(NotReadError):
        busy_times([content], WITHIN, PARIS)


def test_so_many_times_and_no_more() -> None:
    twice = "DTSTART:20261020T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=2"
    assert starts(calendar(twice)) == ["10-20 09:00", "10-21 09:00"]


def lasting(content: bytes) -> list[str]:
    return [f"{start:%m-%d %H:%M}/{end - start}" for start, end in busy_times([content], WITHIN, PARIS)]


NINE = "DTSTART;TZID=Europe/Paris:20260105T090000\r\nDURATION:PT1H"


def test_further_dates_are_busy_too() -> None:
    """RDATE, beside a rule and without one: as long as the event, a whole day, or a period with a length of its own; unless
    they are taken out again, or moved."""
    dates = (
        "RDATE;TZID=Europe/Paris:20261020T090000,20261021T090000\r\nRDATE:20261022T090000Z\r\n"
        "RDATE;VALUE=PERIOD:20261023T090000Z/PT2H\r\nRDATE;VALUE=PERIOD;TZID=Europe/Paris:20261024T090000/20261024T093000\r\n"
        "EXDATE;TZID=Europe/Paris:20261021T090000"
    )
    moved = "RECURRENCE-ID:20261022T090000Z\r\nDTSTART:20261022T150000Z\r\nDURATION:PT15M"
    other = "DTSTART:20200101T000000Z\r\nDURATION:PT1M"
    found = ["10-20 07:00/1:00:00", "10-22 15:00/0:15:00", "10-23 09:00/2:00:00", "10-24 07:00/0:30:00"]
    assert lasting(calendar(f"{NINE}\r\n{dates}", other, moved)) == found
    weekly = f"{NINE}\r\nRRULE:FREQ=WEEKLY;UNTIL=20261019T070000Z\r\n{dates}"
    assert lasting(calendar(weekly, other, moved)) == ["10-19 07:00/1:00:00", *found]
    days = "DTSTART;VALUE=DATE:20260105\r\nRDATE;VALUE=DATE:20261027,20261030"
    assert lasting(calendar(days)) == ["10-26 23:00/1 day, 0:00:00", "10-29 23:00/1 day, 0:00:00"]


def test_from_one_occurrence_on_all_are_changed() -> None:
    """RANGE=THISANDFUTURE moves the later ones by the clock as it moves the first, and gives them its length; one of them that
    is changed by itself is as it says."""
    weekly, other = f"{NINE}\r\nRRULE:FREQ=WEEKLY", "DTSTART:20200101T000000Z\r\nDURATION:PT1M"
    later = (
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20260914T090000\r\n"
        "DTSTART;TZID=Europe/Paris:20260915T140000\r\nDURATION:PT2H"
    )
    alone = "RECURRENCE-ID;TZID=Europe/Paris:20261026T090000\r\nDTSTART:20261029T070000Z\r\nDURATION:PT1H"
    found = ["10-20 12:00/2:00:00", "10-29 07:00/1:00:00", "11-03 13:00/2:00:00"]
    assert lasting(calendar(weekly, other, later, other, alone)) == found
    back = (
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261102T090000\r\n"
        "DTSTART;TZID=Europe/Paris:20261101T090000\r\nDURATION:PT30M"
    )
    found = ["10-19 07:00/1:00:00", "10-26 08:00/1:00:00", "11-01 08:00/0:30:00", "11-08 08:00/0:30:00"]
    assert lasting(calendar(weekly, other, back)) == found, "the last from beyond the window"


def test_from_one_occurrence_on_nobody_is_busy() -> None:
    """Where the later ones are cancelled or do not block; and the other way round."""
    weekly, other = f"{NINE}\r\nRRULE:FREQ=WEEKLY", "DTSTART:20200101T000000Z\r\nDURATION:PT1M"
    later = (
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261026T090000\r\n"
        "DTSTART;TZID=Europe/Paris:20261026T090000\r\nDURATION:PT1H\r\n"
    )
    for said in ("STATUS:CANCELLED", "TRANSP:TRANSPARENT"):
        assert starts(calendar(weekly, other, later + said)) == ["10-19 07:00"]
    free = f"{weekly}\r\nTRANSP:TRANSPARENT"
    assert starts(calendar(free, other, later + "TRANSP:OPAQUE")) == ["10-26 08:00", "11-02 08:00"]


def test_a_long_absence_lasts_to_its_end() -> None:
    """Stated once it may be as long as it is; what repeats is cut, so that nobody is away for ever by mistake."""
    leave = "DTSTART;VALUE=DATE:20260401\r\nDTEND;VALUE=DATE:20270301"
    assert busy_times([calendar(leave)], WITHIN, PARIS) == [WITHIN]
    dated = "DTSTART;VALUE=DATE:20200101\r\nRDATE;VALUE=PERIOD:20260401T000000Z/20270301T000000Z"
    assert busy_times([calendar(dated)], WITHIN, PARIS) == [WITHIN]
    yearly = f"{leave}\r\nRRULE:FREQ=YEARLY"
    assert busy_times([calendar(yearly)], WITHIN, PARIS) == []


def local(*moment: int) -> datetime:
    """What a clock shows."""
    return datetime(*moment, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc, arg-type]


ALL_SECONDS = ";".join(
    f"BY{unit}={','.join(map(str, range(most)))}"
    for unit, most in (("HOUR", 24), ("MINUTE", 60), ("SECOND", 60))
)


@pytest.mark.parametrize(
    "rule",
    [
        f"RRULE:FREQ=DAILY;{ALL_SECONDS}",
        f"RRULE:FREQ=DAILY;COUNT=1000000000;{ALL_SECONDS}",
        f"RRULE:FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1;COUNT=99999999;{ALL_SECONDS}",
        f"RRULE:FREQ=MONTHLY;COUNT=5000;BYMONTHDAY={','.join(map(str, range(1, 32))) * 2000}".replace("311", "31,1"),
        "\r\n".join(["RRULE:FREQ=DAILY;COUNT=9999;BYMONTH=2;BYMONTHDAY=30"] * 299),
        "\r\n".join(["RRULE:FREQ=YEARLY"] * 301),
    ],
)  # fmt: skip
def test_a_small_file_is_no_long_work(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its rules come, before the window too: so much is looked at in all, and no more."""
    monkeypatch.setattr(ics_reading, "LOOKED_AT_MAX", LOOKED_AT_MAX // 10)
    with pytest.raises(TooLargeError):
        busy_times([calendar(f"DTSTART:20120101T000000Z\r\nDURATION:PT1S\r\n{rule}")], WITHIN, PARIS)


def test_changes_of_all_later_ones_are_looked_at_once_for_each_event() -> None:
    """600 events of one UID and 600 changes of all that is later."""
    later = [
        f"RECURRENCE-ID;RANGE=THISANDFUTURE:{WITHIN[0] + timedelta(minutes=n):%Y%m%dT%H%M%SZ}\r\n"
        "DTSTART:20261020T100000Z\r\nDURATION:PT1H"
        for n in range(600)
    ]
    events = [part for one in later for part in (NINE, one)]
    with pytest.raises(TooLargeError):
        busy_times([calendar(*events).replace(b"UID:1", b"UID:0")], WITHIN, PARIS)


@pytest.mark.parametrize(
    "rule", ["DAILY", "WEEKLY;INTERVAL=3;BYDAY=MO,FR", "MONTHLY;BYDAY=-1FR", "MONTHLY", "YEARLY"]
)
def test_what_lies_behind_is_passed_over(rule: str) -> None:
    """What began a hundred years ago costs no more than what began lately, unless its occurrences are counted."""
    spent = []
    for year in (1926, 2024):
        budget = Budget(LOOKED_AT_MAX)
        since, until = (moment.replace(tzinfo=None) for moment in WITHIN)
        list(repeated(vRecur.from_ical(f"FREQ={rule}"), local(year, 1, 31, 9), since, until, budget))
        spent.append(LOOKED_AT_MAX - budget.left)
    assert max(spent) <= 3 * 366 + 100


@pytest.mark.parametrize(
    "rule",
    [
        "DAILY;INTERVAL=5", "DAILY;BYMONTH=11;BYDAY=SU", "WEEKLY", "WEEKLY;INTERVAL=3;BYDAY=MO,SU;WKST=SU",
        "WEEKLY;INTERVAL=3;BYDAY=MO,SU;WKST=MO", "MONTHLY", "MONTHLY;INTERVAL=5", "MONTHLY;BYDAY=MO,TU;BYSETPOS=-1",
        "MONTHLY;INTERVAL=2;BYMONTHDAY=-1", "YEARLY", "YEARLY;BYMONTH=10,11", "YEARLY;INTERVAL=3", "YEARLY;BYWEEKNO=44",
        "YEARLY;BYDAY=45MO", "YEARLY;BYDAY=-7MO,TU", "YEARLY;BYDAY=-1SU;BYMONTH=10", "DAILY;BYHOUR=8,18;BYMINUTE=0,30",
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [local(2023, 10, 31, 9), local(2020, 2, 29, 9, 30), local(2022, 11, 7, 23)])
def test_what_is_passed_over_changes_nothing(rule: str, first: datetime) -> None:
    """The same moments as by the library from the first one on."""
    since, until = local(2026, 10, 19), local(2027, 11, 9)
    found = repeated(vRecur.from_ical(f"FREQ={rule}"), first, since, until, Budget(LOOKED_AT_MAX))
    whole = rrulestr(f"FREQ={rule}", dtstart=first).between(since, until, inc=True)
    assert [moment for moment in found if moment >= since] == whole


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


ORDINARY = "DTSTART:20261021T080000Z\r\nDURATION:PT1H"


@pytest.mark.parametrize(
    ("unreadable", "read"),
    [
        ("DTSTART:20261020T080000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=MONTHLY;BYDAY=99MO", ["10-20 08:00"]),
        ("DTSTART:20261020T080000Z\r\nDTEND:20261020T090000Z\r\nDTEND:20261020T100000Z", ["10-20 08:00"]),
        ("DTSTART:20261020T080000Z\r\nDTSTART:20261020T090000Z\r\nDURATION:PT1H", []),
        ("RECURRENCE-ID:20261020T080000Z\r\nRECURRENCE-ID:20261020T080000Z\r\n" + ORDINARY, ["10-21 08:00"]),
    ],
)
def test_one_event_that_cannot_be_read_hides_no_other(unreadable: str, read: list[str]) -> None:
    """A whole calendar counted as unreadable because of one; what is known of that one is busy."""
    other = "DTSTART:20261022T080000Z\r\nDURATION:PT1H"
    assert starts(calendar(unreadable, other)) == [*read, "10-22 08:00"]


def test_a_calendar_of_which_nothing_can_be_read_is_unreadable() -> None:
    with pytest.raises(UnreadableError):
        starts(calendar("DTSTART:20261020T080000Z\r\nDTSTART:20261020T090000Z\r\nDURATION:PT1H"))


def test_an_occurrence_may_be_named_by_its_day() -> None:
    """What an EXDATE or a RECURRENCE-ID without a time names is the occurrence of that day."""
    daily = "DTSTART;TZID=Europe/Paris:20261020T233000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=4"
    without = f"{daily}\r\nEXDATE;VALUE=DATE:20261021"
    moved = "RECURRENCE-ID;VALUE=DATE:20261023\r\nDTSTART:20261027T120000Z\r\nDURATION:PT1H"
    other = "DTSTART:20200101T000000Z\r\nDURATION:PT1M"
    assert starts(calendar(without, other, moved)) == ["10-20 21:30", "10-22 21:30", "10-27 12:00"]

"""Slots from rules, held against an expansion that knows nothing of how they are made: every minute looks at the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import pairwise
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import pytest
from dateutil import rrule as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from creneau_booking.domain.openings import days_off
from creneau_booking.domain.openings.difference import There, difference
from creneau_booking.domain.openings.expansion import Expansion, Place, covers, expand, merged, overlaps
from creneau_booking.domain.openings.recurrence import occurrences
from creneau_booking.domain.openings.refusals import OpeningsUnread
from creneau_booking.domain.openings.rules import (
    Cutting,
    Frequency,
    Kind,
    Offer,
    Period,
    Recurrence,
    Statement,
    Wanted,
)

ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Paris",
        "America/Miquelon",
        "America/St_Barthelemy",
        "America/Cayenne",
        "Indian/Reunion",
        "Indian/Mayotte",
        "Pacific/Noumea",
        "Pacific/Tahiti",
        "Pacific/Marquesas",
        "Pacific/Wallis",
    )
]
CHANGES = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)]
"""the clocks of Miquelon, of Paris, of Paris, of Miquelon change"""
PARIS = ZONES[0]
MINUTE = 60


def at(zone: ZoneInfo, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=zone)  # type: ignore[misc, arg-type]


def shown(*moment: int) -> datetime:
    """What a clock shows, wherever it is."""
    return datetime(*moment)  # type: ignore[arg-type]  # noqa: DTZ001


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def starts(expansion: Expansion, zone: ZoneInfo = PARIS) -> list[str]:
    return [f"{datetime.fromtimestamp(slot.start, zone):%d %H:%M%z}" for slot in expansion.wanted]


def daily(start: time, end: time, zone: ZoneInfo) -> Period:
    """Every day from one time to another, past midnight where it ends before it starts."""
    first = datetime.combine(date(2026, 2, 1), start, zone)
    last = datetime.combine(date(2026, 2, 1 if end > start else 2), end, zone)
    return Period(first, last, Recurrence("DAILY"))


def naive_open_minutes(start: time, end: time, zone: ZoneInfo, first: datetime, last: datetime) -> set[int]:
    """Minute by minute, as somebody would who looks at a clock: an opening of a day begins at the first minute that shows
    its beginning or later, and ends at the first that shows its end or later."""
    open_minutes: set[int] = set()
    for offset in range(-1, (last - first).days + 2):
        day = first.astimezone(zone).date() + timedelta(days=offset)
        begins = datetime.combine(day, start)
        ends = datetime.combine(day if end > start else day + timedelta(days=1), end)
        begun = ended = False
        moment = seconds(datetime.combine(day, time.min, UTC)) - 13 * 3600  # before it is that day anywhere
        while not ended:
            clock = datetime.fromtimestamp(moment, zone).replace(tzinfo=None)
            begun = begun or clock >= begins
            ended = clock >= ends if begun else False
            if begun and not ended:
                open_minutes.add(moment)
            moment += MINUTE
    return open_minutes


@pytest.mark.parametrize("day", CHANGES, ids=str)
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_on_days_when_clocks_change_openings_are_what_the_clock_shows(zone: ZoneInfo, day: date) -> None:
    """Around the hour that is left out and the one that comes twice, and across midnight, in every French zone: the slots
    of a minute each are exactly the minutes at which it is open."""
    since = datetime.combine(day - timedelta(days=1), time(12), UTC)
    until = since + timedelta(days=2)
    for start, end in (
        (time(1), time(4)),
        (time(2, 15), time(2, 45)),
        (time(2, 30), time(5)),
        (time(0, 30), time(2, 30)),
        (time(22), time(3)),
    ):
        statement = Statement((daily(start, end, zone),), durations={"x": timedelta(minutes=1)})
        made = expand(statement, Place(zone), (seconds(since), seconds(until)))
        expected = naive_open_minutes(start, end, zone, since, until)
        assert [slot.start for slot in made.wanted] == sorted(
            m for m in expected if seconds(since) <= m < seconds(until)
        )


def test_a_night_is_an_hour_shorter_in_spring_and_an_hour_longer_in_autumn() -> None:
    statement = Statement((daily(time(1), time(4), PARIS),), durations={"x": timedelta(hours=1)})
    for day, expected in (
        (date(2026, 3, 29), ["29 01:00+0100", "29 03:00+0200"]),
        (date(2026, 10, 25), ["25 01:00+0200", "25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]),
    ):
        window = (
            seconds(datetime.combine(day, time(0), PARIS)),
            seconds(datetime.combine(day, time(12), PARIS)),
        )
        assert starts(expand(statement, Place(PARIS), window)) == expected


FREQUENCIES: dict[Frequency, Any] = {
    "DAILY": oracle.DAILY,
    "WEEKLY": oracle.WEEKLY,
    "MONTHLY": oracle.MONTHLY,
    "YEARLY": oracle.YEARLY,
}
_DAYS = (oracle.MO, oracle.TU, oracle.WE, oracle.TH, oracle.FR, oracle.SA, oracle.SU)


@st.composite
def recurrences(draw: Callable[..., Any]) -> Recurrence:
    """Such as hold at some time: for one that never does, dateutil looks until the year 9999. Nor are days with and without
    an ordinal beside each other, which it takes for those that are both."""
    frequency = draw(st.sampled_from(sorted(FREQUENCIES)))
    interval = draw(st.integers(1, 3))
    month_days = draw(st.one_of(st.just([]), st.lists(st.sampled_from([1, 13, -1, -7]), max_size=2)))
    by_ordinal = frequency in ("MONTHLY", "YEARLY") and not month_days
    ordinals = st.sampled_from(draw(st.sampled_from([[0], [1, 2, -1]])) if by_ordinal else [0])
    in_months = frequency != "MONTHLY" or interval == 1
    return Recurrence(
        frequency=frequency,
        interval=interval,
        months=draw(st.frozensets(st.integers(1, 12), max_size=3)) if in_months else frozenset(),
        month_days=frozenset(month_days),
        weekdays=draw(st.frozensets(st.tuples(ordinals, st.integers(0, 6)), max_size=3)),
        hours=draw(st.sampled_from([(), (9,), (8, 14)])),
        week_start=draw(st.integers(0, 6)),
    )


@settings(max_examples=50, deadline=None)
@given(recurrences())
def test_recurrences_are_those_of_another_implementation(rule: Recurrence) -> None:
    """Over two years, against dateutil: days, intervals, ordinals, the beginning of the week, times of the day."""
    first, until = shown(2026, 1, 15, 9), shown(2027, 12, 31, 23, 59)
    expected = oracle.rrule(
        FREQUENCIES[rule.frequency],
        dtstart=first,
        until=until,
        interval=rule.interval,
        bymonth=sorted(rule.months) or None,
        bymonthday=sorted(rule.month_days) or None,
        byweekday=[_DAYS[day](n) if n else _DAYS[day] for n, day in sorted(rule.weekdays)] or None,
        byhour=rule.hours or None,
        wkst=rule.week_start,
    )
    assert list(occurrences(rule, first, first.date(), until.date())) == list(expected)


def test_week_numbers_and_days_of_the_year() -> None:
    first = shown(2026, 1, 1, 9)
    cases: list[tuple[Recurrence, dict[str, Any]]] = [
        (
            Recurrence("YEARLY", weeks=frozenset({1, 53, -1}), weekdays=frozenset({(0, 0)})),
            {"byweekno": [1, 53, -1], "byweekday": [0]},
        ),
        (Recurrence("YEARLY", year_days=frozenset({1, 200, -1})), {"byyearday": [1, 200, -1]}),
    ]
    for rule, theirs in cases:
        expected = oracle.rrule(oracle.YEARLY, dtstart=first, until=shown(2032, 12, 31, 23), **theirs)
        assert list(occurrences(rule, first, first.date(), date(2032, 12, 31))) == list(expected)


def test_a_rule_that_never_holds_takes_no_longer_than_its_days() -> None:
    """30 February: another implementation looks for it until the year 9999."""
    rule = Recurrence("DAILY", months=frozenset({2}), month_days=frozenset({30}))
    assert list(occurrences(rule, shown(2026, 1, 1), date(2026, 1, 1), date(2027, 12, 31))) == []


INTERVALS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 40)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(INTERVALS, st.integers(0, 200), st.integers(1, 40))
def test_time_that_is_merged_is_the_same_time(
    intervals: list[tuple[int, int]], start: int, length: int
) -> None:
    """And what reaches into it, or lies within it, is told minute by minute."""
    together = merged(intervals)
    minutes = {m for first, last in intervals for m in range(first, last)}
    assert {m for first, last in together for m in range(first, last)} == minutes
    assert all(before[1] < after[0] for before, after in pairwise(together))
    asked = set(range(start, start + length))
    assert overlaps(together, start, start + length) == bool(asked & minutes)
    assert covers(together, start, start + length) == (asked <= minutes)


KIND, OTHER = Kind(frozenset({"x"}), ""), Kind(frozenset({"y"}), "")


@st.composite
def slots_there(draw: Callable[..., Any]) -> list[There]:
    there = []
    for number in range(draw(st.integers(0, 8))):
        start = 10 * draw(st.integers(0, 12))
        end = start + draw(st.sampled_from([10, 15, 20]))
        kind = draw(st.sampled_from([KIND, OTHER, None]))
        said_free, taken = (
            draw(st.sampled_from([True, True, False])),
            draw(st.sampled_from([None, None, "rdv"])),
        )
        there.append(There(str(number), start, end, kind, draw(st.booleans()), said_free, taken))
    return there


@settings(max_examples=200, deadline=None)
@given(slots_there(), st.lists(st.integers(0, 13), unique=True))
def test_a_difference_moves_nothing_of_anybodys_and_comes_to_rest(
    there: list[There], asked: list[int]
) -> None:
    """What is taken, blocked or written stays; nothing appears in its time; and done once there is nothing left to do."""
    wanted = tuple(Wanted(10 * n, 10 * n + 10, KIND) for n in sorted(asked))
    expansion = Expansion(wanted, tuple(merged((s.start, s.end) for s in wanted)), True)
    closed = [(0, 25)]
    change = difference(expansion, there, closed=closed)
    assert all(s.generated and s.taken_by is None and s.start >= 25 for s in change.vanish)
    assert all(s.taken_by is not None for s in change.withdrawn)
    gone = {s.id for s in change.vanish}
    left = [s for s in there if s.id not in gone]
    assert change.stay == len(left)
    for new in change.appear:
        held = [s for s in left if not s.generated or s.taken_by or s.start < 25]
        assert not [s for s in held if s.start < new.end and s.end > new.start and not s.said_free]
    said = {s.id: True for s in change.reopened} | {s.id: False for s in change.withdrawn}
    left = [s._replace(said_free=said.get(s.id, s.said_free)) for s in left]
    made = [There(f"new{n}", s.start, s.end, s.kind, True, True, None) for n, s in enumerate(change.appear)]
    again = difference(expansion, [*left, *made], closed=closed)
    assert (again.appear, again.vanish, again.reopened, again.withdrawn) == ((), (), (), ())


def test_what_is_left_out_by_hand_is_not_made_again() -> None:
    expansion = Expansion((Wanted(0, 10, KIND), Wanted(10, 20, KIND)), ((0, 20),), True)
    assert difference(expansion, (), [(0, 10)]).appear == (Wanted(10, 20, KIND),)


def test_a_visit_outside_the_new_hours_is_told() -> None:
    expansion = Expansion((Wanted(0, 10, KIND),), ((0, 15),), True)
    there = [There("a", 5, 15, KIND, True, True, "in"), There("b", 10, 20, KIND, True, True, "out")]
    change = difference(expansion, there)
    assert change.outside == ("out",)
    assert [slot.id for slot in change.withdrawn] == ["a", "b"]


def test_slots_of_an_agenda_of_nobody_never_overlap() -> None:
    opening = Period(at(PARIS, 2026, 11, 17, 9), at(PARIS, 2026, 11, 17, 10))
    later = Period(
        at(PARIS, 2026, 11, 17, 9, 10), at(PARIS, 2026, 11, 17, 10, 10), offer=Offer(traits="video")
    )
    statement = Statement((opening, later), durations={"x": timedelta(minutes=20)}, of_people=False)
    window = (seconds(opening.start), seconds(later.end))  # type: ignore[arg-type]
    made = expand(statement, Place(PARIS), window).wanted
    assert all(before.end <= after.start for before, after in pairwise(made))


def test_what_asks_for_too_much_is_cut_no_further_than_is_wanted() -> None:
    """An opening of three thousand years by the minute would be 1.6 thousand million slots."""
    always = Period(at(PARIS, 2026, 1, 1), at(PARIS, 5026, 1, 1))
    statement = Statement(openings=(always,), durations={"visit": timedelta(minutes=1)}, of_people=True)
    window = seconds(at(PARIS, 2026, 1, 1)), seconds(at(PARIS, 5026, 1, 1))
    found = expand(statement, Place(PARIS), window, most=3)
    assert not found.complete
    assert starts(found) == ["01 00:00+0100", "01 00:01+0100", "01 00:02+0100"]


def test_a_grid_is_of_the_places_clock_and_buffers_are_within_the_opening() -> None:
    """The Marquesas are half an hour off: a grid of an hour there is not one in UTC."""
    zone = ZoneInfo("Pacific/Marquesas")
    opening = Period(at(zone, 2026, 11, 17, 8, 20), at(zone, 2026, 11, 17, 11))
    statement = Statement(
        (opening,),
        durations={"x": timedelta(minutes=20)},
        cutting=Cutting(timedelta(minutes=5), timedelta(minutes=5), timedelta(hours=1)),
    )
    window = (seconds(at(zone, 2026, 11, 17, 0)), seconds(at(zone, 2026, 11, 18, 0)))
    assert starts(expand(statement, Place(zone), window), zone) == ["17 09:00-0930", "17 10:00-0930"]


@pytest.mark.parametrize(
    ("code", "zone", "theirs"),
    [
        ("75011", "Europe/Paris", None),
        ("67000", "Europe/Paris", "6AE"),
        ("57000", "Europe/Paris", "57"),
        ("97110", "America/Guadeloupe", "971"),
        ("97200", "America/Martinique", "972"),
        ("97300", "America/Cayenne", "973"),
        ("97400", "Indian/Reunion", "974"),
        ("97600", "Indian/Mayotte", "976"),
        ("97133", "America/St_Barthelemy", "BL"),
        ("97150", "America/Marigot", "MF"),
        (None, "America/Miquelon", "PM"),
        (None, "Pacific/Noumea", "NC"),
        (None, "Pacific/Wallis", "WF"),
        (None, "Pacific/Marquesas", "PF"),
    ],
)
def test_public_holidays_of_a_place_are_those_of_another_list(
    code: str | None, zone: str, theirs: str | None
) -> None:
    """Of the package `holidays`, for ten years."""
    part = days_off.part_of_france(code, zone)
    first = date(2026, 1, 1)
    ours = {day for n in range(3650) if days_off.is_public_holiday(part, day := first + timedelta(days=n))}
    expected = holidays.country_holidays("FR", subdiv=theirs, years=range(2026, 2036))
    assert ours == {day for day in expected if day < first + timedelta(days=3650)}


def test_abroad_no_french_holiday_closes() -> None:
    part = days_off.part_of_france(None, "Europe/Brussels")
    assert not days_off.is_public_holiday(part, date(2026, 7, 14))


def test_school_holidays_as_a_condition() -> None:
    """In the zone of the place; where nobody has said, an opening that depends on them is none."""
    first, last = at(PARIS, 2027, 2, 3, 9), at(PARIS, 2027, 2, 3, 10)
    rule = Recurrence("WEEKLY")
    window = (seconds(at(PARIS, 2027, 2, 1, 0)), seconds(at(PARIS, 2027, 3, 4, 0)))
    for code, only in (
        ("69001", ["17", "24"]),
        ("13001", ["24", "03"]),
        ("75001", ["10", "17"]),
        ("20000", []),
    ):
        school = days_off.school_zone(code)
        is_holiday = partial(days_off.SCHOOL_CALENDAR.is_holiday, school)
        place = Place(PARIS, is_school_holiday=is_holiday)
        found = {}
        for condition in ("only", "except"):
            offer = Offer(school_holidays=condition)
            statement = Statement(
                (Period(first, last, rule, offer=offer),), durations={"x": timedelta(hours=1)}
            )
            found[condition] = [start[:2] for start in starts(expand(statement, place, window))]
        assert found["only"] == only
        assert sorted(found["only"] + found["except"]) == (
            sorted(["03", "10", "17", "24", "03"]) if only else []
        )


@pytest.mark.parametrize("zone", ["A", "B", "C"])
@pytest.mark.parametrize("thursday", [date(2026, 5, 14), date(2027, 5, 6)])
def test_schools_are_closed_after_ascension_until_monday(zone: str, thursday: date) -> None:
    """The Thursday is a public holiday, and no more."""
    days = [days_off.SCHOOL_CALENDAR.is_holiday(zone, thursday + timedelta(days=n)) for n in range(-1, 5)]
    assert days == [False, False, True, True, True, False]


FURTHER = """# invented
known;2027-09-01;2028-09-01
ABC;2027-10-16;2027-11-02

B;2028-02-12;2028-02-28
"""


def test_an_operator_adds_school_years() -> None:
    calendar = days_off.SCHOOL_CALENDAR.read(FURTHER)
    assert calendar.until == date(2028, 9, 1)
    assert [calendar.is_holiday(zone, date(2028, 2, 12)) for zone in "ABC"] == [False, True, False]
    assert [calendar.is_holiday("A", date(2027, 11, day)) for day in (1, 2)] == [True, False]
    assert calendar.is_holiday("A", date(2027, 2, 13)), "what the release knows stays"
    assert calendar.is_holiday("A", date(2028, 9, 1)) is None
    assert days_off.SCHOOL_CALENDAR.is_holiday("A", date(2027, 9, 1)) is None


def test_a_decree_that_changes_a_year_takes_the_place_of_what_was_known() -> None:
    calendar = days_off.SCHOOL_CALENDAR.read("known;2026-09-01;2027-09-01\nABC;2026-10-24;2026-11-09\n")
    assert [calendar.is_holiday("A", date(2026, 10, day)) for day in (17, 24)] == [False, True]
    assert calendar.is_holiday("A", date(2026, 2, 7))


def test_several_years_are_each_told_by_a_line() -> None:
    """In any order, beside a year between them of which the release knows all."""
    years = ("known;2028-09-01;2029-09-01", "known;2025-09-01;2026-09-01", "known;2027-09-01;2028-09-01")
    holidays = ("ABC;2025-11-01;2025-11-03", "ABC;2028-10-21;2028-11-06")
    calendar = days_off.SCHOOL_CALENDAR.read("\n".join((*holidays, *years)))
    assert calendar.until == date(2029, 9, 1)
    assert [calendar.is_holiday("A", date(2025, *day)) for day in ((10, 20), (11, 2))] == [False, True]
    assert calendar.is_holiday("A", date(2026, 10, 20)), "what the release knows stays"
    assert [calendar.is_holiday("A", date(2028, *day)) for day in ((1, 3), (10, 21))] == [False, True]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("known;2028-09-01;2029-09-01", "line 1"),
        ("known;2027-09-01;2028-09-01\nknown;2029-09-01;2030-09-01", "line 2"),
        ("known;2024-09-01;2025-09-01", "line 1"),
        ("# no period\nABC;2027-10-16;2027-11-02", "line 2"),
        ("known;2027-09-01;2028-09-01\nABC;2026-10-16;2026-11-02", "line 2"),
        ("\nD;2027-10-16;2027-11-02", "line 2"),
        ("A;2027-10-16", "line 1"),
        ("A;2027-11-02;2027-10-16", "line 1"),
        ("A;le 16;2027-11-02", "line 1"),
    ],
)
def test_a_school_calendar_that_cannot_be_read_is_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        days_off.SCHOOL_CALENDAR.read(text)


def test_every_department_of_france_has_one_school_zone_or_none() -> None:
    departments = [f"{n:02}" for n in range(1, 96)]
    zones = {d: days_off.school_zone(f"{d}000") for d in departments}
    assert [d for d, zone in zones.items() if zone is None] == ["20"]


def often(minute: int, second: int) -> Period:
    """Five seconds, twice an hour, every day."""
    start = at(PARIS, 2026, 11, 1, 0, minute, second)
    rule = Recurrence("DAILY", hours=tuple(range(24)), minutes=(minute, minute + 30))
    return Period(start, start + timedelta(seconds=5), rule)


HORIZON = seconds(at(PARIS, 2026, 11, 2)), seconds(at(PARIS, 2027, 12, 6))


def test_an_absence_is_looked_for_where_the_opening_is() -> None:
    """Half an hour's opening and absence, each 19,200 times, in which nothing has room: a look at each absence for each
    opening takes more than twice as long as all the rest may."""
    statement = Statement((often(0, 0),), (often(1, 0),), durations={"visit": timedelta(hours=1)})
    began = process_time()
    assert expand(statement, Place(PARIS), HORIZON, most=20_000).complete
    assert process_time() - began < 3


@pytest.mark.parametrize(
    "statement",
    [
        Statement(tuple(often(0, s) for s in range(50)), durations={"visit": timedelta(hours=1)}),
        Statement(
            (often(0, 0),),
            tuple(often(1, s) for s in range(50)),
            durations={"visit": timedelta(hours=1)},
        ),
        Statement(
            (Period(date(2026, 11, 1), date(2027, 12, 6)),) * 50,
            (Period(date(2026, 11, 1), date(2027, 12, 6)),),
            durations={"visit": timedelta(minutes=1)},
        ),
        Statement(
            tuple(
                Period(
                    at(PARIS, 2017, 1, day, 9), at(PARIS, 2017, 1, day, 10), Recurrence("DAILY", 1, 10_000)
                )
                for day in range(1, 29)
            )
            * 10,
            durations={"visit": timedelta(hours=1)},
        ),
        Statement(
            tuple(
                Period(at(PARIS, 2026, 11, 3, 9), at(PARIS, 2026, 11, 3, 10), offer=Offer(traits=str(n)))
                for n in range(100)
            ),
            durations={str(n): timedelta(minutes=50, seconds=n) for n in range(50)},
        ),
    ],
    ids=["openings", "absences", "starts in closed time", "days counted from years ago", "kinds"],
)
def test_rules_that_make_few_slots_and_much_work_are_refused(statement: Statement) -> None:
    began = process_time()
    with pytest.raises(OpeningsUnread) as refused:
        expand(statement, Place(PARIS), HORIZON, most=20_000)
    assert [one.fault for one in refused.value.openings] == ["too-costly"]
    assert process_time() - began < 15


def test_what_has_been_open_for_years_is_cut_from_the_window_on() -> None:
    always = Period(at(PARIS, 1926, 1, 1), at(PARIS, 2126, 1, 1))
    window = seconds(at(PARIS, 2026, 1, 5, 9, 30)), seconds(at(PARIS, 2026, 1, 5, 11, 30))
    made = expand(Statement((always,), durations={"x": timedelta(hours=1)}), Place(PARIS), window, most=3)
    assert made.complete
    assert starts(made) == ["05 10:00+0100"]

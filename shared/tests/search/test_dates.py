"""Dates as intervals: precision, zones, clock changes, and the algebra of prefixes against its definition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.tests.search.store import Store

from creneau_shared.clock import PARIS
from creneau_shared.fhir.datatypes import CALENDAR_BEGIN, CALENDAR_END, POINT, parse_interval
from creneau_shared.fhir.search.dates import value_interval
from creneau_shared.fhir.search.generic import date_condition, instant_condition
from creneau_shared.fhir.search.registry import parameters_of
from creneau_shared.fhir.search.request import DateValue, Prefix
from creneau_shared.fhir.search.sql import Arguments


@pytest.mark.parametrize(
    ("text", "low", "hours"),
    [
        ("2026", "2025-12-31T23:00:00Z", 365 * 24),
        ("2026-12", "2026-11-30T23:00:00Z", 31 * 24),
        ("2026-02-28", "2026-02-27T23:00:00Z", 24),
        ("2026-03-29", "2026-03-28T23:00:00Z", 23),
        ("2026-10-25", "2026-10-24T22:00:00Z", 25),
        ("2026-03", "2026-02-28T23:00:00Z", 31 * 24 - 1),
        ("2026-12-31", "2026-12-30T23:00:00Z", 24),
        ("2026-07-01T10:30", "2026-07-01T08:30:00Z", 1 / 60),
        ("2026-07-01T10:30:15", "2026-07-01T08:30:15Z", 1 / 3600),
        ("2026-07-01T10:30:15.5Z", "2026-07-01T10:30:15.5Z", 0.1 / 3600),
        ("2026-07-01T10:30:15.123456789Z", "2026-07-01T10:30:15.123456Z", 1e-6 / 3600),
        ("2026-07-01T10:30:00-04:00", "2026-07-01T14:30:00Z", 1 / 3600),
        ("2026-07-01T10:30:00 04:00", "2026-07-01T06:30:00Z", 1 / 3600),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", 1 / 3600),
    ],
)
def test_interval(text: str, low: str, hours: float) -> None:
    """As long as the precision says; a local day has 23 or 25 hours when clocks change."""
    found = parse_interval(text, PARIS)
    assert found[0] == datetime.fromisoformat(low)
    assert (found[1] - found[0]).total_seconds() == pytest.approx(hours * 3600)


def test_another_zone() -> None:
    """La Réunion has no clock change and is four hours ahead."""
    low, high = parse_interval("2026-03-29", ZoneInfo("Indian/Reunion"))
    assert (low, high - low) == (datetime(2026, 3, 28, 20, tzinfo=UTC), timedelta(hours=24))


@pytest.mark.parametrize(
    "text",
    ["", "26", "2026-13", "2026-00", "2026-02-30", "2026-1-1", "20261201", "2026-12-01T", "2026-12-01T10",
     "2026-12-01T24:00:00", "2026-12-01T10:00:61Z", "2026-12-01T10:00+2", "2026-12-01T10:00:00+15:00",
     "0000", "10000", "2026-12-01 10:00", "２０２６", "now"],
)  # fmt: skip
def test_not_a_date(text: str) -> None:
    """Neither half a date nor another calendar's."""
    with pytest.raises(ValueError, match=r".*"):
        parse_interval(text, PARIS)


_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_EDGES = st.one_of(
    st.datetimes(datetime(9999, 12, 30), datetime.max),  # noqa: DTZ001, DTZ901
    st.datetimes(datetime.min, datetime(1, 1, 2)),  # noqa: DTZ001, DTZ901
)


@given(_EDGES, _OFFSETS, st.sampled_from(["year", "month", "day", "minute", "second", "microsecond"]))
def test_for_ever_and_since_ever_are_dates(moment: datetime, zone: timezone, precision: str) -> None:
    """`9999-12-31` is how many systems end what does not end: each date of R4 is some span between the first moment that can
    be kept and the last, in every zone, whole or as a point in time."""
    offset = datetime(2026, 1, 1, tzinfo=zone).isoformat()[-6:]
    text = {
        "year": f"{moment.year:04}",
        "month": f"{moment.year:04}-{moment.month:02}",
        "day": moment.date().isoformat(),
    }.get(precision) or moment.isoformat(timespec=f"{precision}s") + offset
    low, high = parse_interval(text, zone)
    assert CALENDAR_BEGIN <= low < high <= CALENDAR_END
    assert low.utcoffset() == high.utcoffset() == timedelta(0)
    point = value_interval(text, zone, instant=True)
    assert point is not None
    assert point[0] == low
    assert low < point[1] <= CALENDAR_END
    assert value_interval({"end": text}, zone, instant=False) == (CALENDAR_BEGIN, high)


def test_periods_may_be_open() -> None:
    """A Period without start or end reaches for ever; one with neither is no date."""
    assert value_interval({"start": "2026-01-01"}, PARIS, instant=False) == (
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        CALENDAR_END,
    )
    assert value_interval({"end": "2026-01-01"}, PARIS, instant=False) == (
        CALENDAR_BEGIN,
        datetime(2026, 1, 1, 23, tzinfo=UTC),
    )
    assert value_interval({}, PARIS, instant=False) is None


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
)
def test_a_day_is_covered_by_its_own_day_only(moment: datetime) -> None:
    """The days of Paris leave no gap and do not overlap."""
    local = moment.astimezone(PARIS)
    low, high = parse_interval(local.date().isoformat(), PARIS)
    assert low <= moment < high
    assert parse_interval((local.date() + timedelta(days=1)).isoformat(), PARIS)[0] == high


_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
_SPAN = 6


def _at(hour: int) -> datetime:
    return _ZERO + timedelta(hours=hour)


_ORACLE: dict[str, Callable[[set[int], set[int]], bool]] = {
    # What R4 search.html#prefix says, on sets of points: `s` the search value, `t` the resource's value.
    "eq": lambda s, t: t <= s,
    "ne": lambda s, t: not t <= s,
    "gt": lambda s, t: any(point > max(s) for point in t),
    "lt": lambda s, t: any(point < min(s) for point in t),
    "ge": lambda s, t: any(point > max(s) for point in t) or t <= s,
    "le": lambda s, t: any(point < min(s) for point in t) or t <= s,
    "sa": lambda s, t: min(t) > max(s),
    "eb": lambda s, t: max(t) < min(s),
    "ap": lambda s, t: bool(s & t),
    # Of `_filter` (search_filter.html#ops); an instant covers what it equals.
    "po": lambda s, t: bool(s & t),
    "co": lambda s, t: s <= t,
}


@pytest.mark.parametrize("prefix", get_args(Prefix))
async def test_prefixes_against_their_definition(empty: Store, prefix: Prefix) -> None:
    """Every small interval against every other, the conditions evaluated by PostgreSQL."""
    spans = [(a, b) for a in range(_SPAN) for b in range(a + 1, _SPAN + 1)]
    period = parameters_of("Schedule")["date"]
    point = parameters_of("Slot")["start"]
    for low, high in spans:
        value = DateValue(prefix, _at(low), _at(high))
        found = await _matching(empty, date_condition, value, period, [(_at(a), _at(b)) for a, b in spans])
        wanted = [_ORACLE[prefix](set(range(low, high)), set(range(a, b))) for a, b in spans]
        assert found == wanted, (prefix, low, high)
        moments = [(_at(a), _at(a) + POINT) for a in range(_SPAN)]
        found = await _matching(empty, date_condition, value, point, moments)
        of_points = _ORACLE["eq" if prefix == "co" else prefix]
        wanted = [of_points(set(range(low, high)), {a}) for a in range(_SPAN)]
        assert found == wanted, (prefix, low, high)


async def _matching(
    store: Store, condition: Any, value: DateValue, parameter: Any, rows: list[tuple[datetime, datetime]]
) -> list[bool]:
    arguments = Arguments()
    where = condition(value, parameter, arguments)
    lows, highs = (
        arguments.add([a for a, _ in rows], "timestamptz[]"),
        arguments.add([b for _, b in rows], "timestamptz[]"),
    )
    records = await store.connection.fetch(
        f"SELECT {where} FROM unnest({lows}, {highs}) WITH ORDINALITY AS x (low, high, n) ORDER BY n",
        *arguments.values,
    )
    return [record[0] for record in records]


def test_an_instant_condition_uses_one_bound_where_one_is_enough() -> None:
    """So that `ge` and `lt` together make one range of one index."""
    arguments = Arguments()
    value = DateValue("ge", _at(0), _at(1))
    assert instant_condition(value, "start", arguments) == "start >= $1::timestamptz"
